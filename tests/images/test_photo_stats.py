"""Attributes against plain NumPy and SciPy, and what must not move them."""

import colorsys
import io

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import fft

from carscale import images
from carscale.images import photo_stats


def png(pixels_HWC):
    return images.encode_png(np.asarray(pixels_HWC, np.uint8))


def jpeg(pixels_HWC, quality=92):
    sink = io.BytesIO()
    Image.fromarray(np.asarray(pixels_HWC, np.uint8)).save(sink, "JPEG", quality=quality)
    return sink.getvalue()


def texture(height=90, width=128, seed=0):
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 1, (height, width)).cumsum(0).cumsum(1)
    grey = 128 + 60 * (noise - noise.mean()) / noise.std() + rng.normal(0, 8, (height, width))
    return np.repeat(grey.clip(0, 255)[..., None], 3, axis=2).astype(np.uint8)


def distance(a, b):
    return (a.phash ^ b.phash).bit_count()


def test_numbers_equal_numpy_where_nothing_is_scaled():
    pixels = np.random.default_rng(1).integers(0, 256, (60, 100, 3)).astype(np.uint8)
    found = images.measure(png(pixels))
    luma = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    shares = np.bincount(luma.ravel(), minlength=256) / luma.size
    held = shares[shares > 0]
    assert found.brightness == pytest.approx(luma.mean(), abs=1e-6)
    assert found.contrast == pytest.approx(luma.std(), abs=1e-6)
    assert found.information == pytest.approx(-(held * np.log2(held)).sum(), abs=1e-5)
    assert (found.red, found.green, found.blue) == pytest.approx(tuple(pixels.mean((0, 1))))
    spread = pixels.max(2).astype(float) - pixels.min(2)
    assert found.saturation == pytest.approx(spread.mean(), abs=1e-6)
    low, high = np.percentile(luma, [5, 95])
    assert found.shadow == pytest.approx(low, abs=1)
    assert found.highlight == pytest.approx(high, abs=1)
    assert (found.width, found.height) == (100, 60)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), spread=st.integers(20, 255))
def test_hue_shares_are_those_of_colorsys_and_change_places_with_red_and_blue(seed, spread):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, spread + 1, (7, 9, 3)).astype(np.uint8)
    usual = mirror = at_edge = 0
    for red, green, blue in pixels.reshape(-1, 3).tolist():
        hue = 180 * colorsys.rgb_to_hsv(red, green, blue)[0]
        is_colourful = max(red, green, blue) - min(red, green, blue) > 40
        usual += is_colourful and (29.5 <= hue < 44.5 or 164.5 <= hue < 179.5)
        mirror += is_colourful and (75.5 < hue <= 90.5 or 120.5 < hue <= 135.5)
        # OpenCV rounds to half degrees, now and then to the farther one
        edges = (29.5, 44.5, 75.5, 90.5, 120.5, 135.5, 164.5, 179.5)
        at_edge += is_colourful and min(abs(hue - edge) for edge in edges) < 0.6
    found = images.measure(png(pixels))
    swapped = images.measure(png(pixels[..., ::-1]))
    near = at_edge / 63 + 1e-6
    assert (found.usual_hues, found.mirror_hues) == pytest.approx(
        (usual / 63, mirror / 63), abs=near
    )
    assert swapped.mirror_hues == pytest.approx(found.usual_hues, abs=near)
    assert swapped.usual_hues == pytest.approx(found.mirror_hues, abs=near)


def test_the_hash_is_the_signs_of_scipys_cosines():
    found = images.measure(png(texture()))
    cosines = fft.dctn(found.signature.astype(float), norm="ortho")[:8, :8].ravel()
    wanted = cosines > np.median(cosines[1:])
    bits = np.array([found.phash >> n & 1 for n in range(64)], dtype=bool)
    assert (bits == wanted).all()


def test_sharpness_falls_with_blur_and_not_with_light_or_contrast():
    pixels = texture()
    sharp = images.measure(png(pixels)).sharpness
    values = [images.measure(png(images.blur(pixels, s))).sharpness for s in (0.5, 1, 2, 3)]
    assert sharp > values[0] > values[1] > values[2] > values[3]
    assert values[3] < 0.35 < sharp
    dim = images.measure(png(pixels * 0.4 + 10)).sharpness
    assert dim == pytest.approx(sharp, rel=0.1)


@pytest.mark.parametrize("times", [2, 3, 4, 8, 11])
def test_a_large_photo_measures_like_its_small_copy(times):
    small = images.blur(texture(), 0.7)
    large = np.repeat(np.repeat(small, times, axis=0), times, axis=1)
    one, other = images.measure(png(small)), images.measure(png(large))
    assert other.sharpness == pytest.approx(one.sharpness, rel=0.02)
    assert distance(one, other) <= 2
    stored = images.measure(jpeg(large))  # decoded at an eighth, a quarter, a half
    assert stored.sharpness == pytest.approx(one.sharpness, rel=0.2)
    assert stored.brightness == pytest.approx(one.brightness, abs=2)
    assert distance(one, stored) <= 4
    assert (stored.width, stored.height) == (128 * times, 90 * times)


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    seed=st.integers(0, 9),
    is_plain=st.booleans(),
    as_jpeg=st.booleans(),
)
def test_any_size_gives_finite_numbers_in_range(size, seed, is_plain, as_jpeg):
    rng = np.random.default_rng(seed)
    pixels = (
        np.full((*size, 3), rng.integers(256)) if is_plain else rng.integers(0, 256, (*size, 3))
    )
    found = images.measure((jpeg if as_jpeg else png)(pixels))
    numbers = np.array(found[:12], dtype=float)
    assert np.isfinite(numbers).all()
    assert 0 <= found.shadow <= found.highlight <= 255
    assert 0 <= found.brightness <= 255
    assert 0 <= found.information <= 8
    assert (found.width, found.height) == (size[1], size[0])
    assert 0 <= found.phash < 2**64
    assert found.signature.shape == (photo_stats.SIGNATURE_PX,) * 2
    assert found.signature.dtype == np.uint8


def test_grey_photos_measure_like_colour_ones():
    pixels = texture()
    sink = io.BytesIO()
    Image.fromarray(pixels[..., 0]).save(sink, "PNG")
    grey, colour = images.measure(sink.getvalue()), images.measure(png(pixels))
    assert grey[:13] == colour[:13]


@pytest.mark.parametrize("data", [b"", b"404", b"\xff\xd8", b"\x89PNG\r\n\x1a\n" + b"x" * 99])
def test_broken_bytes_raise_value_errors(data):
    with pytest.raises(ValueError, match=r"."):
        images.measure(data)


def test_a_jpeg_cut_short_raises():
    data = jpeg(texture())
    with pytest.raises(ValueError, match=r"."):
        images.measure(data[: len(data) // 2])
