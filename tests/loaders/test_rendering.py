"""Rendering against a naive sampler that knows nothing of its shortcuts."""

import io

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image
from timm.data.transforms_factory import transforms_imagenet_eval

from carscale import augment, config
from carscale.augment.geometry import planned
from carscale.export.exported import shipped_script
from carscale.loaders import render
from carscale.types import View


def smooth_photo(width: int, height: int) -> np.ndarray:
    """A picture without fine detail: any sound filter gives the same."""
    y, x = np.mgrid[0:height, 0:width]
    red = 128 + 90 * np.sin(2 * np.pi * x / width)
    green = 128 + 90 * np.cos(2 * np.pi * y / height)
    blue = 60 + 120 * x / width
    return np.stack([red, green, blue], axis=-1).astype(np.uint8)


def as_bytes(pixels: np.ndarray, kind: str) -> bytes:
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, kind, **({"quality": 100} if kind == "JPEG" else {}))
    return sink.getvalue()


def naive(pixels: np.ndarray, affine_23: np.ndarray, view: View) -> tuple[np.ndarray, np.ndarray]:
    """Sample bilinearly at pixel centres; return pixels and where all neighbours are photo."""
    side = view.image_px
    v, u = np.mgrid[0:side, 0:side] + 0.5
    x = affine_23[0, 0] * u + affine_23[0, 1] * v + affine_23[0, 2] - 0.5
    y = affine_23[1, 0] * u + affine_23[1, 1] * v + affine_23[1, 2] - 0.5
    height, width = pixels.shape[:2]
    inside = (x >= 0) & (y >= 0) & (x <= width - 1) & (y <= height - 1)
    x, y = x.clip(0, width - 1.001), y.clip(0, height - 1.001)
    x0, y0 = x.astype(int), y.astype(int)
    fx, fy = (x - x0)[..., None], (y - y0)[..., None]
    p = pixels.astype(float)
    top = p[y0, x0] * (1 - fx) + p[y0, np.minimum(x0 + 1, width - 1)] * fx
    y1 = np.minimum(y0 + 1, height - 1)
    bottom = p[y1, x0] * (1 - fx) + p[y1, np.minimum(x0 + 1, width - 1)] * fx
    return top * (1 - fy) + bottom * fy, inside


def params_of(affine_23: np.ndarray, size: tuple[int, int], side_px: int) -> augment.Params:
    """Return the parameters of one affine."""
    affine_123, sizes_12 = affine_23[None], np.array([size])
    return augment.Params(affine_123, sizes_12, planned(affine_123, sizes_12, side_px))


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("size", [(640, 420), (61, 90), (300, 100)])
@pytest.mark.parametrize("policy", ["none", "simple", "standard"])
def test_geometry_is_the_affine(kind, size, policy):
    pixels = smooth_photo(*size)
    data = as_bytes(pixels, kind)
    view = View(image_px=64)
    cfg = config.Augment(policy=policy, brightness=0, contrast=0, saturation=0)
    params = augment.policy(cfg, view)(0, 0, 12, np.array([size] * 12))
    for index, affine_23 in enumerate(params.affine_B23):
        got = render(data, params, index, view).astype(float)
        expected, inside = naive(pixels, affine_23, view)
        error = np.abs(got - expected)[inside]
        # worst measured: mean 1.2 where a 300x40 photo is shrunk 8 times across, 0.6 elsewhere
        assert error.mean() < 1.6


@pytest.mark.parametrize(
    ("fit", "mode"), [("squash", "squash"), ("pad", "border"), ("crop", "center")]
)
@given(size=st.tuples(st.integers(1, 420), st.integers(1, 420)), side=st.integers(24, 130))
@settings(max_examples=40)
def test_plain_view_equals_timms(fit, mode, size, side):
    view = View(image_px=side, fit=fit)
    width, height = size
    if fit == "pad":  # timm fails where nothing would be left
        assume(min(size) * side >= max(size))
    if fit == "crop":  # timm would shrink all of a panorama
        width, height = min(width, 8 * height), min(height, 8 * width)
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    params = augment.plain(np.array([[width, height]]), view)
    got = render(as_bytes(pixels, "PNG"), params, 0, view)
    how = transforms_imagenet_eval(
        img_size=side,
        crop_pct=1.0,
        crop_mode=mode,
        mean=view.mean,
        interpolation="bilinear",
        use_prefetcher=True,
    )
    expected = np.asarray(how(Image.fromarray(pixels))).transpose(1, 2, 0)
    assert np.abs(got.astype(int) - expected).max() <= 1


