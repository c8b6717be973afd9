"""Read a frozen folder as plain values, to compare trees; draw and copy photos to freeze."""

import hashlib
import json
from pathlib import Path

import numpy as np
from PIL import Image

from carscale import tables
from carscale.data.versions import version

COLUMNS = ["path", "class", "split", "source", "sha256", "original_sha256", "original_mode"]
COLUMNS += ["original_orientation", "normalised", "width", "height", "group", "key", "id"]
COLUMNS += ["box", "box_margin"]


def tree_of(folder: Path) -> dict[str, str]:
    """Return every file's hash and every folder, so that two trees can be compared."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        if path.is_file()
        else "folder"
        for path in folder.rglob("*")
    }


def rows_of(root: Path) -> list[dict]:
    columns = tables.read_manifest(root / "manifest.parquet", COLUMNS)
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def row_of(root: Path, source: str) -> dict:
    (row,) = (row for row in rows_of(root) if row["source"] == source)
    return row


def refused_of(root: Path) -> dict[str, str]:
    lines = (root / "quarantine.jsonl").read_text().splitlines()
    return {line["path"]: line["reason"] for line in map(json.loads, lines)}


def save(path: Path, image: Image.Image, kind: str, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, kind, **options)
    return path


def scene(width=40, height=28, seed=0) -> Image.Image:
    """A smooth picture without any symmetry, so that JPEG and a turn can be told apart."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (3, 4, 3), dtype=np.uint8))
    return small.resize((width, height), Image.Resampling.BICUBIC)


def with_copy(root: Path, out: Path, *, of: str, split: str, class_name: str = "") -> str:
    """Write a frozen folder by hand that has one photo in another split too; return its path."""
    out.mkdir()
    rows = version.manifest_rows(root)
    row = next(row for row in rows if row["path"] == of)
    named = class_name or row["class"]
    path = f"{split}/{named}/copy-{Path(of).name}"
    copy = {"path": path, "split": split, "class": named, "key": row["key"] + "-copy"}
    rows.append(row | copy | {"old_path": of})
    splits = ("train", "val", "test")
    rows = version.ordered(rows, splits)
    version.place_rows(
        rows,
        out,
        root=root,
        splits=splits,
        link="copy",
        advance=lambda total: None,
    )
    parent = version.read_parent(root, "", "")
    version.write_version(root, out, parent, version.Version(rows, {}))
    return path
