"""What predictions tell: confusions, worst mistakes, calibration, short classes. Pure functions.

Axes: N samples of a split, K classes, R bins, M mistakes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale import stats
from carscale.report.page.checks import finite, printable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from carscale.types import CarClass, Predictions


NUM_BINS = 15
RARE_SHARE = 0.25
PER_CLASS = (
    "class", "train_count", "support", "precision", "precision_low", "precision_high",
    "recall", "recall_low", "recall_high", "f1", "is_short",
)  # fmt: skip


@dataclass(frozen=True)
class Pair:
    """Two classes that are taken for each other; ``first`` is the one mistaken more often."""

    first: int
    second: int
    first_as_second: int
    second_as_first: int

    @property
    def total(self) -> int:
        """Return the mistakes in both directions."""
        return self.first_as_second + self.second_as_first


@dataclass(frozen=True, eq=False)
class Reliability:
    """How often the model is right among samples where it is equally sure.

    Attributes:
        counts_R: Samples in each bin; those without a finite probability are in none.
        confidence_R: Mean probability of the prediction; NaN in an empty bin.
        accuracy_R, low_R, high_R: Share that is right and its 95 % interval; NaN in an empty bin.
        ece: Expected calibration error; NaN without samples.
    """

    counts_R: NDArray[np.int64]
    confidence_R: NDArray[np.float64]
    accuracy_R: NDArray[np.float64]
    low_R: NDArray[np.float64]
    high_R: NDArray[np.float64]
    ece: float


def order_classes(classes: Sequence[CarClass]) -> NDArray[np.int64]:
    """Return class numbers by make, then name; classes of no known make come last.

    Example:
        >>> from carscale.types import CarClass
        >>> classes = [CarClass("Z4", "z", make="BMW"), CarClass("A4", "a", make="Audi")]
        >>> order_classes(classes).tolist()
        [1, 0]
    """
    keys = [
        (one.make is None, (one.make or "").casefold(), one.name.casefold(), number)
        for number, one in enumerate(classes)
    ]
    return np.array([key[-1] for key in sorted(keys)], dtype=np.int64)


def make_blocks(
    classes: Sequence[CarClass], order_K: NDArray[np.int64]
) -> list[tuple[str, int, int]]:
    """Return ``(make, start, stop)`` of each make in the order; none when no make is known."""
    makes = [classes[number].make for number in order_K]
    if not any(makes):
        return []
    blocks, start = [], 0
    for make, members in groupby(makes, key=lambda make: make.casefold() if make else None):
        stop = start + len(list(members))
        blocks.append((makes[start] or "other" if make else "other", start, stop))
        start = stop
    return blocks


def confused_pairs(confusion_KK: NDArray[np.int64]) -> list[Pair]:
    """Return every pair with a mistake, the most frequent first.

    Example:
        >>> confused_pairs(np.array([[5, 1], [3, 2]]))
        [Pair(first=1, second=0, first_as_second=3, second_as_first=1)]
    """
    both_KK = np.triu(confusion_KK + confusion_KK.T, k=1)
    pairs = []
    for a, b in np.argwhere(both_KK).tolist():
        if confusion_KK[b, a] > confusion_KK[a, b]:
            a, b = b, a
        pairs.append(Pair(a, b, int(confusion_KK[a, b]), int(confusion_KK[b, a])))
    return sorted(pairs, key=lambda pair: (-pair.total, -pair.first_as_second, pair.first))


def worst_mistakes(predictions: Predictions, limit: int) -> NDArray[np.int64]:
    """Return rows of the wrong predictions, the highest loss first; NaN counts as the highest."""
    wrong_M = np.flatnonzero(predictions.prediction_N != predictions.labels_N)
    loss_M = np.nan_to_num(predictions.loss_N[wrong_M].astype(np.float64), nan=np.inf)
    return wrong_M[np.lexsort((predictions.ids_N[wrong_M], -loss_M))][:limit]


def reliability(predictions: Predictions, num_bins: int = NUM_BINS) -> Reliability:
    """Return accuracy by confidence in bins of equal width, each closed above.

    Reference:
        Guo et al. 2017, https://arxiv.org/abs/1706.04599, eq. 3.
    """
    sure_N = predictions.prob_prediction_N.astype(np.float64)
    keep_N = np.isfinite(sure_N)
    sure_N = sure_N[keep_N]
    correct_N = (predictions.prediction_N == predictions.labels_N)[keep_N]
    bin_N = np.clip(np.ceil(sure_N * num_bins).astype(np.int64) - 1, 0, num_bins - 1)
    counts_R = np.bincount(bin_N, minlength=num_bins)
    right_R = np.bincount(bin_N, weights=correct_N, minlength=num_bins)
    total_R = np.where(counts_R, counts_R, np.nan)
    confidence_R = np.bincount(bin_N, weights=sure_N, minlength=num_bins) / total_R
    accuracy_R = right_R / total_R
    low_R, high_R = stats.jeffreys(right_R, counts_R)
    gaps_R = np.nan_to_num(np.abs(accuracy_R - confidence_R)) * counts_R
    ece = float(gaps_R.sum() / counts_R.sum()) if counts_R.sum() else float("nan")
    return Reliability(counts_R, confidence_R, accuracy_R, low_R, high_R, ece)


LOW_GAP = 0.25
"""A class is called fine only if its recall, at worst, lies no further below the mean than this."""


def split_classes(metrics: dict[str, Any]) -> dict[str, Any]:
    """Tell short classes from those that are merely rare, from a split's metrics.

    Returns:
        ``rows``: those of ``per_class`` with a verdict, short ones first, then by recall.
        ``short``: the short ones. ``rare``: those that are fine, though among the quarter with the
        fewest train photos. ``rare_up_to``: that number of photos; ``None`` when all classes
        have as many.
    """
    rows = [
        {**dict.fromkeys(PER_CLASS), **row, "class": printable(row["class"])}
        for row in metrics.get("per_class") or []
    ]
    named = {printable(name) for name in metrics.get("short_classes") or []}
    for row in rows:
        row["is_short"] = bool(row.get("is_short")) or row["class"] in named
    counts = [n for row in rows if (n := finite(row.get("train_count"))) is not None]
    rare_up_to = float(np.quantile(counts, RARE_SHARE, method="lower")) if counts else None
    if counts and rare_up_to == max(counts):
        rare_up_to = None
    short = [row for row in rows if row["is_short"]]
    recalls = [recall for row in rows if (recall := finite(row.get("recall"))) is not None]
    mean_recall = float(np.mean(recalls)) if recalls else 0.0
    for row in rows:
        row["verdict"] = _verdict(row, mean_recall)
    rare = [
        row
        for row in rows
        if rare_up_to is not None
        and row["verdict"] == "fine"
        and (n := finite(row.get("train_count"))) is not None
        and n <= rare_up_to
    ]
    for row in rare:
        row["verdict"] = "rare, fine"
    return {
        "rows": sorted(rows, key=_worst_first),
        "short": sorted(short, key=_worst_first),
        "rare": sorted(rare, key=lambda row: (row["train_count"], row["class"])),
        "rare_up_to": rare_up_to,
    }


def _verdict(row: dict[str, Any], mean_recall: float) -> str:
    """Return what the metric says of a class, in words."""
    if row["is_short"]:
        return "short"
    if finite(row.get("recall")) is None:
        return "not judged"
    low = finite(row.get("recall_low"))
    return "too few photos to tell" if low is not None and low < mean_recall - LOW_GAP else "fine"


def _worst_first(row: dict[str, Any]) -> tuple[bool, float, str]:
    """Order rows: short ones first, then by recall; those without samples last."""
    recall = finite(row.get("recall"))
    return not row["is_short"], 2.0 if recall is None else recall, row["class"]