def test_of_a_panorama_crop_shows_the_middle():
    pixels = np.zeros((10, 2001, 3), np.uint8)
    pixels[:, 1000] = 255
    view = View(image_px=30, fit="crop")
    params = augment.plain(np.array([[2001, 10]]), view)
    assert params.geometry.small_B2.tolist() == [[240, 30]]
    got = render(as_bytes(pixels, "PNG"), params, 0, view).astype(int)
    assert 14 <= got[15, :, 0].argmax() <= 17
    script = shipped_script()["view"]
    about = {
        "view": {"image_px": 30, "fit": "crop", "interpolation": "bilinear"},
        "fill": view.fill,
    }
    assert np.abs(got - script(io.BytesIO(as_bytes(pixels, "PNG")), about)).max() <= 1


@pytest.mark.parametrize("fit", ["pad", "crop", "squash"])
def test_photos_are_evaluated_from_a_whole_decode(fit):
    view = View(image_px=32, fit=fit)
    params = augment.plain(np.array([[960, 640], [31, 900]]), view)
    assert params.geometry.denominator_B.tolist() == [1, 1]


def test_outside_the_photo_lies_the_fill_and_never_black():
    view = View(image_px=50, mean=(0.4, 0.5, 0.6))
    pixels = np.full((30, 60, 3), 200, np.uint8)
    plain = augment.plain(np.array([[60, 30]]), view)
    got = render(as_bytes(pixels, "PNG"), plain, 0, view)
    assert tuple(got[0, 25]) == view.fill == (102, 128, 153)
    assert tuple(got[25, 25]) == (200, 200, 200)
    turned = plain.affine_B23[0] @ np.array([[0.9, -0.4, 12], [0.4, 0.9, -8], [0, 0, 1]])
    got = render(as_bytes(pixels, "PNG"), params_of(turned, (60, 30), 50), 0, view)
    assert got.min() >= 102 - 1


def test_scaled_decode_hardly_changes_pixels(stanford):
    path = sorted(stanford.rglob("*.jpg"))[5]
    photo = Image.open(path).convert("RGB").resize((960, 640), Image.Resampling.BICUBIC)
    data = as_bytes(np.asarray(photo), "JPEG")
    view = View(image_px=96, fit="squash")
    whole_23 = augment.plain(np.array([[960, 640]]), view).affine_B23[0]
    params = params_of(whole_23, (960, 640), 96)
    assert params.geometry.denominator_B[0] == 4
    got = render(data, params, 0, view).astype(float)
    full = np.asarray(Image.open(io.BytesIO(data)).resize((96, 96), Image.Resampling.BILINEAR))
    assert np.abs(got - full).mean() < 2  # measured 0.9


def test_a_photo_of_another_size_is_refused():
    data = as_bytes(smooth_photo(40, 30), "JPEG")
    view = View(image_px=16)
    with pytest.raises(ValueError, match="decodes to 40 x 30 px, frozen as 50 x 30 px"):
        render(data, augment.plain(np.array([[50, 30]]), view), 0, view)


def test_mirroring_is_exact():
    pixels = np.random.default_rng(1).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    data, view = as_bytes(pixels, "PNG"), View(image_px=32, fit="squash")
    affine_23 = augment.plain(np.array([[70, 50]]), view).affine_B23[0]
    mirrored = affine_23.copy()
    mirrored[0] = [-affine_23[0, 0], 0, 70]
    straight = render(data, params_of(affine_23, (70, 50), 32), 0, view)
    turned = render(data, params_of(mirrored, (70, 50), 32), 0, view)
    np.testing.assert_array_equal(turned, straight[:, ::-1])
