"""How far a set of photos lies from another: the domain gap, attribute by attribute.

Axes: A photos of one set, B of the other, P pairs, S side of a signature.

Chosen: Cliff's delta of each attribute, Holm's correction over all of them. Rejected: differences
of means in standard deviations. Why: sizes and colours have long tails, and one giant photo would
decide. Chosen: whether a set of one size was squashed or cut is asked of gradients, against the
other set squashed and cut. Rejected: saying only that shapes differ. Why: cars squashed to a square
are other cars to a model that pads, cars cut at their ends are fewer cars.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale import data, images, stats
from carscale.curate.domain_gap_result import CLEAR, AttributeGap, Gap, Overlap, Shape
from carscale.curate.measure import MeasuredPhotos
from carscale.curate.two_sample_test import classifier_two_sample_test

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


ALPHA = 0.05
ONE_SIZE = 0.95
SAME_SHAPE = 1.15
"""Widths over heights that differ by less are the same shape."""

ATTRIBUTES = {
    "size": "square root of width times height, px",
    "aspect": "width / height",
    "brightness": "mean luma, 0 to 255",
    "contrast": "deviation of luma",
    "sharpness": "fine detail over structure, at 128 px",
    "information": "bits of luma, 0 to 8",
    "saturation": "mean of the largest less the smallest channel",
    "red": "mean red, 0 to 255",
    "green": "mean green, 0 to 255",
    "blue": "mean blue, 0 to 255",
    "warmth": "mean red less mean blue",
    "bytes per pixel": "of the file",
    "quality": "of JPEG, as libjpeg counts, estimated",
}
LOOKS_ALONE = (
    *("brightness", "contrast", "sharpness", "information"),
    *("saturation", "red", "green", "blue"),
)


def find_gap(
    a: MeasuredPhotos,
    b: MeasuredPhotos,
    *,
    embeddings: tuple[NDArray[Any], NDArray[Any]] | None = None,
    num_permutations: int = 99,
    seed: int = 0,
) -> Gap:
    """Compare two sets of photos.

    Args:
        a: What is there, usually a frozen folder.
        b: What may join it.
        embeddings: What a model sees of photos of each set.
        num_permutations: Of the classifier's test.
        seed: Of all draws.
    """
    columns_a, columns_b = _columns(a), _columns(b)
    two_sample = [
        classifier_two_sample_test(
            *_features(columns_a, columns_b, names),
            what=what,
            num_permutations=num_permutations,
            seed=seed,
        )
        for what, names in (
            ("all attributes", tuple(ATTRIBUTES)),
            ("light, colour and sharpness alone", LOOKS_ALONE),
        )
    ]
    far = None
    if embeddings is not None:
        embeddings_a, embeddings_b = (part.astype(np.float64) for part in embeddings)
        far = stats.mean_discrepancy(embeddings_a, embeddings_b, seed=seed)
        two_sample.append(
            classifier_two_sample_test(
                embeddings_a,
                embeddings_b,
                what="what the model sees",
                num_permutations=num_permutations,
                seed=seed,
            )
        )
    return Gap(
        a=_about(a),
        b=_about(b),
        attributes=attribute_gaps(columns_a, columns_b),
        shape_a=_shape(a, b),
        shape_b=_shape(b, a),
        overlap=_overlap(a, b),
        two_sample=tuple(one for one in two_sample if one is not None),
        embeddings=far,
        notes=(*a.notes, *b.notes),
    )


def attribute_gaps(
    columns_a: Mapping[str, NDArray[np.float64]], columns_b: Mapping[str, NDArray[np.float64]]
) -> tuple[AttributeGap, ...]:
    """Compare two sets attribute by attribute.

    Args:
        columns_a: Values of one set by attribute; NaN where one is not known.
        columns_b: Of the other.
    """
    pairs = {
        name: tuple(columns[name][np.isfinite(columns[name])] for columns in (columns_a, columns_b))
        for name in columns_a
    }
    pairs = {name: pair for name, pair in pairs.items() if min(map(len, pair)) >= 3}
    level = 1 - ALPHA / max(1, len(pairs))
    found = {name: stats.dominance(*pair, level=level) for name, pair in pairs.items()}
    p_T = stats.holm([one.p for one in found.values()])
    gaps = []
    for (name, one), p in zip(found.items(), p_T.tolist(), strict=True):
        values_A, values_B = pairs[name]
        median = float(np.median(values_B))
        side_A = values_A < median if one.delta > 0 else values_A > median
        gaps.append(
            AttributeGap(
                name,
                float(np.median(values_A)),
                median,
                one.delta,
                one.low,
                one.high,
                p,
                float(side_A.mean()),
            )
        )
    return tuple(gaps)


def _columns(photos: MeasuredPhotos) -> dict[str, NDArray[np.float64]]:
    """Return a set's attributes by name."""
    values = photos.values
    pixels_N = values["width"] * values["height"]
    found = {name: values[name] for name in ATTRIBUTES if name in values} | {
        "size": np.sqrt(pixels_N),
        "aspect": values["width"] / values["height"],
        "warmth": values["red"] - values["blue"],
        "bytes per pixel": values["num_bytes"] / pixels_N,
    }
    return {name: found[name] for name in ATTRIBUTES}


