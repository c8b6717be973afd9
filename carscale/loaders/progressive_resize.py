"""Progressive resizing: small squares first, as a function of the step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from carscale import config


NUM_STAGES = 4
MULTIPLE_PX = 16
"""Sides on the way are multiples of this."""


@dataclass(frozen=True)
class ResizeSchedule:
    """Sides of the square by stage.

    Attributes:
        sides: Of each stage, ascending.
        ends: The step after which each stage but the last ends.
    """

    sides: tuple[int, ...]
    ends: tuple[int, ...]


def resize_schedule(cfg: config.Recipe, num_samples: int) -> ResizeSchedule | None:
    """Return four stages of equal length from ``train.grow_from_px`` to ``data.image_px``.

    Args:
        cfg: The recipe's settings.
        num_samples: Train samples.

    Returns:
        The stages that differ, or ``None`` where ``train.grow_from_px`` is 0.

    Reference:
        Tan and Le 2021, https://arxiv.org/abs/2104.00298, algorithm 1 (sizes; regularisation
        stays as it is).

    Example:
        >>> from carscale.config import Data, Recipe, Train
        >>> cfg = Recipe(data=Data(image_px=224), train=Train(num_epochs=8, grow_from_px=128))
        >>> resize_schedule(cfg, num_samples=640)
        ResizeSchedule(sides=(128, 160, 192, 224), ends=(20, 40, 60))
    """
    last, first = cfg.data.image_px, cfg.train.grow_from_px
    if not first:
        return None
    num_steps = cfg.num_steps(num_samples)
    at = [first + (last - first) * stage / (NUM_STAGES - 1) for stage in range(NUM_STAGES)]
    sides = [int(side) // MULTIPLE_PX * MULTIPLE_PX for side in at[:-1]] + [last]
    ends = [num_steps * stage // NUM_STAGES for stage in range(1, NUM_STAGES)]
    kept = [stage for stage in range(NUM_STAGES) if sides[stage] not in sides[stage + 1 :]]
    return ResizeSchedule(
        tuple(max(MULTIPLE_PX, sides[stage]) for stage in kept),
        tuple(ends[stage] for stage in kept[:-1]),
    )
