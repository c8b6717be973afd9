"""From predictions to verdicts: helps, hurts, no difference, inconclusive.

The rule, for each arm against the baseline, on the same photos:

1. A metric is a sum over photos (``metrics``); the difference is the mean over the arm's seeds less
   the mean over the baseline's.
2. Its variance is that of seeds, pooled over all arms, plus that of photos, with Satterthwaite's
   degrees of freedom (``variance``). Its p is corrected for the number of arms (Dunnett).
3. ``helps`` and ``hurts``: the 95 % interval excludes 0 and the corrected p is below 0.05.
   ``no difference``: else, the interval lies within the margin. All else ``inconclusive``, with
   what would settle it. Without two seeds of some arm, or of earlier runs, nothing is settled.

Looked at while it runs (``alpha`` below 0.05), a comparison spends a part of the 5 % each time.

Axes: S seeds, N photos, K classes, A arms.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from carscale import stats
from carscale.verdicts.metrics import METRICS, strata_of, terms_of, weights_of
from carscale.verdicts.power import SampleSize, sample_size
from carscale.verdicts.text import p_text, points
from carscale.verdicts.variance import (
    ArmTerms,
    Difference,
    SeedModel,
    SeedSpread,
    difference,
    fit_seeds,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray


ALPHA = 0.05
LEVEL = 1 - ALPHA

Word = Literal["helps", "hurts", "no difference", "inconclusive", "no finished run"]


@dataclass(frozen=True, eq=False)
class ArmRuns:
    """What the runs of one arm predicted, of the same photos.

    Attributes:
        seeds: The seed of each run.
        predictions_SN: Predicted classes, int64.
        losses_SN: ``-log p(true class)``.
    """

    seeds: tuple[int, ...]
    predictions_SN: NDArray[np.int64]
    losses_SN: NDArray[np.floating]


@dataclass(frozen=True)
class SeedChange:
    """One seed of an arm against the same seed of the baseline.

    Attributes:
        seed: Which.
        difference: As a share.
        num_gained, num_lost: Photos that only the arm, only the baseline predicted correctly.
        mcnemar_p: Exact, two-sided; of this pair of runs only.
    """

    seed: int
    difference: float
    num_gained: int
    num_lost: int
    mcnemar_p: float


@dataclass(frozen=True)
class ClassChange:
    """The change of one class's recall; not corrected for multiple comparisons.

    Attributes:
        label: The class's number.
        support: Photos of it.
        difference, low, high: As shares.
        stands_out: The interval excludes 0; of 20 unchanged classes about one does by chance.
    """

    label: int
    support: int
    difference: float
    low: float
    high: float
    stands_out: bool


@dataclass(frozen=True)
class Verdict:
    """The verdict on an arm.

    Attributes:
        word: The verdict.
        text: The word with what would settle it, as tables show it.
        sentence: With difference, interval and p.
        difference: ``None`` without a pair of runs.
        p_adjusted: Corrected for the number of arms.
        seeds: A row per seed.
        classes: A row per class with photos.
        sample_size: What would settle it; only where the word is ``inconclusive``.
    """

    word: Word
    text: str
    sentence: str
    difference: Difference | None = None
    p_adjusted: float | None = None
    seeds: tuple[SeedChange, ...] = ()
    classes: tuple[ClassChange, ...] = ()
    sample_size: SampleSize | None = None


def judge_arms(
    arms: Mapping[str, ArmRuns],
    baseline: str,
    labels_N: NDArray[np.int64],
    *,
    metric: str = "top1",
    margin: float = 0.01,
    split: str = "val",
    model: SeedModel | None = None,
    alpha: float = ALPHA,
) -> dict[str, Verdict]:
    """Return a verdict per arm but the baseline, by the rule above.

    Args:
        arms: Runs by arm; an arm without runs, or without a seed of the baseline's, gets none.
        baseline: The arm that the others are compared with.
        labels_N: True classes of the photos.
        metric: A key of ``METRICS``.
        margin: Smaller differences count as none, as a share.
        split: Its name, for the words.
        model: From ``fit_arms`` of the same runs, where earlier runs count too.
        alpha: Error that is spent: 0.05, or the part of it that this look may spend.

    Raises:
        ValueError: An unknown metric, a margin that is not above 0, or shapes that do not fit.
    """
    if not margin > 0:
        raise ValueError(f"margin must be > 0, got {margin}")
    model = model or fit_arms(arms, labels_N, metric)
    strata_N = strata_of(labels_N, metric)
    found = {
        name: difference(
            model,
            {name: 1, baseline: -1},
            strata_N,
            alpha=alpha,
            per_seed=_per_seed(name, baseline, arms, model),
        )
        for name in arms
        if name != baseline and shared_seeds(arms[name], arms[baseline])
    }
    adjusted = stats.dunnett(
        [one.value / one.interval.error for one in found.values()],
        [one.spread.shared for one in found.values()],
        [one.interval.freedom for one in found.values()],
    )
    p_adjusted = dict(zip(found, adjusted.tolist(), strict=True))
    rule = _Rule(metric, margin, split, alpha, len(found))
    verdicts = {}
    for name in [name for name in arms if name != baseline]:
        if name not in found:
            words = "No finished run yet that could be paired with the baseline."
            verdicts[name] = Verdict("no finished run", "no finished run", words)
            continue
        verdicts[name] = _verdict(found[name], p_adjusted[name], rule)
        seeds = _seed_changes(arms[name], arms[baseline], found[name], labels_N)
        classes = _class_changes(arms[name], arms[baseline], labels_N)
        verdicts[name] = replace(verdicts[name], seeds=seeds, classes=classes)
    return verdicts


def fit_arms(
    arms: Mapping[str, ArmRuns],
    labels_N: NDArray[np.int64],
    metric: str,
    earlier: SeedSpread | None = None,
) -> SeedModel:
    """Return the model of the arms that have runs.

    Raises:
        ValueError: An unknown metric, no photos, or shapes that do not fit.
    """
    weights_N = weights_of(labels_N, metric)
    for name, runs in arms.items():
        if len(runs.predictions_SN) != len(runs.seeds):
            shape = runs.predictions_SN.shape
            raise ValueError(f"{name}: {len(runs.seeds)} seeds, predictions of shape {shape}")
    terms = {
        name: ArmTerms(runs.seeds, terms_of(runs.predictions_SN, runs.losses_SN, labels_N, metric))
        for name, runs in arms.items()
        if runs.seeds
    }
    return fit_seeds(terms, weights_N, earlier)


def shared_seeds(first: ArmRuns, other: ArmRuns) -> list[int]:
    """Return the seeds that both have, in the order of the first."""
    return [seed for seed in first.seeds if seed in other.seeds]


def score(
    predictions_N: NDArray[np.int64],
    losses_N: NDArray[np.floating],
    labels_N: NDArray[np.int64],
    metric: str,
) -> float:
    """Return one run's metric, as a share; of log loss the negative."""
    return float(terms_of(predictions_N[None], losses_N[None], labels_N, metric).sum())


