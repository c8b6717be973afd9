"""Draw small photos whose colour and stripes tell their class, for tests that freeze and train."""

from pathlib import Path

import numpy as np
from PIL import Image


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
