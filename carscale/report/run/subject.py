"""What all sections of a split look at, and where its page lies.

Axes: N samples, W wrong samples, K classes, C cells that are not zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale.analysis.result import Confusions
from carscale.errors import DataError
from carscale.report.run.findings import make_blocks, order_classes, worst_mistakes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from carscale.analysis.result import Analysis
    from carscale.report.page.checks import SplitResult
    from carscale.types import CarClass, Predictions


@dataclass(frozen=True, eq=False)
class Subject:
    """One split that was predicted.

    Attributes:
        run: The run's name.
        split: ``val`` or ``test``.
        predictions: Of that split, at least one.
        classes: The class list.
        analysis: What was found; ``None`` when nobody looked.
        wrong_W: Rows that are wrong, highest loss first.
        confusions: Of the analysis, or by make and name.
    """

    run: str
    split: str
    predictions: Predictions
    classes: tuple[CarClass, ...]
    analysis: Analysis | None
    wrong_W: NDArray[np.int64]
    confusions: Confusions


def subject_of(
    run: str, split: SplitResult, classes: tuple[CarClass, ...], analysis: Analysis | None
) -> Subject | None:
    """Return what the sections of a split look at; ``None`` without predictions.

    Raises:
        DataError: The analysis looked at other predictions.
    """
    predictions = split.predictions
    if predictions is None or not len(predictions):
        return None
    if analysis is None:
        wrong_W = worst_mistakes(predictions, len(predictions))
        confusions = plain_confusions(predictions, classes)
        return Subject(run, split.name, predictions, classes, None, wrong_W, confusions)
    seen = analysis.evidence.predictions
    if not (
        np.array_equal(seen.ids_N, predictions.ids_N)
        and np.array_equal(seen.prediction_N, predictions.prediction_N)
    ):
        raise DataError(
            f"{run}: the analysis of {split.name} looked at {len(seen)} other predictions than the "
            f"{len(predictions)} of the run",
            "analyse again with: carscale report RUN",
        )
    return Subject(
        run,
        split.name,
        predictions,
        classes,
        analysis,
        np.asarray(analysis.wrong_W, dtype=np.int64),
        analysis.confusions,
    )


def plain_confusions(predictions: Predictions, classes: Sequence[CarClass]) -> Confusions:
    """Return the matrix by make and name, without tests of its pairs."""
    order_K = order_classes(classes)
    size = len(classes)
    flat_N = predictions.labels_N * size + predictions.prediction_N
    flat_C, count_C = np.unique(flat_N, return_counts=True)
    cells: tuple[Any, Any] = np.divmod(flat_C, size)
    blocks = tuple(make_blocks(classes, order_K))
    return Confusions(order_K, blocks, *cells, count_C, ())
