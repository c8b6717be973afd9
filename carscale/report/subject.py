"""What all sections of a split look at, and where its page lies.

Axes: N samples, W wrong samples, K classes, C cells that are not zero.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale import data
from carscale.analysis.result import Confusions
from carscale.errors import DataError
from carscale.report.findings import make_blocks, order_classes, worst_mistakes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from carscale.analysis.result import Analysis
    from carscale.report.checks import SplitResult
    from carscale.types import CarClass, Predictions

__all__ = ["Place", "Subject", "place_of", "plain_confusions", "subject_of"]


@dataclass(frozen=True)
class Place:
    """Where photos come from and where files go.

    Attributes:
        data_root: Folder that the photos' paths start from; ``None`` when it is not here.
        build_folder: Where the page is written.
        page_folder: Where that folder will lie in the end; links to photos start there.
        read: Returns a photo's bytes by its path; ``None`` without photos.
    """

    data_root: Path | None
    build_folder: Path
    page_folder: Path
    read: Callable[[str], bytes] | None


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


def place_of(data_root: Path | None, build_folder: Path, page_folder: Path) -> Place:
    """Return a place; a pack's table is read once, here."""
    read = None if data_root is None else data.photo_reader(data_root)
    return Place(data_root, build_folder, page_folder, read)


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
