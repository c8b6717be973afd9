"""Cars cut out and put before another background, and in another colour: for ``near_set.py``.

Axes: H height, W width, C channels (blue, green, red).
"""

import cv2
import numpy as np

GRABCUT_PX = 128
"""Height at which a car is cut out."""
CANVAS_HW, CAR_HW, FLOOR_PX = (240, 360), (165, 300), 205
"""The backdrop, the most a car may take, and where its wheels stand."""
LEAST_RECOLOURED = 20
"""Grey levels of a channel, in the mean over a car."""


def car_mask(pixels_HWC: np.ndarray) -> np.ndarray | None:
    """Return where the car is, uint8 of 0 and 255; ``None`` where that is not plausible."""
    height, width = pixels_HWC.shape[:2]
    if height < GRABCUT_PX or not 1.2 <= width / height <= 2.6:
        return None
    small_HWC = cv2.resize(
        pixels_HWC, (round(width * GRABCUT_PX / height), GRABCUT_PX), interpolation=cv2.INTER_AREA
    )
    mask_HW = np.full(small_HWC.shape[:2], cv2.GC_PR_BGD, np.uint8)
    height, width = mask_HW.shape
    middle = width // 2, round(0.55 * height)
    for across, down, kind in ((0.48, 0.44, cv2.GC_PR_FGD), (0.32, 0.24, cv2.GC_FGD)):
        cv2.ellipse(
            mask_HW, middle, (round(across * width), round(down * height)), 0, 0, 360, kind, -1
        )
    mask_HW[:3] = mask_HW[-3:] = cv2.GC_BGD
    mask_HW[:, :3] = mask_HW[:, -3:] = cv2.GC_BGD
    cv2.setRNGSeed(0)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(small_HWC, mask_HW, None, *models, 4, cv2.GC_INIT_WITH_MASK)
    car_HW = solid(np.isin(mask_HW, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8))
    if not is_plausible(car_HW):
        return None
    large_HW = cv2.resize(255 * car_HW, pixels_HWC.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    return cv2.GaussianBlur(large_HW, (0, 0), 1.2)


def solid(mask_HW: np.ndarray) -> np.ndarray:
    """Return the largest part of a mask, smoothed, without holes or bays: windows look like sky."""
    small, large = (cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (px, px)) for px in (7, 61))
    opened_HW = cv2.morphologyEx(mask_HW, cv2.MORPH_OPEN, small)
    ringed_HW = cv2.copyMakeBorder(opened_HW, *4 * (61,), cv2.BORDER_CONSTANT, value=0)
    opened_HW = cv2.morphologyEx(ringed_HW, cv2.MORPH_CLOSE, large)[61:-61, 61:-61].copy()
    outlines, _ = cv2.findContours(opened_HW, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled_HW = np.zeros_like(mask_HW)
    if outlines:
        cv2.drawContours(filled_HW, [max(outlines, key=cv2.contourArea)], -1, 1, -1)
    return filled_HW


def is_plausible(mask_HW: np.ndarray) -> bool:
    """Tell whether a mask may be a car: large, central, in one piece, as wide as the photo."""
    if not 0.4 <= mask_HW.mean() <= 0.78:
        return False
    rows, columns = np.nonzero(mask_HW)
    height, width = mask_HW.shape
    is_wide = np.ptp(columns) >= 0.85 * width and np.ptp(rows) >= 0.75 * height
    outline = cv2.findContours(mask_HW, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0][0]
    hull = cv2.contourArea(cv2.convexHull(outline))
    return bool(is_wide and cv2.contourArea(outline) >= 0.9 * hull)


def pasted(car_HWC: np.ndarray, mask_HW: np.ndarray, backdrop_HWC: np.ndarray) -> np.ndarray:
    """Return the backdrop with the car at its place, in its size."""
    rows, columns = np.nonzero(mask_HW > 127)
    part = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
    height, width = mask_HW[part].shape
    share = min(CAR_HW[0] / height, CAR_HW[1] / width)
    size = round(share * width), round(share * height)
    car_HWC = cv2.resize(car_HWC[part], size, interpolation=cv2.INTER_AREA)
    alpha_HW1 = cv2.resize(mask_HW[part], size, interpolation=cv2.INTER_AREA)[..., None] / 255
    made_HWC = backdrop_HWC.astype(np.float32)
    top, left = FLOOR_PX - size[1], (CANVAS_HW[1] - size[0]) // 2
    place_HWC = made_HWC[top : top + size[1], left : left + size[0]]
    place_HWC[:] = alpha_HW1 * car_HWC + (1 - alpha_HW1) * place_HWC
    return made_HWC.round().astype(np.uint8)


def grey_studio() -> np.ndarray:
    """Return a light grey wall that turns into a floor, with a soft shadow."""
    return with_shadow(graded((230, 232, 233), (203, 206, 208), horizon=0.62))


def white_studio() -> np.ndarray:
    """Return a white backdrop with a faint shadow."""
    return with_shadow(graded((255, 255, 255), (246, 246, 246), horizon=0.9))


def brick_wall(seed: int) -> np.ndarray:
    """Return a wall of bricks, each of its own grey, with a door and a pavement."""
    rng = np.random.default_rng((seed, 2))
    height, width = CANVAS_HW
    wall_HWC = np.full((height, width, 3), (150, 160, 165), np.uint8)
    for row, top in enumerate(range(0, height, 10)):
        for left in range(-12 * (row % 2), width, 24):
            shade = rng.integers(-25, 25)
            corner, other = (left + 1, top + 1), (left + 22, top + 8)
            colour = tuple(int(level + shade) for level in (70, 90, 150))
            cv2.rectangle(wall_HWC, corner, other, colour, -1)
    cv2.rectangle(wall_HWC, (24, 20), (84, 150), (60, 70, 40), -1)
    cv2.rectangle(wall_HWC, (32, 28), (76, 80), (190, 170, 150), -1)
    cv2.putText(
        wall_HWC,
        "GARAGE 12",
        (170, 34),
        cv2.FONT_HERSHEY_SIMPLEX,
        0.8,
        (235, 235, 235),
        2,
        cv2.LINE_AA,
    )
    floor = 160
    wall_HWC[floor:] = rng.integers(95, 125, (height - floor, width, 1))
    return with_shadow(wall_HWC)


def graded(wall: tuple[int, ...], floor: tuple[int, ...], *, horizon: float) -> np.ndarray:
    """Return wall and floor, the one turning softly into the other."""
    down_H = np.linspace(0, 1, CANVAS_HW[0])[:, None]
    share_H1 = 1 / (1 + np.exp(-(down_H - horizon) / 0.03))
    light_H1 = 1 - 0.12 * np.abs(down_H - horizon)
    rows_HC = light_H1 * ((1 - share_H1) * np.array(wall) + share_H1 * np.array(floor))
    made_HWC = np.repeat(rows_HC[:, None], CANVAS_HW[1], axis=1)
    return made_HWC.clip(0, 255).astype(np.uint8)


def with_shadow(backdrop_HWC: np.ndarray) -> np.ndarray:
    """Return a backdrop with the shadow that every car throws."""
    shade_HW = np.zeros(CANVAS_HW, np.float32)
    middle, radii = (CANVAS_HW[1] // 2, FLOOR_PX - 4), (150, 14)
    cv2.ellipse(shade_HW, middle, radii, 0, 0, 360, 0.55, -1)
    shade_HW = cv2.GaussianBlur(shade_HW, (0, 0), 7)
    return (backdrop_HWC * (1 - shade_HW[..., None])).round().astype(np.uint8)


def recoloured(
    car_HWC: np.ndarray, mask_HW: np.ndarray, rng: np.random.Generator
) -> np.ndarray | None:
    """Return the car in another colour: paint turned in hue, grey paint dyed or darkened.

    ``None`` where that is hard to see, as of a car in the dark.
    """
    hsv_HWC = cv2.cvtColor(car_HWC, cv2.COLOR_BGR2HSV).astype(np.int32)
    hue_HW, vivid_HW, light_HW = np.moveaxis(hsv_HWC, 2, 0)
    is_car_HW = mask_HW > 127
    is_paint_HW = is_car_HW & (vivid_HW > 100) & (light_HW > 40)
    middle = np.median(light_HW[is_car_HW])
    if is_paint_HW.sum() >= 0.3 * is_car_HW.sum():
        hue_HW[is_paint_HW] = (hue_HW[is_paint_HW] + rng.integers(50, 130)) % 180
    elif middle > 110 and rng.random() < 0.5:
        light_HW[is_car_HW] = light_HW[is_car_HW] * 2 // 5
    else:
        is_grey_HW = is_car_HW & (light_HW > min(45, middle / 2))
        hue_HW[is_grey_HW] = rng.choice([0, 12, 60, 110])  # red, orange, green, blue
        vivid_HW[is_grey_HW] = 190
        if middle < 80:  # black paint shows no colour
            light_HW[is_grey_HW] = 50 + light_HW[is_grey_HW] * 3 // 4
    made_HWC = np.stack([hue_HW, vivid_HW, light_HW], axis=2).astype(np.uint8)
    made_HWC = cv2.cvtColor(made_HWC, cv2.COLOR_HSV2BGR)
    change_HWC = np.abs(made_HWC.astype(np.int32) - car_HWC)
    return made_HWC if change_HWC[is_car_HW].mean() >= LEAST_RECOLOURED else None
