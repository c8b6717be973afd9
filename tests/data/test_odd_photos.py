"""509 valid, odd and broken files: each is kept, made plain or refused, and readers agree."""

import io
import json
import os
import shutil
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
import simplejpeg
from PIL import Image

from carscale import data, images, tables

COLUMNS = ["path", "source", "sha256", "original_sha256", "normalised", "width", "height"]
WORST_DIFFERENCE = 2
"""Pillow vs torchvision vs OpenCV on one JPEG, grey levels; measured worst case 0."""


@pytest.fixture(scope="module")
def thrown_in(odd, tmp_path_factory) -> tuple[Path, Path, list[str]]:
    """All odd files in 3 class folders by number, frozen: source, frozen folder, warnings."""
    folder = tmp_path_factory.mktemp("odd")
    for number, path in enumerate(sorted(odd.iterdir())):
        target = folder / "raw" / f"class {number % 3}" / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    frozen = data.freeze(folder / "raw", folder / "frozen")
    return folder / "raw", frozen.root, frozen.warnings


@pytest.fixture(scope="module")
def rows(thrown_in) -> list[dict]:
    columns = tables.read_columns(thrown_in[1] / "manifest.parquet", COLUMNS)
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def test_every_file_is_kept_converted_or_refused(thrown_in, rows):
    raw, root, warnings = thrown_in
    sources = {path.relative_to(raw).as_posix() for path in raw.rglob("*") if path.is_file()}
    lines = (root / "quarantine.jsonl").read_text().splitlines()
    refused = {line["path"]: line["reason"] for line in map(json.loads, lines)}
    assert {row["source"] for row in rows} | refused.keys() == sources
    assert len(rows) + len(refused) == len(sources) > 400
    counts = json.loads((root / "card.json").read_text())["counts"]
    plain = [row for row in rows if row["normalised"]]
    assert counts["converted"] == len(plain)
    assert counts["quarantined"] == len(refused)
    assert counts["train"] + counts["val"] + counts["test"] == len(rows)
    assert all(reason and "\n" not in reason for reason in refused.values())
    assert "in quarantine.jsonl" in warnings[0]
    assert len(plain) > 200
    assert len(rows) - len(plain) > 50
    assert 10 < len(refused) < 60
    for row in rows:
        original = (raw / row["source"]).read_bytes()
        same = (root / row["path"]).read_bytes() == original
        assert same == (row["normalised"] == "")


def test_broken_files_are_refused_and_sound_ones_are_not(thrown_in):
    lines = (thrown_in[1] / "quarantine.jsonl").read_text().splitlines()
    refused = {line["path"].split("/")[1] for line in map(json.loads, lines)}
    assert "pillow__truncated_jpeg.jpg" in refused
    assert "pillow__truncated_image.png" in refused
    assert "pillow__zero_width.gif" in refused
    assert "exif__Portrait_3.jpg" not in refused
    assert "pillow__pil_sample_cmyk.jpg" not in refused
    assert "pillow__flower2.webp" not in refused


# torchvision 0.29, 2026: its decoders are to move to torchcodec; users still read photos with them
@pytest.mark.filterwarnings("ignore:The image decoding and encoding:DeprecationWarning")
def test_readers_agree_on_every_frozen_photo(thrown_in, rows):
    import torch
    from torchvision.io import ImageReadMode, decode_image

    root = thrown_in[1]
    modes, worst = Counter(), 0
    for row in rows:
        stored = (root / row["path"]).read_bytes()
        shape = (row["height"], row["width"], 3)
        with images.quiet_decoders(), Image.open(io.BytesIO(stored)) as image:  # malformed MPO
            modes[image.format, image.mode] += 1
            assert image.getexif().get(0x0112, 1) in (0, 1)  # 0 is no turn either
            assert not getattr(image, "is_animated", False)
            pillow = np.asarray(image.convert("RGB"), dtype=int)
        ours = images.decode(stored)
        raw_bytes = torch.frombuffer(bytearray(stored), dtype=torch.uint8)
        torchvision = decode_image(raw_bytes, mode=ImageReadMode.RGB).permute(1, 2, 0).numpy()
        opencv = cv2.imdecode(np.frombuffer(stored, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
        for pixels in (pillow, ours, torchvision, opencv):
            assert pixels.shape == shape, row["source"]
        for pixels in (ours, torchvision, opencv):
            worst = max(worst, int(abs(pixels.astype(int) - pillow).max()))
        if row["path"].lower().endswith((".jpg", ".jpeg")):
            strict = simplejpeg.decode_jpeg(stored)
            assert strict.shape == shape
            assert simplejpeg.decode_jpeg_header(stored)[:2] == shape[:2]
        if row["path"].endswith(".png"):
            assert stored[24] == 8
    assert modes.keys() <= {("JPEG", "RGB"), ("JPEG", "L"), ("PNG", "RGB"), ("PNG", "L")}
    print("WORST", worst, modes)
    assert worst <= WORST_DIFFERENCE


def test_frozen_odd_photos_are_plain_when_frozen_again(thrown_in, tmp_path):
    again = data.freeze(thrown_in[1] / "train", tmp_path / "again")
    assert again.card["counts"]["converted"] == 0
    assert again.card["counts"]["quarantined"] == 0


def test_pixels_stay_when_a_lossless_photo_is_converted(thrown_in, rows):
    raw, root, _ = thrown_in
    checked = 0
    for row in rows:
        if not row["normalised"].startswith("format BMP"):
            continue
        with Image.open(raw / row["source"]) as image:
            if image.mode not in ("RGB", "L", "1", "P"):
                continue
            wanted = np.asarray(image.convert("RGB"))
        assert (images.decode((root / row["path"]).read_bytes()) == wanted).all()
        checked += 1
    assert checked > 20


def test_the_lock_of_odd_photos_holds(thrown_in, rows, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", os.fspath(tmp_path))
    assert data.verify(thrown_in[1], mode="full") == len(rows)
