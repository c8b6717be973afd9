"""Pairs by embedding against a naive loop, and classes that a model has folded into points."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carscale import data
from carscale.data.photos import embedding_duplicates


def naive(rows_ND, groups):
    """The rule, read aloud."""
    unit = rows_ND / np.linalg.norm(rows_ND, axis=1, keepdims=True)
    near = []
    for n in range(len(unit)):
        others = [(float(unit[n] @ unit[m]), m) for m in range(len(unit)) if groups[m] != groups[n]]
        others.sort(key=lambda entry: -entry[0])
        first = others[0] if others else (-1.0, 0)
        rest = [cosine for cosine, m in others if groups[m] != groups[first[1]]]
        near.append((first, rest[0] if rest else -1.0))
    return [
        [n, near[n][0][1]]
        for n in range(len(unit))
        if n < near[n][0][1]
        and near[near[n][0][1]][0][1] == n
        and all(
            near[m][0][0] >= 0.8 and 1 - near[m][0][0] < 0.5 * (1 - near[m][1])
            for m in (n, near[n][0][1])
        )
    ]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 40), block=st.sampled_from([1, 7, 64]))
def test_pairs_are_those_of_a_naive_loop(seed, count, block):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(count, 6))
    copies = rng.integers(count, size=count // 2)
    rows[copies] = rows[rng.permutation(count)[: len(copies)]] + rng.normal(
        0, 0.05, (len(copies), 6)
    )
    groups = rng.integers(0, count, size=count)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedding_duplicates, "BLOCK", block)
        found = data.embedding_pairs(rows, groups)
    assert found.rows_P2.tolist() == naive(rows, groups)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    wanted = [unit[a] @ unit[b] for a, b in found.rows_P2]
    assert found.cosines_P == pytest.approx(wanted, abs=1e-5)


def test_a_class_folded_into_a_point_is_no_crowd_of_duplicates():
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(5, 64))
    rows = np.repeat(centres, 40, axis=0) + rng.normal(0, 0.02, (200, 64))  # cosines of 0.999
    rows[70] = rows[60] + rng.normal(0, 0.002, 64)
    found = data.embedding_pairs(rows.astype(np.float16), range(200))
    assert found.rows_P2.tolist() == [[60, 70]]


def test_copies_that_are_known_do_not_hide_a_third():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(20, 32))
    rows[5:7] = rows[4] + rng.normal(0, 0.05, (2, 32))
    assert data.embedding_pairs(rows, range(20)).rows_P2.tolist() == []  # each has two as near
    groups = np.arange(20)
    groups[5] = 4
    assert data.embedding_pairs(rows, groups).rows_P2.tolist() in ([[4, 6]], [[5, 6]])


def test_lengths_that_differ_are_refused_and_one_photo_has_no_pair():
    with pytest.raises(ValueError, match="2 embeddings for 3 groups"):
        data.embedding_pairs(np.zeros((2, 4)), range(3))
    assert len(data.embedding_pairs(np.ones((1, 4)), [0]).rows_P2) == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_embeddings_that_are_no_numbers_are_refused(bad):
    rows = np.eye(4)
    rows[2, 1] = bad
    with pytest.raises(ValueError, match="embeddings must be finite, 1 of 4 are not"):
        embedding_duplicates.embedding_pairs(rows, range(4))
