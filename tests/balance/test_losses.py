"""Losses against torch, finite differences and formulas."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from carscale import balance, config
from carscale.balance.losses import LOSSES

LABELS = torch.tensor([0, 1, 2, 2, 1, 0])


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
        expected = F.cross_entropy(logits(), LABELS, weight=loss.weights_K)
        torch.testing.assert_close(mine, expected)
    torch.testing.assert_close(
        terms, F.cross_entropy(logits(), LABELS, reduction="none", label_smoothing=smoothing)
    )
    assert loss.window_weight(LABELS.numpy()) == pytest.approx(float(weights.sum()), rel=1e-6)


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
    assert torch.autograd.gradcheck(
        lambda z: LOSSES[name](z, LABELS, label_smoothing=0.1, gamma=gamma), (points,)
    )


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
