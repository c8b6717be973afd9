"""The antialiased resize of one box, against Pillow on the same box."""

import io

import numpy as np
import pytest
from PIL import Image

from carscale import augment
from carscale.augment.geometry import axis_aligned, planned
from carscale.loaders import render
from carscale.types import View


def rendered(pixels: np.ndarray, box: tuple[int, int, float, float], view: View) -> np.ndarray:
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, "PNG")
    scale = np.array([[box[2] - box[0], box[3] - box[1]]]) / view.image_px
    affine, size = axis_aligned(scale, np.array([box[:2]], float)), np.array([pixels.shape[1::-1]])
    plan = planned(affine, size, view.image_px)
    assert not plan.is_warped_B[0]
    return render(sink.getvalue(), augment.Params(affine, size, plan), 0, view).astype(int)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(
    "box", [(0, 0, 120, 80), (8, 16, 70.5, 77.25), (3, 1, 20, 9), (0, 0, 1, 1)]
)
@pytest.mark.parametrize("side", [7, 24, 100])
def test_one_box_is_pillows(interpolation, box, side):
    noise = np.random.default_rng(1).integers(0, 256, (80, 120, 3), dtype=np.uint8)
    found = rendered(noise, box, View(side, interpolation=interpolation))
    left, top = int(box[0]), int(box[1])
    right, bottom = int(np.ceil(box[2])), int(np.ceil(box[3]))
    cut = Image.fromarray(noise).crop((left, top, right, bottom))
    inner = (0, 0, box[2] - left, box[3] - top)
    method = getattr(Image.Resampling, interpolation.upper())
    wanted = np.asarray(cut.resize((side, side), method, box=inner)).astype(int)
    if interpolation == "bilinear":  # rounding, where the passes change places
        assert abs(found - wanted).max() <= 1
    else:  # clips between its passes in another order
        assert abs(found - wanted).mean() < 0.7


def test_it_is_antialiased():
    stripes = np.zeros((64, 64, 3), dtype=np.uint8)
    stripes[:, ::2] = 255
    assert abs(rendered(stripes, (0, 0, 64, 64), View(8)) - 128).max() <= 8
