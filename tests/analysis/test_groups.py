import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tables_of import classes_of, evidence_of, noisy_predictions, plain_classes, predictions_of

from carscale.analysis import TrainSide, analyse, as_dict, mistake_columns
from carscale.data import DuplicateGroup, Link

CLASSES = classes_of(
    "Audi A4 Sedan 2010", "Audi A4 Sedan 2012", "Audi Q5 SUV 2010", "BMW X3 SUV 2011",
    "BMW M3 Coupe 2012",
)  # fmt: skip


def groups_of(found):
    return {group.name: group for group in found.groups}


def ids_in(found, name):
    group = groups_of(found).get(name)
    return [] if group is None else sorted(found.evidence.predictions.ids_N[group.rows_G].tolist())


def mistakes(pairs, *, flags=None, **more):
    """One photo for each (true, predicted), and 200 of all classes that are right."""
    right = [(k % 5, k % 5) for k in range(200)]
    labels, guess = zip(*pairs, *right, strict=True)
    padded = {name: np.pad(values, (0, 200)) for name, values in (flags or {}).items()}
    return evidence_of(predictions_of(labels, guess, sure=0.5), CLASSES, flags=padded, **more)


def test_names_tell_year_make_and_body():
    found = analyse(mistakes([(0, 1), (0, 2), (2, 3), (0, 4), (4, 4)]))
    assert ids_in(found, "other-year") == [0]
    assert ids_in(found, "same-make") == [0, 1]
    assert ids_in(found, "same-body") == [2]
    assert found.primary_W.tolist().count(-1) == 1


def test_quality_flags_are_groups_with_their_rule():
    flags = {"dark": np.array([True, False, True]), "odd aspect": np.array([False, True, False])}
    evidence = mistakes(
        [(0, 4), (2, 4), (3, 3)], flags=flags, rules={"dark": "Mean luma is below 45."}
    )
    found = analyse(evidence)
    assert ids_in(found, "dark") == [0]  # the third is right
    assert ids_in(found, "odd-aspect") == [1]
    assert groups_of(found)["dark"].definition == "Mean luma is below 45."


def test_near_duplicates_with_another_label_are_a_group_and_come_first_in_the_review():
    pair = DuplicateGroup(
        rows=(1, 40),
        paths=("a", "b"),
        splits=("val", "train"),
        classes=(CLASSES[2].name, CLASSES[4].name),
        links=(Link(1, 40, "near", 0.99),),
        kind="near",
        agreement=0.99,
        is_leak=True,
        is_conflict=True,
    )
    found = analyse(mistakes([(0, 4), (2, 4), (3, 3)], conflicts=(pair,)))
    assert ids_in(found, "duplicate") == [1]
    (action,) = [one for one in found.actions if one["kind"] == "near-duplicates"]
    assert [one["class"] for one in action["pairs"][0]] == [CLASSES[2].name, CLASSES[4].name]


def test_rare_classes_are_those_below_the_median_in_the_lowest_quarter():
    counts = np.array([50, 40, 45, 60, 5])
    found = analyse(mistakes([(4, 0), (2, 0), (3, 0)], train_counts_K=counts))
    assert ids_in(found, "rare") == [0]
    even = analyse(mistakes([(4, 0), (2, 0)], train_counts_K=np.full(5, 30)))
    assert ids_in(even, "rare") == []


def embedded(seed=0):
    """Two classes that overlap, three apart; a far photo and an odd one among the mistakes."""
    rng = np.random.default_rng(seed)
    middles_KD = 10 * np.eye(5, 32)
    middles_KD[1] = middles_KD[0] + 0.3 * np.eye(32)[10]
    labels_M = np.repeat(np.arange(5), 60)
    base_MD = middles_KD[labels_M] + rng.normal(0, 0.3, size=(300, 32))
    labels = np.repeat(np.arange(5), 40)
    points_ND = middles_KD[labels] + rng.normal(0, 0.3, size=(200, 32))
    guess = labels.copy()
    guess[:10], guess[40:52] = 1, 0  # the overlapping ones
    guess[80], points_ND[80] = 3, -10 * np.eye(32)[20]  # far from everything
    guess[81], points_ND[81] = 3, middles_KD[3]  # a 2 that looks like a 3
    guess[120] = 2
    train = TrainSide(np.arange(300), np.full(300, "x", dtype=object), labels_M, base_MD)
    return evidence_of(
        predictions_of(labels, guess, sure=0.4), plain_classes(5),
        embeddings_ND=points_ND.astype(np.float16), train=train,
    )  # fmt: skip


def test_far_odd_and_look_alike_photos_are_told_by_embeddings():
    found = analyse(embedded())
    assert ids_in(found, "far") == [80]
    assert 81 in ids_in(found, "odd-view")
    assert 120 not in ids_in(found, "odd-view")
    assert ids_in(found, "look-alike") == [*range(10), *range(40, 52)]


