"""Small frozen data that every test may read, and the real photos where they are."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from carscale import data

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Keep the stat cache of tests out of the home folder."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


def draw_photo(path: Path, label: int, seed: int, size: tuple[int, int] = (60, 40)) -> None:
    """Write a JPEG whose colour and stripes tell its class."""
    rng = np.random.default_rng([label, seed])
    width, height = size
    columns = np.arange(width)[None, :, None]
    colour = np.array([60 + 40 * label, 200 - 35 * label, 90 + 25 * label])
    stripes = 40 * ((columns // (3 + 2 * label)) % 2)
    pixels = colour + stripes + rng.normal(0, 12, (height, width, 3))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path, quality=90)


def draw_classes(root: Path, counts: list[int]) -> Path:
    """Write class folders ``make0/model0`` ... with so many photos."""
    for label, count in enumerate(counts):
        for number in range(count):
            size = (48 + 4 * (number % 5), 32 + 3 * (number % 4))
            draw_photo(root / f"Make{label} Model" / f"{number:03d}.jpg", label, number, size)
    return root


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Path:
    """A frozen folder of 4 classes, long-tailed: 24, 16, 10 and 6 photos."""
    folder = tmp_path_factory.mktemp("tiny")
    raw = draw_classes(folder / "raw", [24, 16, 10, 6])
    return data.freeze(raw, folder / "frozen").root


@pytest.fixture(scope="session")
def stanford() -> Path:
    """The 196 classes of real photos."""
    root = SHARED / "cars" / "stanford"
    if not root.is_dir():
        pytest.skip("../shared/cars/stanford is not on this machine")
    return root


@pytest.fixture(scope="session")
def odd() -> Path:
    """Valid, odd and broken images."""
    root = SHARED / "photos" / "odd"
    if not root.is_dir():
        pytest.skip("../shared/photos/odd is not on this machine")
    return root
