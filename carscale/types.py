"""The nouns that rooms hand to each other.

Axes: B samples of a batch, N samples of a split, K classes, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from carscale import contained

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor


Fit = Literal["crop", "pad", "squash"]

ROUNDING = 1e-4
"""How far beyond 0 and 1 a float32 probability may lie."""


@dataclass(frozen=True)
class CarClass:
    """One class: what people call it, the folder it lies in, and what its name tells.

    ``make``, ``model``, ``body`` and ``year`` are ``None`` where the name does not tell.
    """

    name: str
    folder: str
    make: str | None = None
    model: str | None = None
    body: str | None = None
    year: int | None = None


@dataclass(frozen=True)
class View:
    """How a photo becomes a model's input: saved with the weights, used by every backend.

    Attributes:
        image_px: Side of the square input.
        fit: How a photo that is not square fills it.
        interpolation: ``bilinear`` or ``bicubic``.
        mean, std: Per channel, for pixel values in [0, 1]; the model's first layer applies them.
    """

    image_px: int
    fit: Fit = "pad"
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)

    @property
    def fill(self) -> tuple[int, int, int]:
        """Return the colour outside a photo: the mean, which the model sees as zero."""
        red, green, blue = (round(255 * value) for value in self.mean)
        return red, green, blue


class PhotoStore(Protocol):
    """Photos that are not files of their own; pickles without what it holds open."""

    def read_bytes(self, photo_id: int) -> bytes:
        """Return a photo's bytes; raise ``OSError`` when they can't be read."""
        ...


@dataclass(frozen=True, eq=False)
class Split:
    """The samples of one frozen split, ordered by id.

    A photo is read with ``read_bytes`` and named in messages with ``where``; nothing else asks
    whether it is a file.

    Attributes:
        name: ``train``, ``val`` or ``test``.
        root: Folder that ``paths_N`` start from.
        ids_N: Row numbers in the manifest, int64, ascending.
        keys_N: Content hash + occurrence, the same in every version of a data set.
        paths_N: Relative paths, ``/`` between the parts.
        labels_N: Class numbers, int64 in ``[0, K)``; a photo of which only the make is known has
            ``K + m``, its classes being ``class_sets[m]``.
        sizes_N2: Width and height in pixels, int64.
        classes: The class list, all splits alike.
        hash: What the split holds, as the card has it.
        store: What holds the photos; ``None`` when they are the files at ``root / paths_N``.
        class_sets: The class numbers that each partial label leaves open.
    """

    name: str
    root: Path
    ids_N: NDArray[np.int64]
    keys_N: NDArray[Any]
    paths_N: NDArray[Any]
    labels_N: NDArray[np.int64]
    sizes_N2: NDArray[np.int64]
    classes: tuple[CarClass, ...]
    hash: str
    store: PhotoStore | None = None
    class_sets: tuple[tuple[int, ...], ...] = ()

    def __len__(self) -> int:
        return len(self.ids_N)

    def read_bytes(self, row: int) -> bytes:
        """Return the encoded bytes of one photo; from many threads and processes at once.

        Args:
            row: Index in this split, in ``[0, N)``.

        Raises:
            OSError: The photo can't be read.
        """
        if self.store is not None:
            return self.store.read_bytes(int(self.ids_N[row]))
        return contained.read_inside(self.root, self.paths_N[row])

    def where(self, row: int) -> str:
        """Return a photo's name for messages: its file, or pack, id and path.

        Args:
            row: Index in this split, in ``[0, N)``.
        """
        if self.store is not None:
            return f"{self.root}#{self.ids_N[row]} ({self.paths_N[row]})"
        return str(self.root / self.paths_N[row])

    @cached_property
    def counts_K(self) -> NDArray[np.int64]:  # noqa: N802 - K classes
        """Return how many samples each class has; partial labels count for none."""
        num_classes = len(self.classes)
        return np.bincount(self.labels_N, minlength=num_classes)[:num_classes]


@dataclass(frozen=True, eq=False)
class Splits:
    """A frozen data set: three splits, one class list, the card.

    Attributes:
        train, val, test: As frozen.
        classes: The class list.
        card: What ``card.json`` holds.
        extra: Tests of other origin, and ``partial`` (photos of which only the make is known), by
            name.
    """

    train: Split
    val: Split
    test: Split
    classes: tuple[CarClass, ...]
    card: dict[str, Any]
    extra: dict[str, Split] = field(default_factory=dict)

    @property
    def every(self) -> tuple[Split, ...]:
        """All splits: together they hold every manifest row once."""
        return (self.train, self.val, self.test, *self.extra.values())


@dataclass(frozen=True, eq=False)
class Batch:
    """Photos of one rank and micro-step, on the run's device.

    Attributes:
        images_BCHW: uint8, ``channels_last`` in memory.
        labels_B: int64.
        ids_B: int64, manifest rows.
        num_unreadable: How many of them are shown as a grey square.
        partner_labels_B: Labels of the photos that were mixed in, int64; ``None`` without mixing.
        own_share_B: How much each picture's own label counts, float32 in [0, 1].
        partner_share_B: How much its partner's does; ``None``: the rest.
        swap_B4, source_B4: Of pictures that are still to be mixed, by the model: rectangles, as in
            ``augment.Params``, int64 on the CPU.
    """

    images_BCHW: Tensor
    labels_B: Tensor
    ids_B: Tensor
    num_unreadable: int = 0
    partner_labels_B: Tensor | None = None
    own_share_B: Tensor | None = None
    partner_share_B: Tensor | None = None
    swap_B4: NDArray[np.int64] | None = None
    source_B4: NDArray[np.int64] | None = None


class Loader(Protocol):
    """Whole evaluation batches of one rank; no padding, no sample twice."""

    split: Split
    view: View
    backend: str
    eval_batch_size: int

    def __iter__(self) -> Iterator[Batch]: ...


class TrainLoader(Protocol):
    """Training batches as a function of the step; its state is one integer, the step."""

    split: Split
    backend: str
    global_batch_size: int
    sides_px: tuple[int, ...]

    def batches(
        self, first_step: int, last_step: int, num_micro_steps: int
    ) -> Generator[Batch, None, None]:
        """Yield this rank's micro-batches of some steps, in order."""
        ...

    def accumulation_labels(self, step: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the labels of a whole global batch, and how much each counts."""
        ...


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a model said of every sample of a split, ordered by id.

    Attributes:
        ids_N, keys_N, paths_N, labels_N: As in ``Split``.
        prediction_N: Class with the highest probability, int64.
        top5_NT: The best five classes (fewer when K < 5), best first, int64.
        top5_prob_NT: Their probabilities, float32.
        prob_label_N: Probability of the true class, float32.
        prob_prediction_N: Probability of the predicted class, float32.
        loss_N: Cross-entropy in nats, float32.
        margin_N: Probability of the label minus the best other one, float32 in [-1, 1].
        probs_NK: All probabilities, only when asked for.
        embeddings_ND: What the classifier layer saw, float16, only when asked for; kept in a file
            of its own.
        about: What made it: split, hashes, checkpoint, backend, view.
    """

    ids_N: NDArray[np.int64]
    keys_N: NDArray[Any]
    paths_N: NDArray[Any]
    labels_N: NDArray[np.int64]
    prediction_N: NDArray[np.int64]
    top5_NT: NDArray[np.int64]
    top5_prob_NT: NDArray[np.float32]
    prob_label_N: NDArray[np.float32]
    prob_prediction_N: NDArray[np.float32]
    loss_N: NDArray[np.float32]
    margin_N: NDArray[np.float32]
    probs_NK: NDArray[np.float32] | None = None
    embeddings_ND: NDArray[np.float16] | None = None
    about: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids_N)

    @property
    def fault(self) -> str | None:
        """Return why no metric can be computed of this; ``None`` where all numbers are fine."""
        if len(self) == 0:
            return None
        probs = (self.prob_label_N, self.prob_prediction_N, self.top5_prob_NT, self.probs_NK)
        largest = float(np.finfo(np.float32).max)
        bounds = [(self.loss_N, -largest, largest), (self.margin_N, -1.0, 1.0)]
        bounds += [(column, 0.0, 1.0) for column in probs if column is not None]
        is_bad_N = np.zeros(len(self), dtype=bool)
        for column, low, high in bounds:
            rows = column.reshape(len(self), -1)
            least_N, most_N = rows.min(axis=1), rows.max(axis=1)  # NaN where the row holds one
            is_bad_N |= ~((least_N >= low - ROUNDING) & (most_N <= high + ROUNDING))
        if is_bad_N.any():
            return (
                f"{is_bad_N.sum()} of {len(self)} photos have a loss or probability that is NaN, "
                "infinite or out of range"
            )
        numbers = (self.labels_N, self.prediction_N, self.top5_NT)
        lowest = min(int(column.min(initial=0)) for column in numbers)
        return f"names class {lowest}; the first is 0" if lowest < 0 else None