def test_without_overlap_often_confused_classes_are_no_look_alikes():
    evidence = embedded()
    apart_MD = evidence.train.embeddings_MD.copy()
    apart_MD[evidence.train.labels_M == 1] += 8 * np.eye(32)[25]
    evidence = replace(evidence, train=replace(evidence.train, embeddings_MD=apart_MD))
    assert ids_in(analyse(evidence), "look-alike") == []


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 120), st.integers(1, 9), st.integers(0, 999))
def test_groups_add_up_whatever_the_predictions(num, num_classes, seed):
    rng = np.random.default_rng(seed)
    predictions, _, _ = (
        noisy_predictions(max(1, num), num_classes, noise=0.0, seed=seed)
        if (num and num_classes > 1)
        else (predictions_of(np.zeros(num, int), np.zeros(num, int)), None, None)
    )
    evidence = evidence_of(
        predictions, plain_classes(num_classes), train_counts_K=rng.integers(1, 90, num_classes),
        flags={"dark": rng.random(len(predictions)) < 0.2},
        attributes={"brightness": rng.random(len(predictions))},
    )  # fmt: skip
    found = analyse(evidence)
    wrong = set(np.flatnonzero(predictions.labels_N != predictions.prediction_N).tolist())
    assert set(found.wrong_W.tolist()) == wrong
    assert len(found.primary_W) == len(wrong)
    unexplained = int((found.primary_W < 0).sum())
    assert sum(group.num_primary for group in found.groups) + unexplained == len(wrong)
    for group in found.groups:
        assert set(group.rows_G.tolist()) <= wrong
        assert len(set(group.rows_G.tolist())) == len(group.rows_G) >= group.num_primary
    told = as_dict(found)
    assert told["num_mistakes"] == len(wrong)
    assert len(mistake_columns(found)["id"]) == len(wrong)


def test_zero_errors_and_one_class_are_fine():
    found = analyse(evidence_of(predictions_of([0, 0], [0, 0]), plain_classes(1)))
    assert found.groups == ()
    assert found.actions == ()
    assert as_dict(found)["num_mistakes"] == 0


def test_columns_of_another_length_are_refused():
    evidence = mistakes([(0, 1)], flags={"dark": np.zeros(3, dtype=bool)})
    with pytest.raises(ValueError, match="columns must have 201 entries, got dark 203"):
        analyse(evidence)


def test_what_is_missing_is_said_with_what_to_type():
    notes = analyse(mistakes([(0, 1)])).notes
    assert any("carscale folds RUN" in note for note in notes)
    assert any("--embeddings" in note for note in notes)
    assert any("train.log_dynamics=true" in note for note in notes)


def test_a_class_of_one_train_photo_does_not_make_every_mistake_an_odd_view():
    evidence = embedded()
    labels_M = evidence.train.labels_M.copy()
    labels_M[labels_M == 4] = 3
    labels_M[-1] = 4  # one photo, at the middle of its old class
    guess = evidence.predictions.prediction_N.copy()
    guess[160:200] = 3  # every photo of 4 is wrong
    labels = evidence.predictions.labels_N
    evidence = replace(
        evidence,
        predictions=predictions_of(labels, guess, sure=0.4),
        train=replace(evidence.train, labels_M=labels_M),
    )
    odd = ids_in(analyse(evidence), "odd-view")
    assert len([one for one in odd if one >= 160]) < 20


def test_odd_is_measured_against_the_mean_of_the_others():
    from carscale.analysis.groups import _usual_from_mean
    from carscale.analysis.neighbours import class_sums, normalised, rows_by_class

    rng = np.random.default_rng(4)
    labels_M = np.array([0] * 30 + [1] * 3 + [2])
    base_MD = normalised(rng.normal(size=(34, 6)) + 1)
    rows_of_K = rows_by_class(labels_M, 4)
    assert [rows.tolist() for rows in rows_of_K[1:]] == [[30, 31, 32], [33], []]
    alone = [
        1 - base_MD[row] @ normalised(base_MD[rows][rows != row].sum(axis=0)[None])[0]
        for rows in rows_of_K[:2]
        for row in rows
    ]
    limit_K = _usual_from_mean(base_MD, rows_of_K, class_sums(base_MD, rows_of_K))
    assert limit_K[0] == pytest.approx(np.quantile(alone[:30], 0.99), abs=1e-5)
    assert limit_K[1] == limit_K[2] == pytest.approx(np.quantile(alone, 0.99), abs=1e-5)
    assert limit_K[3] == np.inf


def test_group_names_are_those_that_a_loop_finds():
    found = analyse(embedded())
    told = mistake_columns(found)["groups"].tolist()
    wanted = [
        ";".join(group.name for group in found.groups if row in group.rows_G)
        for row in found.wrong_W.tolist()
    ]
    assert told == wanted
    assert len(set(told)) > 2


def test_probabilities_that_are_no_numbers_are_refused():
    evidence = mistakes([(0, 1)])
    evidence.predictions.prob_label_N[3] = np.nan
    with pytest.raises(ValueError, match="1 of 201 photos have a loss or probability"):
        analyse(evidence)


def test_what_the_analysis_of_nothing_tells_is_json():
    none = np.empty(0, dtype=np.int64)
    told = as_dict(analyse(evidence_of(predictions_of(none, none), plain_classes(3))))
    assert json.dumps(told, allow_nan=False)
    assert told["calibration"]["ece"] is None


def test_nothing_that_the_run_does_already_is_advised():
    flags = {"odd aspect": np.array([True, True, False, False])}
    pairs = [(0, 4), (2, 4), (0, 1), (0, 1)]

    def tried(settings):
        actions = analyse(mistakes(pairs, flags=flags, settings=settings)).actions
        return {one["setting"] for one in actions if one["kind"] == "augment"}

    assert tried({"data.fit": "crop", "data.image_px": "224"}) == {
        "data.fit=pad", "data.image_px=352",
    }  # fmt: skip
    assert tried({"data.fit": "pad"}) == set()  # and no guess at more pixels


def test_more_pixels_cost_as_many_times_more():
    evidence = replace(mistakes([(0, 1), (0, 1)], settings={"data.image_px": "224"}), train_s=100.0)
    (action,) = (
        one for one in analyse(evidence).actions if one.get("setting") == "data.image_px=352"
    )
    assert action["seconds"] == pytest.approx(100 * (352 / 224) ** 2)
