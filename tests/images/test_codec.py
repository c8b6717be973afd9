"""What a file is: kept, made plain or refused; and small copies of it."""

import base64
import io
import struct
import sys
import warnings
import zlib

import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from strangers import icon, no_more_memory_than, png

from carscale import images


def pixels(width=33, height=21, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def as_bytes(image: Image.Image, kind: str, **options) -> bytes:
    sink = io.BytesIO()
    image.save(sink, kind, **options)
    return sink.getvalue()


RGB = Image.fromarray(pixels())
JPEG = as_bytes(RGB, "JPEG", quality=90)
PNG = as_bytes(RGB, "PNG")
WORST_SHRUNK_DB = 37
"""Shrunk and encoded at quality 95 vs Lanczos on all pixels, measured worst case 37.8."""


@pytest.mark.parametrize(
    ("data", "suffix", "mode"),
    [
        (JPEG, ".jpg", "RGB"),
        (as_bytes(RGB, "JPEG", progressive=True), ".jpg", "RGB"),
        (as_bytes(RGB, "JPEG", subsampling=2), ".jpg", "RGB"),
        (as_bytes(RGB.convert("L"), "JPEG"), ".jpg", "L"),
        (as_bytes(RGB, "JPEG", icc_profile=b"p" * 200, comment=b"hello"), ".jpg", "RGB"),
        (PNG, ".png", "RGB"),
        (as_bytes(RGB.convert("L"), "PNG"), ".png", "L"),
        (as_bytes(Image.new("RGB", (1, 1)), "PNG"), ".png", "RGB"),
        (as_bytes(Image.new("RGB", (1, 1)), "JPEG"), ".jpg", "RGB"),
    ],
)
def test_plain_files_are_kept(data, suffix, mode):
    photo = images.read_photo(data)
    assert photo.content is data
    assert (photo.suffix, photo.original_mode, photo.normalised) == (suffix, mode, "")
    with Image.open(io.BytesIO(data)) as image:
        assert (photo.width, photo.height) == image.size


def exif_of(orientation: object) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize("orientation", [0, 1])
def test_files_that_say_upright_are_kept(orientation):
    data = as_bytes(RGB, "JPEG", exif=exif_of(orientation))
    assert images.read_photo(data).content is data


@pytest.mark.parametrize("orientation", [9, 77])
def test_files_with_an_orientation_that_is_none_are_made_plain(orientation):
    photo = images.read_photo(as_bytes(RGB, "JPEG", exif=exif_of(orientation)))
    assert (photo.normalised, photo.original_orientation) == ("broken EXIF", 1)
    assert (photo.width, photo.height) == RGB.size


def test_a_frozen_file_is_frozen_once_and_for_all():
    photo = images.read_photo(as_bytes(RGB.convert("RGBA"), "WEBP"))
    again = images.read_photo(photo.content)
    assert again.content is photo.content
    assert again.normalised == ""


def test_metadata_does_not_outlive_a_turn():
    photo = images.read_photo(as_bytes(RGB, "JPEG", quality=95, exif=exif_of(6)))
    with Image.open(io.BytesIO(photo.content)) as image:
        assert image.size == (RGB.height, RGB.width)
        assert not image.getexif().get(0x0112)


def png_chunk(kind: bytes, body: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + body))
    return struct.pack(">I", len(body)) + kind + body + check


def png_of(bits: int, colour: int, rows: bytes, size: tuple[int, int]) -> bytes:
    head = struct.pack(">IIBBBBB", *size, bits, colour, 0, 0, 0)
    body = png_chunk(b"IHDR", head) + png_chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + body + png_chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("bits", "colour", "row", "wanted"),
    [
        (2, 0, b"\x00\x1b", [0, 85, 170, 255]),
        (4, 0, b"\x00\x0f\x5a", [0, 255, 85, 170]),
        (16, 0, b"\x00" + bytes([0, 200, 50, 0, 100, 255, 255, 255]), [0, 50, 100, 255]),
        (16, 2, b"\x00" + bytes([7, 9]) * 12, [7, 7, 7, 7]),
    ],
)
def test_bits_other_than_8_become_8(bits, colour, row, wanted):
    photo = images.read_photo(png_of(bits, colour, row, (4, 1)))
    assert photo.normalised
    assert photo.content[24] == 8
    assert images.decode(photo.content)[0, :, 0].tolist() == wanted


