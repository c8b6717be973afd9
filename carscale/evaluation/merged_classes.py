"""Predictions under merged classes. N samples, K classes, L of them after merging, T the best."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from carscale.evaluation.temperature import with_scores
from carscale.types import Predictions

if TYPE_CHECKING:
    from numpy.typing import NDArray


def under_merged_classes(predictions: Predictions, new_K: NDArray[np.int64]) -> Predictions:
    """Return what a model says of other classes: the probabilities of merged ones are summed.

    Args:
        predictions: With all probabilities.
        new_K: Number of each class after merging, in ``[0, L)``.

    Raises:
        ValueError: ``probs_NK`` is missing.
    """
    if predictions.probs_NK is None:
        raise ValueError("predictions must hold probs_NK to be scored under merged classes")
    num_new = int(new_K.max()) + 1
    probs_NL = np.zeros((len(predictions), num_new))
    for old, new in enumerate(new_K.tolist()):
        probs_NL[:, new] += predictions.probs_NK[:, old]
    order_NL = np.argsort(-probs_NL, axis=1, kind="stable")
    num_top = min(predictions.top5_NT.shape[1], num_new)
    scores_NL = np.log(np.maximum(probs_NL, np.finfo(np.float32).tiny))
    labelled = replace(predictions, labels_N=new_K[predictions.labels_N])
    return with_scores(labelled, scores_NL, order_NL[:, :num_top])
