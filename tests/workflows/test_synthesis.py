"""``carscale data synth``: what joins, what it is made of, what stays as it was."""

import csv
import json
import shutil
from collections import Counter, defaultdict
from pathlib import Path

import cv2
import jobs
import numpy as np
import pytest

from carscale import data, images, workflows
from carscale.errors import ConfigError, DataError
from carscale.synth import SynthRule
from carscale.workflows.synthetic import judging
from carscale.workflows.synthetic.masks import car_masks

FREE = workflows.SynthHow(by_class=False)


@pytest.fixture(scope="module")
def frozen(drawn_demo):
    return drawn_demo(0)[1]


def rows_of(root):
    columns = data.read_manifest(root)
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def held_out(root):
    return {(r["key"], r["path"]) for r in rows_of(root) if r["split"] in ("val", "test")}


def rule(frozen, method, per_class, **words):
    """Photos for every class."""
    names = tuple(car.name for car in data.read_splits(frozen).classes)
    return SynthRule(method, names, per_class, **words)


def num_near(root):
    return len(data.near_duplicates(root, data.read_photos(root), data.photo_stats(root)).rows_P2)


@pytest.fixture(scope="module")
def degraded(frozen, tmp_path_factory):
    out = tmp_path_factory.mktemp("synth") / "out"
    return workflows.synthesise(frozen, out, rule(frozen, "degrade", 4), FREE)


def test_synthetic_photos_join_train_and_nothing_else_changes(frozen, degraded):
    root = degraded.root
    assert held_out(root) == held_out(frozen)
    before, after = (data.read_card(place)["hashes"] for place in (frozen, root))
    assert (before["val"], before["test"]) == (after["val"], after["test"])
    assert {row["key"] for row in rows_of(frozen)} <= {row["key"] for row in rows_of(root)}
    data.verify(root, mode="full")
    made = [row for row in rows_of(root) if row["synthetic_method"]]
    assert {row["split"] for row in made} == {"train"}
    wanted = Counter(row["class"] for row in made)
    assert max(wanted.values()) <= 4
    assert degraded.counts["joined"] == {"train": len(made)}
    assert len(made) >= 6


def test_each_traces_to_its_parent_and_is_made_again(frozen, degraded, tmp_path):
    by_key = {row["key"]: row for row in rows_of(frozen)}
    made = [row for row in rows_of(degraded.root) if row["synthetic_method"]]
    for row in made:
        (parent,) = data.made_of(row["synthetic"])
        assert by_key[parent]["class"] == row["class"]
        assert by_key[parent]["split"] == "train"
        told = json.loads(row["synthetic"])
        assert told["parameters"].keys() >= {"exposure", "noise", "quality"}
        assert told["seed"] == 0
    again = workflows.synthesise(frozen, tmp_path / "b", rule(frozen, "degrade", 4), FREE)
    assert data.read_card(again.root)["hashes"] == data.read_card(degraded.root)["hashes"]
    other = rule(frozen, "degrade", 4, seed=1)
    other = workflows.synthesise(frozen, tmp_path / "c", other, FREE)
    assert data.read_card(other.root)["hashes"] != data.read_card(degraded.root)["hashes"]


def test_readers_know_which_photos_are_synthetic(frozen, degraded, carscale, tmp_path):
    root = degraded.root
    methods = data.attributes(root)["synthetic_method"]
    assert Counter(methods)["degrade"] == degraded.counts["joined"]["train"]
    assert "synthetic_method" not in data.attributes(frozen)
    splits = data.read_splits(root)
    folds = data.fold_numbers(splits.train, 4)
    fold_of = dict(zip(splits.train.keys_N.tolist(), folds.tolist(), strict=True))
    for row in rows_of(root):
        for parent in data.made_of(row["synthetic"])[:1]:
            assert fold_of[row["key"]] == fold_of[parent]
    assert num_near(root) == num_near(frozen)  # to be like its parent is no fault of a photo
    code, _, stderr = carscale("data", "report", root, "--out", tmp_path / "page")
    assert code == 0, stderr
    page = (tmp_path / "page" / "index.html").read_text()
    assert "Synthetic photos" in page
    assert page.count("its car") >= 6


