"""Temperature: scipy's minimum, and columns that are what the scaled logits say."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from carscale import evaluation
from carscale.types import Predictions


def drawn(seed, num_samples=400, num_classes=7, scale=3.0):
    """Return log-probabilities and labels that follow them, made too sure by a factor."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(num_samples, num_classes)) * 1.5
    probs = np.exp(log_softmax(logits, axis=1))
    labels = np.array([rng.choice(num_classes, p=row) for row in probs])
    return log_softmax(scale * logits, axis=1), labels


def loss(log_probs, labels, temperature):
    return -log_softmax(log_probs / temperature, axis=1)[np.arange(len(labels)), labels].mean()


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.sampled_from([0.2, 0.7, 1.0, 3.0, 9.0]), st.integers(2, 30))
def test_it_is_the_minimum_that_scipy_finds(seed, scale, num_classes):
    log_probs, labels = drawn(seed, 60, num_classes, scale)
    fitted = evaluation.fit_temperature(log_probs, labels)
    found = minimize_scalar(
        lambda x: loss(log_probs, labels, np.exp(x)),
        bounds=(np.log(0.05), np.log(20)),
        method="bounded",
        options={"xatol": 1e-9},
    )
    assert loss(log_probs, labels, fitted) <= found.fun + 1e-9
    if 0.1 < fitted < 10:
        assert fitted == pytest.approx(np.exp(found.x), rel=1e-3)


@pytest.mark.parametrize("scale", [0.3, 1.0, 4.0])
def test_it_finds_the_factor_that_made_a_model_too_sure(scale):
    log_probs, labels = drawn(1, 20_000, 5, scale)
    assert evaluation.fit_temperature(log_probs, labels) == pytest.approx(scale, rel=0.05)
    logits = log_probs + np.linspace(-900, 900, len(labels))[:, None]  # logits do as well
    assert evaluation.fit_temperature(logits, labels) == pytest.approx(
        evaluation.fit_temperature(log_probs, labels), rel=1e-6
    )


def test_limits():
    sure = np.log(np.array([[0.9, 0.1], [0.2, 0.8]]))
    assert evaluation.fit_temperature(sure, np.array([0, 1])) == pytest.approx(0.05, rel=1e-3)
    assert evaluation.fit_temperature(sure, np.array([1, 0])) == pytest.approx(20, rel=1e-3)
    assert evaluation.fit_temperature(np.zeros((3, 1)), np.zeros(3, int)) == 1
    assert evaluation.fit_temperature(np.zeros((3, 4)), np.zeros(3, int)) == 1
    for wrong in (np.zeros((0, 3)), np.array([[0.0, -np.inf]])):
        with pytest.raises(ValueError, match="finite and not empty"):
            evaluation.fit_temperature(wrong, np.zeros(len(wrong), int))


def test_it_does_not_matter_how_many_rows_are_looked_at_together(monkeypatch):
    from carscale.evaluation import temperature

    log_probs, labels = drawn(3)
    whole = evaluation.fit_temperature(log_probs, labels)
    monkeypatch.setattr(temperature, "ROWS_AT_ONCE", 50)
    assert evaluation.fit_temperature(log_probs, labels) == pytest.approx(whole, rel=1e-9)


