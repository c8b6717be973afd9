"""Where in a photo the car is: learned from where cars stand in all photos.

Axes: N photos, h and w cells of a feature map, D features, M cells that are car for sure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHRINK = 0.1
"""Of the mean variance, added to each feature's: few photos are enough then."""
SURE = 1.0
"""Log odds beyond which a cell teaches in the second round."""
LOW = 1.0
"""Added to the log odds of each cell: roofs and glass look like what is behind them."""
TEMPER = 2.5
"""What log odds are divided by: neighbouring cells say the same."""


@dataclass(frozen=True, eq=False)
class CarPlaces:
    """A linear rule on feature maps.

    Attributes:
        mean_D, scale_D: Of each feature over all cells.
        weight_D, bias: Of the log odds that a cell shows the car.
    """

    mean_D: NDArray[np.float32]
    scale_D: NDArray[np.float32]
    weight_D: NDArray[np.float32]
    bias: float


def fit_places(features_NhwD: NDArray[np.float32]) -> CarPlaces:
    """Learn what cells of a car look like, from where cars stand.

    The middle of a photo is car mostly, its corners are not. A linear discriminant between their
    features, over many photos, finds cars elsewhere too. It is fitted twice: the second time on the
    cells of which the first is sure.

    Args:
        features_NhwD: Feature maps of at least 20 photos, with nothing of the network's padding.

    Raises:
        ValueError: Fewer photos, or maps of less than 6 x 6 cells.

    Reference:
        Fisher 1936, https://doi.org/10.1111/j.1469-1809.1936.tb02137.x (the discriminant); photos'
        borders as background: Zhu et al. 2014, https://doi.org/10.1109/CVPR.2014.360.
    """
    num_photos, height, width, _ = features_NhwD.shape
    if num_photos < 20 or min(height, width) < 6:
        raise ValueError(
            f"features_NhwD must be of 20 photos or more and 6 x 6 cells, got {features_NhwD.shape}"
        )
    mean_D = features_NhwD.mean(axis=(0, 1, 2), dtype=np.float64).astype(np.float32)
    scale_D = (features_NhwD.std(axis=(0, 1, 2), dtype=np.float64) + 1e-6).astype(np.float32)
    cells_NhwD = (features_NhwD - mean_D) / scale_D
    middle_hw, rim_hw = _usual_places(height, width)
    parts = cells_NhwD[:, middle_hw], cells_NhwD[:, rim_hw]
    for _ in range(2):
        car_MD, ground_MD = (part.reshape(-1, part.shape[-1]) for part in parts)
        weight_D, bias = _discriminant(car_MD, ground_MD)
        odds_Nhw = cells_NhwD @ weight_D + bias
        parts = cells_NhwD[odds_Nhw > SURE], cells_NhwD[odds_Nhw < -SURE]
        if min(map(len, parts)) < 2 * num_photos:
            break  # hardly a cell is sure: the first round stands
    return CarPlaces(mean_D, scale_D, weight_D, bias)


def car_probability(places: CarPlaces, features_NhwD: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how probable it is that each cell shows the car, ``[N, h, w]`` in [0, 1]."""
    odds_Nhw = (features_NhwD - places.mean_D) / places.scale_D @ places.weight_D + places.bias
    tempered_Nhw = np.clip((odds_Nhw + LOW) / TEMPER, -30, 30)
    return np.asarray(1 / (1 + np.exp(-tempered_Nhw)), dtype=np.float32)


def _usual_places(height: int, width: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return the cells that are car in most photos, and those that are not."""
    down_hw, across_hw = np.mgrid[:height, :width].astype(np.float64)
    down_hw, across_hw = (down_hw + 0.5) / height, (across_hw + 0.5) / width
    middle_hw = np.hypot((across_hw - 0.5) / 0.5, (down_hw - 0.55) / 0.45) < 0.6
    is_side_hw = np.abs(across_hw - 0.5) > 1 / 3
    is_corner_hw = is_side_hw & ((down_hw < 0.2) | (down_hw > 1 - 1 / height))
    return middle_hw, is_corner_hw


def _discriminant(
    car_MD: NDArray[np.float32], ground_MD: NDArray[np.float32]
) -> tuple[NDArray[np.float32], float]:
    """Return weights and bias of the linear discriminant between two sets of cells."""
    between_D = car_MD.mean(axis=0, dtype=np.float64) - ground_MD.mean(axis=0, dtype=np.float64)
    within_DD = sum(np.cov(part_MD.T, bias=True) * len(part_MD) for part_MD in (car_MD, ground_MD))
    within_DD = np.asarray(within_DD) / (len(car_MD) + len(ground_MD))
    within_DD = within_DD + SHRINK * np.trace(within_DD) / len(within_DD) * np.eye(len(within_DD))
    weight_D = np.linalg.solve(within_DD, between_D)
    half_way_D = (
        car_MD.mean(axis=0, dtype=np.float64) + ground_MD.mean(axis=0, dtype=np.float64)
    ) / 2
    return weight_D.astype(np.float32), float(-weight_D @ half_way_D)
