"""``judge`` reads run folders: what is paired, what is passed over, what must not be compared."""

import json

import numpy as np
import pytest
from folders import outcomes, write_run

from carscale.errors import DataError
from carscale.verdicts import judge
from carscale.verdicts.interactions import find_triples
from carscale.verdicts.study_result import StudyClass


@pytest.fixture
def study(tmp_path):
    """A baseline and a better arm, three seeds each, as folders; and the outcomes."""
    base_SN, arm_SN, labels_N = outcomes(900, 3, gain=0.12)
    arms = {"base": [], "focal": []}
    for seed in range(3):
        for name, correct_SN, words in (
            ("base", base_SN, ()),
            ("focal", arm_SN, ("balance.loss=focal",)),
        ):
            folder = tmp_path / f"{name}-s{seed}"
            write_run(folder, correct_SN[seed], labels_N, seed=seed, words=words)
            arms[name].append(folder)
    return arms, base_SN, arm_SN, labels_N


def test_photos_are_paired_by_key_and_runs_by_seed(study):
    arms, base_SN, arm_SN, labels_N = study
    found = judge({"base": arms["base"][::-1], "focal": arms["focal"]}, "base")
    base, focal = found.arms
    assert (base.is_baseline, base.verdict, base.settings) == (True, None, ())
    assert base.value == pytest.approx(base_SN.mean())
    assert focal.settings == ("balance.loss: ce -> focal",)
    assert focal.verdict.word == "helps"
    assert focal.verdict.difference.value == pytest.approx(arm_SN.mean() - base_SN.mean())
    for seed, row in enumerate(focal.runs):
        assert row.seed == seed
        assert row.num_gained == (arm_SN[seed] & ~base_SN[seed]).sum()
        assert row.num_lost == (~arm_SN[seed] & base_SN[seed]).sum()
        assert (
            row.command
            == f"accelerate launch recipes/effnet_focal.py balance.loss=focal seed={seed}"
        )
    assert found.about.num_photos == 900
    assert found.classes[2] == StudyClass("Make M2 2012", int((labels_N == 2).sum()), 7)


def test_costs_are_seconds_of_steps_and_peak_memory(tmp_path):
    base_SN, arm_SN, labels_N = outcomes(60, 2)
    arms = {
        name: [
            write_run(tmp_path / f"{name}{seed}", right[seed], labels_N, seed=seed,
                      train_s=scale * (seed + 1), memory_gib=seed + 0.5, words=words)
            for seed in range(2)
        ]
        for name, right, scale, words in (
            ("a", base_SN, 10, ()), ("b", arm_SN, 40, ("model.drop_rate=0.2",)),
        )
    }  # fmt: skip
    found = judge(arms, "a").arms
    assert [arm.train_s for arm in found] == [15, 60]
    assert [arm.memory_gib for arm in found] == [1.5, 1.5]
    (arms["b"][0] / "timing.jsonl").unlink()
    found = judge(arms, "a").arms[1]
    assert (found.train_s, found.runs[0].train_s) == (80, None)


def test_missing_runs_are_passed_over_and_noted(study, tmp_path):
    arms, _, _, labels_N = study
    lost = write_run(tmp_path / "lost", labels_N, labels_N, seed=0, with_table=False)
    never = tmp_path / "never"
    found = judge(
        {"base": arms["base"][:2], "focal": arms["focal"][1:], "gone": [lost, never], "bare": []},
        "base",
    )
    focal, gone, bare = found.arms[1:]
    assert [row.seed for row in focal.verdict.seeds] == [1]
    assert focal.notes == ("seed 2: the baseline has none, so counted without a pair",)
    assert focal.runs[1].difference is None
    assert focal.verdict.word == "helps"  # two runs of each: a spread of seeds is known
    assert gone.verdict.word == bare.verdict.word == "no finished run"
    assert gone.value is None
    assert gone.notes == tuple(f"{one}: no predictions of val yet" for one in (lost, never))
    json.dumps(found.as_dict(), allow_nan=False)


def test_a_baseline_without_runs_leaves_all_open(study):
    arms = study[0]
    found = judge({"base": [], "focal": arms["focal"]}, "base")
    assert found.arms[1].verdict.word == "no finished run"
    assert found.arms[1].value is not None
    assert found.interactions == []
    with pytest.raises(DataError, match="no run has predictions of val yet"):
        judge({"base": [], "focal": []}, "base")
    with pytest.raises(DataError, match="no run has predictions of test yet"):
        judge(arms, "base", split="test")


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"hashes": {"val": "f" * 64}}, f"val photos differ: {'d' * 12} and {'f' * 12}"),
        ({"hashes": {"classes": "f" * 64}}, f"class lists differ: {'c' * 12} and {'f' * 12}"),
        ({"keys": [f"other {i:05}" for i in range(900)]}, "1800 photos of val are in one only"),
        ({"num_classes": 9}, r"class lists differ \(6 and 9 classes\)"),
    ],
)
def test_other_photos_or_classes_stop(study, tmp_path, changed, match):
    arms, base_SN, _, labels_N = study
    other = write_run(tmp_path / "other", base_SN[0], labels_N, seed=0, **changed)
    with pytest.raises(DataError, match=match) as raised:
        judge({**arms, "other": [other]}, "base")
    assert f"carscale evaluate {other} data.root=data/demo --split val" in str(raised.value)
    assert str(arms["base"][0]) in str(raised.value)


