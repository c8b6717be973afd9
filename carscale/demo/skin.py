"""Turn a ``Body`` into a surface: where its points lie, and the panels to paint.

A lower body (side, ends, deck) carries a greenhouse (pillars, roof). Places on it: ``u`` -1..1
across the car, ``v`` 0..1 from the lower to the upper edge, ``t`` 0..1 from the tail to the nose.
Shape legend: Q panels of 4 corners, 3 is (x, y, z) in metres.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from carscale.demo.bodies import Body

SECTION_V = [0, 0.08, 0.3, 0.55, 0.74, 0.9, 0.97, 1.0]
SECTION_Y = [0.86, 0.95, 1.0, 1.0, 0.975, 0.95, 0.92, 0.88]
NOSE_BOW_M, TAIL_BOW_M = 0.30, 0.16


@dataclass(frozen=True)
class Skin:
    """The surface of one car.

    Example:
        >>> from carscale.demo.bodies import BODIES
        >>> Skin(BODIES["Sedan"]).side(0.0, 0.5, 1).shape
        (3,)
    """

    body: Body

    @property
    def half_length_m(self) -> float:
        """Return half of the car's length."""
        return self.body.length_m / 2

    def top_m(self, x_m: ArrayLike) -> NDArray[Any]:
        """Return the height of the lower body's upper edge at ``x_m``."""
        body = self.body
        places = [-1, -0.93, min(body.rear_base, -0.6), body.cowl, 0.86, 0.97, 1]
        nose = body.nose_m
        front = nose + 0.35 * (body.belt_m - nose)
        heights = [
            body.tail_m - 0.06,
            body.tail_m,
            body.tail_m,
            body.belt_m,
            front,
            nose,
            nose - 0.04,
        ]
        if body.cowl > 0.8:  # no bonnet to speak of
            places, heights = (
                [-1, -0.95, body.cowl, 1],
                [body.tail_m, body.tail_m, body.belt_m, nose],
            )
        return np.interp(np.asarray(x_m, float) / self.half_length_m, places, heights)

    def bottom_m(self, x_m: ArrayLike) -> NDArray[Any]:
        """Return the height of the lower edge at ``x_m``; it rises under nose and tail."""
        share = np.abs(np.asarray(x_m, float)) / self.half_length_m
        return self.body.sill_m + 0.10 * np.maximum(0, share - 0.7) / 0.3

    def side(self, x_m: ArrayLike, v: ArrayLike, sign: int) -> NDArray[Any]:
        """Return points of the left (``sign`` 1) or right (-1) flank."""
        x, v = np.broadcast_arrays(np.asarray(x_m, float), np.asarray(v, float))
        y = sign * self._half_width(x) * np.interp(v, SECTION_V, SECTION_Y)
        z = self.bottom_m(x) + (self.top_m(x) - self.bottom_m(x)) * v
        return np.stack([x, y, z], -1)

    def end(self, u: ArrayLike, v: ArrayLike, sign: int) -> NDArray[Any]:
        """Return points of the front (``sign`` 1) or the rear (-1)."""
        u, v = np.broadcast_arrays(np.asarray(u, float), np.asarray(v, float))
        corner = self._end_x(np.ones_like(v), v, sign)
        x = self._end_x(u, v, sign)
        y = u * self._half_width(corner) * np.interp(v, SECTION_V, SECTION_Y)
        z = self.bottom_m(x) + (self.top_m(x) - self.bottom_m(x)) * v
        return np.stack([x, y, z], -1)

    def deck(self, t: ArrayLike, u: ArrayLike) -> NDArray[Any]:
        """Return points of the bonnet, the boot lid and what lies between."""
        t, u = np.broadcast_arrays(np.asarray(t, float), np.asarray(u, float))
        one = np.ones_like(t)
        x = self._end_x(u, one, -1) * (1 - t) + self._end_x(u, one, 1) * t
        y = u * self._half_width(x) * SECTION_Y[-1]
        z = self.top_m(x) + 0.06 * (1 - u**2) * np.minimum(1, 8 * t * (1 - t))
        return np.stack([x, y, z], -1)

    def house(self, t: ArrayLike, v: ArrayLike, sign: int) -> NDArray[Any]:
        """Return points of the greenhouse's left or right side; ``v`` 1 is the roof's edge."""
        t, v = np.broadcast_arrays(np.asarray(t, float), np.asarray(v, float))
        rear, front = self._house_x(v)
        x = rear * (1 - t) + front * t
        share = 0.875 + (self.body.roof_share - 0.875) * v**1.25
        y = sign * share * self.body.width_m / 2
        base = self.top_m(x) - 0.02
        z = base + (self._roof_m(t) - base) * v
        return np.stack([x, y, z], -1)

    def screen(self, u: ArrayLike, v: ArrayLike, sign: int) -> NDArray[Any]:
        """Return points of the windscreen (``sign`` 1) or the rear window (-1)."""
        u, v = np.broadcast_arrays(np.asarray(u, float), np.asarray(v, float))
        edge = self.house(np.full_like(v, (sign + 1) / 2), v, 1)
        bow_m = 0.14 if sign > 0 else 0.09
        x = edge[..., 0] + sign * bow_m * (1 - u**2)
        return np.stack([x, u * edge[..., 1], edge[..., 2] + 0.03 * v * (1 - u**2)], -1)

    def roof(self, t: ArrayLike, u: ArrayLike) -> NDArray[Any]:
        """Return points of the roof."""
        t, u = np.broadcast_arrays(np.asarray(t, float), np.asarray(u, float))
        one = np.ones_like(t)
        rear, front = self.screen(u, one, -1), self.screen(u, one, 1)
        points = rear * (1 - t[..., None]) + front * t[..., None]
        points[..., 2] = self._roof_m(t) + 0.03 * (1 - u**2)
        return points

    def lower_panels(self) -> NDArray[Any]:
        """Return the panels below the windows, float ``[Q, 4, 3]``."""
        share, v = np.meshgrid(np.linspace(0, 1, 27), np.linspace(0, 1, 15), indexing="ij")
        rear, front = self._end_x(np.ones_like(v), v, -1), self._end_x(np.ones_like(v), v, 1)
        x = rear * (1 - share) + front * share
        u, v_end = np.meshgrid(np.linspace(-1, 1, 15), np.linspace(0, 1, 13), indexing="ij")
        t, u_deck = np.meshgrid(np.linspace(0, 1, 25), np.linspace(-1, 1, 11), indexing="ij")
        grids = [self.side(x, v, 1), self.side(x, v, -1), self.deck(t, u_deck)]
        return _join([*grids, self.end(u, v_end, 1), self.end(u, v_end, -1)])

    def house_panels(self) -> NDArray[Any]:
        """Return the panels of the greenhouse, float ``[Q, 4, 3]``."""
        t, v = np.meshgrid(np.linspace(0, 1, 13), np.linspace(0, 1, 7), indexing="ij")
        u, v_screen = np.meshgrid(np.linspace(-1, 1, 9), np.linspace(0, 1, 7), indexing="ij")
        t_roof, u_roof = np.meshgrid(np.linspace(0, 1, 13), np.linspace(-1, 1, 9), indexing="ij")
        grids = [self.house(t, v, 1), self.house(t, v, -1), self.roof(t_roof, u_roof)]
        return _join([*grids, self.screen(u, v_screen, 1), self.screen(u, v_screen, -1)])

    def outline(self) -> NDArray[Any]:
        """Return points that span the whole car, for fitting it into a picture."""
        t, u = np.meshgrid(np.linspace(0, 1, 5), np.linspace(-1, 1, 5), indexing="ij")
        ground = self.deck(t, u) * np.array([1, 1, 0])
        parts = [self.deck(t, u), ground, self.roof(t, u)]
        return np.concatenate([part.reshape(-1, 3) for part in parts])

    def footprint(self) -> NDArray[Any]:
        """Return the car's outline on the ground, float ``[P, 3]``."""
        u = np.linspace(-1, 1, 9)
        loop = np.concatenate([self.end(u, 0.4, 1), self.end(u[::-1], 0.4, -1)])
        return loop * np.array([1, 1, 0])

    def axle_x_m(self) -> tuple[float, float]:
        """Return where the front and the rear axle stand."""
        rear = 0.56 if self.body.length_m > 3.5 else 0.62
        front = 0.60 if self.body.length_m > 3.5 else 0.64
        return front * self.half_length_m, -rear * self.half_length_m

    def _half_width(self, x_m: NDArray[Any]) -> NDArray[Any]:
        """Return half the width at ``x_m``; nose and tail are narrower."""
        share = np.abs(x_m) / self.half_length_m
        return self.body.width_m / 2 * (1 - 0.07 * share**4)

    def _end_x(self, u: NDArray[Any], v: NDArray[Any], sign: int) -> NDArray[Any]:
        """Return how far forward (or back) an end reaches."""
        bow_m = NOSE_BOW_M if sign > 0 else TAIL_BOW_M
        lean_m = 0.12 * np.maximum(0, v - 0.6) / 0.4 + 0.05 * np.maximum(0, 0.3 - v) / 0.3
        return sign * (self.half_length_m - bow_m * np.abs(u) ** 2.6 - lean_m)

    def _house_x(self, v: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return where the greenhouse starts and ends at height ``v``."""
        body, half = self.body, self.half_length_m
        bend = v**1.15
        rear = half * (body.rear_base + (body.roof_rear - body.rear_base) * bend)
        return rear, half * (body.cowl + (body.roof_front - body.cowl) * bend)

    def _roof_m(self, t: NDArray[Any]) -> NDArray[Any]:
        """Return the height of the roof's edge."""
        return self.body.height_m - 0.03 - 0.05 * (2 * t - 1.1) ** 2


def _join(grids: list[NDArray[Any]]) -> NDArray[Any]:
    """Return the cells of grids of points ``[I, J, 3]`` as panels ``[Q, 4, 3]``."""
    cells = [
        np.stack([g[:-1, :-1], g[1:, :-1], g[1:, 1:], g[:-1, 1:]], 2).reshape(-1, 4, 3)
        for g in grids
    ]
    return np.concatenate(cells)