def predicted(log_probs, labels):
    probs = np.exp(log_probs).astype(np.float32)
    order = np.argsort(-probs, axis=1, kind="stable")[:, :5]
    top = np.take_along_axis(probs, order, axis=1)
    rows = np.arange(len(labels))
    names = rows.astype(str)
    none = np.full(len(labels), np.nan, np.float32)
    return Predictions(
        ids_N=rows,
        keys_N=names,
        paths_N=names,
        labels_N=labels,
        prediction_N=order[:, 0],
        top5_NT=order,
        top5_prob_NT=top,
        prob_label_N=none,
        prob_prediction_N=top[:, 0],
        loss_N=none,
        margin_N=none,
        probs_NK=probs,
        about={"split": "val"},
    )


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_columns_are_those_of_the_scaled_logits(temperature):
    log_probs, labels = drawn(5, num_classes=9, scale=1.0)
    p = evaluation.with_temperature(predicted(log_probs, labels), temperature)
    wanted = np.exp(log_softmax(log_probs / temperature, axis=1))
    rows = np.arange(len(p))
    np.testing.assert_allclose(p.probs_NK, wanted, atol=1e-6)
    np.testing.assert_allclose(p.prob_label_N, wanted[rows, labels], atol=1e-6)
    np.testing.assert_allclose(p.loss_N, -np.log(wanted[rows, labels]), atol=1e-5)
    np.testing.assert_allclose(p.top5_prob_NT, -np.sort(-wanted, axis=1)[:, :5], atol=1e-6)
    np.testing.assert_array_equal(p.prob_prediction_N, p.top5_prob_NT[:, 0])
    np.testing.assert_array_equal(p.prediction_N, wanted.argmax(1))
    others = wanted.copy()
    others[rows, labels] = -1
    np.testing.assert_allclose(p.margin_N, wanted[rows, labels] - others.max(1), atol=1e-6)
    assert p.about == {"split": "val", "temperature": temperature}
    assert all(
        getattr(p, name).dtype == np.float32
        for name in ("probs_NK", "prob_label_N", "loss_N", "margin_N", "top5_prob_NT")
    )


def test_a_probability_of_zero_is_finite_and_wrong_words_are_refused():
    log_probs = np.array([[0.0, -np.inf]])
    p = evaluation.with_temperature(predicted(log_probs, np.array([1])), 2.0)
    assert p.loss_N[0] == pytest.approx(-np.log(np.finfo(np.float32).tiny) / 2, rel=1e-5)
    with pytest.raises(ValueError, match="must hold probs_NK"):
        evaluation.with_temperature(replace(p, probs_NK=None), 2.0)
    with pytest.raises(ValueError, match="> 0 and finite, got 0"):
        evaluation.with_temperature(p, 0.0)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), num_models=st.integers(1, 4), num_classes=st.integers(2, 8))
def test_an_average_is_the_normalised_product_of_experts(seed, num_models, num_classes):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, num_classes, 30)
    logs = [log_softmax(rng.normal(0, 1, (30, num_classes)), axis=1) for _ in range(num_models)]
    found = evaluation.averaged([predicted(one, labels) for one in logs])
    product = np.prod([np.exp(one) for one in logs], axis=0) ** (1 / num_models)
    probs = product / product.sum(axis=1, keepdims=True)
    rows = np.arange(30)
    assert found.probs_NK == pytest.approx(probs, rel=1e-4, abs=1e-6)
    assert np.array_equal(found.prediction_N, found.probs_NK.argmax(axis=1))
    assert found.prob_label_N == pytest.approx(probs[rows, labels], rel=1e-4, abs=1e-6)
    assert found.loss_N == pytest.approx(-np.log(probs[rows, labels]), rel=1e-4, abs=1e-5)
    best = -np.sort(-probs, axis=1)[:, : found.top5_NT.shape[1]]
    assert found.top5_prob_NT == pytest.approx(best, rel=1e-4, abs=1e-6)


def test_no_model_decides_an_average_alone():
    labels = np.zeros(1, dtype=int)
    sure = predicted(np.log(np.array([[1e-30, 1.0]])), labels)
    others = predicted(np.log(np.array([[0.999, 0.001]])), labels)
    found = evaluation.averaged([sure, others, others, others, others])
    assert found.prediction_N.tolist() == [0]


def test_predictions_of_other_samples_are_not_averaged():
    one = predicted(np.log(np.array([[0.5, 0.5]])), np.zeros(1, dtype=int))
    with pytest.raises(ValueError, match="same samples"):
        evaluation.averaged([one, replace(one, ids_N=one.ids_N + 1)])
    with pytest.raises(ValueError, match="probs_NK"):
        evaluation.averaged([replace(one, probs_NK=None)])
