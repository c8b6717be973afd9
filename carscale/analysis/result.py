"""What an analysis takes and what it finds, as plain tables.

Axes: N samples of a split, M samples of train, W wrong samples, K classes, D features, P pairs,
G samples of a group, S steps of a curve.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from carscale.data import DuplicateGroup
    from carscale.types import CarClass, Predictions


@dataclass(frozen=True, eq=False)
class TrainSide:
    """The train split as far as an analysis needs it.

    Attributes:
        ids_M, paths_M, labels_M: As in ``Split``, ordered by id.
        embeddings_MD: Input of the classifier layer, float; ``None`` when not made.
        folds: Out-of-sample predictions of these samples; ``None`` without ``carscale folds``.
        dynamics: Probability of the label after each epoch, float32 ``[E, M]``, and whether the
            prediction was right, bool ``[E, M]``; ``None`` without ``train.log_dynamics``.
    """

    ids_M: NDArray[Any]
    paths_M: NDArray[Any]
    labels_M: NDArray[Any]
    embeddings_MD: NDArray[Any] | None = None
    folds: Predictions | None = None
    dynamics: tuple[NDArray[Any], NDArray[Any]] | None = None


@dataclass(frozen=True, eq=False)
class Evidence:
    """Everything an analysis takes; its notes say what is ``None`` or empty.

    Attributes:
        split: ``val`` or ``test``.
        predictions: Of that split.
        classes: The class list.
        train_counts_K: Train photos of each class.
        attributes: Columns of ``[N]``: numbers (brightness, sharpness, width, ...) and texts
            (source), by name.
        flags: Quality rules by name, bool ``[N]``.
        rules: What each flag means, one sentence.
        quality: Photos that each rule finds, by rule and split, over the whole data set.
        num_photos: Photos of each split that quality was measured on.
        hard_ids: Photos of any split that a quality rule finds.
        refused: Files that could not be frozen and why: the quarantine list.
        conflicts: Pairs of near duplicates with different labels, in the whole data set.
        embeddings_ND: Embeddings (input of the classifier layer).
        train: The train split.
        settings: What the run was trained with, by key, as text: ``augment.policy``, ``data.fit``,
            ``data.image_px``, ``recipe``; what is not in it is not known.
        train_s: Seconds that the run's training took here; ``None`` if not known.
        seed: Of clusterings.
    """

    split: str
    predictions: Predictions
    classes: tuple[CarClass, ...]
    train_counts_K: NDArray[Any] | None = None
    attributes: dict[str, NDArray[Any]] = field(default_factory=dict)
    flags: dict[str, NDArray[Any]] = field(default_factory=dict)
    rules: dict[str, str] = field(default_factory=dict)
    quality: dict[str, dict[str, int]] = field(default_factory=dict)
    num_photos: dict[str, int] = field(default_factory=dict)
    hard_ids: NDArray[Any] | None = None
    refused: tuple[tuple[str, str], ...] = ()
    conflicts: tuple[DuplicateGroup, ...] | None = None
    embeddings_ND: NDArray[Any] | None = None
    train: TrainSide | None = None
    settings: dict[str, str] = field(default_factory=dict)
    train_s: float | None = None
    seed: int = 0

    @property
    def has_embeddings(self) -> bool:
        """Tell whether the split and train are embedded."""
        train = self.train
        return (
            self.embeddings_ND is not None and train is not None and train.embeddings_MD is not None
        )

    @property
    def conflict_ids_P2(self) -> NDArray[np.int64]:  # noqa: N802 - P pairs
        """Ids of the photos of ``conflicts``."""
        pairs = [pair.rows for pair in self.conflicts or ()]
        return np.array(pairs, dtype=np.int64).reshape(-1, 2)


@dataclass(frozen=True)
class ConfusedPair:
    """Two classes and the mistakes between them.

    Attributes:
        first, second: Class numbers; most mistakes are of ``first``, predicted as ``second``.
        first_as_second, second_as_first: Mistakes each way.
        first_support, second_support: Photos of each class.
        chance: Expected mistakes between them if wrong predictions fell on the other classes in
            proportion to their photos (plus half a photo each).
        p: Probability of so many by chance, corrected (Holm) for all pairs of classes.
        kind: ``two-way`` where both error rates are similar, ``one-way`` where they differ
            significantly, or too few mistakes to tell.
    """

    first: int
    second: int
    first_as_second: int
    second_as_first: int
    first_support: int
    second_support: int
    chance: float
    p: float
    kind: Literal["two-way", "one-way", "too few to tell"]

    @property
    def total(self) -> int:
        """Return the mistakes both ways."""
        return self.first_as_second + self.second_as_first


@dataclass(frozen=True, eq=False)
class Confusions:
    """The confusion matrix as its cells that are not zero, and what stands out in it.

    Attributes:
        order_K: Class numbers in an order by make, similar classes side by side.
        blocks: Makes as ``(make, start, stop)`` in that order; empty when not known.
        true_C, predicted_C, count_C: The cells, class numbers and counts, int64.
        pairs: The most confused pairs first.
    """

    order_K: NDArray[Any]
    blocks: tuple[tuple[str, int, int], ...]
    true_C: NDArray[Any]
    predicted_C: NDArray[Any]
    count_C: NDArray[Any]
    pairs: tuple[ConfusedPair, ...]


@dataclass(frozen=True, eq=False)
class Group:
    """An error group: mistakes with something in common.

    Attributes:
        name: Short, for files and links: ``look-alike``.
        title: For people.
        definition: One sentence.
        rows_G: Rows of the predictions, all wrong, highest loss first; one may be in several
            groups.
        num_primary: How many of them have this as their primary cause.
        advice: What usually helps.
    """

    name: str
    title: str
    definition: str
    rows_G: NDArray[Any]
    num_primary: int
    advice: str


@dataclass(frozen=True)
class Slice:
    """Accuracy on the samples that share a value of an attribute.

    Attributes:
        attribute, value: What they share, as text: ``brightness``, ``below 63``.
        num_samples, num_correct: Counts.
        accuracy, low, high: With its 95 % interval (Jeffreys).
        rest: Accuracy on all other samples.
        p: That the slice is no worse than the rest, adjusted for all slices as ``cut_slices`` says.
        is_worst: Whether it is significantly worse: ``p < 0.05``.
    """

    attribute: str
    value: str
    num_samples: int
    num_correct: int
    accuracy: float
    low: float
    high: float
    rest: float
    p: float
    is_worst: bool


@dataclass(frozen=True)
class Trait:
    """An attribute that differs between a cluster and the other mistakes.

    Attributes:
        attribute: Name of the attribute.
        words: In words: ``lower brightness: median 61, other mistakes 118``.
        inside, outside: Median, or share, in the cluster and among the other wrong photos.
        p: Adjusted (Holm) over all clusters and attributes.
    """

    attribute: str
    words: str
    inside: float
    outside: float
    p: float


@dataclass(frozen=True, eq=False)
class Cluster:
    """Mistakes with similar embeddings.

    Attributes:
        rows_G: Rows of the predictions, the most typical first.
        traits: Attributes that differ significantly, the clearest first; may be empty.
        classes: The most frequent true classes with their counts.
    """

    rows_G: NDArray[Any]
    traits: tuple[Trait, ...]
    classes: tuple[tuple[int, int], ...]


@dataclass(frozen=True, eq=False)
class Calibration:
    """Confidence against accuracy.

    Attributes:
        ece, adaptive_ece: Calibration error in bins of equal width, and of equal count.
        temperature: That fits these predictions best (of a large split: an even sample of it);
            ``None`` without all probabilities.
        coverage_S, accuracy_S, confidence_S: When predictions below a threshold are rejected: share
            of photos left, accuracy on those, and the threshold; descending coverage.
    """

    ece: float
    adaptive_ece: float
    temperature: float | None
    coverage_S: NDArray[Any]
    accuracy_S: NDArray[Any]
    confidence_S: NDArray[Any]


@dataclass(frozen=True, eq=False)
class Reliability:
    """Accuracy by confidence, in R bins.

    Attributes:
        counts_R: Samples in each bin.
        confidence_R: Mean probability of the predicted class; NaN in an empty bin.
        accuracy_R, low_R, high_R: Accuracy and its 95 % interval; NaN in an empty bin.
    """

    counts_R: NDArray[Any]
    confidence_R: NDArray[Any]
    accuracy_R: NDArray[Any]
    low_R: NDArray[Any]
    high_R: NDArray[Any]


@dataclass(frozen=True, eq=False)
class Review:
    """Samples whose label a person should check, the most suspicious first.

    Attributes:
        split: Whose labels: ``train`` (from folds) or the analysed split.
        ids_R, paths_R: Of the samples.
        labels_R, suggested_R: Class numbers: as labelled, as the model would.
        prob_label_R, prob_suggested_R: What the model gives both, out of sample.
        is_suspect_R: Whether confident learning counts it to another class, among the first twice
            as many as errors are expected, or a near duplicate has another label.
        num_expected: How many label errors confident learning estimates among all samples.
        expected_R: Estimated real errors among the first 1, 2, ... samples of the list.
    """

    split: str
    ids_R: NDArray[Any]
    paths_R: NDArray[Any]
    labels_R: NDArray[Any]
    suggested_R: NDArray[Any]
    prob_label_R: NDArray[Any]
    prob_suggested_R: NDArray[Any]
    is_suspect_R: NDArray[Any]
    num_expected: float
    expected_R: NDArray[Any]

    def __len__(self) -> int:
        return len(self.ids_R)


@dataclass(frozen=True, eq=False)
class Hardness:
    """Data maps from training dynamics.

    Attributes:
        ids_M, labels_M: Train samples.
        confidence_M, variability_M: Mean and standard deviation over epochs of the label's
            probability.
        correctness_M: Share of epochs with a right prediction.
        forgotten_M: How often a right prediction became wrong; -1 when it was never right.
        region_M: ``easy``, ``ambiguous`` or ``hard``; none is ambiguous whose probability never
            changed.
        num_epochs: That were seen.
    """

    ids_M: NDArray[Any]
    labels_M: NDArray[Any]
    confidence_M: NDArray[Any]
    variability_M: NDArray[Any]
    correctness_M: NDArray[Any]
    forgotten_M: NDArray[Any]
    region_M: NDArray[Any]
    num_epochs: int


@dataclass(frozen=True)
class LearningRow:
    """How many photos more a class needs.

    Attributes:
        number: Of the class.
        train_count: Photos it has.
        error: Share that is wrong, smoothed over classes.
        target: Error to reach: the mean of all classes.
        more, more_low, more_high: Photos to add, with a 95 % interval; ``None``: more than ten
            times what it has, so photos alone will not do.
    """

    number: int
    train_count: int
    error: float
    target: float
    more: int | None
    more_low: int | None
    more_high: int | None


@dataclass(frozen=True, eq=False)
class Analysis:
    """All that was found on one split.

    Attributes:
        evidence: What was analysed.
        wrong_W: Rows of the predictions that are wrong, highest loss first.
        groups: In the order that decides on a primary cause.
        primary_W: For each wrong row the index of its primary group; -1 when it is in none.
        confusions: The confusion matrix and its pairs.
        slices: All slices, the worst first.
        clusters: Error clusters; empty without embeddings.
        calibration: Confidence against accuracy.
        reviews: Label reviews: of the split, and of train when there are folds.
        hardness: ``None`` without dynamics.
        learning: One row for each class that is worse than the mean; empty without a curve.
        actions: What to do, most useful first; each a mapping with ``kind``, ``title``, ``why``,
            ``command`` (or ``None``) and its numbers. What ``carscale errors`` writes to
            ``errors/actions-SPLIT.json``.
        notes: What is missing, and the command that makes it.
    """

    evidence: Evidence
    wrong_W: NDArray[Any]
    groups: tuple[Group, ...]
    primary_W: NDArray[Any]
    confusions: Confusions
    slices: tuple[Slice, ...]
    clusters: tuple[Cluster, ...]
    calibration: Calibration
    reviews: tuple[Review, ...]
    hardness: Hardness | None
    learning: tuple[LearningRow, ...]
    actions: tuple[dict[str, Any], ...]
    notes: tuple[str, ...]
