"""Draw one car, back to front: wheels, lower body, greenhouse, then the marks that make it a model.

Comes in: a ``Brush`` (canvas, camera, light), a ``CarStyle`` (the class) and a ``Paint`` (this one
car). The front's and the rear's marks are in ``face.py``.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carscale.demo.brush import Brush
from carscale.demo.face import draw_front, draw_rear
from carscale.demo.makes import CarStyle
from carscale.demo.shapes import rim_polygons
from carscale.demo.skin import Skin

RUBBER = (14, 15, 17)
GLASS, GLASS_TOP, SEAM = (26, 32, 38), (120, 138, 152), (16, 16, 18, 150)
TYRE, WELL, CHROME, PLASTIC = (24, 24, 26), (10, 10, 11), (196, 200, 205), (42, 43, 46)
CIRCLE = np.linspace(0, 2 * np.pi, 28, endpoint=False)


@dataclass(frozen=True)
class Paint:
    """What one car has of its own, independent of its class."""

    colour: tuple[float, float, float]
    roof: tuple[float, float, float]
    gloss: float = 0.3
    rim: tuple[float, float, float] = (178, 181, 186)
    wheel_turn: float = 0.0
    plate: str = "CAR 123"
    is_tinted: bool = False


def draw_car(brush: Brush, style: CarStyle, paint: Paint) -> None:
    """Draw a car on the brush's canvas, standing at the world's origin."""
    skin = Skin(style.shape)
    near_mirrors = [sign for sign in (1, -1) if _is_before_car(brush, skin, sign)]
    for sign in (1, -1):
        for axle_x in skin.axle_x_m():
            _draw_tyre(brush, skin, axle_x, sign)
        if sign not in near_mirrors:
            _draw_mirror(brush, skin, paint, sign)
    brush.panels(skin.lower_panels(), paint.colour, gloss=paint.gloss)
    if skin.body.roof == "open":
        _draw_cockpit(brush, skin)
    else:
        if skin.body.roof == "bed":
            _draw_bed(brush, skin)
        brush.panels(skin.house_panels(), paint.roof, gloss=paint.gloss)
        _draw_glass(brush, skin, style, paint)
    _draw_sides(brush, skin, style, paint)
    _draw_deck_lines(brush, skin)
    draw_front(brush, skin, style, paint.plate)
    draw_rear(brush, skin, style, paint.plate)
    for sign in near_mirrors:
        _draw_mirror(brush, skin, paint, sign)


def _draw_sides(brush: Brush, skin: Skin, style: CarStyle, paint: Paint) -> None:
    """Draw the marks and the wheels of the side that is seen, if one is."""
    for sign in (1, -1):
        if brush.camera.position_m[1] * sign <= skin.body.width_m / 2:
            continue
        _draw_flank(brush, skin, style, sign)
        for axle_x in skin.axle_x_m():
            _draw_wheel(brush, skin, style, paint, axle_x=axle_x, sign=sign)


def _is_before_car(brush: Brush, skin: Skin, sign: int) -> bool:
    """Return whether a door mirror is nearer to the camera than the body behind or beside it."""
    x, y, _ = brush.camera.position_m
    if x > skin.half_length_m * 0.5:
        return True
    return bool(y * sign > skin.body.width_m / 2)


def _circle(x_m: float, y_m: float, radius_m: float, height_m: float) -> NDArray[Any]:
    """Return a circle in an upright plane along the car, float ``[P, 3]``."""
    x = x_m + radius_m * np.cos(CIRCLE)
    return np.stack([x, np.full_like(x, y_m), height_m + radius_m * np.sin(CIRCLE)], -1)


def _draw_tyre(brush: Brush, skin: Skin, axle_x: float, sign: int) -> None:
    """Draw a tyre's tread, the part that stands below the body."""
    radius = skin.body.wheel_m
    outer = _circle(axle_x, sign * skin.body.width_m * 0.485, radius, radius)
    inner = outer - np.array([0, sign * 0.22, 0])
    brush.solid(inner, TYRE)
    for i in range(len(outer)):
        j = (i + 1) % len(outer)
        brush.solid(np.stack([outer[i], outer[j], inner[j], inner[i]]), TYRE)
    brush.solid(outer, TYRE)


