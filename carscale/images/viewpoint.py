"""A photo as a camera would take it that is turned on its spot."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


SLACK_PX = 0.01


def turn_camera(
    pixels_HWC: NDArray[np.uint8], yaw: float, pitch: float, roll: float
) -> NDArray[np.uint8]:
    """Return a photo as a camera would take it that is turned on its spot; no empty corners.

    Args:
        pixels_HWC: The photo, RGB.
        yaw: Degrees to the right, up to 20 either way.
        pitch: Upwards.
        roll: Clockwise.

    Returns:
        uint8, somewhat smaller: the largest upright box around the middle that is full.

    Reference:
        Hartley and Zisserman 2004, Multiple View Geometry, 8.4: x' = K R K^-1 x.

    Example:
        >>> turn_camera(np.zeros((90, 120, 3), np.uint8), 0, 0, 0).shape
        (90, 120, 3)
    """
    height, width = pixels_HWC.shape[:2]
    focal = 1.2 * max(height, width)
    camera_33 = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    turn_33 = _rotation(yaw, pitch, roll)
    matrix_33 = camera_33 @ turn_33 @ np.linalg.inv(camera_33)
    corners_42 = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)
    moved_42 = cv2.perspectiveTransform(corners_42[None], matrix_33)[0]
    left, top, right, bottom = _inner_box(moved_42, width / height)
    left, top = math.ceil(left - SLACK_PX), math.ceil(top - SLACK_PX)
    shift_33 = np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1]])
    size = (
        max(1, math.floor(right - left + SLACK_PX)),
        max(1, math.floor(bottom - top + SLACK_PX)),
    )
    turned = cv2.warpPerspective(
        pixels_HWC,
        shift_33 @ matrix_33,
        size,
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT,
    )
    return np.asarray(turned, dtype=np.uint8)


def _rotation(yaw: float, pitch: float, roll: float) -> NDArray[np.float64]:
    """Return the matrix that turns directions; degrees."""
    about_y, about_x, about_z = (math.radians(angle) for angle in (yaw, pitch, roll))
    sides = [
        cv2.Rodrigues(np.array(axis))[0]
        for axis in ((0.0, about_y, 0.0), (about_x, 0.0, 0.0), (0.0, 0.0, about_z))
    ]
    return np.asarray(sides[2] @ sides[1] @ sides[0], dtype=np.float64)


def _inner_box(corners_42: NDArray[np.float64], aspect: float) -> tuple[float, float, float, float]:
    """Return the largest box of an aspect around a quadrangle's middle that lies in it."""
    middle = corners_42.mean(axis=0)
    contour = corners_42.astype(np.float32)[:, None]

    def is_in(half: float) -> bool:
        box = [(x, y) for x in (-half * aspect, half * aspect) for y in (-half, half)]
        return all(
            cv2.pointPolygonTest(contour, (float(middle[0] + x), float(middle[1] + y)), True)
            > -SLACK_PX
            for x, y in box
        )

    low, high = 0.0, float(np.ptp(corners_42, axis=0).max())
    for _ in range(40):
        half = (low + high) / 2
        low, high = (half, high) if is_in(half) else (low, half)
    return (
        float(middle[0] - low * aspect),
        float(middle[1] - low),
        float(middle[0] + low * aspect),
        float(middle[1] + low),
    )
