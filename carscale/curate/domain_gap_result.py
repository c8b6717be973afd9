"""The domain gap between two sets of photos, as numbers and in sentences."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from carscale import stats
from carscale.curate.two_sample_test import TwoSampleResult

ALPHA = 0.05
SLIGHT, CLEAR, LARGE = 0.147, 0.33, 0.474
"""Of Cliff's delta, after Romano et al. 2006: below the first a difference does not matter."""
WORDS = {
    "brightness": ("brighter", "darker"),
    "contrast": ("harder in contrast", "flatter in contrast"),
    "sharpness": ("sharper", "blurrier"),
    "information": ("richer in grey levels", "poorer in grey levels"),
    "saturation": ("more colourful", "paler"),
    "warmth": ("redder", "bluer"),
    "bytes per pixel": ("larger files a pixel", "smaller files a pixel"),
    "quality": ("less compressed", "more compressed"),
}
"""What B's photos are where they have more, and where they have less."""
ADVICE = {
    ("sharpness", -1): "to learn to see blur: augment.policy=degrade",
    ("quality", -1): "to learn to see artefacts: augment.policy=degrade",
    ("brightness", -1): "augment.brightness covers some of it",
    ("brightness", 1): "augment.brightness covers some of it",
    ("saturation", -1): "augment.saturation covers some of it",
    ("saturation", 1): "augment.saturation covers some of it",
}
EASY = 0.75
"""From this accuracy on a classifier tells two sets apart easily."""


@dataclass(frozen=True)
class AttributeGap:
    """How one attribute differs.

    Attributes:
        name: Of ``ATTRIBUTES``.
        median_a, median_b: Of each set.
        delta: Cliff's delta: above 0, B has more.
        low, high: Its interval, wide enough for all attributes together.
        p: Adjusted (Holm) over all attributes.
        beyond: Share of A on the near side of B's median.
    """

    name: str
    median_a: float
    median_b: float
    delta: float
    low: float
    high: float
    p: float
    beyond: float

    @property
    def matters(self) -> bool:
        """Whether the difference is beyond chance and not negligible."""
        return self.p < ALPHA and abs(self.delta) >= SLIGHT

    @property
    def strength(self) -> str:
        """The difference in a word."""
        if not self.matters:
            return "none" if self.p >= ALPHA else "negligible"
        size = abs(self.delta)
        return "large" if size >= LARGE else "clear" if size >= CLEAR else "slight"


@dataclass(frozen=True)
class Overlap:
    """Photos that both sets hold.

    Attributes:
        exact: Photos of B that are in A byte for byte.
        near: Further photos of B that are nearly the same as one of A.
        by_split: Both, by the split of A that holds them.
        pairs: Photo of B, photo of A, the share of their details that agrees; the surest first.
    """

    exact: int
    near: int
    by_split: dict[str, int]
    pairs: tuple[tuple[str, str, float], ...] = ()


@dataclass(frozen=True)
class Shape:
    """Whether a set has one size, and what was done to give it that.

    Attributes:
        width, height: The size.
        share: Of the photos that have it.
        how: ``squashed``, ``cut`` or, where that can't be told, ``squashed or cut``; empty where
            the other set has the same shape.
    """

    width: int
    height: int
    share: float
    how: str


@dataclass(frozen=True)
class Gap:
    """The domain gap between two sets.

    Attributes:
        a, b: What each is: ``name``, ``num_photos``, ``num_compared``, ``num_unread``.
        attributes: In the order of ``ATTRIBUTES``; one that is not known of both is left out.
        shape_a, shape_b: Where a set has one size.
        overlap: Photos of both.
        two_sample: How well a classifier tells them apart, by what it sees.
        embeddings: Distance of what a model sees; ``None`` without a run.
    """

    a: dict[str, Any]
    b: dict[str, Any]
    attributes: tuple[AttributeGap, ...]
    shape_a: Shape | None
    shape_b: Shape | None
    overlap: Overlap
    two_sample: tuple[TwoSampleResult, ...]
    embeddings: stats.Discrepancy | None = None
    notes: tuple[str, ...] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return asdict(self) | {
            "attributes": [asdict(one) | {"strength": one.strength} for one in self.attributes],
            "summary": sentences(self),
        }


def sentences(gap: Gap) -> list[str]:
    """Return what differs, the largest first; then what both share and how similar they are."""
    by_name = {one.name: one for one in gap.attributes}
    found = [*_shapes(gap, by_name)]
    differing = sorted(
        (one for one in gap.attributes if one.matters and one.name in WORDS),
        key=lambda one: -abs(one.delta),
    )
    found += [_difference(one) for one in differing]
    found += _swap(by_name)
    if not found:
        found.append(
            f"No gap found: none of {len(gap.attributes)} attributes differs beyond chance by more "
            "than a negligible amount."
        )
    return [*found, *_overlap(gap), *_apart(gap), *_embedding(gap)]


