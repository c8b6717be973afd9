"""Odd photos are made plain, the others keep their bytes."""

import hashlib
import io
import random
from pathlib import Path

import numpy as np
import pytest
from frozen_trees import row_of, rows_of, save, scene
from PIL import Image, ImageOps

from carscale import data, images


def odd_pictures(folder: Path) -> dict[str, Path]:
    """One file of each kind that trips some reader."""
    base = scene()
    grey = np.asarray(base.convert("L"))
    palette = base.quantize(16)
    palette.info["transparency"] = 3
    frames = [scene(seed=n) for n in range(3)]
    colours = Image.merge("RGBA", (*base.split(), Image.new("L", base.size, 200)))
    wide = Image.fromarray(grey.astype(np.uint16) * 257)
    made = {
        "cmyk.jpg": (base.convert("CMYK"), "JPEG", {"quality": 95}),
        "grey16.png": (wide, "PNG", {}),
        "palette.png": (palette, "PNG", {"transparency": 3}),
        "rgba.png": (colours, "PNG", {}),
        "la.png": (colours.convert("LA"), "PNG", {}),
        "anim.gif": (frames[0], "GIF", {"save_all": True, "append_images": frames[1:]}),
        "anim.png": (frames[0], "PNG", {"save_all": True, "append_images": frames[1:]}),
        "bit.png": (base.convert("1"), "PNG", {}),
        "photo.webp": (base, "WEBP", {"quality": 95}),
        "photo.tif": (base, "TIFF", {}),
        "photo.bmp": (base, "BMP", {}),
    }
    return {name: save(folder / name, *how[:2], **how[2]) for name, how in made.items()}


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> tuple[Path, Path]:
    """Odd pictures in two classes, and what became of them."""
    folder = tmp_path_factory.mktemp("plain")
    raw = folder / "raw"
    odd_pictures(raw / "A")
    for orientation in range(2, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        turned = scene(48, 32, seed=orientation)
        save(raw / "A" / f"turn{orientation}.jpg", turned, "JPEG", quality=95, exif=exif)
    save(raw / "A" / "turn6.png", scene(48, 32), "PNG", exif=exif)
    save(raw / "B" / "is a jpeg.png", scene(), "JPEG", quality=95)
    save(raw / "B" / "is a png.jpg", scene(seed=2), "PNG")
    save(raw / "B" / "is a png.jpeg", scene(seed=4), "PNG")
    save(raw / "B" / "no suffix", scene(seed=5), "JPEG")
    save(raw / "B" / "grey.jpg", scene(seed=6).convert("L"), "JPEG")
    save(raw / "B" / "grey.png", scene(seed=7).convert("L"), "PNG")
    save(raw / "B" / "progressive.JPG", scene(seed=8), "JPEG", progressive=True)
    return raw, data.freeze(raw, folder / "out").root


@pytest.mark.parametrize("orientation", range(2, 9))
def test_turned_photos_come_out_upright(plain, orientation):
    raw, out = plain
    row = row_of(out, f"A/turn{orientation}.jpg")
    with Image.open(raw / row["source"]) as image:
        wanted = np.asarray(ImageOps.exif_transpose(image), dtype=int)
    found = images.decode((out / row["path"]).read_bytes()).astype(int)
    assert found.shape == wanted.shape
    assert abs(found - wanted).max() <= 8  # JPEG of quality 95; measured worst case 7
    assert (row["height"], row["width"]) == wanted.shape[:2]
    assert row["width"] == (32 if orientation >= 5 else 48)
    assert row["original_orientation"] == orientation
    assert row["normalised"] == f"EXIF orientation {orientation}"
    with Image.open(out / row["path"]) as image:
        assert image.getexif().get(0x0112, 1) == 1


@pytest.mark.parametrize(
    ("name", "reason", "mode", "suffix"),
    [
        ("cmyk.jpg", "mode CMYK", "CMYK", ".jpg"),
        ("grey16.png", "mode I;16", "I;16", ".png"),
        ("palette.png", "mode P", "P", ".png"),
        ("rgba.png", "mode RGBA", "RGBA", ".png"),
        ("la.png", "mode LA", "LA", ".png"),
        ("anim.gif", "format GIF", "P", ".png"),
        ("anim.png", "animation", "RGB", ".png"),
        ("bit.png", "mode 1", "1", ".png"),
        ("photo.webp", "format WEBP", "RGB", ".jpg"),
        ("photo.tif", "format TIFF", "RGB", ".png"),
        ("photo.bmp", "format BMP", "RGB", ".png"),
        ("turn6.png", "EXIF orientation 8", "RGB", ".png"),
    ],
)
def test_odd_photos_become_plain(plain, name, reason, mode, suffix):
    raw, out = plain
    row = row_of(out, f"A/{name}")
    assert (row["normalised"], row["original_mode"]) == (reason, mode)
    stored = (out / row["path"]).read_bytes()
    assert row["path"].endswith(suffix)
    assert row["sha256"] == hashlib.sha256(stored).hexdigest()
    assert row["original_sha256"] == hashlib.sha256((raw / row["source"]).read_bytes()).hexdigest()
    with Image.open(io.BytesIO(stored)) as image:
        assert image.mode == "RGB"
        assert image.size == (row["width"], row["height"])
        assert not getattr(image, "is_animated", False)
        found = np.asarray(image, dtype=int)
    with Image.open(raw / row["source"]) as image:
        upright = ImageOps.exif_transpose(image)
        if mode == "I;16":
            wanted = np.repeat((np.asarray(upright, dtype=int) >> 8)[..., None], 3, axis=2)
        else:
            over = upright.convert("RGBA")
            white = Image.new("RGBA", over.size, "white")
            wanted = np.asarray(Image.alpha_composite(white, over).convert("RGB"), dtype=int)
    assert abs(found - wanted).max() <= (8 if suffix == ".jpg" else 0)


@pytest.mark.parametrize(
    ("source", "ends"),
    [
        ("is a jpeg.png", "/is a jpeg.jpg"),
        ("is a png.jpg", "/is a png.png"),
        ("is a png.jpeg", "/is a png~2.png"),
        ("no suffix", "/no suffix.jpg"),
        ("grey.jpg", "/grey.jpg"),
        ("grey.png", "/grey.png"),
        ("progressive.JPG", "/progressive.JPG"),
    ],
)
def test_plain_photos_keep_their_bytes_whatever_they_are_called(plain, source, ends):
    raw, out = plain
    row = row_of(out, f"B/{source}")
    original = (raw / row["source"]).read_bytes()
    assert (out / row["path"]).read_bytes() == original
    assert row["sha256"] == row["original_sha256"] == hashlib.sha256(original).hexdigest()
    assert row["normalised"] == ""
    same_stem = {"/is a png.png", "/is a png~2.png"}
    number = row["path"][row["path"].rindex("/") :]
    assert number == ends or {number, ends} <= same_stem


def test_names_that_meet_after_a_change_of_suffix_are_numbered(tmp_path):
    raw = tmp_path / "raw"
    for number, name in enumerate(["x.bmp", "x.tif", "x.png", "X.PNG"]):
        kind = {"x.bmp": "BMP", "x.tif": "TIFF"}.get(name, "PNG")
        save(raw / "A" / name, scene(seed=number), kind)
    rule = data.FreezeRule(fractions=(1.0, 0.0, 0.0))
    rows = rows_of(data.freeze(raw, tmp_path / "out", rule).root)
    assert len({row["path"].casefold() for row in rows}) == 4


def test_order_of_decoding_is_kept_when_photos_take_unlike_long(tmp_path):
    raw = tmp_path / "raw"
    sizes = random.Random(0).sample([8, 8, 8, 900, 8, 700, 8, 8], 8)
    for number, side in enumerate(sizes):
        save(raw / "A" / f"{number}.png", scene(side, side, number), "PNG", compress_level=1)
    rows = rows_of(data.freeze(raw, tmp_path / "out").root)
    for row in rows:
        side = sizes[int(row["source"][2])]
        assert (row["width"], row["height"]) == (side, side)
