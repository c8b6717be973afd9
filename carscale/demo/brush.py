"""Paint in three dimensions: lit panels, and flat marks that lie on a surface and face the camera.

Shape legend: Q panels of 4 corners, P points, 3 is (x, y, z) in metres, C red, green, blue 0..255.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carscale.demo.camera import Camera
from carscale.images.canvas import Canvas, Colour

CORE_M = 1.1  # half the length of the inner axis that surfaces point away from


@dataclass(frozen=True)
class Light:
    """What falls on the car. Colours are 0..255 at full strength."""

    sun_3: tuple[float, float, float] = (0.3, 0.4, 0.85)
    sun: float = 0.6
    ambient: float = 0.6
    sky: tuple[float, float, float] = (205, 222, 240)
    ground: tuple[float, float, float] = (96, 94, 90)


@dataclass(frozen=True)
class Brush:
    """A canvas, seen through a camera, under a light."""

    canvas: Canvas
    camera: Camera
    light: Light

    def panels(self, panels_Q43: NDArray[Any], paint: Colour, *, gloss: float) -> None:
        """Paint lit panels that face the camera, the farthest first.

        Args:
            panels_Q43: Corners in metres.
            paint: The colour itself, red, green, blue.
            gloss: Share of the surroundings that the paint mirrors, 0..1.
        """
        centers_Q3 = panels_Q43.mean(1)
        normals_Q3 = _outward(panels_Q43, centers_Q3)
        eye_Q3 = self.camera.position_m - centers_Q3
        eye_Q3 /= np.linalg.norm(eye_Q3, axis=1, keepdims=True)
        faces_Q = (normals_Q3 * eye_Q3).sum(1)
        colours_QC = self._lit(normals_Q3, eye_Q3, faces_Q, np.asarray(paint, float), gloss)
        order = np.argsort(-self.camera.depth(centers_Q3), kind="stable")
        order = order[faces_Q[order] > -0.02]
        self.canvas.quads(self.camera.project(panels_Q43[order]), colours_QC[order])

    def face(self, points_P3: NDArray[Any], colour: Colour) -> None:
        """Fill a polygon on the car's surface, if that side of the car is seen."""
        if self.sees(points_P3):
            self.canvas.polygon(self.camera.project(points_P3), self._dim(colour))

    def stroke(self, points_P3: NDArray[Any], colour: Colour, *, width_m: float) -> None:
        """Draw a line whose width is given at its middle, whether it faces the camera or not."""
        depth = float(self.camera.depth(points_P3.mean(0)))
        width_px = self.camera.focal_px * width_m / max(depth, 0.1)
        self.canvas.line(self.camera.project(points_P3), self._dim(colour), width_px=width_px)

    def solid(self, points_P3: NDArray[Any], colour: Colour) -> None:
        """Fill a polygon that has no back."""
        self.canvas.polygon(self.camera.project(points_P3), self._dim(colour))

    def sees(self, points_P3: NDArray[Any]) -> bool:
        """Return whether a polygon on the car's surface faces the camera."""
        center = points_P3.mean(0)
        nexts_P3 = np.roll(points_P3, -1, 0)
        normal = np.cross(points_P3 - center, nexts_P3 - center).sum(0)
        if normal @ (center - _core(center[None])[0]) < 0:
            normal = -normal
        return float(normal @ (self.camera.position_m - center)) > 0

    def _dim(self, colour: Colour) -> tuple[float, ...]:
        """Return a mark's colour under this light; opacity stays."""
        level = min(1.1, self.light.ambient + 0.55 * self.light.sun)
        return (*(v * level for v in colour[:3]), *colour[3:])

    def _lit(
        self,
        normals_Q3: NDArray[Any],
        eye_Q3: NDArray[Any],
        faces_Q: NDArray[Any],
        paint_C: NDArray[Any],
        gloss: float,
    ) -> NDArray[Any]:
        """Return the colour of each panel: daylight, sun, mirrored surroundings, highlight."""
        light = self.light
        sun_3 = np.asarray(light.sun_3) / np.linalg.norm(light.sun_3)
        diffuse_Q = np.maximum(0, normals_Q3 @ sun_3)
        upward_Q = 0.5 + 0.5 * normals_Q3[:, 2]
        level_Q = light.ambient * (0.42 + 0.58 * upward_Q) + light.sun * diffuse_Q
        mirror_Q3 = 2 * faces_Q[:, None] * normals_Q3 - eye_Q3
        share_Q = np.clip((mirror_Q3[:, 2] + 0.12) / 0.3, 0, 1)[:, None]
        around_QC = share_Q * np.asarray(light.sky) + (1 - share_Q) * np.asarray(light.ground)
        grazing_Q = 0.35 + 0.65 * (1 - np.clip(faces_Q, 0, 1)) ** 2
        weight_Q1 = (gloss * grazing_Q)[:, None]
        shine_Q = np.maximum(0, mirror_Q3 @ sun_3) ** 24 * 190 * light.sun * gloss * 2
        body_QC = paint_C * level_Q[:, None]
        around_QC = around_QC * (light.ambient + 0.5 * light.sun)
        return body_QC * (1 - weight_Q1) + around_QC * weight_Q1 + shine_Q[:, None]


def _core(points_Q3: NDArray[Any]) -> NDArray[Any]:
    """Return the nearest point of the car's inner axis, from which surfaces point away."""
    core_Q3 = np.zeros_like(points_Q3)
    core_Q3[:, 0] = np.clip(points_Q3[:, 0], -CORE_M, CORE_M)
    core_Q3[:, 2] = 0.62
    return core_Q3


def _outward(panels_Q43: NDArray[Any], centers_Q3: NDArray[Any]) -> NDArray[Any]:
    """Return unit normals that point away from the car."""
    normals_Q3 = np.cross(panels_Q43[:, 2] - panels_Q43[:, 0], panels_Q43[:, 3] - panels_Q43[:, 1])
    normals_Q3 /= np.linalg.norm(normals_Q3, axis=1, keepdims=True) + 1e-9
    sign_Q = np.sign((normals_Q3 * (centers_Q3 - _core(centers_Q3))).sum(1))
    return normals_Q3 * np.where(sign_Q == 0, 1, sign_Q)[:, None]
