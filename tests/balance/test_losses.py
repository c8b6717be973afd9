"""Losses against torch, finite differences and formulas."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from carscale import balance, config
from carscale.balance.losses import LOSSES
from carscale.types import Batch

LABELS = torch.tensor([0, 1, 2, 2, 1, 0])
COUNTS = [10, 40, 5]


def logits(dtype=torch.float32):
    return torch.randn(6, 3, generator=torch.Generator().manual_seed(0), dtype=dtype)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("method", ["none", "inverse", "sqrt"])
def test_cross_entropy_is_torchs(smoothing, method):
    counts = np.array([10, 40, 5])
    cfg = config.Balance(class_weights=method, label_smoothing=smoothing)
    loss = balance.loss(cfg, counts)
    terms, weights = loss(logits(), LABELS)
    mine = (terms * weights).sum() / weights.sum()
    if smoothing == 0:
        expected = F.cross_entropy(logits(), LABELS, weight=loss.weights_L)
        torch.testing.assert_close(mine, expected)
    torch.testing.assert_close(
        terms, F.cross_entropy(logits(), LABELS, reduction="none", label_smoothing=smoothing)
    )
    assert loss.accumulation_weight(LABELS.numpy()) == pytest.approx(float(weights.sum()), rel=1e-6)


@pytest.mark.parametrize("gamma", [0.0, 0.3, 1.0, 2.0, 5.0])
def test_focal_is_the_papers_formula(gamma):
    probs = logits(torch.float64).softmax(-1)[range(6), LABELS]
    expected = -((1 - probs) ** gamma) * probs.log()
    terms = balance.focal_terms(logits(torch.float64), LABELS, gamma=gamma)
    torch.testing.assert_close(terms, expected, rtol=1e-9, atol=1e-12)


def test_focal_of_gamma_zero_is_cross_entropy():
    torch.testing.assert_close(
        balance.focal_terms(logits(), LABELS, gamma=0.0),
        F.cross_entropy(logits(), LABELS, reduction="none"),
    )


@pytest.mark.parametrize("name", sorted(LOSSES))
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_gradients_are_finite_differences(name, gamma):
    points = logits(torch.float64).requires_grad_()
    cfg = config.Balance(loss=name, label_smoothing=0.1, gamma=gamma)
    terms = LOSSES[name](cfg, torch.tensor(COUNTS))
    assert torch.autograd.gradcheck(lambda z: terms(z, LABELS), (points,))


def terms_of(dtype=torch.float64, **settings):
    """Return the terms of a loss for the counts, on the logits."""
    cfg = config.Balance(**settings)
    return LOSSES[cfg.loss](cfg, torch.tensor(COUNTS))(logits(dtype), LABELS)


def test_class_balanced_focal_is_the_papers_formula():
    gamma, beta = 2.0, 0.99
    cfg = config.Balance(loss="class-balanced-focal", gamma=gamma, effective_beta=beta)
    loss = balance.loss(cfg, np.array(COUNTS))
    terms, weights = loss(logits(torch.float64), LABELS)
    shifted = logits(torch.float64) - math.log(2)  # the paper's bias, pi = 1/K
    for row, label in enumerate(LABELS.tolist()):
        signed = [z if k == label else -z for k, z in enumerate(shifted[row].tolist())]
        probs = [1 / (1 + math.exp(-z)) for z in signed]
        expected = -sum((1 - p) ** gamma * math.log(p) for p in probs)  # eq. 12
        assert float(terms[row]) == pytest.approx(expected, rel=1e-6)
    raw = [(1 - beta) / (1 - beta**n) for n in COUNTS]
    ratio = weights[:3] / weights[0]
    np.testing.assert_allclose(ratio, np.array(raw) / raw[0], rtol=1e-5)


def test_ldam_is_the_papers_formula():
    largest = 0.7
    terms = terms_of(loss="ldam", ldam_margin=largest)
    margins = [largest * (min(COUNTS) / n) ** 0.25 for n in COUNTS]
    for row, label in enumerate(LABELS.tolist()):
        z = logits(torch.float64)[row].tolist()
        own = math.exp(z[label] - margins[label])
        others = sum(math.exp(v) for k, v in enumerate(z) if k != label)
        assert float(terms[row]) == pytest.approx(-math.log(own / (own + others)), rel=1e-6)


@pytest.mark.parametrize("tau", [0.0, 1.0, 1.5])
def test_logit_adjustment_is_the_papers_formula(tau):
    terms = terms_of(loss="logit-adjusted", tau=tau)
    shares = [n / sum(COUNTS) for n in COUNTS]
    for row, label in enumerate(LABELS.tolist()):
        z = logits(torch.float64)[row].tolist()
        pairs = [
            math.exp(v - z[label]) * (shares[k] / shares[label]) ** tau for k, v in enumerate(z)
        ]
        assert float(terms[row]) == pytest.approx(math.log(sum(pairs)), rel=1e-6)  # eq. 10


def test_balanced_softmax_is_the_papers_formula():
    terms = terms_of(loss="balanced-softmax")
    for row, label in enumerate(LABELS.tolist()):
        scaled = [
            n * math.exp(v)
            for n, v in zip(COUNTS, logits(torch.float64)[row].tolist(), strict=True)
        ]
        assert float(terms[row]) == pytest.approx(-math.log(scaled[label] / sum(scaled)), rel=1e-5)


@pytest.mark.parametrize("epsilon", [-1.0, 0.0, 2.0])
def test_poly_is_the_papers_formula(epsilon):
    terms = terms_of(loss="poly", poly_epsilon=epsilon)
    probs = logits(torch.float64).softmax(-1)[range(6), LABELS]
    torch.testing.assert_close(terms, -probs.log() + epsilon * (1 - probs))


def test_a_class_without_photos_gives_finite_losses():
    counts = np.array([10, 0, 3])
    for name in LOSSES:
        terms, weights = balance.loss(config.Balance(loss=name), counts)(logits(), LABELS)
        assert torch.isfinite(terms * weights).all()


def test_deferred_weights_come_in_when_their_time_has_come():
    cfg = config.Balance(class_weights="inverse", defer_weights=0.8)
    loss = balance.loss(cfg, np.array(COUNTS))
    labels = LABELS.numpy()
    for done, is_on in ((0.0, False), (0.79, False), (0.8, True), (1.0, True)):
        loss.set_done(done)
        _, weights = loss(logits(), LABELS)
        expected = loss.weights_L[LABELS] if is_on else torch.ones(6)
        torch.testing.assert_close(weights, expected)
        assert loss.accumulation_weight(labels) == pytest.approx(float(expected.sum()))


def test_a_mixed_picture_counts_for_both_labels():
    cfg = config.Balance(class_weights="inverse", label_smoothing=0.1)
    loss = balance.loss(cfg, np.array(COUNTS))
    partners = LABELS[[1, 0, 3, 2, 5, 4]]
    own = torch.tensor([0.3, 0.3, 1.0, 1.0, 0.5, 0.5])
    batch = Batch(logits(), LABELS, LABELS, partner_labels_B=partners, own_share_B=own)
    terms, weights = loss(logits(), LABELS)
    others, other_weights = loss(logits(), partners)
    expected = sum(
        float(own[i] * terms[i] * weights[i] + (1 - own[i]) * others[i] * other_weights[i])
        for i in range(6)
    )
    assert float(loss.batch_sum(logits(), batch)) == pytest.approx(expected, rel=1e-6)
    total = (own * weights + (1 - own) * other_weights).sum()
    assert loss.accumulation_weight(LABELS.numpy()) == pytest.approx(float(total), rel=1e-6)
    soft = F.one_hot(LABELS, 3) * own[:, None] + F.one_hot(partners, 3) * (1 - own[:, None])
    plain = balance.loss(config.Balance(), np.array(COUNTS)).batch_sum(logits(), batch)
    torch.testing.assert_close(plain, F.cross_entropy(logits(), soft, reduction="sum"))


@pytest.mark.parametrize("gamma", [0.0, 0.1, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("scale", [50.0, 500.0, -500.0])
def test_focal_stays_finite_when_saturated(gamma, scale):
    points = torch.tensor([[scale, 0.0, 0.0]], requires_grad=True)
    terms = balance.focal_terms(points, torch.tensor([0]), gamma=gamma)
    terms.sum().backward()
    assert torch.isfinite(terms).all()
    assert torch.isfinite(points.grad).all()


def test_negative_gamma_is_refused():
    with pytest.raises(ValueError, match="gamma must be >= 0, got -1"):
        balance.focal_terms(logits(), LABELS, gamma=-1.0)


def test_half_precision_is_computed_in_float32():
    terms = balance.focal_terms(logits().half(), LABELS)
    assert terms.dtype == torch.float32


def test_double_compensation_is_named_once_for_rank_zero(capsys, monkeypatch):
    cfg = config.Balance(sampling="balanced", class_weights="inverse", loss="focal")
    balance.loss(cfg, np.array([3, 4]))
    said = capsys.readouterr().err
    for part in ("three times", "sampling=balanced", "class_weights=inverse", "loss=focal"):
        assert part in said
    monkeypatch.setenv("RANK", "1")
    balance.loss(cfg, np.array([3, 4]))
    assert capsys.readouterr().err == ""
    assert balance.double_compensation(config.Balance(sampling="sqrt", loss="focal")) is None
