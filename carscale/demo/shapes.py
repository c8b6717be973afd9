"""Outlines of lamps, grilles, tail lamps and rims in a unit square -1..1: a make's handwriting.

Each function returns a list of polygons, float ``[P, 2]``; x points outward from the car's middle,
y up. To add a shape, write it into the dict and name it in ``makes.py``.
"""

import numpy as np
from numpy.typing import NDArray

Polygon = NDArray[np.floating]


def _disc(x: float = 0, y: float = 0, rx: float = 1, ry: float = 1, points: int = 20) -> Polygon:
    """Return an ellipse."""
    angle = np.linspace(0, 2 * np.pi, points, endpoint=False)
    return np.stack([x + rx * np.cos(angle), y + ry * np.sin(angle)], -1)


def _poly(*corners: tuple[float, float]) -> Polygon:
    """Return a polygon with points along its sides, so that it can follow a curved surface."""
    ends = np.array(corners, float)
    share = np.linspace(0, 1, 5, endpoint=False)[None, :, None]
    nexts = np.roll(ends, -1, 0)
    return (ends[:, None] * (1 - share) + nexts[:, None] * share).reshape(-1, 2)


def _box(x0: float, y0: float, x1: float, y1: float) -> Polygon:
    """Return a rectangle."""
    return _poly((x0, y0), (x1, y0), (x1, y1), (x0, y1))


LAMPS: dict[str, list[Polygon]] = {
    "tear": [_poly((-1, -0.6), (-0.4, -1), (0.7, -0.7), (1, 0.5), (0.9, 1), (0, 0.6))],
    "double": [_disc(-0.5, 0, 0.48, 0.95), _disc(0.5, 0.05, 0.48, 0.95)],
    "slit": [_poly((-1, -0.7), (0.8, -0.2), (1, 0.9), (-0.6, 0.5))],
    "round": [_disc()],
    "block": [_poly((-1, -1), (1, -0.9), (1, 0.9), (-1, 1))],
    "boomerang": [
        _poly((-1, 0.2), (0.5, 0.3), (0.4, -1.2), (0.9, -1.1), (1, 1), (-0.9, 0.9)),
    ],
    "stack": [_poly((-1, 0.25), (1, 0.3), (1, 1), (-1, 0.9)), _box(-1, -1, 0.9, -0.35)],
    "wedge": [_poly((-1, -0.9), (1, 0.2), (1, 1), (-0.7, 0.1))],
}
GRILLES: dict[str, list[Polygon]] = {
    "none": [],
    "trapezoid": [_poly((-0.7, -1), (0.7, -1), (1, 1), (-1, 1))],
    "kidneys": [
        _poly((-1, -0.5), (-0.75, -1), (-0.2, -1), (-0.1, 0.6), (-0.3, 1), (-0.9, 1)),
        _poly((1, -0.5), (0.75, -1), (0.2, -1), (0.1, 0.6), (0.3, 1), (0.9, 1)),
    ],
    "slot": [_poly((-0.9, -1), (0.9, -1), (1, 1), (-1, 1))],
    "slats": [_poly((-0.95, -1), (0.95, -1), (1, 1), (-1, 1))],
    "bars": [_poly((-0.92, -1), (0.92, -1), (1, 0.7), (0.9, 1), (-0.9, 1), (-1, 0.7))],
    "hexagon": [_poly((-0.6, -1), (0.6, -1), (1, 0.2), (0.7, 1), (-0.7, 1), (-1, 0.2))],
    "oval": [_disc()],
    "shield": [_poly((0, -1), (0.75, -0.3), (1, 1), (-1, 1), (-0.75, -0.3))],
}
TAILS: dict[str, list[Polygon]] = {
    "wedge": [_poly((-1, 0.1), (1, -1), (1, 1), (-0.8, 0.8))],
    "ell": [_poly((-1, 0.1), (0.2, 0.1), (0.3, -1), (1, -1), (1, 1), (-1, 1))],
    "bar": [_poly((-4.4, -0.5), (1, -0.9), (1, 1), (-4.4, 0.5))],
    "block": [_box(-1, -1, 1, 1)],
    "tower": [_poly((-0.7, -1), (1, -1), (1, 1.1), (0, 1.1))],
    "cee": [
        _poly((-1, 1), (1, 1), (1, -1), (-1, -1), (-1, -0.5), (0.4, -0.5), (0.4, 0.4), (-1, 0.4))
    ],
    "rounds": [_disc(-0.1, 0.55, 0.62, 0.42), _disc(-0.1, -0.5, 0.62, 0.42)],
    "slim": [_poly((-1, -1), (1, 0.1), (1, 1), (-1, 0)), _box(0.6, -2.6, 1, -0.6)],
}


def rim_polygons(rim: str, num_spokes: int, turn: float) -> list[Polygon]:
    """Return the bright parts of a rim of radius 1.

    Args:
        rim: ``five``, ``ten``, ``wye``, ``disc``, ``mesh`` or ``turbine``.
        num_spokes: Spokes, ``>= 3``; ``ten`` and ``mesh`` draw twice as many.
        turn: Angle of the first spoke, radians.

    Returns:
        Polygons, float ``[P, 2]``; all but ``disc`` leave dark gaps.

    Raises:
        ValueError: ``rim`` is none of these.

    Example:
        >>> len(rim_polygons("five", 5, 0.0))
        6
    """
    hub = _disc(0, 0, 0.22, 0.22, 10)
    if rim == "disc":
        holes = [_disc(0, 0, 0.95, 0.95, 24)]
        return holes
    widths = {
        "five": (0.20, 0.15, 0),
        "ten": (0.09, 0.07, 0),
        "mesh": (0.06, 0.05, 0.5),
        "turbine": (0.10, 0.16, 0.45),
        "wye": (0.12, 0.10, 0),
    }
    if rim not in widths:
        raise ValueError(f"rim must be one of {sorted([*widths, 'disc'])}, got {rim!r}")
    inner, outer, sweep = widths[rim]
    count = num_spokes * (2 if rim in ("ten", "mesh") else 1)
    spokes = [hub]
    for angle in turn + 2 * np.pi * np.arange(count) / count:
        if rim == "wye":
            spokes += [_spoke(angle, inner=inner, outer=0.10, sweep=0.0, end=0.55)]
            for side in (-1, 1):
                fork = {"sweep": side * 0.2, "end": 0.95, "start": 0.5}
                spokes.append(_spoke(angle + side * 0.13, inner=0.08, outer=0.07, **fork))
            continue
        spokes.append(_spoke(angle, inner=inner, outer=outer, sweep=sweep, end=0.95))
        if rim == "mesh":
            spokes.append(_spoke(angle, inner=inner, outer=outer, sweep=-sweep, end=0.95))
    return spokes


def _spoke(
    angle: float, *, inner: float, outer: float, sweep: float, end: float, start: float = 0.12
) -> Polygon:
    """Return one spoke from radius ``start`` to ``end``, its far end ``sweep`` radians further."""
    near = start * np.array([np.cos(angle), np.sin(angle)])
    far = end * np.array([np.cos(angle + sweep), np.sin(angle + sweep)])
    across = np.array([near[1] - far[1], far[0] - near[0]]) / np.hypot(*(far - near))
    return np.array(
        [near + inner * across, far + outer * across, far - outer * across, near - inner * across]
    )
