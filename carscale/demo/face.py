"""Draw what a car's front and rear show: lamps, grille, badge, plate, bumper.

Places: ``u`` -1..1 across, ``v`` 0..1 upward, on the ends of a ``Skin``. Shapes come from
``shapes.py``.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from carscale.demo.brush import Brush
from carscale.demo.makes import CarStyle
from carscale.demo.shapes import GRILLES, LAMPS, TAILS
from carscale.demo.skin import Skin
from carscale.images.canvas import Canvas

DARK, CHROME, PLASTIC = (15, 15, 17), (200, 204, 208), (40, 41, 44)
HOUSING, LENS, BULB = (52, 56, 62), (214, 222, 230), (255, 255, 250)
RED, RED_BRIGHT, SMOKED = (150, 14, 18), (222, 52, 46), (72, 14, 16)
CIRCLE = np.linspace(0, 2 * np.pi, 20, endpoint=False)


def draw_front(brush: Brush, skin: Skin, style: CarStyle, plate: str) -> None:
    """Draw the front's marks; those that face away from the camera stay out."""
    for sign in (1, -1):
        _draw_lamp(brush, skin, style, sign)
    _draw_bumper(brush, skin, style)
    _draw_grille(brush, skin, style)
    badge_v = min(0.93, style.grille_v + style.grille_h * 0.5 + 0.07)
    if style.grille in ("none", "slot", "oval"):
        badge_v = 0.80
    _draw_badge(brush, skin, style, v=badge_v, sign=1)
    plate_v = 0.30 if style.grille_v - style.grille_h > 0.2 else 0.22
    _draw_plate(brush, skin, plate, v=plate_v, sign=1)


def draw_rear(brush: Brush, skin: Skin, style: CarStyle, plate: str) -> None:
    """Draw the rear's marks; those that face away from the camera stay out."""
    seam = _end_line(skin, np.linspace(-0.72, 0.72, 9), 0.44, -1)
    if brush.sees(np.concatenate([seam, seam[::-1] + np.array([0, 0, 0.05])])):
        brush.stroke(seam, (14, 14, 16, 150), width_m=0.016)
        is_lift = skin.body.rear_base < -0.85 or skin.body.roof == "bed"
        for u in (-0.72, 0.72):
            v = np.linspace(0.44, 0.98 if is_lift else 0.9, 6)
            brush.stroke(skin.end(u, v, -1), (14, 14, 16, 150), width_m=0.016)
    low = _patch(skin, np.array([(-0.8, 0.02), (0.8, 0.02), (0.75, 0.17), (-0.75, 0.17)]), -1)
    brush.face(low, PLASTIC)
    for sign in (1, -1):
        pipe = np.stack([sign * 0.55 + 0.06 * np.cos(CIRCLE), 0.1 + 0.05 * np.sin(CIRCLE)], -1)
        brush.face(_patch(skin, pipe, -1), CHROME)
        brush.face(_patch(skin, (pipe - pipe.mean(0)) * 0.7 + pipe.mean(0), -1), DARK)
        _draw_tail(brush, skin, style, sign)
    _draw_badge(brush, skin, style, v=0.86, sign=-1)
    _draw_plate(brush, skin, plate, v=0.60, sign=-1)


def _patch(skin: Skin, places_P2: NDArray[Any], sign: int) -> NDArray[Any]:
    """Return places ``(u, v)`` on the front (1) or rear (-1), just above the surface, metres."""
    u, v = np.clip(places_P2[:, 0], -0.995, 0.995), np.clip(places_P2[:, 1], 0.0, 0.99)
    return skin.end(u, v, sign)


def _end_line(skin: Skin, u: NDArray[Any], v: float, sign: int) -> NDArray[Any]:
    """Return a line across an end at height ``v``."""
    return skin.end(u, np.full_like(u, v), sign)