def _difference(one: AttributeGap) -> str:
    """Say how one attribute differs."""
    word = WORDS[one.name][0 if one.delta > 0 else 1]
    advice = ADVICE.get((one.name, 1 if one.delta > 0 else -1))
    what = "have" if "files" in word else "are"
    return (
        f"B's photos {what} {word}: half of them beyond {one.beyond:.0%} of A's "
        f"({one.name} {one.median_b:.3g} against {one.median_a:.3g})"
        + (f"; {advice}." if advice else ".")
    )


def _shapes(gap: Gap, by_name: dict[str, AttributeGap]) -> list[str]:
    """Say how sizes and shapes differ."""
    found = []
    for whose, shape in (("B", gap.shape_b), ("A", gap.shape_a)):
        if shape is not None and shape.how:
            found.append(_one_size(whose, shape, by_name["aspect"]))
    size, aspect = by_name.get("size"), by_name.get("aspect")
    if size and size.matters:
        ratio = size.median_b / size.median_a
        if ratio >= 1:
            found.append(f"B's photos are {ratio:.2g} times as large ({_px(size)}).")
        else:
            found.append(f"B's photos are smaller, {ratio:.0%} of A's sides ({_px(size)}).")
    if aspect and aspect.matters and not _has_shape(gap):
        word = "wider" if aspect.delta > 0 else "narrower"
        found.append(
            f"B's photos are {word}: {aspect.median_b:.2f} times as wide as tall against "
            f"{aspect.median_a:.2f}; with data.fit=squash cars get other proportions."
        )
    return found


def _has_shape(gap: Gap) -> bool:
    """Tell whether a set of one size explains another shape."""
    return any(shape is not None and shape.how for shape in (gap.shape_a, gap.shape_b))


def _px(size: AttributeGap) -> str:
    """Return both median sides."""
    return f"sides of {size.median_b:.0f} against {size.median_a:.0f} px"


def _one_size(whose: str, shape: Shape, aspect: AttributeGap) -> str:
    """Say what a set of one size was made by, and what that does."""
    other = aspect.median_a if whose == "B" else aspect.median_b
    share = "All" if shape.share == 1 else f"{shape.share:.0%} of"
    does = {
        "squashed": "cars have other proportions: train with data.fit=squash, or on A alone",
        "cut": "cars lack their ends",
        "squashed or cut": "look at some",
    }[shape.how]
    return (
        f"{share} {whose}'s photos are {shape.how} to {shape.width}x{shape.height}, where the "
        f"other's are {other:.2f} times as wide as tall: {does}."
    )


def _swap(by_name: dict[str, AttributeGap]) -> list[str]:
    """Say where red and blue may have changed places."""
    warmth, red, blue = (by_name.get(name) for name in ("warmth", "red", "blue"))
    if not (warmth and red and blue and warmth.matters):
        return []
    is_mirrored = warmth.median_a * warmth.median_b < 0
    far = abs(warmth.median_b - warmth.median_a)
    is_exchanged = abs(warmth.median_a + warmth.median_b) < 0.25 * far
    if not (is_mirrored and is_exchanged):
        return []
    return [
        f"B's red less blue is {warmth.median_b:+.1f} where A's is {warmth.median_a:+.1f}: look "
        "whether red and blue are exchanged."
    ]


def _overlap(gap: Gap) -> list[str]:
    """Say how many photos both hold."""
    overlap = gap.overlap
    if not overlap.exact + overlap.near:
        return [f"None of B's {gap.b['num_compared']:,} photos is in A, not even nearly."]
    where = ", ".join(
        f"{name} {count:,}" for name, count in sorted(overlap.by_split.items()) if name
    )
    tail = f" (in A's {where})" if where else ""
    lines = [
        f"{overlap.exact + overlap.near:,} of B's {gap.b['num_compared']:,} photos are in A too"
        f"{tail}: "
        f"{overlap.exact:,} byte for byte, {overlap.near:,} nearly."
    ]
    held_out = [name for name in overlap.by_split if name.startswith(("val", "test"))]
    if held_out:
        lines.append(
            "A merge by carscale data merge leaves those of val and test out; by hand they would "
            "leak."
        )
    return lines


def _apart(gap: Gap) -> list[str]:
    """Say how well a classifier tells the sets apart."""
    found = []
    for one in gap.two_sample:
        level = f"{one.accuracy:.1%} right (95 % [{one.low:.1%}, {one.high:.1%}], p {one.p:.2g})"
        if one.p >= ALPHA:
            word = "can't tell them apart"
        elif one.accuracy >= EASY:
            word = "tells them apart easily"
        else:
            word = "tells them apart a little"
        found.append(f"By {one.what} a classifier {word}: {level}, chance is 50 %.")
    return found


def _embedding(gap: Gap) -> list[str]:
    """Say how far apart the model sees the sets."""
    far = gap.embeddings
    if far is None:
        return []
    level = (
        f"squared MMD {far.value:.4f} (95 % [{far.low:.4f}, {far.high:.4f}]; by chance up to "
        f"{far.chance:.4f}, p {far.p:.2g})"
    )
    if far.p >= ALPHA:
        return [f"The model sees both alike: {level}."]
    return [f"The model sees other photos in B than in A: {level}."]