def _draw_wheel(
    brush: Brush, skin: Skin, style: CarStyle, paint: Paint, *, axle_x: float, sign: int
) -> None:
    """Draw a wheel in its arch on a flank that is seen."""
    radius = skin.body.wheel_m
    y = sign * skin.body.width_m * 0.492
    arch = _circle(axle_x, y, radius * 1.2, radius * 1.02)
    arch[:, 2] = np.maximum(arch[:, 2], skin.bottom_m(axle_x) - 0.03)
    if style.cladding > 0:
        rim = _circle(axle_x, y, radius * 1.36, radius * 1.02)
        rim[:, 2] = np.maximum(rim[:, 2], skin.bottom_m(axle_x) - 0.01)
        brush.solid(rim, PLASTIC)
    brush.solid(arch, WELL)
    brush.solid(_circle(axle_x, y, radius, radius), TYRE)
    brush.solid(_circle(axle_x, y, radius * 0.70, radius), CHROME)
    brush.solid(_circle(axle_x, y, radius * 0.655, radius), (36, 37, 40))
    for part in rim_polygons(style.rim, style.spokes, paint.wheel_turn):
        x, z = (part * radius * 0.66).T
        brush.solid(np.stack([axle_x + x, np.full_like(x, y), radius + z], -1), paint.rim)
    brush.solid(_circle(axle_x, y, radius * 0.09, radius), (90, 92, 96))


def _draw_flank(brush: Brush, skin: Skin, style: CarStyle, sign: int) -> None:
    """Draw doors, handles, the crease and the sill of one side."""
    front_x, rear_x = skin.axle_x_m()
    clear_m = skin.body.wheel_m * 1.3
    v = np.linspace(0.1, 0.99, 12)
    x_sill = np.linspace(rear_x, front_x, 14)
    sill_v = max(0.09, style.cladding)
    sill = np.concatenate([skin.side(x_sill, 0.0, sign), skin.side(x_sill[::-1], sill_v, sign)])
    brush.solid(sill, PLASTIC if style.cladding else (30, 30, 32, 120))
    ends = _door_ends(skin)
    for number, x in enumerate(ends):
        bend = 0.10 * np.sin(np.pi * v) * (1 if number == 0 else 0.4)
        brush.stroke(skin.side(x + bend, v, sign), SEAM, width_m=0.016)
    brush.stroke(skin.side(np.linspace(ends[-1], ends[0], 9), 0.1, sign), SEAM, width_m=0.014)
    x_crease = np.linspace(rear_x - clear_m * 0.8, front_x + clear_m * 0.7, 24)
    crease = skin.side(x_crease, style.crease + 0.03 * (x_crease / skin.half_length_m), sign)
    brush.stroke(crease, (10, 10, 12, 70), width_m=0.025)
    brush.stroke(crease + np.array([0, 0, 0.018]), (255, 255, 255, 60), width_m=0.018)
    for left in ends[1:]:
        handle = skin.side(np.linspace(left + 0.08, left + 0.24, 4), 0.84, sign)
        brush.stroke(handle - np.array([0, 0, 0.012]), (12, 12, 14, 130), width_m=0.04)
        brush.stroke(handle, (205, 208, 212, 230), width_m=0.022)
    cap = skin.side(rear_x - 0.12 + 0.055 * np.cos(CIRCLE), 0.80 + 0.08 * np.sin(CIRCLE), sign)
    brush.stroke(np.concatenate([cap, cap[:1]]), (16, 16, 18, 90), width_m=0.01)