def _placed(
    shape_P2: NDArray[Any],
    *,
    center: tuple[float, float],
    size: tuple[float, float],
    tilt: float = 0.0,
) -> NDArray[Any]:
    """Return a unit shape moved to (u, v); ``tilt`` lifts its outer end."""
    x, y = shape_P2[:, 0], shape_P2[:, 1]
    return np.stack([center[0] + x * size[0], center[1] + (y + tilt * x) * size[1]], -1)


def _draw_lamp(brush: Brush, skin: Skin, style: CarStyle, sign: int) -> None:
    """Draw one head lamp, its light strip and its fog lamp."""
    center, size = (style.lamp_u, style.lamp_v), (style.lamp_w, style.lamp_h)
    mirror = np.array([sign, 1])
    for shape in LAMPS[style.lamp]:
        outline = _placed(shape, center=center, size=size, tilt=style.lamp_tilt)
        middle = outline.mean(0)
        parts = [(1.0, HOUSING), (0.84, LENS), (0.5, (150, 160, 172)), (0.3, BULB)]
        for scale, colour in parts:
            inner = (outline - middle) * scale + middle
            brush.face(_patch(skin, inner * mirror, 1), colour)
    if style.running_light > 0.05:
        low = style.lamp_v - style.lamp_h * 1.15
        strip = [(-1, 0.0), (1, 0.25), (1, -0.05), (-1, -0.3)]
        spot = _placed(np.array(strip), center=(style.lamp_u, low), size=(style.lamp_w * 0.9, 0.12))
        opacity = 255 * min(1.0, style.running_light)
        brush.face(_patch(skin, spot * mirror, 1), (250, 252, 255, opacity))
    if style.fog > 0.005:
        spot = np.stack([0.72 + style.fog * np.cos(CIRCLE), 0.2 + style.fog * np.sin(CIRCLE)], -1)
        brush.face(_patch(skin, ((spot - spot.mean(0)) * 1.5 + spot.mean(0)) * mirror, 1), DARK)
        brush.face(_patch(skin, spot * mirror, 1), LENS)


def _draw_bumper(brush: Brush, skin: Skin, style: CarStyle) -> None:
    """Draw the lower intake and the edge of the bumper."""
    top = max(0.16, 0.22 + style.cladding * 0.5)
    u = np.linspace(-0.62, 0.62, 9)
    intake = np.stack([np.r_[u, u[::-1] * 0.9], np.r_[np.full(9, 0.06), np.full(9, top)]], -1)
    brush.face(_patch(skin, intake, 1), PLASTIC if style.cladding > 0 else (24, 24, 27))
    lip = np.stack([np.r_[u, u[::-1]] * 1.5, np.r_[np.full(9, 0.0), np.full(9, 0.05)]], -1)
    brush.face(_patch(skin, lip, 1), PLASTIC)


def _draw_grille(brush: Brush, skin: Skin, style: CarStyle) -> None:
    """Draw the grille: a bright frame, a dark hole, bars across or upright."""
    size = (style.grille_w, style.grille_h / 2)
    for shape in GRILLES[style.grille]:
        outline = _placed(shape, center=(0.0, style.grille_v), size=size)
        middle = outline.mean(0)
        brush.face(_patch(skin, (outline - middle) * 1.09 + middle, 1), CHROME)
        hole = _patch(skin, outline, 1)
        brush.face(hole, DARK)
        if not brush.sees(hole):
            continue
        low, high = outline.min(0), outline.max(0)
        is_upright = style.grille in ("slats", "kidneys")
        for share in (np.arange(style.grille_bars) + 0.5) / style.grille_bars:
            if is_upright:
                u = low[0] + (high[0] - low[0]) * share
                ends = np.array([(u, low[1] + 0.015), (u, high[1] - 0.015)])
            else:
                v = low[1] + (high[1] - low[1]) * share
                half = _width_at(outline, v) * 0.97
                u = np.linspace(-half, half, 7)
                ends = np.stack([u, np.full(7, v)], -1)
            colour = CHROME if style.grille in ("bars", "slats", "kidneys") else (82, 84, 88)
            brush.stroke(_patch(skin, ends, 1), colour, width_m=0.016)


