"""Train samples that resemble what goes wrong on val, made diverse.

Axes: N samples of val, M of train, S selected, D features, K classes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale import evaluation
from carscale.analysis import nearest, normalised
from carscale.errors import ConfigError, DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from carscale.analysis import Analysis, TrainSide
    from carscale.analysis.result import ConfusedPair


POOL = 2
"""How many times the wanted number of samples are ranked first; the most diverse of them stay."""
MAX_PAIRS = 10
MAX_DIVERSE = 5000
"""More samples are taken by rank alone: laying them apart would take minutes."""


@dataclass(frozen=True, eq=False)
class Ranking:
    """How well train samples suit a rule.

    Attributes:
        score_M: Higher is better; ``-inf`` for what does not suit.
        reason: Says of a row why it was taken.
        rival: The class that photos like it are taken for; empty where no rule says.
    """

    score_M: NDArray[np.float64]
    reason: Callable[[int], str]
    rival: Callable[[int], str] = lambda _: ""


@dataclass(frozen=True, eq=False)
class Selection:
    """Train samples to train on again.

    Attributes:
        rows_S: Rows of train; the best one first, then those that lie farthest from the others.
        reasons: Of each.
        rivals: Of each the class that photos like it are taken for, or empty.
        num_suspects: Samples that suited, but whose label is probably wrong.
        is_reviewed: Whether the labels of train were reviewed at all.
        is_diverse: Whether they were laid apart by their embeddings.
    """

    rows_S: NDArray[np.int64]
    reasons: tuple[str, ...]
    rivals: tuple[str, ...]
    num_suspects: int
    is_reviewed: bool
    is_diverse: bool


def select(found: Analysis, by: str, size: int) -> Selection:
    """Return train samples by a rule.

    Args:
        found: Of val.
        by: ``hard``, ``uncertain``, ``forgotten``, ``confused-pairs``, ``low-recall``, ``random``,
            ``group:NAME`` of an error group, ``near:IDS`` of val photos.
        size: How many; fewer where fewer suit.

    Raises:
        ConfigError: No such rule, group or id.
        DataError: What the rule needs was not made yet, or nothing suits; says the command.
    """
    train = found.evidence.train
    if train is None:
        raise DataError(
            "the photos of train are not at hand", "name their folder: --data-root FOLDER"
        )
    check_rule(by)
    name, _, rest = by.partition(":")
    ranking = RULES[name](found, train, rest)
    suspects_M = _suspects(found, train)
    suits_M = np.isfinite(ranking.score_M)
    score_M = np.where(suspects_M, -np.inf, ranking.score_M)
    rows = np.flatnonzero(np.isfinite(score_M))
    if not len(rows):
        other = "low-recall" if by != "low-recall" else "random"
        raise DataError(f"--by {by}: no train photo suits", f"try another rule: --by {other}")
    pool = rows[np.argsort(-score_M[rows], kind="stable")][: POOL * size]
    is_diverse = train.embeddings_MD is not None and name != "random" and size <= MAX_DIVERSE
    if is_diverse and train.embeddings_MD is not None and len(pool) > size:
        pool = pool[diverse(normalised(train.embeddings_MD[pool]), size)]
    chosen = pool[:size]
    is_reviewed = any(review.split == "train" for review in found.reviews)
    reasons = tuple(ranking.reason(int(row)) for row in chosen)
    rivals = tuple(ranking.rival(int(row)) for row in chosen)
    num_suspects = int((suits_M & suspects_M).sum())
    return Selection(chosen, reasons, rivals, num_suspects, is_reviewed, is_diverse)


def check_rule(by: str) -> None:
    """Raise where a rule is none, before anything is read.

    Raises:
        ConfigError: Lists the rules.
    """
    name, _, rest = by.partition(":")
    if name not in RULES or (name in TAKING) != bool(rest):
        raise ConfigError(
            f"--by {by}: must be one of {', '.join(key for key in RULES if key not in TAKING)}, "
            "group:NAME or near:IDS"
        )


def diverse(points_ND: NDArray[np.float32], size: int) -> NDArray[np.int64]:
    """Return rows that lie apart: the first, then each time the one farthest from those taken.

    Args:
        points_ND: Normalised, the best first.
        size: How many, at most N.

    Reference:
        Gonzalez 1985, https://doi.org/10.1016/0304-3975(85)90224-5: k-center, at most twice as far
        as the best choice.

    Example:
        >>> diverse(np.array([[1, 0], [0.99, 0.14], [0, 1]], dtype=np.float32), 2).tolist()
        [0, 2]
    """
    taken = [0]
    far_N = 1 - points_ND @ points_ND[0]
    for _ in range(min(size, len(points_ND)) - 1):
        far_N[taken[-1]] = -np.inf
        taken.append(int(far_N.argmax()))
        far_N = np.minimum(far_N, 1 - points_ND @ points_ND[taken[-1]])
    return np.array(taken, dtype=np.int64)


def _suspects(found: Analysis, train: TrainSide) -> NDArray[np.bool_]:
    """Return which train samples have a label that is probably wrong."""
    ids = [review.ids_R[review.is_suspect_R] for review in found.reviews if review.split == "train"]
    ids.append(found.evidence.conflict_ids_P2.reshape(-1))
    return np.isin(train.ids_M, np.concatenate(ids))


def _hard(found: Analysis, train: TrainSide, _: str) -> Ranking:
    """Rank by loss, out of fold."""
    folds = _folds(train)
    names = [one.name for one in found.evidence.classes]
    is_wrong_M = folds.prediction_N != folds.labels_N

    def reason(row: int) -> str:
        taken = f", taken for {names[folds.prediction_N[row]]}" if is_wrong_M[row] else ""
        return f"loss {folds.loss_N[row]:.2f}{taken}"

    def rival(row: int) -> str:
        return names[folds.prediction_N[row]] if is_wrong_M[row] else ""

    return Ranking(folds.loss_N.astype(np.float64), reason, rival)


def _random(_: Analysis, train: TrainSide, __: str) -> Ranking:
    """Rank by chance, always the same: what other rules must beat."""
    score_M = np.random.default_rng(0).random(len(train.ids_M))
    return Ranking(score_M, lambda _: "by chance")


def _uncertain(_: Analysis, train: TrainSide, __: str) -> Ranking:
    """Rank by margin, out of fold: the label and the best other class are alike probable."""
    margin_M = _folds(train).margin_N.astype(np.float64)
    return Ranking(-np.abs(margin_M), lambda row: f"margin {margin_M[row]:+.2f}")


def _forgotten(found: Analysis, train: TrainSide, __: str) -> Ranking:
    """Rank by how often a right prediction became wrong while training."""
    if found.hardness is None:
        raise DataError(
            "--by forgotten: the run kept no training dynamics",
            "train it with: train.log_dynamics=true",
        )
    times_M = np.full(len(train.ids_M), -1.0)
    place = np.searchsorted(train.ids_M, found.hardness.ids_M)
    times_M[place] = found.hardness.forgotten_M
    score_M = np.where(times_M > 0, times_M, -np.inf)
    return Ranking(score_M, lambda row: f"forgotten {times_M[row]:.0f} times")


def _confused(found: Analysis, train: TrainSide, __: str) -> Ranking:
    """Rank photos of confused classes by how near they lie to the other class's mistakes."""
    pairs = [pair for pair in found.confusions.pairs if pair.p < 0.05][:MAX_PAIRS]
    predictions = found.evidence.predictions
    score_M = np.full(len(train.ids_M), -np.inf)
    names = [one.name for one in found.evidence.classes]
    nearness = _nearness(found, train) if pairs else None
    pair_of: dict[int, ConfusedPair] = {}
    for pair in pairs:
        both = np.array([pair.first, pair.second])
        wrong_N = np.isin(predictions.labels_N, both) & np.isin(predictions.prediction_N, both)
        wrong_N &= predictions.labels_N != predictions.prediction_N
        assert nearness is not None
        near_M = nearness(np.flatnonzero(wrong_N))
        better_M = np.isin(train.labels_M, both) & (near_M > score_M)
        score_M[better_M] = near_M[better_M]
        pair_of |= dict.fromkeys(np.flatnonzero(better_M).tolist(), pair)

    def rival(row: int) -> str:
        pair = pair_of[row]
        return names[pair.second if train.labels_M[row] == pair.first else pair.first]

    return Ranking(score_M, lambda row: f"is confused with {rival(row)}", rival)