def test_a_car_stands_on_another_ground(frozen, tmp_path):
    """Masks are given: an ellipse around each photo's middle."""
    train = data.read_splits(frozen).train
    for path, (width, height) in zip(train.paths_N, train.sizes_N2.tolist(), strict=True):
        mask = np.zeros((height, width, 3), np.uint8)
        middle, axes = (width // 2, height * 11 // 20), (width * 4 // 10, height * 3 // 10)
        cv2.ellipse(mask, middle, axes, 0, 0, 360, (255, 255, 255), cv2.FILLED)
        place = (tmp_path / "masks" / path).with_suffix(".png")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(images.encode_png(mask))
    first = (tmp_path / "masks" / train.paths_N[0]).with_suffix(".png")
    first.write_bytes(images.encode_png(np.zeros((40, 60, 3), np.uint8)))
    how = workflows.SynthHow(masks=tmp_path / "masks", by_class=False)
    made = workflows.synthesise(frozen, tmp_path / "o", rule(frozen, "background", 2), how)
    assert any("1 of" in line and "masks do not hold" in line for line in made.warnings)
    class_of = {row["key"]: row["class"] for row in rows_of(frozen)}
    rows = [row for row in rows_of(made.root) if row["synthetic_method"]]
    assert rows
    for row in rows:
        car, ground = data.made_of(row["synthetic"])
        assert class_of[car] == row["class"] != class_of[ground]
        assert train.keys_N[0] not in (car, ground)


@pytest.mark.parametrize(
    ("rule", "how", "told"),
    [
        (
            SynthRule("background", per_class=2),
            workflows.SynthHow(),
            "needs to know where the cars",
        ),
        (SynthRule("degrade"), workflows.SynthHow(), "--no-class-filter"),
        (SynthRule("degrade"), FREE, "has them all of one kind"),
        (SynthRule("degrade", ("No such car",)), workflows.SynthHow(), "--classes No such car"),
    ],
)
def test_what_is_missing_is_said_and_nothing_is_written(frozen, tmp_path, rule, how, told):
    with pytest.raises(ConfigError, match=told):
        workflows.synthesise(frozen, tmp_path / "out", rule, how)
    assert list(tmp_path.iterdir()) == []


def test_no_mask_that_holds(frozen, tmp_path):
    (tmp_path / "masks").mkdir()
    how = workflows.SynthHow(masks=tmp_path / "masks", by_class=False)
    with pytest.raises(DataError, match=r"no photo can be made: \d+ of \d+ masks do not hold"):
        workflows.synthesise(frozen, tmp_path / "out", SynthRule("background", per_class=2), how)
    assert not (tmp_path / "out").exists()


def test_degrade_takes_classes_whose_photos_are_all_of_one_kind(carscale, frozen, tmp_path):
    train = data.read_splits(frozen).train
    for row in np.flatnonzero(train.labels_N < 4).tolist():
        name = train.classes[train.labels_N[row]].name
        path = tmp_path / "raw" / name / f"{row}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = images.decode(train.read_bytes(row))
        if train.labels_N[row] == 1:  # of one poor camera: grey, soft, in one light
            grey = cv2.GaussianBlur(cv2.resize(pixels, (128, 96)).mean(axis=2), (0, 0), 4.0)
            pixels = 120 + 40 * (grey - grey.mean()) / grey.std()
            pixels = np.repeat(pixels.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)
        path.write_bytes(images.encode_png(pixels))
    workflows.freeze(tmp_path / "raw", tmp_path / "base")
    words = ("--method", "degrade", "--no-class-filter")
    code, _, stderr = carscale("data", "synth", tmp_path / "base", tmp_path / "out", *words)
    assert code == 0, stderr
    studio = train.classes[1].name
    assert f"photos all of one kind: {studio}\n" in stderr
    made = [row for row in rows_of(tmp_path / "out") if row["synthetic_method"]]
    assert {row["class"] for row in made} == {studio}
    code, _, stderr = carscale("data", "synth", frozen, tmp_path / "none", *words)
    assert code == 2
    assert "has them all of one kind" in stderr
    assert "--classes rare" in stderr


def test_the_command_says_what_joined(carscale, frozen, tmp_path):
    words = ("--method", "viewpoint", "--per-class", 1, "--no-class-filter")
    code, stdout, stderr = carscale("data", "synth", frozen, tmp_path / "out", *words)
    assert code == 0, stderr
    assert stdout.strip() == str(tmp_path / "out")
    assert "joined: " in stderr
    assert "no --run: outliers among embeddings are not looked for" in stderr
    assert f"look at them: carscale data report {tmp_path / 'out'}" in stderr
    code, _, stderr = carscale(
        "data", "synth", frozen, tmp_path / "b", "--method", "degrade", "--model", "x"
    )
    assert code == 2
    assert "--model is for generate, not for --method degrade" in stderr
    code, _, stderr = carscale(
        "data", "synth", frozen, tmp_path / "b", "--method", "viewpoint", "--masks", tmp_path
    )
    assert code == 2
    assert "--masks is for background, not for --method viewpoint" in stderr


@pytest.fixture(scope="module")
def trained(frozen, tmp_path_factory):
    """A run that knows the demo's classes a little."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    jobs.train(frozen, folder, ("train.num_epochs=6", "augment.policy=none"))
    return folder


def test_photos_made_elsewhere_go_through_the_filters(carscale, frozen, trained, tmp_path):
    """Grey ones, one of val and a parent's copy under each class; no camera took any."""
    splits = data.read_splits(frozen)
    names = [car.name for car in splits.classes]
    rng = np.random.default_rng(0)
    for label, name in enumerate(names):
        folder = tmp_path / "made" / name
        folder.mkdir(parents=True)
        row = int(np.flatnonzero(splits.val.labels_N == label)[0])
        pixels = images.decode(splits.val.read_bytes(row))
        cut = np.ascontiguousarray(pixels[4:-4, 6:-6])
        (folder / "val.jpg").write_bytes(images.encode_jpeg(cut, quality=85))
        grey = np.full((128, 192, 3), 120 + label) + rng.normal(0, 1, (128, 192, 3))
        (folder / "grey.jpg").write_bytes(images.encode_jpeg(grey.astype(np.uint8), quality=90))
    lines = "".join(f"  {name}: {name}\n" for name in names)
    (tmp_path / "map.yaml").write_text(f"classes:\n{lines}")
    carscale("data", "map", frozen, tmp_path / "made", "-o", tmp_path / "map.yaml", "--force")
    words = (tmp_path / "made", tmp_path / "out", "--map", tmp_path / "map.yaml", "--synthetic")
    code, _, stderr = carscale("data", "merge", frozen, *words, "--run", trained)
    assert code == 0, stderr
    assert "judged by the run itself" in stderr
    reasons = [
        json.loads(line) for line in (tmp_path / "out" / "merge.jsonl").read_text().splitlines()
    ]
    of_val = [one["reason"] for one in reasons if one["path"].endswith("val.jpg")]
    grey = [one["reason"] for one in reasons if one["path"].endswith("grey.jpg")]
    assert len(of_val) == len(grey) == len(names)
    assert all(reason.startswith("nearly the same as val/") for reason in of_val)
    assert data.read_card(tmp_path / "out")["merged"]["filters"]["class"].startswith("run/")
    code, _, stderr = carscale("data", "merge", frozen, *words)
    assert code == 2
    assert "carscale folds RUN --keep-weights" in stderr
    code, _, stderr = carscale("data", "merge", frozen, *words[:-1], "--run", trained)
    assert code == 2
    assert "add --synthetic, or leave --run out" in stderr
    code, _, stderr = carscale("data", "merge", frozen, *words, "--run", trained, "--as", "test_b")
    assert code == 2
    assert "--as test_b: synthetic photos are for train alone" in stderr


@pytest.fixture(scope="module")
def with_folds(frozen, trained, tmp_path_factory):
    """The run, and a model for each half of train that did not see it."""
    run = tmp_path_factory.mktemp("folds") / "run"
    shutil.copytree(trained, run)
    for number in (0, 1):
        words = ("train.num_epochs=1", "data.num_folds=2", f"data.fold={number}")
        jobs.train(frozen, run / "folds" / f"fold_{number}", words)
    return run


def test_a_photo_is_judged_by_the_model_that_did_not_see_its_parent(
    frozen, with_folds, tmp_path, monkeypatch
):
    splits, asked = data.read_splits(frozen), defaultdict(set)
    name_of = {car.folder: car.name for car in splits.classes}

    def predict(run, cfg, photos):
        asked[run.path.name] |= {Path(name).name.split("-degrade-")[0] for name, _ in photos}
        return [
            {"error": None, "top5": [{"class": name_of[name.split("/")[0]]}]} for name, _ in photos
        ]

    monkeypatch.setattr(judging, "predict_readable", predict)
    how = workflows.SynthHow(run=with_folds)
    made = workflows.synthesise(frozen, tmp_path / "out", rule(frozen, "degrade", 3), how)
    assert made.card["merged"]["filters"]["class"].startswith("2 folds of run/")
    for number in (0, 1):
        left_out = data.hold_out(splits, 2, number).val
        assert asked[f"fold_{number}"]
        assert asked[f"fold_{number}"] <= set(left_out.keys_N)
    assert asked.keys() == {"fold_0", "fold_1"}


def spoil(run, what):
    """Take from a run's folds what lets them judge."""
    if what == "one":
        shutil.rmtree(run / "folds" / "fold_1")
    elif what == "weights":
        for place in (run / "folds" / "fold_1" / "checkpoints").glob("best_*"):
            shutil.rmtree(place)
    elif what == "other":
        shutil.rmtree(run / "folds" / "fold_1")
        shutil.copytree(run / "folds" / "fold_0", run / "folds" / "fold_1")


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("one", "by models that have not: carscale folds"),
        ("weights", "kept no weights; make them again: rm -r"),
        ("other", "left out other photos; give a run"),
    ],
)
def test_folds_that_can_not_judge_are_left_as_they_are(
    frozen, with_folds, tmp_path, capsys, what, said
):
    shutil.copytree(with_folds, tmp_path / "run")
    spoil(tmp_path / "run", what)
    filters = judging.Filters.of(frozen, tmp_path / "run", by_class=True)
    assert not filters.folds
    err = capsys.readouterr().err
    assert said in err
    assert ("rm -r" in err) == (what == "weights")