@dataclass(frozen=True)
class _Rule:
    """What verdicts are made by."""

    metric: str
    margin: float
    split: str
    alpha: float
    num_arms: int


def _per_seed(
    name: str, baseline: str, arms: Mapping[str, ArmRuns], model: SeedModel
) -> tuple[float, ...]:
    """Return the differences of the seeds that both have."""
    values_R = model.terms_RN.sum(axis=1)
    values = [
        dict(zip(arms[one].seeds, values_R[model.rows[one]].tolist(), strict=True))
        for one in (name, baseline)
    ]
    shared = shared_seeds(arms[name], arms[baseline])
    return tuple(values[0][seed] - values[1][seed] for seed in shared)


def _verdict(found: Difference, p_adjusted: float, rule: _Rule) -> Verdict:
    """Return the verdict on a difference, without its tables."""
    word, text, more = _word(found, p_adjusted, rule)
    sentence = _sentence(found, text, p_adjusted, rule)
    return Verdict(word, text, sentence, found, p_adjusted, sample_size=more)


def _word(found: Difference, p_adjusted: float, rule: _Rule) -> tuple[Word, str, SampleSize | None]:
    """Return the verdict, its text, and what would settle it."""
    if not found.spread.freedom:
        return "inconclusive", "inconclusive: needs at least 1 more seed", SampleSize(1, None)
    if found.excludes_zero and p_adjusted < rule.alpha:
        word: Word = "helps" if found.value > 0 else "hurts"
        return word, word, None
    reach = max(abs(found.interval.low), abs(found.interval.high))
    if reach <= rule.margin:
        shown = math.ceil(1000 * reach - 1e-9) / 10  # rounded up, so that it holds
        return "no difference", f"no difference beyond ±{shown:.1f} points", None
    more = _needed(found, rule)
    return "inconclusive", f"inconclusive: {more.words(rule.split)}", more