def _width_at(outline_P2: NDArray[Any], v: float) -> float:
    """Return half the width of a symmetric outline at height ``v``."""
    nexts_P2 = np.roll(outline_P2, -1, 0)
    low, high = outline_P2[:, 1], nexts_P2[:, 1]
    crosses = (low - v) * (high - v) <= 0
    share = np.where(high == low, 0.5, (v - low) / np.where(high == low, 1, high - low))
    u = outline_P2[:, 0] + share * (nexts_P2[:, 0] - outline_P2[:, 0])
    return float(np.abs(u[crosses]).max()) if crosses.any() else 0.0


def _draw_tail(brush: Brush, skin: Skin, style: CarStyle, sign: int) -> None:
    """Draw one tail lamp."""
    center = (0.98 - style.tail_w, min(style.tail_v, 0.97 - style.tail_h / 2))
    for number, shape in enumerate(TAILS[style.tail]):
        outline = _placed(shape, center=center, size=(style.tail_w, style.tail_h / 2 * 1.15))
        middle = outline.mean(0)
        mirror = np.array([sign, 1])
        brush.face(_patch(skin, outline * mirror, -1), SMOKED)
        for scale, colour in ((0.86, RED), (0.5, RED_BRIGHT)):
            inner = (outline - middle) * scale + middle
            is_white = style.tail == "rounds" and number == 1 and scale < 0.6
            brush.face(_patch(skin, inner * mirror, -1), LENS if is_white else colour)


def _draw_badge(brush: Brush, skin: Skin, style: CarStyle, *, v: float, sign: int) -> None:
    """Draw the make's badge."""
    badges = {
        "ring": np.stack([np.cos(CIRCLE), np.sin(CIRCLE)], -1),
        "disc": np.stack([np.cos(CIRCLE), np.sin(CIRCLE)], -1),
        "diamond": np.array([(0, -1.2), (0.8, 0), (0, 1.2), (-0.8, 0)]),
        "wing": np.array([(0, -0.6), (2.2, 0.6), (0.5, 0.3), (-0.5, 0.3), (-2.2, 0.6)]),
        "shield": np.array([(0, -1.1), (0.8, -0.2), (0.8, 0.9), (-0.8, 0.9), (-0.8, -0.2)]),
        "vee": np.array([(0, -1.2), (1.6, 1.2), (0.9, 1.2), (0, -0.1), (-0.9, 1.2), (-1.6, 1.2)]),
    }
    shape = badges[style.badge] * np.array([0.055, 0.075])
    brush.face(_patch(skin, shape + np.array([0, v]), sign), CHROME)
    if style.badge in ("ring", "disc", "shield"):
        inner = (28, 30, 36) if style.badge == "ring" else (40, 70, 150)
        brush.face(_patch(skin, shape * 0.62 + np.array([0, v]), sign), inner)


def _draw_plate(brush: Brush, skin: Skin, plate: str, *, v: float, sign: int) -> None:
    """Draw a number plate in perspective."""
    tile = Canvas(np.full((44, 200, 3), 236, np.uint8))
    tile.rectangle((0, 0, 18, 44), (40, 70, 160))
    tile.text((108, 22), plate, (24, 24, 30), px=34)
    middle = skin.end(0.0, v, sign) + np.array([sign * 0.02, 0, 0])
    across, up = np.array([0, 0.26 * sign, 0]), np.array([0, 0, 0.057])
    corners = np.stack([middle - across + up, middle + across + up])
    corners = np.concatenate([corners, np.stack([middle + across - up, middle - across - up])])
    if brush.sees(corners) and brush.camera.position_m[0] * sign > skin.half_length_m:
        level = min(1.0, brush.light.ambient + 0.5 * brush.light.sun)
        pixels = (tile.pixels() * level).astype(np.uint8)
        brush.canvas.paste_tile(pixels, brush.camera.project(corners))
