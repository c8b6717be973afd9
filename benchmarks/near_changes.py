"""What is done to a photo that leaves it the same photo: for ``near_set.py``.

Axes: H height, W width, C channels (blue, green, red).
"""

from collections.abc import Callable
from functools import partial

import cv2
import numpy as np

CHANGES = (
    "quality",
    "resize",
    "crop5",
    "crop10",
    "crop15",
    "mirror",
    "text",
    "watermark",
    "phone",
    "exposure",
    "gamma",
    "contrast",
    "warm",
    "crop5+mirror",
    "crop5+watermark",
    "crop10+quality",
    "mirror+warm",
    "resize+text",
    "resize+exposure+quality",
)
"""What is done to a photo, one thing after the other."""
PLAIN_QUALITY, LEAST_QUALITY, MOST_QUALITY = 90, 30, 75


def changed(pixels_HWC: np.ndarray, change: str, rng: np.random.Generator) -> bytes:
    """Return a changed copy as a JPEG."""
    steps = change.split("+")
    for step in steps:
        if step != "quality":
            pixels_HWC = STEPS[step](pixels_HWC, rng)
    drawn = int(rng.integers(LEAST_QUALITY, MOST_QUALITY + 1))
    return as_jpeg(pixels_HWC, drawn if "quality" in steps else PLAIN_QUALITY)


def as_jpeg(pixels_HWC: np.ndarray, quality: int = PLAIN_QUALITY) -> bytes:
    """Return pixels as a JPEG."""
    encoded = cv2.imencode(".jpg", pixels_HWC, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return encoded.tobytes()


def resized(pixels_HWC: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return 35 to 70 % of the size."""
    share = rng.uniform(0.35, 0.7)
    return cv2.resize(pixels_HWC, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)


def cropped(pixels_HWC: np.ndarray, rng: np.random.Generator, *, cut: float) -> np.ndarray:
    """Cut a share off height and width, anywhere."""
    height, width = (round((1 - cut) * side) for side in pixels_HWC.shape[:2])
    top = int(rng.integers(0, pixels_HWC.shape[0] - height + 1))
    left = int(rng.integers(0, pixels_HWC.shape[1] - width + 1))
    return np.ascontiguousarray(pixels_HWC[top : top + height, left : left + width])


def mirrored(pixels_HWC: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Exchange left and right."""
    del rng
    return cv2.flip(pixels_HWC, 1)


def with_banner(pixels_HWC: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Lay a band with text over the top or the bottom."""
    made_HWC = pixels_HWC.copy()
    height, width = made_HWC.shape[:2]
    band = round(rng.uniform(0.05, 0.14) * height)
    top = int(rng.choice([0, height - band]))
    colour = [(160, 40, 20), (20, 20, 200), (20, 20, 20), (255, 255, 255)][rng.integers(4)]
    made_HWC[top : top + band] = colour
    ink = (0, 0, 0) if sum(colour) > 600 else (255, 255, 255)
    written(made_HWC, "CITY CARS  best prices", (round(0.03 * width), top + band), band, ink)
    return made_HWC


def with_watermark(pixels_HWC: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Lay a half transparent logo over a corner."""
    height, width = pixels_HWC.shape[:2]
    laid_HWC = pixels_HWC.copy()
    radius = round(0.09 * height)
    x = int(rng.choice([2 * radius, width - 2 * radius]))
    y = int(rng.choice([2 * radius, height - 2 * radius]))
    cv2.circle(laid_HWC, (x, y), radius, (255, 255, 255), -1, cv2.LINE_AA)
    written(laid_HWC, "AutoX", (x - 2 * radius + 2, y + radius // 2), radius, (60, 60, 60))
    alpha = rng.uniform(0.4, 0.7)
    return cv2.addWeighted(laid_HWC, alpha, pixels_HWC, 1 - alpha, 0)


def with_phone(pixels_HWC: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Write a phone number across the photo, as advertisements have it."""
    made_HWC = pixels_HWC.copy()
    height, width = made_HWC.shape[:2]
    tall = round(rng.uniform(0.1, 0.16) * height)
    place = round(rng.uniform(0.02, 0.3) * width), round(rng.uniform(0.2, 0.95) * height)
    number = f"Call 0171 {rng.integers(10**6, 10**7)}"
    written(made_HWC, number, place, tall, (0, 0, 0), thickness=4)
    written(made_HWC, number, place, tall, (0, 230, 255))
    return made_HWC


def written(
    pixels_HWC: np.ndarray,
    text: str,
    place: tuple[int, int],
    tall_px: int,
    ink: tuple[int, int, int],
    *,
    thickness: int = 1,
) -> None:
    """Write text into pixels, its foot a little above the place."""
    foot = place[0], place[1] - max(1, tall_px // 4)
    cv2.putText(
        pixels_HWC, text, foot, cv2.FONT_HERSHEY_SIMPLEX, tall_px / 36, ink, thickness, cv2.LINE_AA
    )


def exposed(pixels_HWC: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Lighten or darken by a third or so, with clipping."""
    gain = rng.choice([rng.uniform(0.6, 0.85), rng.uniform(1.15, 1.5)])
    return cv2.convertScaleAbs(pixels_HWC, alpha=gain)


def bent(pixels_HWC: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Apply a gamma."""
    gamma = rng.choice([rng.uniform(0.55, 0.8), rng.uniform(1.25, 1.7)])
    table = (255 * (np.arange(256) / 255) ** gamma).round().astype(np.uint8)
    return cv2.LUT(pixels_HWC, table)


def contrasted(pixels_HWC: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Move grey levels away from their mean or towards it."""
    factor = rng.choice([rng.uniform(0.6, 0.8), rng.uniform(1.2, 1.5)])
    moved_HWC = pixels_HWC.mean() + factor * (pixels_HWC.astype(np.float32) - pixels_HWC.mean())
    return moved_HWC.clip(0, 255).astype(np.uint8)


def warmed(pixels_HWC: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Tint all of it: less blue, more red."""
    share = rng.uniform(0.05, 0.15)
    tinted_HWC = pixels_HWC.astype(np.float32) * (1 - share, 1, 1 + share)
    return tinted_HWC.clip(0, 255).astype(np.uint8)


STEPS: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "resize": resized,
    "crop5": partial(cropped, cut=0.05),
    "crop10": partial(cropped, cut=0.1),
    "crop15": partial(cropped, cut=0.15),
    "mirror": mirrored,
    "text": with_banner,
    "watermark": with_watermark,
    "phone": with_phone,
    "exposure": exposed,
    "gamma": bent,
    "contrast": contrasted,
    "warm": warmed,
}
