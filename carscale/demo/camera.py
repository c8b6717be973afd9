"""Where the camera stands and what it sees: points in metres to points in pixels.

World: x forward along the car, y to its left, z up from the ground, metres. Shape legend: ``...3``
any number of points.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Camera:
    """A pinhole camera that circles the car.

    Args:
        azimuth_deg: 0 sees the nose, 90 the car's left side, 180 the tail.
        elevation_deg: Angle of the view down onto the car.
        distance_m: From the camera to ``target_m``.
        roll_deg: Tilt of the picture.
        target_m: The point looked at, height above the ground at the car's middle.
        focal_px: Pixels for one metre at one metre's distance.
        center_px: Where ``target_m`` lands in the picture, (x, y).

    Example:
        >>> Camera(azimuth_deg=90).project(np.array([[0.0, 0.0, 0.7]])).round(6).shape
        (1, 2)
    """

    azimuth_deg: float
    elevation_deg: float = 6.0
    distance_m: float = 9.0
    roll_deg: float = 0.0
    target_m: float = 0.7
    focal_px: float = 1.0
    center_px: tuple[float, float] = (0.0, 0.0)

    @cached_property
    def _axes(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Return position, right, up, forward."""
        azimuth, elevation, roll = np.radians([self.azimuth_deg, self.elevation_deg, self.roll_deg])
        out = np.array(
            [
                np.cos(elevation) * np.cos(azimuth),
                np.cos(elevation) * np.sin(azimuth),
                np.sin(elevation),
            ]
        )
        level = np.array([-np.sin(azimuth), np.cos(azimuth), 0.0])
        upright = np.cross(level, -out)
        right = np.cos(roll) * level + np.sin(roll) * upright
        position = np.array([0, 0, self.target_m]) + self.distance_m * out
        return position, right, np.cross(right, -out), -out

    @property
    def position_m(self) -> NDArray[Any]:
        """Return where the camera stands, float ``[3]``."""
        return self._axes[0]

    def depth(self, points_m: NDArray[Any]) -> NDArray[Any]:
        """Return how far ahead of the camera points ``[..., 3]`` are, metres ``[...]``."""
        position, _, _, forward = self._axes
        return (points_m - position) @ forward

    def project(self, points_m: NDArray[Any]) -> NDArray[Any]:
        """Return points ``[..., 3]`` in pixels ``[..., 2]``, x right and y down."""
        position, right, up, forward = self._axes
        seen = np.asarray(points_m, float) - position
        depth = np.maximum(seen @ forward, 0.05)
        x = self.center_px[0] + self.focal_px * (seen @ right) / depth
        y = self.center_px[1] - self.focal_px * (seen @ up) / depth
        return np.stack([x, y], -1)

    def horizon_px(self) -> float:
        """Return the height of the horizon in the middle of the picture, pixels from the top."""
        position = self.position_m
        away = -position * np.array([1, 1, 0])
        far = position + away / np.linalg.norm(away) * 1e5
        return float(self.project(far)[1])

    def fitted(
        self,
        points_m: NDArray[Any],
        *,
        width_px: float,
        height_px: float,
        center_px: tuple[float, float],
    ) -> "Camera":
        """Return the camera zoomed so that the points fill a box about ``center_px``.

        Args:
            points_m: What must fit, float ``[P, 3]``.
            width_px: Width of the box.
            height_px: Height of the box; the tighter of the two rules.
            center_px: Middle of the box, (x, y).

        Returns:
            The same viewpoint with another focal length and centre.
        """
        unit = replace(self, focal_px=1.0, center_px=(0.0, 0.0)).project(points_m)
        low, high = unit.min(0), unit.max(0)
        focal_px = float(min(width_px / (high - low)[0], height_px / (high - low)[1]))
        middle = (low + high) / 2 * focal_px
        shifted = (center_px[0] - float(middle[0]), center_px[1] - float(middle[1]))
        return replace(self, focal_px=focal_px, center_px=shifted)