def _features(
    columns_a: Mapping[str, NDArray[np.float64]],
    columns_b: Mapping[str, NDArray[np.float64]],
    names: tuple[str, ...],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return attributes as features; one that is not known of every photo is left out."""
    known = [
        name
        for name in names
        if name in columns_a
        and np.isfinite(columns_a[name]).all()
        and np.isfinite(columns_b[name]).all()
    ]
    first, second = (
        np.column_stack([columns[name] for name in known]) for columns in (columns_a, columns_b)
    )
    return first, second


def _about(photos: MeasuredPhotos) -> dict[str, Any]:
    """Return what a set is."""
    return {
        "name": photos.name,
        "num_photos": photos.total,
        "num_compared": len(photos),
        "num_unread": photos.unread,
    }


def _shape(photos: MeasuredPhotos, other: MeasuredPhotos) -> Shape | None:
    """Return the one size that a set has, and how it came to it; ``None`` without one."""
    sizes = zip(photos.values["width"].tolist(), photos.values["height"].tolist(), strict=True)
    ((width, height), count), *_ = Counter(sizes).most_common(1)
    share = count / len(photos)
    if share < ONE_SIZE:
        return None
    aspects_N = other.values["width"] / other.values["height"]
    usual = float(np.median(aspects_N))
    ratio = (width / height) / usual
    if 1 / SAME_SHAPE < ratio < SAME_SHAPE:
        return Shape(int(width), int(height), share, "")
    return Shape(int(width), int(height), share, _how(photos, other, ratio))


def _how(photos: MeasuredPhotos, other: MeasuredPhotos, ratio: float) -> str:
    """Tell whether photos were squashed or cut, by how steep they are across against down.

    The other set, squashed, is what its signatures are; cut is what remains of them between the
    sides that the ratio leaves.
    """
    part = min(ratio, 1 / ratio)
    span = ((1 - part) / 2, (1 + part) / 2)
    cut_NSS = (
        images.crop_signatures(other.signatures_NSS, across=span)
        if ratio < 1
        else images.crop_signatures(other.signatures_NSS, down=span)
    )
    mine_N = _steepness(photos.signatures_NSS)
    squashed_N, cut_N = _steepness(other.signatures_NSS), _steepness(cut_NSS)
    as_squashed = stats.dominance(squashed_N, mine_N)
    as_cut = stats.dominance(cut_N, mine_N)
    if abs(stats.dominance(squashed_N, cut_N).delta) < CLEAR:
        return "squashed or cut"
    apart = abs(abs(as_squashed.delta) - abs(as_cut.delta))
    if apart < CLEAR:
        return "squashed or cut"
    return "squashed" if abs(as_squashed.delta) < abs(as_cut.delta) else "cut"


def _steepness(signatures_NSS: NDArray[Any]) -> NDArray[np.float64]:
    """Return the logarithm of steps across over steps down, at half the signature's side."""
    count, side = len(signatures_NSS), signatures_NSS.shape[-1] // 2
    halves = np.asarray(signatures_NSS, dtype=np.float64).reshape(count, side, 2, side, 2)
    small_NSS = halves.mean(axis=(2, 4))
    across_N = np.abs(np.diff(small_NSS, axis=2)).mean(axis=(1, 2))
    down_N = np.abs(np.diff(small_NSS, axis=1)).mean(axis=(1, 2))
    found: NDArray[np.float64] = np.log((across_N + 0.1) / (down_N + 0.1))
    return found


def _overlap(a: MeasuredPhotos, b: MeasuredPhotos) -> Overlap:
    """Find the photos of B that A holds too."""
    place = {digest: row for row, digest in enumerate(a.sha256_N.tolist())}
    same = {row: place[digest] for row, digest in enumerate(b.sha256_N.tolist()) if digest in place}
    photos = [*a.photos, *b.photos]
    pairs = data.near_pairs(
        np.concatenate([a.phashes_N, b.phashes_N]),
        np.concatenate([a.signatures_NSS, b.signatures_NSS]),
        lambda row: images.read_photo(photos[row].read()).content,
    )
    near: dict[int, tuple[int, float]] = {}
    for (one, other), agreement in zip(
        pairs.rows_P2.tolist(), pairs.agreements_P.tolist(), strict=True
    ):
        row = other - len(a)
        if one < len(a) <= other and row not in same and agreement > near.get(row, (0, 0.0))[1]:
            near[row] = (one, agreement)
    every = [(row, at, 1.0) for row, at in same.items()]
    every += [(row, at, min(0.9999, round(agreement, 4))) for row, (at, agreement) in near.items()]
    every.sort(key=lambda found: (-found[2], found[0]))
    return Overlap(
        exact=len(same),
        near=len(near),
        by_split=dict(Counter(str(a.splits_N[at]) for _, at, _ in every)),
        pairs=tuple((b.photos[row].where, a.photos[at].where, c) for row, at, c in every),
    )
