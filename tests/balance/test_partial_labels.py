"""Photos of which only the make is known: their loss and how often they are drawn."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from frozen_trees import save, scene
from hypothesis import given, settings
from hypothesis import strategies as st
from jobs import train

from carscale import balance, config, curate, data, files
from carscale.balance.losses import LOSSES
from carscale.balance.partial_labels import mean_weight, partial_terms
from carscale.curate import ClassTarget
from carscale.errors import DataError
from carscale.types import Batch

COUNTS = np.array([10, 40, 5, 0])
SETS = ((0, 1), (2,), (0, 1, 2, 3))


def logits(dtype=torch.float32):
    return torch.randn(5, 4, generator=torch.Generator().manual_seed(0), dtype=dtype)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), mask=st.lists(st.booleans(), min_size=4, max_size=4))
def test_a_term_is_the_loss_of_the_classes_together(seed, mask):
    mask[seed % 4] = True
    scores = torch.randn(3, 4, generator=torch.Generator().manual_seed(seed)) * 5
    is_open = torch.tensor([mask] * 3)
    wanted = -np.log(np.exp(scores.double().numpy())[:, mask].sum(1)) + np.log(
        np.exp(scores.double().numpy()).sum(1)
    )
    assert partial_terms(scores, is_open).numpy() == pytest.approx(wanted, abs=1e-4)


def test_limits_one_class_is_cross_entropy_and_all_are_nothing():
    one = F.one_hot(torch.arange(5) % 4, 4).bool()
    torch.testing.assert_close(
        partial_terms(logits(), one),
        F.cross_entropy(logits(), torch.arange(5) % 4, reduction="none"),
    )
    assert partial_terms(logits(), torch.ones(5, 4, dtype=torch.bool)).abs().max() < 1e-6
    huge = torch.tensor([[1e4, -1e4, 0.0, 0.0]])
    assert partial_terms(huge, torch.tensor([[False, True, False, False]])).item() == 2e4


def test_classes_without_train_photos_have_their_mean_weight():
    weights = np.array([1.0, 2.0, 4.0, 9.0])
    counts = np.array([3, 1, 0, 0])
    assert mean_weight(weights, counts, [0, 1, 2]) == 1.25
    assert mean_weight(weights, counts, [2, 3]) == 6.5


def test_gradients_are_those_of_finite_differences():
    scores = logits(torch.float64).requires_grad_()
    is_open = torch.tensor([[True, True, False, False]] * 5)
    assert torch.autograd.gradcheck(lambda x: partial_terms(x, is_open), scores)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_whole_labels_keep_their_terms_and_partial_ones_are_finite(name):
    cfg = config.Balance(loss=name, class_weights="none")
    whole = torch.tensor([0, 1, 2, 0, 1])
    plain_terms, plain_weights = balance.loss(cfg, COUNTS)(logits(), whole)
    loss = balance.loss(cfg, COUNTS, SETS)
    terms, weights = loss(logits(), whole)
    torch.testing.assert_close(terms, plain_terms)
    torch.testing.assert_close(weights, plain_weights)
    mixed = torch.tensor([0, 4, 5, 6, 1])
    terms, weights = loss(logits(), mixed)
    torch.testing.assert_close(terms[[0, 4]], plain_terms[[0, 4]])
    assert torch.isfinite(terms).all()
    if name == "ce":
        wanted = -torch.log(logits().softmax(1)[1, [0, 1]].sum())
        torch.testing.assert_close(terms[1], wanted)
        torch.testing.assert_close(terms[3], torch.tensor(0.0), atol=1e-6, rtol=0)


def test_a_label_that_leaves_no_class_open_is_refused():
    with pytest.raises(ValueError, match="one class open"):
        balance.loss(config.Balance(), COUNTS, ((0, 1), ()))


def test_a_prior_counts_for_partial_labels_too():
    loss = balance.loss(config.Balance(loss="balanced-softmax"), COUNTS, SETS)
    terms, _ = loss(logits(), torch.tensor([4, 4, 4, 4, 4]))
    adjusted = logits() + torch.log(torch.tensor([10.0, 40.0, 5.0, 1.0]) / 56)
    torch.testing.assert_close(terms, -torch.log(adjusted.softmax(1)[:, :2].sum(1)))


def test_weights_are_the_mean_of_the_classes_photos_and_a_window_adds_up():
    loss = balance.loss(config.Balance(class_weights="inverse"), COUNTS, SETS)
    of_class = loss.weights_L[:4].double().numpy()
    labels = torch.tensor([4, 5, 6, 0, 1])
    _, weights = loss(logits(), labels)
    wanted = (10 * of_class[0] + 40 * of_class[1]) / 50
    assert weights[0].item() == pytest.approx(wanted, rel=1e-5)
    assert weights[1].item() == pytest.approx(of_class[2], rel=1e-6)
    assert loss.accumulation_weight(labels.numpy()) == pytest.approx(weights.sum().item(), rel=1e-6)
    mixed = Batch(
        torch.empty(0), labels, torch.arange(5), partner_labels_B=labels.flip(0),
        own_share_B=torch.full((5,), 0.5),
    )  # fmt: skip
    assert torch.isfinite(loss.batch_sum(logits(), mixed))


@pytest.fixture(scope="module")
def merged(tmp_path_factory):
    """Two makes of two classes, long-tailed, and photos of which only the make is known."""
    place = tmp_path_factory.mktemp("partial")
    number = 0
    for folder, counts in (
        ("raw", {"Audi A4 2012": 24, "Audi S4 2012": 6, "BMW M3 2010": 12, "BMW M5 2010": 8}),
        ("web", {"audi": 6, "bmw": 4}),
    ):
        for name, count in counts.items():
            for n in range(count):
                number += 1
                picture = scene(48, 32, seed=number)
                save(place / folder / name / f"{n:02d}.jpg", picture, "JPEG", quality=90)
    base = data.freeze(place / "raw", place / "cars").root
    goals = {"audi": ClassTarget("make", "Audi"), "bmw": ClassTarget("make", "BMW")}
    return curate.merge_source(
        base,
        curate.Origin(str(place / "web")),
        place / "more",
        targets_of=lambda _: goals,
        rule=curate.MergeRule(make_only="keep"),
    ).root


def loaded(root, **more):
    return data.load(config.Data(root=str(root), partial="use", **more))


def test_train_holds_them_only_when_asked(merged):
    plain = data.load(config.Data(root=str(merged)))
    splits = loaded(merged)
    assert len(splits.train) == len(plain.train) + 10
    assert (np.diff(splits.train.ids_N) > 0).all()
    assert splits.train.hash != plain.train.hash == data.read_card(merged)["hashes"]["train"]
    assert splits.card["hashes"]["train"] == splits.train.hash
    assert np.array_equal(splits.train.counts_K, plain.train.counts_K)
    sets = [[splits.classes[k].name for k in one] for one in splits.train.class_sets]
    assert sets == [["Audi A4 2012", "Audi S4 2012"], ["BMW M3 2010", "BMW M5 2010"]]
    assert splits.train.read_bytes(len(splits.train) - 1)
    held = loaded(merged, num_folds=2, fold=0)
    assert len(held.train) + len(held.val) == len(splits.train)


def test_a_folder_without_them_says_what_to_type(tiny):
    with pytest.raises(DataError, match="--make-only keep"):
        loaded(tiny)


@pytest.mark.parametrize(
    "sampling", ["natural", "sqrt", "balanced", "oversample", "undersample", "progressive"]
)
def test_they_are_drawn_as_often_as_a_photo_of_their_make(merged, sampling):
    split = loaded(merged).train
    cfg = config.Recipe(
        balance=config.Balance(sampling=sampling), train=config.Train(num_epochs=4000)
    )
    sampler = balance.sampler(cfg, split)
    num_passes = max(1, 200_000 // sampler.length)
    drawn_N = np.zeros(len(split))
    for number in range(num_passes):
        rows = sampler.draw(np.random.default_rng(number), number)
        drawn_N += np.bincount(rows, minlength=len(split))
    per_photo = np.bincount(split.labels_N, drawn_N) / np.bincount(split.labels_N)
    counts = split.counts_K
    for label, one in enumerate(split.class_sets, len(counts)):
        open_classes = list(one)
        wanted = (per_photo[open_classes] * counts[open_classes]).sum() / counts[open_classes].sum()
        rounding = 0.5 * num_passes / wanted if sampling in ("oversample", "undersample") else 0
        assert per_photo[label] == pytest.approx(wanted, rel=0.05 + rounding)


@pytest.mark.parametrize("policy", ["simple", "mixup"])
def test_a_recipe_trains_on_them(merged, tmp_path, policy):
    words = ("data.partial=use", "train.num_epochs=2", f"augment.policy={policy}")
    train(merged, tmp_path / "run", words)
    lines = files.read_lines(tmp_path / "run" / "log.jsonl")
    assert lines[0]["hashes"]["train"] == loaded(merged).train.hash
    assert all(np.isfinite(line["loss"]) for line in lines if "loss" in line)


def test_what_is_said_of_each_photo_can_not_be_logged_of_them(merged, tmp_path, capsys):
    with pytest.raises(SystemExit):
        train(merged, tmp_path / "run", ("data.partial=use", "train.log_dynamics=true"))
    assert "train.log_dynamics=true: data.partial=use" in capsys.readouterr().err
