"""How often synthetic photos are drawn, and how their targets are smoothed."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from carscale import balance, config, data
from carscale.balance.synthetic import synthetic_rates
from carscale.errors import ConfigError, DataError
from carscale.types import Batch


@pytest.fixture(scope="module")
def train(tiny):
    return data.read_splits(tiny).train


@pytest.mark.parametrize("share", [0.0, 0.3, 0.75])
def test_a_share_of_a_classs_draws_shows_synthetic_photos(train, share):
    labels = train.labels_N
    is_made = (np.arange(len(labels)) % 3 == 0) & (labels != 1)
    factor = synthetic_rates(train, is_made, share)
    for label in range(len(train.classes)):
        of_class = labels == label
        assert factor[of_class].sum() == pytest.approx(of_class.sum())  # its draws stay
        made = factor[of_class & is_made].sum() / factor[of_class].sum()
        assert made == pytest.approx(share if (of_class & is_made).any() else 0)
        assert len(set(factor[of_class & is_made].round(9))) <= 1


def test_no_synthetic_photo_and_none_that_is_real(train):
    with pytest.raises(DataError, match="no photo of train is synthetic"):
        synthetic_rates(train, np.zeros(len(train), bool), 0.3)
    with pytest.raises(DataError, match="has no real train photo"):
        synthetic_rates(train, train.labels_N == 0, 0.3)


def test_the_sampler_draws_by_the_share(train, monkeypatch):
    is_made = np.zeros(10_000, bool)
    is_made[train.ids_N[::2]] = True
    monkeypatch.setattr(data, "synthetic_ids", lambda _: is_made)
    words = ["data.synthetic_share=0.2", "balance.sampling=balanced"]
    sampler = balance.sampler(config.resolve(config.Recipe(), words), train)
    rng = np.random.default_rng(0)
    drawn = np.concatenate([sampler.draw(rng, number) for number in range(20)])
    has_both = np.isin(train.labels_N[drawn], np.unique(train.labels_N[::2]))
    assert (drawn[has_both] % 2 == 0).mean() == pytest.approx(0.2, abs=0.01)
    counts = np.bincount(train.labels_N[drawn]) / len(drawn)
    assert counts == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize(
    "words", [["balance.sampling=oversample"], ["balance.sampling=progressive"]]
)
def test_a_share_and_explicit_lists_contradict(words):
    with pytest.raises(ConfigError, match=r"data\.synthetic_share=0\.3: can't go with balance"):
        config.resolve(config.Recipe(), ["data.synthetic_share=0.3", *words])


@pytest.mark.parametrize("name", ["ce", "focal", "balanced-softmax"])
def test_targets_of_synthetic_photos_are_smoothed(name):
    """Against the formula: (1 - s) of the loss, s of the mean cross-entropy over classes."""
    counts, ids = np.array([5, 3, 2]), torch.tensor([0, 3, 4, 7])
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    labels, is_made = torch.tensor([0, 1, 2, 1]), np.arange(8) % 2 == 1
    cfg = config.Balance(loss=name, synthetic_smoothing=0.2)
    batch = Batch(torch.zeros(4, 3, 2, 2, dtype=torch.uint8), labels, ids)
    plain = balance.loss(replace_smoothing(cfg, 0.0), counts)
    smoothed = balance.loss(cfg, counts, is_synthetic_I=is_made)
    prior = torch.log(torch.tensor(counts / 10)) if name == "balanced-softmax" else 0
    spread = -F.log_softmax(logits + prior, dim=1).mean(dim=1)
    terms, _ = plain(logits, labels)
    share = 0.2 * torch.tensor([0.0, 1.0, 0.0, 1.0])
    wanted = ((1 - share) * terms + share * spread).sum()
    assert smoothed.batch_sum(logits, batch).item() == pytest.approx(wanted.item(), abs=1e-6)


def test_two_photos_in_one_picture_have_no_smoothing_of_their_own():
    words = ["balance.synthetic_smoothing=0.2", "augment.policy=cmo"]
    with pytest.raises(ConfigError, match="whose pictures are of two photos"):
        config.resolve(config.Recipe(), words)


def replace_smoothing(cfg, value):
    return cfg.model_copy(update={"synthetic_smoothing": value})
