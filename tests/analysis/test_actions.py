"""Actions: advised where the evidence holds, what mends most per minute first."""

from dataclasses import replace

import numpy as np
import pytest
from tables_of import evidence_of, noisy_predictions, plain_classes, predictions_of

from carscale.analysis import analyse
from carscale.analysis.actions import _check_labels


def actions_of(labels, guess, num_classes, **more):
    found = analyse(evidence_of(predictions_of(labels, guess), plain_classes(num_classes), **more))
    return found.actions


def of_kind(actions, kind):
    return [one for one in actions if one["kind"] == kind]


@pytest.mark.parametrize(("right", "is_advised"), [(0.5, True), (0.9, False)])
def test_a_merge_is_advised_where_a_pair_can_not_be_told_apart(right, is_advised):
    labels = np.repeat(np.arange(6), 100)
    guess = labels.copy()
    wrong = round(100 * (1 - right))
    guess[:wrong], guess[100 : 100 + wrong] = 1, 0
    found = of_kind(actions_of(labels, guess, 6), "merge")
    assert bool(found) == is_advised
    if found:
        assert found[0]["gain"] == 2 * wrong
        assert "carscale data refine ROOT ROOT-merged --merge " in found[0]["command"]
        assert "50% are right (95 % interval 43% to 57%)" in found[0]["why"]


def test_the_layer_is_rebalanced_on_a_long_tail_that_is_not_yet():
    labels = np.repeat(np.arange(6), 20)
    guess = np.where(np.arange(120) % 4 == 0, (labels + 1) % 6, labels)
    tail = np.array([100, 50, 25, 12, 6, 3])
    (action,) = of_kind(actions_of(labels, guess, 6, train_counts_K=tail), "rebalance")
    assert action["gain"] == pytest.approx(0.09 * 30)
    assert action["command"].startswith("carscale rebalance RUN && ")
    told = {"settings": {"recipe": "effnet_baseline + rebalance auto"}, "train_counts_K": tail}
    assert not of_kind(actions_of(labels, guess, 6, **told), "rebalance")
    even = actions_of(labels, guess, 6, train_counts_K=np.full(6, 30))
    assert not of_kind(even, "rebalance")


def test_photos_are_asked_for_classes_of_low_recall_alone():
    """Of a long tail, the classes below the mean beyond doubt; of an even level, none."""
    labels = np.repeat(np.arange(10), 30)
    counts = np.array([200, 150, 120, 100, 80, 60, 40, 30, 20, 10])
    rng = np.random.default_rng(0)
    share = 2.2 / counts**0.5
    wrong = rng.random(300) < np.minimum(0.9, share[labels])
    guess = np.where(wrong, (labels + 1) % 10, labels)
    recall = 1 - np.bincount(labels, weights=wrong) / 30
    (action,) = of_kind(actions_of(labels, guess, 10, train_counts_K=counts), "more-photos")
    low = [int(one["class"].removeprefix("c")) for one in action["classes"]]
    assert low
    assert (recall[low] < recall.mean() - 0.1).all()
    assert action["gain"] > 0
    evidence = evidence_of(predictions_of(labels, guess), plain_classes(10), train_counts_K=counts)
    of_test = analyse(replace(evidence, split="test"))
    assert not of_kind(of_test.actions, "more-photos")  # val alone says how many
    level = np.where(np.arange(300) % 5 == 0, (labels + 1) % 10, labels)
    assert not of_kind(actions_of(labels, level, 10, train_counts_K=counts), "more-photos")


def test_what_mends_most_in_a_minute_comes_first_and_what_is_not_measured_last():
    labels = np.repeat(np.arange(6), 100)
    guess = labels.copy()
    guess[:60], guess[100:160] = 1, 0
    counts = np.array([60, 60, 60, 60, 60, 6])
    found = actions_of(labels, guess, 6, train_counts_K=counts, train_s=300.0)
    measured = [one for one in found if one["gain"] is not None]
    assert found[: len(measured)] == tuple(measured)
    per_minute = [60 * one["gain"] / (one["seconds"] or 600) for one in measured]
    assert per_minute == sorted(per_minute, reverse=True)
    assert {"rebalance", "merge"} <= {one["kind"] for one in measured}


@pytest.mark.parametrize(("level", "width"), [(0.12, "0.44"), (0.4, "0.3"), (0.9, "0.25")])
def test_dark_photos_are_matched_by_the_light_that_they_lack(level, width):
    labels = np.repeat(np.arange(6), 100)
    is_dark = np.arange(600) % 10 == 0
    guess = np.where(is_dark, (labels + 1) % 6, labels)
    told = {
        "flags": {"dark": is_dark},
        "attributes": {"brightness": np.where(is_dark, 100 * level, 100.0)},
        "settings": {"augment.policy": "standard", "augment.brightness": "0.25"},
        "train_s": 300.0,
    }
    (action,) = of_kind(actions_of(labels, guess, 6, **told), "augment")
    assert action["setting"] == f"augment.policy=photometric augment.brightness={width}"
    assert action["setting"] in action["command"]
    assert action["num_mistakes"] > 50
    assert action["gain"] == pytest.approx(0.85 * action["num_mistakes"])
    told["settings"] = dict(word.split("=") for word in action["setting"].split())
    for has in (width, "0.45"):  # as much, or more
        told["settings"]["augment.brightness"] = has
        assert not of_kind(actions_of(labels, guess, 6, **told), "augment")


def test_a_mistake_counts_for_the_augmentation_of_its_primary_cause_alone():
    labels = np.repeat(np.arange(6), 100)
    is_dark = np.arange(600) % 10 == 0
    is_tiny = is_dark & (np.arange(600) % 20 == 0)
    guess = np.where(is_dark, (labels + 1) % 6, labels)
    told = {"flags": {"dark": is_dark, "tiny": is_tiny}, "settings": {"augment.policy": "simple"}}
    (action,) = of_kind(actions_of(labels, guess, 6, **told), "augment")
    assert action["group"] == "dark"


def test_what_follows_a_persons_part_is_told():
    predictions, _, _ = noisy_predictions(600, 10, noise=0.1)
    found = analyse(evidence_of(predictions, plain_classes(10)))
    (action,) = of_kind(found.actions, "check-labels")
    assert action["command"] == "carscale report RUN"
    assert action["then"] == (
        "carscale data relabel ROOT decisions.csv ROOT-relabelled-val --any-split && "
        "carscale evaluate RUN data.root=ROOT-relabelled-val --split val"
    )
    assert action["seconds"] == 5 * action["num_shown"]


@pytest.mark.parametrize(("each", "is_advised"), [(0.3, True), (0.05, False)])
def test_a_label_review_is_advised_where_what_it_shows_holds_a_wrong_label(each, is_advised):
    predictions, _, _ = noisy_predictions(60, 10, noise=0.0)
    found = analyse(evidence_of(predictions, plain_classes(10)))
    expected_R = np.cumsum(np.full(60, each))  # 18 or 3 of 60; of the first 36 10.8, of 6 0.3
    review = replace(found.reviews[0], expected_R=expected_R)
    advised = _check_labels(evidence_of(predictions, plain_classes(10)), [review], [])
    assert bool(advised) is is_advised
