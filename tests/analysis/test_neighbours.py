import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st

from carscale.analysis import neighbours
from carscale.analysis.neighbours import (
    class_sums,
    nearest,
    normalised,
    rows_by_class,
    separation,
)


@given(st.integers(0, 12), st.integers(1, 30), st.integers(1, 6), st.integers(0, 999))
def test_nearest_is_what_all_distances_give_in_any_blocks(num, base, want, seed):
    rng = np.random.default_rng(seed)
    queries_ND, base_MD = (normalised(rng.normal(size=(n, 5))) for n in (num, base))
    skip = rng.integers(-1, base, size=num)
    far_NM = 1.0 - queries_ND @ base_MD.T
    far_NM[np.flatnonzero(skip >= 0), skip[skip >= 0]] = np.inf
    order = np.argsort(far_NM, axis=1)[:, :want]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbours, "BLOCK_NUMBERS", 3 * base)
        rows_Nn, far_Nn = nearest(queries_ND, base_MD, want, skip_M=skip)
    assert rows_Nn.shape == (num, min(want, base))
    assert np.allclose(far_Nn, np.take_along_axis(far_NM, order, axis=1), atol=1e-6)


def test_rows_of_length_one_and_zero_rows_stay():
    found = normalised(np.array([[3.0, 4.0], [0.0, 0.0]], dtype=np.float16))
    assert found.tolist() == [[pytest.approx(0.6), pytest.approx(0.8)], [0, 0]]


def test_sums_of_classes_are_a_loops():
    rng = np.random.default_rng(0)
    labels, points = rng.integers(4, size=50), rng.normal(size=(50, 3)).astype(np.float32)
    found = class_sums(points, rows_by_class(labels, 6))
    for k in range(6):
        assert found[k] == pytest.approx(points[labels == k].sum(axis=0), abs=1e-5)


def test_separation_is_the_silhouette_and_one_cluster_has_none():
    rng = np.random.default_rng(1)
    points, numbers = rng.normal(size=(80, 3)), rng.integers(3, size=80)
    wanted = sklearn.metrics.silhouette_score(points, numbers)
    assert separation(points, numbers) == pytest.approx(wanted)
    assert separation(points, np.zeros(80, dtype=int)) == -1
    assert separation(points[:0], numbers[:0]) == -1
