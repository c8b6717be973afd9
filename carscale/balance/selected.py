"""Training on again from a run: selected photos, the rest replayed, confused classes kept apart.

Axes: N train samples, S selected ones, K classes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from carscale import stats, tables
from carscale.errors import ConfigError, DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from carscale.config import Finetune
    from carscale.types import Split

COLUMNS = ["key", "path", "weight", "rival"]


@dataclass(frozen=True, eq=False)
class Selected:
    """Train samples that ``carscale select`` chose.

    Attributes:
        rows_S: Rows of train.
        weights_S: How much each is drawn, in any scale.
        rivals: Pairs of class numbers: of a sample, and the one that it is confused with.
    """

    rows_S: NDArray[np.int64]
    weights_S: NDArray[np.float64]
    rivals: frozenset[tuple[int, int | None]]


def read_selected(path: Path, split: Split) -> Selected:
    """Read a selection and find its photos in train, by their keys.

    Args:
        path: What ``carscale select`` wrote.
        split: The train split, of any version of the data.

    Raises:
        DataError: No such table, or a photo of it that is not in train.
    """
    columns = tables.read_columns(path, COLUMNS)
    row_of = {key: row for row, key in enumerate(split.keys_N.tolist())}
    rows = [row_of.get(key, -1) for key in columns["key"].tolist()]
    missing = [one for one, row in zip(columns["path"].tolist(), rows, strict=True) if row < 0]
    if missing or not rows:
        raise DataError(
            f"{path}: {len(missing)} of its {len(rows)} photos are not in train of {split.root} "
            f"(first: {missing[0] if missing else 'none'})",
            "photos of train alone can be trained on",
            "select some with: carscale select RUN OUT.parquet --by hard",
        )
    names = {one.name: number for number, one in enumerate(split.classes)}
    labels_S = split.labels_N[rows].tolist()
    pairs = zip(labels_S, (names.get(name) for name in columns["rival"].tolist()), strict=True)
    rivals = frozenset(pair for pair in pairs if pair[1] is not None and pair[1] != pair[0])
    weights_S = stats.finite("weight", columns["weight"], low=0)
    if weights_S.sum() == 0:
        raise DataError(f"{path}: all its weights are 0, so nothing of it would be drawn")
    return Selected(np.array(rows, np.int64), weights_S, rivals)


def selection_hash(cfg: Finetune) -> dict[str, str]:
    """Return the hash of the table that is trained on more, under ``selection``; empty without one.

    A run goes on with the same photos only.
    """
    if cfg.select is None:
        return {}
    return {"selection": hashlib.sha256(Path(cfg.select).read_bytes()).hexdigest()}


def replay_weights(
    selected: Selected, rates_N: NDArray[np.float64], replay: float
) -> NDArray[np.float64]:
    """Return how often each sample is drawn: the selected ones, and a share of the rest.

    Args:
        selected: Of train.
        rates_N: How often the sampling draws each sample of train.
        replay: Share of the draws that are of the rest, in [0, 1).

    Example:
        >>> chosen = Selected(np.array([3]), np.ones(1), frozenset())
        >>> replay_weights(chosen, np.ones(4), 0.5).round(3).tolist()
        [0.167, 0.167, 0.167, 0.5]
    """
    rest_N = rates_N.astype(np.float64).copy()
    rest_N[selected.rows_S] = 0
    total = rest_N.sum()
    weights_N = replay * rest_N / total if total > 0 else rest_N
    share = 1 - replay if total > 0 else 1.0
    np.add.at(weights_N, selected.rows_S, share * selected.weights_S / selected.weights_S.sum())
    return weights_N


def rival_margins(cfg: Finetune, split: Split) -> Tensor | None:
    """Return what is added to the logit of each class where another is right: ``[K, K]``.

    ``cfg.pair_margin`` for a class that photos of the right one are confused with: those must win
    by so much. ``None`` where nothing is asked for.

    Reference:
        Wang et al. 2018, https://arxiv.org/abs/1801.09414 (an additive margin). Differs: between
        confused classes alone.
    """
    if cfg.select is None or not cfg.pair_margin:
        return None
    margins_KK = torch.zeros(len(split.classes), len(split.classes))
    rivals = read_selected(Path(cfg.select), split).rivals
    if not rivals:
        raise ConfigError(
            f"finetune.pair_margin={cfg.pair_margin:g}: {cfg.select} names no class that its "
            "photos are taken for",
            "select with --by confused-pairs; or write finetune.pair_margin=0",
        )
    for label, rival in rivals:
        margins_KK[label, rival] = cfg.pair_margin
    return margins_KK