def _low_recall(found: Analysis, train: TrainSide, __: str) -> Ranking:
    """Rank photos of classes of low recall by how near they lie to these classes' mistakes."""
    evidence = found.evidence
    rows = evaluation.per_class(evidence.predictions, evidence.classes)
    low = np.array([number for number, row in enumerate(rows) if row["has_low_recall"]], np.int64)
    is_wrong_N = evidence.predictions.prediction_N != evidence.predictions.labels_N
    wrong = np.flatnonzero(is_wrong_N & np.isin(evidence.predictions.labels_N, low))
    near_M = _nearness(found, train)(wrong)
    score_M = np.where(np.isin(train.labels_M, low), near_M, -np.inf)
    recalls = {number: rows[number]["recall"] for number in low.tolist()}
    return Ranking(score_M, lambda row: f"recall {recalls[int(train.labels_M[row])]:.0%}")


def _group(found: Analysis, train: TrainSide, name: str) -> Ranking:
    """Rank by how near photos lie to the mistakes of an error group."""
    groups = {group.name: group for group in found.groups}
    if name not in groups:
        raise ConfigError(f"--by group:{name}: no such group; there are: {', '.join(groups)}")
    near_M = _nearness(found, train)(groups[name].rows_G)
    title = groups[name].title
    return Ranking(near_M, lambda row: f"{title}: {near_M[row]:.2f} alike")


