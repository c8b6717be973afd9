"""Selections of train photos: by each rule, diverse, without what is probably mislabelled."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from carscale import analysis
from carscale.analysis import Evidence, TrainSide
from carscale.errors import ConfigError, DataError
from carscale.refine.select import diverse, select
from carscale.types import CarClass, Predictions

K, D = 6, 8


def predictions(labels_N, prediction_N, first_id, *, margin_N=None):
    """Return predictions of photos; a class further than its neighbour is one that can't be."""
    right_N, far_N = labels_N == prediction_N, (prediction_N - labels_N) % K > 1
    prob_N = np.where(right_N, 0.7, np.where(far_N, 1e-4, 0.2)).astype(np.float32)
    names = np.array([f"p{first_id + i}" for i in range(len(labels_N))], dtype=object)
    probs_NK = np.full((len(labels_N), K), 0.02, np.float32)
    probs_NK[np.arange(len(labels_N)), labels_N] = prob_N
    probs_NK[np.arange(len(labels_N)), prediction_N] = 0.7
    return Predictions(
        ids_N=np.arange(first_id, first_id + len(labels_N)),
        keys_N=names,
        paths_N=names,
        labels_N=labels_N,
        prediction_N=prediction_N,
        top5_NT=prediction_N[:, None],
        top5_prob_NT=np.full((len(labels_N), 1), 0.7, np.float32),
        prob_label_N=prob_N,
        prob_prediction_N=np.full(len(labels_N), 0.7, np.float32),
        loss_N=-np.log(prob_N),
        margin_N=(prob_N - 0.4 if margin_N is None else margin_N).astype(np.float32),
        probs_NK=probs_NK,
    )


@pytest.fixture(scope="module")
def found():
    """Classes 0 and 1 are confused; class 1 has low recall; class 5 is mostly right."""
    rng = np.random.default_rng(0)
    centres_KD = rng.normal(0, 3, (K, D))
    centres_KD[1] = centres_KD[0] + 0.5
    labels_N, train_M = np.repeat(np.arange(K), 40), np.repeat(np.arange(K), 60)
    embeddings_ND = centres_KD[labels_N] + rng.normal(0, 1, (len(labels_N), D))
    train_MD = centres_KD[train_M] + rng.normal(0, 1, (len(train_M), D))
    said_N = labels_N.copy()
    said_N[np.flatnonzero(labels_N == 1)[:30]] = 0
    said_N[np.flatnonzero(labels_N == 0)[:15]] = 1
    folds_N = train_M.copy()
    folds_N[::10] = (train_M[::10] + 1) % K
    folds_N[5::60] = (train_M[5::60] + 3) % K  # labels that are probably wrong
    folds = predictions(train_M, folds_N, 1000, margin_N=rng.uniform(-1, 1, len(train_M)))
    train = TrainSide(folds.ids_N, folds.paths_N, train_M, train_MD, folds=folds)
    classes = tuple(CarClass(f"Make M{k} 2012", f"m{k}", "Make", f"M{k}") for k in range(K))
    evidence = Evidence(
        "val", predictions(labels_N, said_N, 0), classes, embeddings_ND=embeddings_ND, train=train
    )
    return analysis.analyse(evidence)


def test_confused_classes_give_the_photos(found):
    chosen = select(found, "confused-pairs", 30)
    labels = found.evidence.train.labels_M[chosen.rows_S]
    assert len(chosen.rows_S) == 30
    assert set(labels.tolist()) <= {0, 1}
    assert [f"Make M{1 - label} 2012" for label in labels] == list(chosen.rivals)
    assert all("is confused with Make M" in reason for reason in chosen.reasons)


def test_a_class_of_low_recall_gives_the_photos(found):
    chosen = select(found, "low-recall", 20)
    assert 1 in set(found.evidence.train.labels_M[chosen.rows_S].tolist())
    assert set(found.evidence.train.labels_M[chosen.rows_S].tolist()) <= {0, 1}
    assert all(reason.startswith("recall ") for reason in chosen.reasons)


