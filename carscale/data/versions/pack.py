"""From a frozen folder to a pack: shrink, write shards, publish. N photos."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale import disk, files, images, outgoing, tables, threads
from carscale.data.freezing.freeze import check_out
from carscale.data.frozen.answers import ANSWERS_LIST
from carscale.data.frozen.layout import (
    LOCKED_FILES,
    PACK_FORMAT,
    Frozen,
    as_text,
    card_hash,
    json_bytes,
    read_card,
    read_list,
    split_hash,
)
from carscale.data.frozen.lock import verify
from carscale.data.frozen.manifest import read_manifest
from carscale.data.frozen.reader import read_splits
from carscale.data.versions.arrow_files import PackedPhoto, hf_features, hf_lists, write_shards
from carscale.errors import ConfigError, DataError
from carscale.files import staged_folder
from carscale.threads import in_order
from carscale.types import Split

if TYPE_CHECKING:
    from datasets import Features


SHARD_BYTES = 512 << 20
MAX_SHARDS = 256
"""Shards grow beyond their size when there would be more: a process keeps all of them open."""
AHEAD = 32
"""Photos in flight."""


@dataclass(frozen=True)
class PackRule:
    """How photos get smaller.

    Attributes:
        max_px: Photos whose longer side is above are shrunk to it; others stay byte for byte.
        quality: Of the JPEGs that shrunk photos become.
    """

    max_px: int = 512
    quality: int = 95

    def check(self) -> None:
        """Raise ``ConfigError`` when the rule makes no sense."""
        if not 16 <= self.max_px <= 16384:
            raise ConfigError(f"--max-px {self.max_px}: must be 16 to 16384")
        if not 1 <= self.quality <= 100:
            raise ConfigError(f"--quality {self.quality}: must be 1 to 100")


def pack(
    root: Path,
    out: Path,
    rule: PackRule | None = None,
    *,
    force: bool = False,
    advance: Callable[[int], None] = lambda total: None,
) -> Frozen:
    """Copy a frozen folder into a few large files, giant photos shrunk.

    Ids, keys, paths, classes, labels, splits and groups are the folder's; sizes and hashes are
    those of the packed bytes. The pack appears whole or not at all; the same input and rule give
    the same bytes.

    ``datasets.load_from_disk(out)`` opens it as a ``DatasetDict`` of train, val and test with the
    columns ``id``, ``image`` (decoded when read; ``cast_column("image", Image(decode=False))``
    gives ``bytes`` and ``path``) and ``label`` (a ``ClassLabel`` of folder names, as
    ``imagefolder`` has it).

    Args:
        root: A frozen folder, or another pack.
        out: The pack to make.
        rule: How small.
        force: Replace a frozen folder or pack at ``out``.
        advance: Called after each photo with the number of all photos.

    Returns:
        The card, and lines a person should read.

    Raises:
        ConfigError: The rule makes no sense.
        DataError: ``root`` is no frozen folder or does not match its lock, a photo can't be read,
            ``out`` is there already or can't be written.
        DiskError: There is no room for the pack.
    """
    rule = rule or PackRule()
    rule.check()
    check_out(root, out, force)
    verify(root)
    num_bytes = _about_bytes(root, rule)
    disk.check_room(out, num_bytes, "packing")
    with staged_folder(out, "packing", num_bytes=num_bytes) as folder:
        card = _write_pack(root, folder, rule, advance)
    return Frozen(out, card, _warnings(card, rule))


def _about_bytes(root: Path, rule: PackRule) -> int:
    """Return about how much a pack holds: photos get smaller as their pixels get fewer."""
    columns = tables.read_columns(root / "manifest.parquet", ["num_bytes", "width", "height"])
    longer_N = np.maximum(columns["width"], columns["height"])
    share_N = np.minimum(1.0, rule.max_px / np.maximum(1, longer_N)) ** 2
    return int((columns["num_bytes"] * share_N).sum())


def _warnings(card: dict[str, Any], rule: PackRule) -> list[str]:
    """Return what a person may not have meant."""
    if not card["counts"]["shrunk"]:
        return [f"no photo has a side above {rule.max_px} px: all stay as they are"]
    if card["pack"]["num_bytes"] > card["pack"]["parent_num_bytes"]:
        return [
            f"the photos take more bytes than before, since they were stored at less than quality "
            f"{rule.quality}; a lower --quality, or a lower --max-px, makes them smaller"
        ]
    return []


def _write_pack(
    root: Path, folder: Path, rule: PackRule, advance: Callable[[int], None]
) -> dict[str, Any]:
    """Write a pack's files; return its card."""
    parent = read_splits(root)
    found = read_manifest(root)
    columns = {name: values.tolist() for name, values in found.items()}
    columns |= {name: [0] * len(columns["id"]) for name in ("shard", "offset")}
    parent_bytes = sum(columns["num_bytes"])
    max_bytes = max(SHARD_BYTES, parent_bytes // MAX_SHARDS)
    features = hf_features(parent.classes)
    shards: list[dict[str, Any]] = []
    num_shrunk = 0
    with images.quiet_decoders(), ThreadPoolExecutor(threads.num_cores(), "carscale-pack") as pool:
        for split in parent.every:
            (folder / split.name).mkdir()
            job = partial(_pack_photo, split, tuple(columns["sha256"]), rule)
            photos = in_order(pool, job, range(len(split)), ahead=AHEAD)
            photos = _counted(photos, lambda: advance(len(columns["id"])))
            for path, written in write_shards(split, photos, folder, features, max_bytes):
                _record(columns, split, written, shard=len(shards), path=path)
                shards.append(_entry(path, folder))
                num_shrunk += sum(bool(photo.reason) for photo in written)
    names = [split.name for split in parent.every]
    lock = _write_lists(root, folder, columns, shards, (features, names))
    settings = {
        "max_px": rule.max_px,
        "quality": rule.quality,
        "num_bytes": sum(columns["num_bytes"]),
        "parent_num_bytes": parent_bytes,
    }
    card = parent.card | {
        "format": PACK_FORMAT,
        "parent": {
            "name": as_text(root.resolve().name),
            "hashes": parent.card["hashes"],
        },
        "pack": settings,
        "counts": parent.card["counts"] | {"shrunk": num_shrunk},
        "hashes": parent.card["hashes"] | _split_hashes(columns, names),
        "shards": shards,
        "lock": lock,
    }
    card["lock"]["card.json"] = card_hash(card)
    files.write_atomic(folder / "card.json", json_bytes(card))
    return card


def _split_hashes(columns: dict[str, list[Any]], names: list[str]) -> dict[str, str]:
    """Return each split's hash, by the rule of frozen folders."""
    named = [columns[name] for name in ("split", "sha256", "class")]
    return {
        name: split_hash(
            {"sha256": sha256, "class": class_name}
            for split, sha256, class_name in zip(*named, strict=True)
            if split == name
        )
        for name in names
    }


def _pack_photo(split: Split, hashes: tuple[str, ...], rule: PackRule, row: int) -> PackedPhoto:
    """Read a photo; shrink it when it is too large. ``hashes`` are those of all splits, by id."""
    sha256 = hashes[split.ids_N[row]]
    try:
        content = split.read_bytes(row)
    except OSError as error:
        raise DataError(f"{split.where(row)}: can't be read: {error}") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise DataError(
            f"{split.where(row)}: is not what was frozen",
            f"see what else changed: carscale data check {outgoing.command(split.root)} --full",
        )
    width, height = split.sizes_N2[row].tolist()
    if max(width, height) <= rule.max_px:
        return PackedPhoto(row, content, len(content), sha256, width, height, "")
    try:
        small = images.shrink(content, rule.max_px, quality=rule.quality)
    except images.BadPhotoError as error:
        raise DataError(f"{split.where(row)}: {error}") from error
    reason = f"shrunk from {width}x{height}"
    content, width, height = small
    digest = hashlib.sha256(content).hexdigest()
    return PackedPhoto(row, content, len(content), digest, width, height, reason)


def _counted(photos: Iterator[PackedPhoto], advance: Callable[[], None]) -> Iterator[PackedPhoto]:
    """Yield photos and tell of each."""
    for photo in photos:
        yield photo
        advance()


def _record(
    columns: dict[str, list[Any]],
    split: Split,
    written: list[PackedPhoto],
    *,
    shard: int,
    path: Path,
) -> None:
    """Put into the manifest's columns what photos became and where they lie."""
    offsets_N, sizes_N = tables.byte_spans(path, "image", "bytes")
    assert sizes_N.tolist() == [photo.num_bytes for photo in written]
    for photo, offset in zip(written, offsets_N.tolist(), strict=True):
        row = int(split.ids_N[photo.row])
        values = {
            "sha256": photo.sha256,
            "num_bytes": photo.num_bytes,
            "width": photo.width,
            "height": photo.height,
            "shard": shard,
            "offset": offset,
        }
        for name, value in values.items():
            columns[name][row] = value
        if photo.reason:
            reasons = [columns["normalised"][row], photo.reason]
            columns["normalised"][row] = "; ".join(filter(None, reasons))


def _entry(path: Path, folder: Path) -> dict[str, Any]:
    """Return what the card says of a shard."""
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    name = path.relative_to(folder).as_posix()
    return {"path": name, "num_bytes": path.stat().st_size, "sha256": sha256}


def _write_lists(
    root: Path,
    folder: Path,
    columns: dict[str, list[Any]],
    shards: list[dict[str, Any]],
    kind: tuple[Features, list[str]],
) -> dict[str, str]:
    """Write all files but shards and card; return their hashes."""
    manifest = tables.table_bytes(columns, tables.PACK_SCHEMA)
    contents = {"manifest.parquet": manifest}
    lasting = [name for name in (*LOCKED_FILES, ANSWERS_LIST) if name in read_card(root)["lock"]]
    for name in set(lasting) - contents.keys():
        contents[name] = read_list(root, name)
    fingerprint = hashlib.sha256(manifest).hexdigest()
    contents |= hf_lists([shard["path"] for shard in shards], kind[0], fingerprint, kind[1])
    for name, content in contents.items():
        files.write_atomic(folder / name, content)
    return {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
