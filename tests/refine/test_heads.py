"""Classifier layers made anew, against formulas in NumPy."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from carscale.errors import DataError
from carscale.refine import heads, rebalance
from carscale.refine.heads import Head, TrainPhotos
from carscale.types import CarClass

COUNTS = (40, 12, 4)


def photos(counts=COUNTS, size=5, gap=2.0, seed=0):
    """Return embeddings of classes whose means lie apart."""
    rng = np.random.default_rng(seed)
    labels_N = np.repeat(np.arange(len(counts)), counts)
    means_KD = rng.normal(0, gap, (len(counts), size))
    embeddings_ND = means_KD[labels_N] + rng.normal(0, 1, (len(labels_N), size))
    return TrainPhotos(
        torch.from_numpy(embeddings_ND.astype(np.float32)),
        torch.from_numpy(labels_N),
        len(counts),
        seed,
    )


def layer(train, seed=0):
    rng = np.random.default_rng(seed)
    shape = (train.num_classes, train.embeddings_ND.shape[1])
    weight_KD = rng.normal(0, 1, shape) * np.array([[3.0], [1.0], [0.3]])
    return Head(
        torch.from_numpy(weight_KD.astype(np.float32)),
        torch.from_numpy(rng.normal(0, 1, len(weight_KD)).astype(np.float32)),
    )


def test_the_nearest_mean_is_predicted():
    train = photos()
    head = heads.nearest_mean(layer(train), train)
    x_ND = train.embeddings_ND.numpy()
    means_KD = np.stack([x_ND[train.labels_N.numpy() == k].mean(axis=0) for k in range(3)])
    distances_NK = ((x_ND[:, None] - means_KD[None]) ** 2).sum(axis=2)
    logits_NK = head.logits(train.embeddings_ND).numpy()
    assert (logits_NK.argmax(axis=1) == distances_NK.argmin(axis=1)).all()
    differences = logits_NK - logits_NK[:, :1]
    np.testing.assert_allclose(differences, -(distances_NK - distances_NK[:, :1]) / 2, atol=1e-3)


@pytest.mark.parametrize("tau", [0.0, 0.5, 1.0])
def test_weights_are_divided_by_their_norm_to_the_power_tau(tau):
    train = photos()
    before = layer(train)
    head = heads.tau_normalised(before, train, tau)
    weight_KD = before.weight_KD.numpy()
    norms_K = np.linalg.norm(weight_KD, axis=1)
    wanted_KD = weight_KD / norms_K[:, None] ** tau
    found_KD = head.weight_KD.numpy()
    np.testing.assert_allclose(found_KD / found_KD[0, 0], wanted_KD / wanted_KD[0, 0], rtol=1e-5)
    assert np.linalg.norm(found_KD, axis=1).mean() == pytest.approx(norms_K.mean())
    assert (head.bias_K == 0).all()


@given(st.floats(0, 2))
@settings(max_examples=20, deadline=None)
def test_logits_are_less_tau_times_the_log_of_the_shares(tau):
    train = photos()
    before = layer(train)
    x_ND = train.embeddings_ND.numpy()
    shares_K = np.array(COUNTS) / sum(COUNTS)
    plain_NK = x_ND @ before.weight_KD.numpy().T + before.bias_K.numpy()
    found_NK = heads.logit_adjusted(before, train, tau).logits(train.embeddings_ND).numpy()
    np.testing.assert_allclose(found_NK, plain_NK - tau * np.log(shares_K), atol=1e-4)


@pytest.mark.parametrize("refit", [heads.retrained, heads.retrained_adjusted, heads.rescaled])
def test_trained_layers_are_the_same_each_time_and_another_with_another_seed(refit):
    train = photos(gap=0.5)
    before = layer(train)
    first, again = refit(before, train, 1.0), refit(before, train, 1.0)
    assert torch.equal(first.weight_KD, again.weight_KD)
    assert torch.equal(first.bias_K, again.bias_K)
    other = refit(before, dataclasses.replace(train, seed=1), 1.0)
    assert not torch.equal(first.weight_KD, other.weight_KD)
    assert before.weight_KD.grad is None


def test_the_adjusted_layer_is_that_of_a_plain_loop(monkeypatch):
    """Dropout by torch's formula, AdamW, the logit-adjusted loss; the draws are the same."""
    for name in ("MIN_STEPS", "MAX_STEPS"):
        monkeypatch.setattr(heads, name, 40)
    train = photos(gap=0.5)
    found = heads.retrained_adjusted(layer(train), train, 1.0)
    plain = torch.nn.Linear(train.embeddings_ND.shape[1], len(COUNTS))
    for one in plain.parameters():
        torch.nn.init.zeros_(one)
    optimizer = torch.optim.AdamW(plain.parameters(), lr=heads.LR, weight_decay=heads.WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 40)
    generator = torch.Generator().manual_seed(train.seed)
    size = heads.LOCAL_BATCH_SIZE
    epoch, step = -(-len(train.labels_N) // size), 0
    while step < 40:
        drawn_N = torch.multinomial(
            torch.ones(len(train.labels_N)), epoch * size, replacement=True, generator=generator
        )
        for rows_B in drawn_N.split(size)[: 40 - step]:
            shown_BD = train.embeddings_ND[rows_B]
            kept_BD = torch.rand(shown_BD.shape, generator=generator) >= heads.DROPOUT
            logits_BK = plain(shown_BD * kept_BD / (1 - heads.DROPOUT)) + train.log_prior_K
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(logits_BK, train.labels_N[rows_B]).backward()
            optimizer.step()
            schedule.step()
            step += 1
    assert torch.allclose(found.weight_KD, plain.weight, atol=1e-5)
    assert torch.allclose(found.bias_K, plain.bias, atol=1e-5)


@pytest.mark.parametrize("refit", [heads.retrained, heads.retrained_adjusted])
def test_rare_classes_are_found_more_often_the_larger_the_strength(refit):
    """Classes that overlap: what is not told apart goes to the frequent one, or to either."""
    train = photos((200, 20), size=2, gap=0.6, seed=3)
    shares = []
    for strength in (0.0, 1.0):
        head = refit(layer(photos()), train, strength)
        found_N = head.logits(train.embeddings_ND).argmax(dim=1)
        shares.append(float((found_N == 1).float().mean()))
    assert shares[0] < 0.1 < shares[1]


def test_scaled_weights_keep_their_direction_and_rare_classes_gain():
    train = photos()
    before = layer(train)
    head = heads.rescaled(before, train, 1.0)
    cosine_K = torch.cosine_similarity(head.weight_KD, before.weight_KD)
    assert (cosine_K.abs() > 1 - 1e-6).all()
    assert torch.equal(head.bias_K, before.bias_K)

    def loss(one):
        """Return the mean loss of each class."""
        terms_N = torch.nn.functional.cross_entropy(
            one.logits(train.embeddings_ND), train.labels_N, reduction="none"
        )
        return torch.stack([terms_N[train.labels_N == k].mean() for k in range(3)])

    assert loss(head).mean() < loss(before).mean()


def test_separated_classes_are_all_learned():
    train = photos(gap=6.0)
    for name, (refit, _) in rebalance.METHODS.items():
        if name in ("ncm", "crt", "crt-logit-adjusted"):  # the others keep the layer's mistakes
            found_N = refit(layer(train), train, 1.0).logits(train.embeddings_ND)
            is_right_N = found_N.argmax(dim=1) == train.labels_N
            assert is_right_N.float().mean() > 0.9, name  # with 0.3 of five features dropped


def test_candidates_are_counted_and_begin_with_the_layer_as_trained(monkeypatch):
    monkeypatch.setattr(heads, "MAX_STEPS", 1)
    train = photos()
    before = layer(train)
    for method in ("auto", *rebalance.METHODS):
        found = list(rebalance.candidates(before, train, method))
        assert len(found) == rebalance.num_candidates(method)
        assert found[0].method == rebalance.AS_TRAINED
        assert found[0].head is before
    tried = list(rebalance.candidates(before, train, "tau-norm"))[1:]
    assert {one.method for one in tried} == {"tau-norm"}


def test_a_class_without_train_photos_is_an_error():
    classes = [CarClass(name, name) for name in "abc"]
    with pytest.raises(DataError, match=r"1 of 3 classes have no train photo \(first: b\)"):
        rebalance.check_counts(np.array([3, 0, 2]), classes)