def _door_ends(skin: Skin) -> list[float]:
    """Return where the door gaps are, from the front one backward."""
    front_x, rear_x = skin.axle_x_m()
    reach = skin.body.wheel_m * 1.3
    first = front_x - reach - 0.02
    last = rear_x + reach * (0.55 if skin.body.doors > 2 else 1.0)
    if skin.body.roof == "bed":
        last = skin.half_length_m * skin.body.rear_base + 0.06
    if skin.body.doors == 2:
        return [first, max(last, first - 1.35)]
    return [first, (first + last) / 2 + 0.04, last]


def _draw_deck_lines(brush: Brush, skin: Skin) -> None:
    """Draw the bonnet's edges."""
    length = skin.body.length_m
    start = (1 + skin.body.cowl) / 2 + 0.01
    t = np.linspace(start, 0.985, 10)
    if length < 3.5:
        return
    for u in (-0.84, 0.84):
        line = skin.deck(t, u)
        if brush.sees(np.concatenate([line, skin.deck(t[::-1], u * 0.9)])):
            brush.stroke(line, (14, 14, 16, 110), width_m=0.014)


def _draw_glass(brush: Brush, skin: Skin, style: CarStyle, paint: Paint) -> None:
    """Draw side windows, windscreen and rear window."""
    body = skin.body
    windows = [(0.07, 0.46), (0.50, 0.95)] if body.doors > 2 else [(0.10, 0.50), (0.53, 0.95)]
    if body.rear_base < -0.9 and body.length_m > 4.2 and body.doors > 2:  # three side windows
        windows = [(0.05, 0.31), (0.345, 0.63), (0.66, 0.96)]
    if body.roof == "bed":
        windows = [(0.08, 0.44), (0.49, 0.95)]
    top = GLASS if paint.is_tinted else GLASS_TOP
    frame = CHROME if style.frame == "chrome" else RUBBER
    for sign in (1, -1):
        for first, last in windows:
            t, v = np.meshgrid(np.linspace(first, last, 7), np.linspace(0.10, 0.86, 19))
            _draw_pane(brush, skin.house(t, v, sign), top, frame)
        u, v = np.meshgrid(np.linspace(-0.88, 0.88, 9), np.linspace(0.08, 0.92, 23))
        if sign < 0 and skin.body.roof != "bed":
            v = 0.22 + 0.66 * (v - 0.08) / 0.84
        _draw_pane(brush, skin.screen(u, v, sign), top, RUBBER)
    wiper = skin.screen(np.linspace(-0.6, 0.1, 6), np.linspace(0.09, 0.15, 6), 1)
    if brush.camera.position_m[0] > skin.half_length_m:
        brush.stroke(wiper, (8, 8, 10, 200), width_m=0.02)


def _draw_pane(
    brush: Brush, grid_IJ3: NDArray[Any], top: tuple[float, ...], frame: tuple[float, ...]
) -> None:
    """Draw one window: dark below, the sky's reflection above, one bright streak across."""
    edge = np.concatenate([grid_IJ3[0], grid_IJ3[1:, -1], grid_IJ3[-1, ::-1], grid_IJ3[::-1, 0]])
    if not brush.sees(edge):
        return
    brush.solid(edge, GLASS)
    brush.stroke(np.concatenate([edge, edge[:1]]), frame, width_m=0.03)
    rows = len(grid_IJ3) - 1
    for row in range(rows):
        share = (row / rows) ** 1.6
        colour = [a * (1 - share) + b * share for a, b in zip(GLASS, top, strict=True)]
        strip = np.concatenate([grid_IJ3[row], grid_IJ3[row + 1, ::-1]])
        brush.solid(strip, colour)
    columns = grid_IJ3.shape[1]
    left, right = columns // 3, columns // 2 + 1
    streak = np.stack(
        [grid_IJ3[0, left], grid_IJ3[0, left + 1], grid_IJ3[-1, right], grid_IJ3[-1, right - 1]]
    )
    brush.solid(streak, (225, 235, 245, 40))


