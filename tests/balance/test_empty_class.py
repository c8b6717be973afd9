"""A class of one train photo has none while that photo is held out: nothing breaks or is NaN."""

import numpy as np
import pytest
import torch
from photos import draw_classes

from carscale import balance, config, data
from carscale.balance.losses import LOSSES
from carscale.balance.samplers import SAMPLINGS
from carscale.balance.weights import CLASS_WEIGHTS
from carscale.loaders import Stream


@pytest.fixture(scope="module")
def train(tmp_path_factory):
    """Train of the fold that holds the only photo of the second of three classes."""
    place = tmp_path_factory.mktemp("lone")
    raw = draw_classes(place / "raw", [9, 1, 4])
    rule = data.FreezeRule(fractions=(1.0, 0.0, 0.0))
    whole = data.read_splits(data.freeze(raw, place / "frozen", rule).root)
    parts = [data.hold_out(whole, 2, fold) for fold in range(2)]
    (without,) = [part.train for part in parts if part.train.counts_K[1] == 0]
    assert len(without.counts_K) == 3
    return without


@pytest.mark.parametrize("method", sorted(CLASS_WEIGHTS))
@pytest.mark.parametrize("name", sorted(LOSSES))
def test_every_loss_with_every_class_weight_is_finite(train, name, method):
    for more in ({}, {"effective_beta": 0.0, "tau": 3.0, "gamma": 0.0}):
        loss = balance.loss(config.Balance(loss=name, class_weights=method, **more), train.counts_K)
        labels = torch.from_numpy(train.labels_N)
        scores = torch.randn(len(train), 3, generator=torch.Generator().manual_seed(0))
        scores[0] *= 1e4  # saturated
        scores.requires_grad_()
        terms, weights = loss(scores, labels)
        total = (terms * weights).sum() / loss.accumulation_weight(train.labels_N)
        total.backward()
        assert torch.isfinite(terms).all()
        assert torch.isfinite(scores.grad).all()
        assert loss.weights_L.isfinite().all()
        assert (loss.weights_L[[0, 2]] > 0).all()
        assert loss.accumulation_weight(train.labels_N) == pytest.approx(len(train), rel=1e-5)


@pytest.mark.parametrize("sampling", sorted(SAMPLINGS))
def test_every_sampling_draws_photos_that_are_there(train, sampling):
    for more in ({}, {"repeat_threshold": 0.9}):
        cfg = config.Recipe(balance=config.Balance(sampling=sampling, **more))
        sampler = balance.sampler(cfg, train)
        rows = Stream(len(train), seed=0, sampler=sampler).rows(0, 2 * sampler.length)
        assert rows.min() >= 0
        assert rows.max() < len(train)
        assert set(train.labels_N[rows].tolist()) == {0, 2}
        draws = balance.draws_per_epoch(cfg.balance, train.counts_K)
        assert np.isfinite(draws).all()
        assert draws[1] == 0
