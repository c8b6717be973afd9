"""Paint what stands behind and below a car: eight places.

To add a place, write ``draw_x(canvas, horizon_px, rng)`` and name it in ``BACKDROPS``. Shares are
of the picture's width.
"""

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from carscale.images.canvas import Canvas, resize_pixels

SKIES = [
    ((98, 150, 214), (206, 224, 240)),
    ((150, 168, 188), (212, 217, 222)),
    ((70, 96, 150), (244, 196, 150)),
    ((120, 176, 226), (232, 238, 240)),
]


def draw_street(canvas: Canvas, horizon_px: float, rng: Generator) -> None:
    """Draw a row of houses, a pavement and a road with a dashed line."""
    width, height = canvas.width_px, canvas.height_px
    _draw_sky(canvas, horizon_px, rng)
    x = -0.1 * width
    while x < width:
        house_w = width * rng.uniform(0.15, 0.4)
        top = horizon_px - height * rng.uniform(0.25, 0.75)
        wall = rng.uniform(70, 205) * rng.uniform(0.85, 1.1, 3)
        canvas.rectangle((x, top, x + house_w, horizon_px + 4), wall)
        _draw_windows(canvas, (x, top, x + house_w, horizon_px), wall, rng)
        x += house_w
    asphalt = rng.uniform(70, 120)
    curb = horizon_px + 0.05 * height
    canvas.gradient(horizon_px, curb, (150, 146, 140), (168, 164, 158))
    canvas.gradient(curb, height, [asphalt * 0.9] * 3, [asphalt * 1.15] * 3)
    canvas.line([(0, curb), (width, curb)], (92, 90, 88), width_px=0.006 * width)
    y = height - 0.05 * height * rng.uniform(0.3, 1.5)
    for start in np.arange(-0.1, 1.1, 0.3):
        dash = [(start * width, y), ((start + 0.16) * width, y)]
        canvas.line(dash, (222, 222, 214), width_px=0.012 * width)


def draw_field(canvas: Canvas, horizon_px: float, rng: Generator) -> None:
    """Draw hills and grass under a wide sky."""
    width, height = canvas.width_px, canvas.height_px
    _draw_sky(canvas, horizon_px, rng)
    for rise, shade in ((0.22, 0.75), (0.12, 0.95)):
        x = np.linspace(0, width, 24)
        phase = rng.uniform(0, 6.3, 3)
        wave = sum(np.sin(x / width * (k + 1) * 4 + phase[k]) / (k + 1) for k in range(3))
        y = horizon_px - height * rise * (0.5 + 0.3 * wave)
        hill = np.array([92, 128, 84]) * shade * rng.uniform(0.8, 1.15, 3)
        canvas.polygon([*zip(x, y, strict=True), (width, height), (0, height)], hill)
    grass = np.array([104, 132, 62]) * rng.uniform(0.75, 1.2, 3)
    canvas.gradient(horizon_px, height, grass * 0.85, grass * 1.1)
    track = height * 0.5 + horizon_px * 0.5
    if rng.random() < 0.5:
        canvas.gradient(track, height, (146, 128, 100), (166, 150, 122))


def draw_forest(canvas: Canvas, horizon_px: float, rng: Generator) -> None:
    """Draw trees, far ones first, and a lane."""
    width, height = canvas.width_px, canvas.height_px
    _draw_sky(canvas, horizon_px, rng)
    tint = rng.uniform(0.7, 1.2, 3)
    for depth in range(3):
        for x in rng.uniform(-0.05, 1.05, 9):
            size = height * (0.16 + 0.08 * depth) * rng.uniform(0.8, 1.4)
            foot = horizon_px + height * 0.01 * depth
            canvas.line(
                [(x * width, foot), (x * width, foot - 2 * size)],
                (72, 56, 42),
                width_px=size * 0.14,
            )
            for _ in range(7):
                dx, dy, r = rng.normal(0, 0.5) * size, rng.uniform(1.1, 2.6) * size, size * 0.55
                leaf = np.array([58, 92, 44]) * tint * rng.uniform(0.7, 1.35)
                cx, cy = x * width + dx, foot - dy
                canvas.ellipse((cx - r, cy - r, cx + r, cy + r), leaf)
    lane = rng.uniform(90, 140)
    canvas.gradient(horizon_px, horizon_px + 0.1 * height, (86, 104, 60), (96, 110, 66))
    canvas.gradient(horizon_px + 0.1 * height, height, [lane * 0.9] * 3, [lane * 1.1] * 3)