def _draw_bed(brush: Brush, skin: Skin) -> None:
    """Draw the open box of a pickup."""
    end_t = (1 + skin.body.rear_base) / 2 - 0.01
    t = np.linspace(0.025, end_t, 10)
    ring = np.concatenate([skin.deck(t, 0.9), skin.deck(t[::-1], -0.9)])
    brush.solid(ring, (34, 34, 37))
    inside = np.concatenate([skin.deck(t, 0.82), skin.deck(t[::-1], -0.82)])
    brush.solid(inside, (20, 20, 22))


def _draw_cockpit(brush: Brush, skin: Skin) -> None:
    """Draw the open top: a dark tub, seats, and the frame of the windscreen."""
    body = skin.body
    rear_t, front_t = (1 + body.rear_base) / 2 + 0.05, (1 + body.cowl) / 2 - 0.02
    t = np.linspace(rear_t, front_t, 10)
    tub = np.concatenate([skin.deck(t, 0.86), skin.deck(t[::-1], -0.86)])
    brush.solid(tub, (24, 22, 22))
    seats = [(x, y) for x in (-0.55, 0.1) for y in (-0.36, 0.36)]
    seats.sort(key=lambda at: -float(brush.camera.depth(np.array([at[0], at[1], 1.0]))))
    u, v = np.meshgrid(np.linspace(-0.98, 0.98, 9), np.linspace(0.0, 0.97, 6))
    pane = skin.screen(u, v, 1)
    edge = np.concatenate([pane[0], pane[1:, -1], pane[-1, ::-1], pane[::-1, 0]])
    is_behind = brush.camera.position_m[0] < 0
    if is_behind:
        _draw_frame(brush, edge)
    for x, y in seats:
        _draw_seat(brush, x, y, body.belt_m)
    if not is_behind:
        _draw_frame(brush, edge)


def _draw_seat(brush: Brush, x: float, y: float, belt_m: float) -> None:
    """Draw the part of a seat that stands above the doors."""
    base, top = belt_m - 0.05, belt_m + 0.22
    for half, low, high in ((0.22, base, top), (0.12, top + 0.02, top + 0.16)):
        for dx in (-0.08, 0.0):
            corners = [(x + dx, y - half, low), (x + dx, y + half, low)]
            corners += [(x + dx - 0.05, y + half, high), (x + dx - 0.05, y - half, high)]
            brush.solid(np.array(corners), (70, 58, 50) if dx else (92, 76, 64))
        flank = [(x, y, low), (x - 0.1, y, low), (x - 0.15, y, high), (x - 0.05, y, high)]
        brush.solid(np.array(flank), (78, 64, 54))


def _draw_frame(brush: Brush, edge_P3: NDArray[Any]) -> None:
    """Draw a windscreen that one can look through."""
    brush.solid(edge_P3, (150, 170, 185, 120))
    brush.stroke(np.concatenate([edge_P3, edge_P3[:1]]), (30, 31, 34), width_m=0.05)


def _draw_mirror(brush: Brush, skin: Skin, paint: Paint, sign: int) -> None:
    """Draw a door mirror."""
    x = skin.half_length_m * (skin.body.cowl - 0.13)
    y = sign * (skin.body.width_m / 2 + 0.07)
    z = float(skin.top_m(x)) + 0.09
    across = np.sign(np.cos(CIRCLE)) * np.abs(np.cos(CIRCLE)) ** 0.5  # a rounded box
    upward = np.sign(np.sin(CIRCLE)) * np.abs(np.sin(CIRCLE)) ** 0.5
    face = np.stack([np.full_like(across, x), y + 0.10 * across, z + 0.062 * upward], -1)
    flank = np.stack([x + 0.07 * across, np.full_like(across, y), z + 0.055 * upward], -1)
    dark = tuple(v * 0.62 for v in paint.colour)
    foot = np.array([[x, y - sign * 0.10, z - 0.08], [x, y, z - 0.05]])
    brush.stroke(foot, PLASTIC, width_m=0.05)
    brush.solid(face, dark)
    brush.solid(flank, dark)
    brush.solid(flank + np.array([0, 0, 0.015]), paint.colour)
