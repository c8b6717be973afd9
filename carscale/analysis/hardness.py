"""Data maps: which samples are easy, ambiguous, hard. E epochs, M train samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from carscale.analysis.result import Hardness

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from carscale.analysis.result import TrainSide


SHARE = 1 / 3
"""Of the samples that are called ambiguous; the paper's choice."""


def map_hardness(train: TrainSide) -> Hardness | None:
    """Return confidence and variability of each train sample over the epochs that showed it.

    The third with the most variable probability is ambiguous, as far as it varies at all; of the
    others those whose mean probability is below one half are hard, the rest easy. Samples that were
    never shown are left out.

    Args:
        train: With ``dynamics``; without, there is nothing to return.

    Reference:
        Swayamdipta et al. 2020, https://aclanthology.org/2020.emnlp-main.746, section 2.
    """
    if train.dynamics is None:
        return None
    prob_EM, is_right_EM = train.dynamics
    seen_M = np.isfinite(prob_EM).any(axis=0)
    prob_EM, is_right_EM = prob_EM[:, seen_M].astype(np.float64), is_right_EM[:, seen_M]
    confidence_M, variability_M = np.nanmean(prob_EM, axis=0), np.nanstd(prob_EM, axis=0)
    was_shown_EM = np.isfinite(prob_EM)
    num_right_M = (is_right_EM & was_shown_EM).sum(axis=0)
    region_M = np.where(confidence_M < 0.5, "hard", "easy").astype(object)
    num_ambiguous = round(len(region_M) * SHARE)
    most = np.argsort(-variability_M, kind="stable")[:num_ambiguous]
    region_M[most[variability_M[most] > 0]] = "ambiguous"
    return Hardness(
        ids_M=train.ids_M[seen_M],
        labels_M=train.labels_M[seen_M],
        confidence_M=confidence_M,
        variability_M=variability_M,
        correctness_M=num_right_M / np.maximum(1, was_shown_EM.sum(axis=0)),
        forgotten_M=count_forgotten(is_right_EM, was_shown_EM),
        region_M=region_M,
        num_epochs=len(prob_EM),
    )


def count_forgotten(
    is_right_EM: NDArray[np.bool_], was_shown_EM: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Return how often a sample that was right is wrong the next time it is shown.

    Args:
        is_right_EM: Whether the prediction was right, epoch by epoch.
        was_shown_EM: Whether the sample was shown in the epoch at all.

    Returns:
        int64 ``[M]``; -1 for a sample that was never right.

    Reference:
        Toneva et al. 2019, https://arxiv.org/abs/1812.05159, definition 2.1.

    Example:
        >>> right = np.array([[True, False], [False, False], [True, False], [False, False]])
        >>> count_forgotten(right, np.ones_like(right)).tolist()
        [2, -1]
    """
    num_samples = is_right_EM.shape[1]
    forgotten_M = np.zeros(num_samples, dtype=np.int64)
    was_right_M = np.zeros(num_samples, dtype=bool)
    ever_right_M = np.zeros(num_samples, dtype=bool)
    for right_M, shown_M in zip(is_right_EM, was_shown_EM, strict=True):
        forgotten_M += shown_M & was_right_M & ~right_M
        was_right_M = np.where(shown_M, right_M, was_right_M)
        ever_right_M |= shown_M & right_M
    return np.where(ever_right_M, forgotten_M, -1)