def draw_showroom(canvas: Canvas, horizon_px: float, rng: Generator) -> None:
    """Draw a bright hall: wall panels, ceiling lights, a glossy floor."""
    width, height = canvas.width_px, canvas.height_px
    wall = rng.uniform(110, 235) * rng.uniform(0.93, 1.05, 3)
    canvas.gradient(0, horizon_px, wall * 0.75, wall)
    for x in np.arange(rng.uniform(0, 0.2), 1, rng.uniform(0.12, 0.3)):
        canvas.line([(x * width, 0), (x * width, horizon_px)], wall * 0.82, width_px=0.004 * width)
    for x in rng.uniform(0, 1, 4):
        box = (x * width, 0.04 * height, (x + 0.16) * width, 0.07 * height)
        canvas.rectangle(box, (255, 255, 250))
    if rng.random() < 0.6:
        stripe = rng.uniform(30, 220, 3)
        low = horizon_px - height * rng.uniform(0.1, 0.25)
        canvas.rectangle((0, low - 0.05 * height, width, low), stripe)
    floor = rng.uniform(90, 220)
    canvas.gradient(horizon_px, height, [floor * 1.08] * 3, [floor * 0.8] * 3)
    step = 0.14 * width
    for k in range(-12, 13):
        near = (width / 2 + 3 * k * step, height)
        far = (width / 2 + 0.6 * k * step, horizon_px)
        canvas.line([far, near], [floor * 0.86] * 3, width_px=0.003 * width)


def draw_parking(canvas: Canvas, horizon_px: float, rng: Generator) -> None:
    """Draw a car park: stall lines, a hedge, other cars far away."""
    width, height = canvas.width_px, canvas.height_px
    _draw_sky(canvas, horizon_px, rng)
    hedge = np.array([56, 84, 48]) * rng.uniform(0.8, 1.3)
    canvas.rectangle((0, horizon_px - 0.12 * height, width, horizon_px + 2), hedge)
    for x in np.sort(rng.uniform(-0.05, 1.0, 5)):
        far_w, far_h = 0.14 * width, 0.085 * height
        paint = rng.uniform(60, 210) * rng.uniform(0.85, 1.1, 3)
        left, top = x * width, horizon_px - 0.5 * far_h
        cabin = (left + 0.2 * far_w, top - 0.5 * far_h, left + 0.8 * far_w, top + 0.5 * far_h)
        canvas.rectangle(cabin, paint * 0.5, radius_px=far_h * 0.25)
        canvas.rectangle((left, top, left + far_w, top + far_h), paint, radius_px=far_h * 0.3)
        for at in (0.14, 0.68):
            wheel = (
                left + at * far_w,
                top + 0.6 * far_h,
                left + (at + 0.18) * far_w,
                top + 1.2 * far_h,
            )
            canvas.ellipse(wheel, (26, 26, 28))
    ground = rng.uniform(84, 140)
    canvas.gradient(horizon_px + 0.03 * height, height, [ground * 0.92] * 3, [ground * 1.1] * 3)
    shift = rng.uniform(-0.2, 0.2)
    for k in range(-6, 7):
        far = ((0.5 + shift + 0.14 * k) * width, horizon_px + 0.05 * height)
        near = ((0.5 + shift + 0.55 * k) * width, height)
        canvas.line([far, near], (218, 218, 212), width_px=0.007 * width)


def draw_bricks(canvas: Canvas, horizon_px: float, rng: Generator) -> None:
    """Draw a brick wall and a pavement."""
    width, height = canvas.width_px, canvas.height_px
    base = np.array([150, 82, 64]) * rng.uniform(0.7, 1.25, 3)
    foot = horizon_px + 0.06 * height
    canvas.rectangle((0, 0, width, foot), base * 0.75)
    brick_w, brick_h = width * 0.055, width * 0.02
    for row in range(int(foot / brick_h) + 1):
        top = foot - (row + 1) * brick_h
        for left in np.arange(-0.5 * (row % 2) * brick_w, width, brick_w):
            box = (left + 1, top + 1, left + brick_w - 1, top + brick_h - 1)
            canvas.rectangle(box, base * rng.uniform(0.85, 1.15))
    pavement = rng.uniform(110, 170)
    canvas.gradient(foot, height, [pavement * 0.85] * 3, [pavement * 1.05] * 3)