def test_other_labels_stop(study, tmp_path):
    arms, base_SN, _, labels_N = study
    other = write_run(tmp_path / "other", base_SN[0], np.roll(labels_N, 1), num_classes=6)
    with pytest.raises(DataError, match="the same photos of val have other labels"):
        judge({**arms, "other": [other]}, "base")


def test_two_runs_of_one_seed_stop(study, tmp_path):
    arms, base_SN, _, labels_N = study
    twin = write_run(tmp_path / "twin", base_SN[0], labels_N, seed=1)
    with pytest.raises(DataError, match="are both of seed 1; they would count as two"):
        judge({**arms, "base": [*arms["base"], twin]}, "base")
    with pytest.raises(ValueError, match="baseline must be of base, focal, got 'best'"):
        judge(arms, "best")


def test_other_train_photos_are_named_and_compared(study, tmp_path):
    arms, _, arm_SN, labels_N = study
    more = write_run(
        tmp_path / "more", arm_SN[0], labels_N, words=("data.root=data/more",),
        hashes={"train": "9" * 64},
    )  # fmt: skip
    found = judge({**arms, "more": [more]}, "base").arms[2]
    assert found.settings == (f"train photos: data/demo ({'e' * 12}) -> data/more ({'9' * 12})",)
    recipe = write_run(tmp_path / "recipe", arm_SN[0], labels_N, recipe="effnet_baseline")
    found = judge({**arms, "recipe": [recipe]}, "base").arms[2]
    assert found.settings == ("recipe: effnet_focal -> effnet_baseline",)


def test_interactions_are_differences_of_differences(tmp_path):
    labels_N = outcomes(1500, 3)[2]
    rng = np.random.default_rng(5)
    gains = {"base": 0.0, "a": 0.2, "b": 0.2, "ab": 0.2}  # together no more than one alone
    words = {"a": ("balance.loss=focal",), "b": ("model.drop_rate=0.2",)}
    words["ab"] = (*words["a"], *words["b"])
    ease = 0.2 + 0.5 * rng.random(1500)
    right = {name: rng.random((3, 1500)) < ease + gain for name, gain in gains.items()}
    arms = {
        name: [
            write_run(tmp_path / f"{name}{seed}", right[name][seed], labels_N, seed=seed,
                      words=words.get(name, ()))
            for seed in range(3)
        ]
        for name in gains
    }  # fmt: skip
    (found,) = judge(arms, "base").interactions
    assert (found.first, found.second, found.both) == ("a", "b", "ab")
    means = {name: rows.mean() for name, rows in right.items()}
    wanted = means["ab"] - means["a"] - means["b"] + means["base"]
    assert found.difference.value == pytest.approx(wanted)
    assert found.is_flagged
    assert found.sentence.startswith("a and b: together they do less than the sum of each alone (-")
    told = {"base": {}, "a": {"x": 1}, "b": {"x": 2}, "ab": {"x": 1, "y": 2}}
    assert judge(arms, "base", overrides=told).interactions == []
    told = {"base": {"z": 0}, "a": {"x": 1, "z": 0}, "b": {"y": 2, "z": 0},
            "ab": {"x": 1, "y": 2, "z": 0}}  # fmt: skip
    assert judge(arms, "base", overrides=told).interactions == [found]
    one = {name: folders[:1] for name, folders in arms.items()}
    assert not judge(one, "base").interactions[0].is_flagged


def test_triples_are_found_in_any_order_and_only_when_whole():
    made = {"xy": {"x": 1, "y": 2}, "x": {"x": 1}, "y": {"y": 2}, "y3": {"y": 3}, "none": {}}
    assert find_triples(made) == [("x", "y", "xy")]
    assert find_triples({"x": {"x": 1}, "again": {"x": 1}, "none": {}}) == []


def test_balanced_accuracy_and_margin_are_passed_on(study):
    found = judge(study[0], "base", metric="balanced_accuracy", margin=0.5)
    assert found.about.metric_label == "balanced accuracy"
    assert found.about.margin == 0.5
    assert "points of balanced accuracy" in found.arms[1].verdict.sentence


@pytest.mark.parametrize("metric", ["balanced_accuracy", "macro_f1"])
def test_a_mean_over_classes_is_refused_where_a_class_has_no_photos(tmp_path, metric):
    labels_N = np.array([0, 0, 1, 1])
    arms = {
        name: [write_run(tmp_path / name, labels_N == 0, labels_N, num_classes=4)]
        for name in ("a", "b")
    }
    with pytest.raises(DataError) as error:
        judge(arms, "a", metric=metric)
    told = f"{metric}: val has no photos of 2 of 4 classes (first: Make M2 2012)"
    assert told in str(error.value)
    assert "compare by another metric (top1, log_loss)" in str(error.value)
    assert judge(arms, "a", metric="log_loss").arms[1].verdict.word == "inconclusive"
