"""Pixels on the CPU against naive float arithmetic and against Pillow on the whole picture."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from carscale import images

FILL = (11, 22, 33)


def smooth(width: int, height: int, seed: int = 0) -> np.ndarray:
    small = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


def as_bytes(pixels: np.ndarray, kind: str, **options) -> bytes:
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, kind, **options)
    return sink.getvalue()


def slow_warp(pixels, affine, side):
    """Bilinear in float64 at pixel centres; also tells which outputs lie inside."""
    height, width, _ = pixels.shape
    rows, columns = np.mgrid[0:side, 0:side] + 0.5
    points = np.stack([columns, rows, np.ones_like(rows)], axis=-1) @ affine.T - 0.5
    x, y = points[..., 0], points[..., 1]
    inside = (x >= 0) & (y >= 0) & (x <= width - 1) & (y <= height - 1)
    left = np.clip(np.floor(x), 0, width - 2).astype(int)
    top = np.clip(np.floor(y), 0, height - 2).astype(int)
    dx, dy = (x - left)[..., None], (y - top)[..., None]
    source = pixels.astype(float)
    upper = source[top, left] * (1 - dx) + source[top, left + 1] * dx
    lower = source[top + 1, left] * (1 - dx) + source[top + 1, left + 1] * dx
    outside = (x <= -1) | (y <= -1) | (x >= width) | (y >= height)
    return upper * (1 - dy) + lower * dy, inside, outside


def turn(degrees: float, scale: float, shift: tuple[float, float]) -> np.ndarray:
    angle = np.deg2rad(degrees)
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[cos, -sin, shift[0]], [sin, cos, shift[1]]])


@settings(max_examples=60, deadline=None)
@given(
    st.floats(-45, 45),
    st.floats(0.4, 2.0),
    st.tuples(st.floats(-20, 60), st.floats(-20, 60)),
    st.booleans(),
)
def test_warp_is_naive_bilinear(degrees, scale, shift, flip):
    """Error inside the picture: under 1 level on a smooth picture."""
    pixels = smooth(90, 70)
    affine = turn(degrees, scale, shift)
    if flip:
        affine = affine @ np.array([[-1, 0, 40], [0, 1, 0], [0, 0, 1]])
    before = affine.copy()
    found = images.warp(pixels, affine, side_px=40, fill=FILL)
    assert (affine == before).all()
    assert found.shape == (40, 40, 3)
    assert found.dtype == np.uint8
    wanted, inside, outside = slow_warp(pixels, affine, 40)
    if inside.any():
        assert abs(found[inside] - wanted[inside]).max() <= 1.0
    assert (found[outside] == FILL).all()


def test_warp_of_the_identity_changes_nothing():
    pixels = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    assert (images.warp(pixels, np.eye(3)[:2], side_px=24, fill=FILL) == pixels).all()
    assert (images.mirror(pixels) == pixels[:, ::-1]).all()


def test_warp_of_whole_pixels_is_a_shift_and_a_flip():
    pixels = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    shifted = images.warp(pixels, np.array([[1.0, 0, 5], [0, 1, -3]]), side_px=24, fill=FILL)
    assert (shifted[3:, :19] == pixels[:21, 5:]).all()
    assert (shifted[:3] == FILL).all()
    assert (shifted[:, 19:] == FILL).all()
    flipped = images.warp(pixels, np.array([[-1.0, 0, 24], [0, 1, 0]]), side_px=24, fill=FILL)
    assert (flipped == pixels[:, ::-1]).all()


@pytest.mark.parametrize("denominator", [1, 2, 4, 8])
@pytest.mark.parametrize("size", [(200, 120), (201, 121), (7, 5), (8, 8), (33, 1)])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_scaled_decode_has_the_stated_size_and_the_same_mean(denominator, size, mode):
    pixels = smooth(*size)
    grey = pixels[..., 0] if mode == "L" else pixels
    found = images.decode_scaled(as_bytes(grey, "JPEG", quality=95), denominator=denominator)
    width, height = size
    assert found.shape == (-(-height // denominator), -(-width // denominator), 3)
    assert found.dtype == np.uint8
    if min(size) >= 100:
        wanted = (grey if mode == "RGB" else np.repeat(grey[..., None], 3, 2)).mean(axis=(0, 1))
        assert abs(found.mean(axis=(0, 1)) - wanted).max() < 1.5


@pytest.mark.parametrize("denominator", [2, 4, 8])
def test_scaled_decode_is_near_a_box_average(denominator):
    pixels = smooth(160, 80)
    found = images.decode_scaled(as_bytes(pixels, "JPEG", quality=98), denominator=denominator)
    blocks = pixels.reshape(80 // denominator, denominator, 160 // denominator, denominator, 3)
    assert abs(found - blocks.mean(axis=(1, 3))).mean() < 2


def test_a_png_always_comes_whole():
    pixels = smooth(40, 30)
    for kind in (pixels, pixels[..., 0]):
        for denominator in (1, 8):
            found = images.decode_scaled(as_bytes(kind, "PNG"), denominator=denominator)
            wanted = kind if kind.ndim == 3 else np.repeat(kind[..., None], 3, 2)
            assert (found == wanted).all()


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("denominator", [1, 2, 8])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
def test_a_truncated_photo_raises(kind, denominator, share):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    whole = as_bytes(pixels, kind)
    with pytest.raises(ValueError, match=r"\w"):
        images.decode_scaled(whole[: int(len(whole) * share)], denominator=denominator)


@pytest.mark.parametrize("content", [b"", b"text", b"\xff\xd8", b"\xff\xd8\xff\xe0", bytes(99)])
def test_what_is_no_photo_raises(content):
    with pytest.raises(ValueError, match=r"\w"):
        images.decode(content)


@pytest.mark.parametrize("place", [9, 30, 45, 70, 500, 3000])
def test_a_changed_png_raises_or_decodes_but_is_never_another_error(place):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    broken = bytearray(as_bytes(pixels, "PNG"))
    broken[place] ^= 0xFF
    try:
        assert images.decode(bytes(broken)).dtype == np.uint8
    except ValueError:
        assert place < len(broken)
