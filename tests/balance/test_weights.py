"""Class weights and sampling against scikit-learn and formulas."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from carscale import balance
from carscale.balance.weights import CLASS_WEIGHTS

COUNTS = st.lists(st.integers(0, 2000), min_size=1, max_size=30).filter(lambda c: sum(c) > 0)


@given(st.lists(st.integers(1, 2000), min_size=1, max_size=30))
def test_inverse_is_scikit_learns_balanced(counts):
    labels = np.repeat(np.arange(len(counts)), counts)
    expected = compute_class_weight("balanced", classes=np.arange(len(counts)), y=labels)
    np.testing.assert_allclose(
        balance.class_weights(np.array(counts), "inverse"), expected, rtol=1e-5
    )


@given(COUNTS, st.sampled_from(sorted(CLASS_WEIGHTS)))
def test_weights_average_one_over_samples(counts, method):
    counts = np.array(counts)
    weights = balance.class_weights(counts, method).astype(np.float64)
    assert (weights * counts).sum() == pytest.approx(counts.sum(), rel=1e-5)
    assert (weights[counts == 0] == 0).all()


def test_sqrt_weights_are_the_formula():
    weights = balance.class_weights(np.array([4, 16]), "sqrt")
    assert weights[0] / weights[1] == pytest.approx(2)


@pytest.mark.parametrize("beta", [0.0, 0.9, 0.999])
def test_effective_weights_are_the_papers_formula(beta):
    counts = np.array([1, 7, 500])
    weights = balance.class_weights(counts, "effective", beta=beta)
    effective = [sum(beta**i for i in range(n)) for n in counts]  # eq. 2, the sum itself
    np.testing.assert_allclose(weights[0] / weights, np.array(effective) / effective[0], rtol=1e-5)


def test_unknown_method_and_no_samples_are_refused():
    with pytest.raises(ValueError, match="inverse"):
        balance.class_weights(np.array([1]), "nope")
    with pytest.raises(ValueError, match="no samples"):
        balance.class_weights(np.array([0]), "sqrt")