def _near(found: Analysis, train: TrainSide, text: str) -> Ranking:
    """Rank by how near photos lie to some of val."""
    try:
        ids = np.array([int(word) for word in text.split(",")], np.int64)
    except ValueError:
        raise ConfigError(f"--by near:{text}: must be ids, as near:12,40") from None
    known = found.evidence.predictions.ids_N
    missing = ids[~np.isin(ids, known)].tolist()
    if missing:
        raise ConfigError(f"--by near:{text}: {missing[0]} is no photo of {found.evidence.split}")
    near_M = _nearness(found, train)(np.flatnonzero(np.isin(known, ids)))
    return Ranking(near_M, lambda row: f"{near_M[row]:.2f} alike")


RULES: dict[str, Callable[[Analysis, TrainSide, str], Ranking]] = {
    "hard": _hard,
    "uncertain": _uncertain,
    "random": _random,
    "forgotten": _forgotten,
    "confused-pairs": _confused,
    "low-recall": _low_recall,
    "group": _group,
    "near": _near,
}
TAKING = ("group", "near")
"""Rules that name something behind a colon."""


def _folds(train: TrainSide) -> Any:  # noqa: ANN401 - Predictions
    """Return what models said of train that did not train on it."""
    if train.folds is None:
        raise DataError(
            "train is not predicted by models that did not train on it, so nothing tells which "
            "photos are hard",
            "make it with: carscale folds RUN",
        )
    return train.folds


def _nearness(
    found: Analysis, train: TrainSide
) -> Callable[[NDArray[np.int64]], NDArray[np.float64]]:
    """Return what tells how alike train samples are to the nearest of some of val: a cosine."""
    embeddings_ND = found.evidence.embeddings_ND
    if train.embeddings_MD is None or embeddings_ND is None:
        raise DataError(
            "embeddings of val and train are not there, so nothing tells what resembles a mistake",
            "make them with: carscale evaluate RUN --embeddings",
        )
    train_MD = normalised(train.embeddings_MD)

    def near(rows: NDArray[np.int64]) -> NDArray[np.float64]:
        if not len(rows):
            return np.full(len(train_MD), -np.inf)
        _, far_M1 = nearest(train_MD, normalised(embeddings_ND[rows]), 1)
        return (1 - far_M1[:, 0]).astype(np.float64)

    return near