def draw_studio(canvas: Canvas, horizon_px: float, rng: Generator) -> None:
    """Draw a plain backdrop that curves into the floor."""
    tone = rng.uniform(70, 235) * rng.uniform(0.9, 1.06, 3)
    height = canvas.height_px
    canvas.gradient(0, horizon_px + 0.1 * height, tone * 0.8, tone)
    canvas.gradient(horizon_px + 0.1 * height, height, tone, tone * 0.72)


def draw_seaside(canvas: Canvas, horizon_px: float, rng: Generator) -> None:
    """Draw sea, a railing and a promenade."""
    width, height = canvas.width_px, canvas.height_px
    _draw_sky(canvas, horizon_px, rng)
    sea = np.array([44, 92, 122]) * rng.uniform(0.7, 1.3)
    canvas.gradient(horizon_px, horizon_px + 0.1 * height, sea * 1.25, sea)
    quay = rng.uniform(120, 190) * rng.uniform(0.92, 1.05, 3)
    canvas.gradient(horizon_px + 0.08 * height, height, quay * 0.9, quay)
    rail = horizon_px - 0.05 * height
    for y in (rail, rail + 0.06 * height):
        canvas.line([(0, y), (width, y)], (212, 214, 216), width_px=0.006 * width)
    for x in np.arange(0.03, 1, 0.11):
        post = [(x * width, rail), (x * width, rail + 0.14 * height)]
        canvas.line(post, (200, 202, 205), width_px=0.006 * width)


BACKDROPS: dict[str, Callable[[Canvas, float, Generator], None]] = {
    "bricks": draw_bricks,
    "field": draw_field,
    "forest": draw_forest,
    "parking": draw_parking,
    "seaside": draw_seaside,
    "showroom": draw_showroom,
    "street": draw_street,
    "studio": draw_studio,
}


def add_texture(
    pixels_HWC: NDArray[np.uint8], rng: Generator, strength: float
) -> NDArray[np.uint8]:
    """Return the picture with blotches of two sizes, as grass, asphalt and clouds have.

    Args:
        pixels_HWC: uint8 ``[H, W, 3]``.
        rng: Source of the blotches.
        strength: Their spread in grey levels.

    Returns:
        uint8 ``[H, W, 3]``.
    """
    height, width = pixels_HWC.shape[:2]
    total = np.zeros((height, width, 1))
    for rows, columns, share in ((12, 9, 0.6), (max(12, height // 4), max(9, width // 8), 0.5)):
        plate = np.clip(128 + 50 * rng.standard_normal((rows, columns, 1)), 0, 255)
        full = resize_pixels(plate.repeat(3, 2).astype(np.uint8), width, height)
        total += share * (full[..., :1].astype(float) - 128) / 50
    return np.clip(pixels_HWC + strength * total, 0, 255).astype(np.uint8)


def _draw_sky(canvas: Canvas, horizon_px: float, rng: Generator) -> None:
    """Draw a sky with soft clouds, and a neutral ground below."""
    top, bottom = SKIES[int(rng.integers(len(SKIES)))]
    width, height = canvas.width_px, canvas.height_px
    canvas.gradient(0, horizon_px, top, bottom)
    canvas.gradient(horizon_px, height, (120, 120, 118), (132, 131, 128))
    for _ in range(int(rng.integers(0, 5))):
        x, y = rng.uniform(0, width), rng.uniform(0, max(1.0, horizon_px * 0.8))
        for _ in range(6):
            rx = width * rng.uniform(0.03, 0.09)
            cx, cy = x + rng.normal(0, 0.07) * width, y + rng.normal(0, 0.015) * height
            canvas.ellipse((cx - rx, cy - rx * 0.3, cx + rx, cy + rx * 0.3), (246, 248, 250, 120))


def _draw_windows(
    canvas: Canvas, box_px: tuple[float, ...], wall: NDArray[np.floating], rng: Generator
) -> None:
    """Draw the windows of one house."""
    left, top, right, bottom = box_px
    step = (right - left) / int(rng.integers(2, 5))
    glass = rng.uniform(35, 110) * np.array([0.85, 0.95, 1.1])
    for y in np.arange(top + 0.3 * step, bottom - 0.5 * step, step * 1.1):
        for x in np.arange(left + 0.25 * step, right - 0.5 * step, step):
            frame = (x - 1, y - 1, x + 0.5 * step + 1, y + 0.65 * step + 1)
            canvas.rectangle(frame, wall * 1.15)
            canvas.rectangle((x, y, x + 0.5 * step, y + 0.65 * step), glass)