def test_hard_photos_have_the_highest_loss_out_of_fold(found):
    train = found.evidence.train
    bare = replace(found.evidence, train=replace(train, embeddings_MD=None))
    chosen = select(replace(found, evidence=bare), "hard", 5)
    loss_M = np.where(np.isin(train.ids_M, suspects_of(found)), -np.inf, train.folds.loss_N)
    assert loss_M[chosen.rows_S].tolist() == np.sort(loss_M)[::-1][:5].tolist()


def suspects_of(found):
    """Return the ids of train photos whose label is probably wrong."""
    (review,) = [one for one in found.reviews if one.split == "train"]
    return review.ids_R[review.is_suspect_R]


def test_probably_wrong_labels_are_left_out_and_counted(found):
    suspects = set(suspects_of(found).tolist())
    assert suspects
    chosen = select(found, "hard", 300)
    assert not suspects & set(found.evidence.train.ids_M[chosen.rows_S].tolist())
    assert chosen.num_suspects == len(suspects)
    assert chosen.is_reviewed


def test_uncertain_photos_have_the_smallest_margin(found):
    chosen = select(found, "uncertain", 10)
    margin_M = np.abs(found.evidence.train.folds.margin_N)
    assert margin_M[chosen.rows_S].max() <= np.sort(margin_M)[60]


def test_random_photos_are_drawn_from_all_classes_and_always_the_same(found):
    chosen = select(found, "random", 120)
    assert chosen.rows_S.tolist() == select(found, "random", 120).rows_S.tolist()
    assert len(set(found.evidence.train.labels_M[chosen.rows_S].tolist())) == K


def test_neighbours_of_photos_are_found(found):
    label = 3
    val_id = int(np.flatnonzero(found.evidence.predictions.labels_N == label)[0])
    chosen = select(found, f"near:{val_id}", 10)
    assert (found.evidence.train.labels_M[chosen.rows_S] == label).mean() > 0.8


def test_an_error_group_gives_the_photos(found):
    group = next(one for one in found.groups if len(one.rows_G))
    chosen = select(found, f"group:{group.name}", 10)
    assert all(reason.startswith(group.title) for reason in chosen.reasons)


def test_diverse_photos_cover_all_at_most_twice_as_far_as_the_best_choice():
    """Gonzalez' bound, against all choices of three of twelve points."""
    from itertools import combinations

    rng = np.random.default_rng(1)
    points = analysis.normalised(rng.normal(0, 1, (12, 3)))
    angles = np.arccos(np.clip(1 - cdist(points, points, "cosine"), -1, 1))  # a metric
    taken = diverse(points, 3)
    assert taken[0] == 0
    assert len(set(taken.tolist())) == 3
    best = min(angles[:, list(some)].min(axis=1).max() for some in combinations(range(12), 3))
    assert angles[:, taken].min(axis=1).max() <= 2 * best + 1e-6
    assert len(diverse(points, 50)) == 12


@pytest.mark.parametrize(
    "by", ["nonsense", "group", "near", "hard:3", "near:a", "near:99999", "group:x"]
)
def test_a_rule_that_is_none_is_refused(found, by):
    with pytest.raises(ConfigError, match="--by"):
        select(found, by, 3)


def test_what_a_rule_needs_is_said(found):
    train = found.evidence.train
    bare = replace(train, embeddings_MD=None, folds=None)
    without = replace(found, evidence=replace(found.evidence, train=bare))
    with pytest.raises(DataError, match="carscale folds RUN"):
        select(without, "hard", 3)
    with pytest.raises(DataError, match="carscale evaluate RUN --embeddings"):
        select(without, "low-recall", 3)
    with pytest.raises(DataError, match=r"train\.log_dynamics=true"):
        select(without, "forgotten", 3)
    with pytest.raises(DataError, match="photos of train are not at hand"):
        select(replace(found, evidence=replace(found.evidence, train=None)), "hard", 3)