def test_a_transparent_colour_becomes_white():
    image = Image.new("RGB", (4, 4), (10, 20, 30))
    photo = images.read_photo(as_bytes(image, "PNG", transparency=(10, 20, 30)))
    assert photo.normalised == "transparent colour"
    assert (images.decode(photo.content) == 255).all()


def test_half_alpha_lies_on_white():
    photo = images.read_photo(as_bytes(Image.new("RGBA", (3, 3), (0, 0, 0, 128)), "PNG"))
    assert images.decode(photo.content)[0, 0].tolist() == [127, 127, 127]


def test_lab_colours_become_the_same_bytes_at_any_time():
    photo = images.read_photo(as_bytes(RGB.convert("RGB").convert("LAB"), "TIFF"))
    assert photo.original_mode == "LAB"
    with Image.open(io.BytesIO(photo.content)) as image:
        assert image.mode == "RGB"
        assert "icc_profile" not in image.info  # one made while converting holds the second


def test_the_first_frame_is_taken():
    frames = [Image.new("RGB", (9, 9), colour) for colour in ("red", "green", "blue")]
    for kind in ("GIF", "PNG", "WEBP", "TIFF"):
        options = {"lossless": True} if kind == "WEBP" else {}
        data = as_bytes(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        found = images.decode(images.read_photo(data).content)
        assert abs(found[4, 4].astype(int) - [255, 0, 0]).max() <= 3, kind


def test_a_colour_jpeg_without_ycbcr_is_made_plain():
    data = as_bytes(RGB, "JPEG", quality=95, keep_rgb=True)
    photo = images.read_photo(data)
    assert photo.normalised == "JPEG colours RGB"
    found = images.decode(photo.content).astype(int)
    with Image.open(io.BytesIO(data)) as image:
        assert abs(found - np.asarray(image, dtype=int)).mean() < 4  # noise at quality 95


@pytest.mark.parametrize("tail", [b"\x00" * 50, b"more text after the end"])
def test_rubbish_after_the_end_never_reaches_a_reader(tail):
    photo = images.read_photo(JPEG + tail)
    assert images.decode(photo.content).shape == (21, 33, 3)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty file"),
        (b"hello", "no image"),
        (bytes(1000), "no image: nothing but zeros; "),
        (b"\xff\xd8\xff", "no image"),
        (b"<html></html>", "no image: an HTML page; download the file again"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "git-lfs pointer.*git lfs pull"),
        (JPEG[:300], "can't be decoded"),
        (JPEG[: len(JPEG) // 2], "can't be decoded"),
        (PNG[: len(PNG) // 2], "can't be decoded"),
        (PNG[:60] + b"\x00\x01\x02" + PNG[63:], "can't be decoded"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "can't be decoded|no image"),
    ],
)
def test_broken_files_are_refused_with_a_reason(data, says):
    with pytest.raises(images.BadPhotoError, match=says) as caught:
        images.read_photo(data)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


def test_a_bomb_is_refused():
    huge = png_of(8, 0, b"", (60_000, 60_000))
    with pytest.raises(images.BadPhotoError, match="decompression bomb"):
        images.read_photo(huge)


def test_large_photos_below_the_limit_pass_quietly():
    large = as_bytes(Image.new("L", (9600, 9600)), "PNG", compress_level=1)
    with images.quiet_decoders():
        assert images.read_photo(large).width == 9600


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([JPEG, PNG]),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=8),
    st.integers(0, 10_000),
)
def test_hostile_bytes_are_refused_or_readable_by_all(data, changes, end):
    broken = bytearray(data)
    for place, value in changes:
        broken[place % len(broken)] = value
    broken = bytes(broken[: max(1, end)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            photo = images.read_photo(broken)
        except images.BadPhotoError:
            return
    assert images.decode(photo.content).shape == (photo.height, photo.width, 3)


def test_encode_png_is_lossless():
    wanted = pixels(50, 7, 3)
    assert (images.decode(images.encode_png(wanted)) == wanted).all()


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("a.jpg", True),
        ("A.JPEG", True),
        ("x.WebP", True),
        ("a.txt", False),
        ("jpg", False),
        ("a.jpg.txt", False),
        ("a.tar.png", True),
    ],
)
def test_photos_are_known_by_name(name, wanted):
    assert images.is_photo_name(name) is wanted


def test_thumbnails_are_small_and_upright():
    turned = as_bytes(RGB.resize((400, 200)), "JPEG", exif=exif_of(6))
    with Image.open(io.BytesIO(images.thumbnail(turned, 100))) as image:
        assert image.format == "JPEG"
        assert image.size == (50, 100)
    small = as_bytes(RGB.resize((30, 20)), "JPEG")
    with Image.open(io.BytesIO(images.thumbnail(small, 100))) as image:
        assert image.size == (30, 20)
    with pytest.raises(images.BadPhotoError, match="no image"):
        images.thumbnail(b"x", 100)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("size", [(1600, 900), (333, 1001), (130, 129), (5000, 3), (129, 128)])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_shrunk_photo_is_what_decoding_in_full_gives(kind, size, mode):
    smooth = Image.fromarray(pixels(40, 30)).convert(mode).resize(size, Image.Resampling.BICUBIC)
    data = as_bytes(smooth, kind)
    content, width, height = images.shrink(data, 128, quality=95)
    scale = 128 / max(size)
    assert max(width, height) == 128
    assert min(width, height) == pytest.approx(min(size) * scale, abs=1)
    assert min(width, height) >= 1
    with Image.open(io.BytesIO(data)) as image:
        wanted = np.asarray(image.resize((width, height), Image.Resampling.LANCZOS))
    with Image.open(io.BytesIO(content)) as image:
        assert (image.format, image.mode, image.size) == ("JPEG", mode, (width, height))
        found = np.asarray(image)
    error = ((found.astype(float) - wanted) ** 2).mean()
    assert 10 * np.log10(255**2 / error) > WORST_SHRUNK_DB
    assert images.read_photo(content).normalised == ""
    assert images.shrink(data, 128, quality=95)[0] == content


def test_a_shrunk_photo_keeps_colour_in_full_and_no_metadata():
    data = as_bytes(RGB.resize((300, 200)), "JPEG", comment="who, where", exif=exif_of(1))
    content, width, height = images.shrink(data, 64, quality=90)
    _, _, _, subsampling = simplejpeg.decode_jpeg_header(content)
    assert (width, height, subsampling) == (64, 43, "444")
    assert b"who" not in content
    assert b"Exif" not in content
    assert len(images.shrink(data, 64, quality=30)[0]) < len(content)


def test_a_broken_photo_is_not_shrunk():
    data = as_bytes(RGB.resize((300, 200)), "JPEG")
    for broken in (b"", b"x", data[: len(data) // 2]):
        with pytest.raises(images.BadPhotoError):
            images.shrink(broken, 64, quality=90)


# --- photos of a stranger ----------------------------------------------------------------------


BOMBS = {
    "long png": lambda: png(100_000_000, 1),
    "tall grey png": lambda: png(1, 200_000, colour=0),
    "wide png": lambda: png(12_000, 12_000, colour=0),
    "icon of a long png": lambda: icon(png(100_000_000, 1)),
    "icon of a long bitmap": lambda: icon(
        struct.pack("<IiiHHIIiiII", 40, 2_000_000_000, 2, 1, 32, 0, 0, 0, 0, 0, 0)
    ),
    "jpeg that states a large size": lambda: _with_size(65_535, 65_535),
}


def _with_size(width, height):
    """Return a small JPEG whose header states another size."""
    sink = io.BytesIO()
    Image.new("RGB", (16, 16)).save(sink, "JPEG")
    data = bytearray(sink.getvalue())
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


@pytest.mark.parametrize("kind", BOMBS)
def test_a_photo_of_absurd_size_is_refused_before_it_is_decoded(kind):
    data = BOMBS[kind]()
    assert len(data) < 2_000_000
    for use in (images.read_photo, lambda data: images.thumbnail(data, 100)):
        with no_more_memory_than(), pytest.raises(images.BadPhotoError):
            use(data)
    for use in (images.decode, images.measure):
        with no_more_memory_than(), pytest.raises(ValueError, match=r"pixels|identify|JPEG"):
            use(data)
    with no_more_memory_than():
        assert images.photo_strip([data], width=20, height=20)


def test_fifty_megapixels_are_a_photo():
    sink = io.BytesIO()
    Image.new("L", (8_700, 5_800)).save(sink, "JPEG")
    assert images.read_photo(sink.getvalue()).width == 8_700


def test_postscript_is_no_photo():
    with pytest.raises(images.BadPhotoError, match="no image"):
        images.read_photo(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n")


@pytest.mark.parametrize(
    ("mode", "kind", "num_bytes", "is_kept"),
    [
        ("RGB", "TIFF", 400, True),
        ("RGB", "TIFF", 1_500_000, False),  # Pillow reads no more of a PNG
        ("CMYK", "TIFF", 1_500_000, False),
        ("RGB", "WEBP", 1_500_000, False),  # nor writes one into a JPEG
    ],
)
def test_what_is_converted_can_be_read_back_whatever_its_colour_profile(
    mode, kind, num_bytes, is_kept
):
    profile = np.random.default_rng(0).bytes(num_bytes)
    photo = images.read_photo(as_bytes(RGB.convert(mode), kind, icc_profile=profile))
    assert images.decode(photo.content).shape == (21, 33, 3)
    with Image.open(io.BytesIO(photo.content)) as image:
        image.load()
        assert (image.info.get("icc_profile") == profile) == is_kept


HEIC = base64.b64decode(
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAa1tZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAA"
    "AAAAAAAAAAAA5waXRtAAAAAAACAAAAEGlkYXQAAAAAADAAIAAAADhpbG9jAQAAAERAAAIAAQAAAAAAAAHRAAEAAAAA"
    "AAAAOwACAAEAAAAAAAAAAQAAAAAAAAAIAAAAOGlpbmYAAAAAAAIAAAAVaW5mZQIAAAEAAQAAaHZjMQAAAAAVaW5mZQ"
    "IAAAAAAgAAZ3JpZAAAAADYaXBycAAAALZpcGNvAAAAdmh2Y0MBA3AAAAAAAAAAAAAe8AD8/fj4AAAPAyAAAQAYQAEM"
    "Af//A3AAAAMAkAAAAwAAAwAeugJAIQABACpCAQEDcAAAAwCQAAADAAADAB6gIIEFlurkprm4EBAwIAAAAwAgAAADAC"
    "EiAAEABkQBwXPAiQAAABRpc3BlAAAAAAAAAEAAAABAAAAAFGlzcGUAAAAAAAAAMAAAACAAAAAQcGl4aQAAAAADCAgI"
    "AAAAGmlwbWEAAAAAAAAAAgABAoECAAICA4QAAAAaaXJlZgAAAAAAAAAOZGltZwACAAEAAQAAAENtZGF0AAAANygBrw"
    "ng4wucVP/5he//ak7L2iOJVAj/XzzvFaf/iKP2kPxi8iKKvt3T9IhtiOyA7GLTB4myLLg="
)
"""48 x 32, red on the left, blue on the right; drawn here and encoded by libheif."""


def test_heic_becomes_a_plain_photo():
    pytest.importorskip("pi_heif", reason="HEIC is read by the extra carscale[heic]")
    photo = images.read_photo(HEIC)
    assert (photo.suffix, photo.normalised) == (".jpg", "format HEIF")
    assert (photo.width, photo.height, photo.original_orientation) == (48, 32, 1)
    pixels_HWC = images.decode(photo.content).astype(int)
    assert abs(pixels_HWC[16, 8] - [200, 30, 40]).max() < 8
    assert abs(pixels_HWC[16, 40] - [30, 60, 200]).max() < 8
    assert images.thumbnail(HEIC, 24)
    for broken in (HEIC[:300], HEIC[:-20], HEIC[:40] + bytes(400)):
        with pytest.raises(images.BadPhotoError, match="can't be decoded"):
            images.read_photo(broken)


def test_heic_without_its_reader_names_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    with pytest.raises(images.BadPhotoError, match=r"a HEIC photo.*pip install 'carscale\[heic\]'"):
        images.read_photo(HEIC)


@pytest.mark.parametrize("tags", [{254: 1, 330: 8}, {50706: b"\1\4\0\0"}])
def test_a_preview_in_a_raw_file_is_no_photo(tags):
    tiff = Image.new("RGB", (160, 120), "red")
    with pytest.raises(images.BadPhotoError, match="a camera raw file; develop it"):
        images.read_photo(as_bytes(tiff, "TIFF", tiffinfo=tags))
    page = as_bytes(tiff, "TIFF", tiffinfo={254: 1})  # small, but nothing larger beside it
    assert images.read_photo(page).width == 160