def test_a_run_finds_the_cars(frozen, trained, tmp_path, capsys):
    """Masks are kept; of the cars that hold none is refused for its parent."""
    train = data.read_splits(frozen).train
    tmp_path = tmp_path / "masks"
    found = car_masks(train, list(range(24)), run=trained, folder=tmp_path)
    assert f"--masks {tmp_path}: is new; masks that are found" in capsys.readouterr().err
    assert found.found.keys() | found.refused.keys() == set(range(24))
    kept = sorted(tmp_path.rglob("*.png"))
    assert len(kept) == len(found.found)
    again = car_masks(train, sorted(found.found), run=None, folder=tmp_path)
    assert not again.refused
    for row, mask in again.found.items():
        assert (mask == found.found[row]).all()


def test_what_shows_a_relabelled_car_moves_with_it(frozen, degraded, tmp_path):
    rows = rows_of(degraded.root)
    child = next(row for row in rows if row["synthetic_method"])
    (parent,) = data.made_of(child["synthetic"])
    parent = next(row for row in rows if row["key"] == parent)
    other = next(row["class"] for row in rows if row["class"] != parent["class"])
    table = tmp_path / "decisions.csv"
    with table.open("w") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "path", "label", "decision", "new_label"])
        writer.writerow([parent["id"], parent["path"], parent["class"], "wrong", other])
    made = data.relabel(degraded.root, table, tmp_path / "moved")
    class_of = {row["key"]: row["class"] for row in rows_of(made.root)}
    assert class_of[child["key"]] == class_of[parent["key"]] == other
    entry = {"rule": "test"}
    left = data.drop_photos(degraded.root, tmp_path / "left", {parent["id"]: "leak"}, entry=entry)
    keys = {row["key"] for row in rows_of(left.root)}
    assert not keys & {child["key"], parent["key"]}


def test_a_second_synthesis_is_of_real_photos(frozen, degraded, tmp_path):
    again = rule(frozen, "viewpoint", 2)
    made = workflows.synthesise(degraded.root, tmp_path / "out", again, FREE)
    method = {row["key"]: row["synthetic_method"] for row in rows_of(made.root)}
    turned = [row for row in rows_of(made.root) if row["synthetic_method"] == "viewpoint"]
    assert turned
    for row in turned:
        assert method[data.made_of(row["synthetic"])[0]] == ""


def test_a_degraded_photo_may_be_laid_over_its_parent(frozen, degraded):
    """What a camera changes is not what the measure of near duplicates sees."""
    path_of = {row["key"]: row["path"] for row in rows_of(frozen)}
    for line in (degraded.root / "merge.jsonl").read_text().splitlines():
        row = json.loads(line)
        parent = path_of[Path(row["path"]).name.split("-degrade-")[0]]
        assert f"nearly the same as {parent} " not in row["reason"]
    wanted = 4 * len(data.read_splits(frozen).classes)
    assert degraded.counts["joined"]["train"] > 0.7 * wanted