def _needed(found: Difference, rule: _Rule) -> SampleSize:
    """Return the sample size that settles it, by whichever is nearer: a direction or no difference.

    A direction must pass the correction for arms too, here by the level of its strictest step.
    """
    to_zero, to_margin = abs(found.value), rule.margin - abs(found.value)
    if to_zero < to_margin:
        return sample_size(found.spread, half_width=to_margin, level=1 - rule.alpha)
    return sample_size(found.spread, half_width=to_zero, level=1 - rule.alpha / rule.num_arms)


def _sentence(found: Difference, text: str, p_adjusted: float, rule: _Rule) -> str:
    """Return a verdict with its numbers."""
    low, high = points(found.interval.low), points(found.interval.high)
    where = f"doubt mostly over {found.source}"
    if not found.spread.freedom:
        where = "over photos only: one seed shows no variation over seeds"
    name = "95 % interval" if rule.alpha == ALPHA else "interval of this look"
    needed = "" if rule.alpha == ALPHA else f", below {rule.alpha:.3f} counts at this look"
    return (
        f"{text[0].upper()}{text[1:]}. {points(found.value)} points of {METRICS[rule.metric]}, "
        f"{name} {low} to {high} ({where}), p {p_text(p_adjusted)}{needed}."
    )


def _rows(runs: ArmRuns, seeds: list[int]) -> list[int]:
    """Return where seeds stand among an arm's runs."""
    return [runs.seeds.index(seed) for seed in seeds]


def _seed_changes(
    arm: ArmRuns, base: ArmRuns, found: Difference, labels_N: NDArray[np.int64]
) -> tuple[SeedChange, ...]:
    """Return a row for each seed that both have."""
    seeds = shared_seeds(arm, base)
    correct_SN = arm.predictions_SN[_rows(arm, seeds)] == labels_N
    base_SN = base.predictions_SN[_rows(base, seeds)] == labels_N
    gained_S = (correct_SN & ~base_SN).sum(axis=1).tolist()
    lost_S = (~correct_SN & base_SN).sum(axis=1).tolist()
    return tuple(
        SeedChange(seed, difference, gained, lost, stats.mcnemar(gained, lost))
        for seed, difference, gained, lost in zip(
            seeds, found.per_seed, gained_S, lost_S, strict=True
        )
    )


def _class_changes(
    arm: ArmRuns, base: ArmRuns, labels_N: NDArray[np.int64]
) -> tuple[ClassChange, ...]:
    """Return the change of each class's recall: the wider of two t-intervals, seeds and photos."""
    seeds = shared_seeds(arm, base)
    differences_SN = (arm.predictions_SN[_rows(arm, seeds)] == labels_N).astype(np.float64)
    differences_SN -= base.predictions_SN[_rows(base, seeds)] == labels_N
    num_seeds = len(differences_SN)
    support_K = np.bincount(labels_N)
    held_K = np.flatnonzero(support_K)
    size_K = support_K[held_K]
    sums_SK = np.stack([np.bincount(labels_N, row)[held_K] for row in differences_SN])
    recall_SK, mean_N = sums_SK / size_K, differences_SN.mean(axis=0)
    mean_K = recall_SK.mean(axis=0)
    squares_K = np.bincount(labels_N, np.square(mean_N))[held_K] - size_K * np.square(mean_K)
    few_K = np.maximum(2, size_K)
    error_K = np.sqrt(np.maximum(0, squares_K) / (few_K - 1) / few_K + 1 / np.square(size_K))
    reach_K = np.where(size_K > 1, stats.t_quantile(LEVEL, few_K - 1) * error_K, 2.0)
    if num_seeds > 1:
        by_seeds_K = recall_SK.std(axis=0, ddof=1) / math.sqrt(num_seeds)
        reach_K = np.maximum(reach_K, stats.t_quantile(LEVEL, num_seeds - 1) * by_seeds_K)
    low_K, high_K = np.maximum(-1, mean_K - reach_K), np.minimum(1, mean_K + reach_K)
    out_K = ((low_K > 0) | (high_K < 0)) & (num_seeds > 1)
    columns = (held_K, size_K, mean_K, low_K, high_K, out_K)
    return tuple(
        ClassChange(*row) for row in zip(*(column.tolist() for column in columns), strict=True)
    )
