"""Classes merged and split: the same photos and splits, and the way back."""

import dataclasses
import json

import jobs
import numpy as np
import pytest
from folders import write_run
from photos import draw_classes
from ranks import run_process

from carscale import data, evaluation, tables, workflows
from carscale.errors import ConfigError, DataError, RunError
from carscale.runs import RunFolder
from carscale.verdicts.arms import compare
from carscale.verdicts.run_predictions import read_run_predictions


@pytest.fixture
def root(tmp_path):
    """Four classes: class 0 to class 3."""
    return data.freeze(draw_classes(tmp_path / "raw", [12, 10, 8, 6]), tmp_path / "cars").root


def names_of(root):
    return [one.name for one in data.read_splits(root).classes]


def manifest(root):
    return (root / "manifest.parquet").read_bytes()


def by_key(root):
    columns = data.read_manifest(root)
    rows = zip(*(columns[name].tolist() for name in ("key", "split", "sha256")), strict=True)
    return {key: rest for key, *rest in rows}


@pytest.mark.parametrize("link", ["copy", "hard"])
def test_merged_and_taken_back_the_manifest_is_that_of_before(root, tmp_path, link):
    first, second, *_ = names_of(root)
    text = f"{first} + {second} -> Both of them"
    made = workflows.refine(root, tmp_path / "merged", merges=[text], link=link)
    assert names_of(made.root) == sorted(["Both of them", *names_of(root)[2:]])
    assert made.num_classes == 3
    columns = data.read_manifest(made.root)
    assert made.num_changed == int((columns["class"] == "Both of them").sum()) == 22
    assert by_key(made.root) == by_key(root)
    data.verify(made.root)
    assert made.card["parent"]["name"] == "cars"
    assert made.card["refined"]["merges"] == [{"classes": [first, second], "to": "Both of them"}]
    told = " ".join(workflows.diff(root, made.root).sentences())
    assert "All splits hold the same photos, some under merged classes" in told
    assert f"B merged classes of A: {first} + {second} -> Both of them." in told
    assert "B merged" not in " ".join(workflows.diff(made.root, root).sentences())
    with pytest.raises(DataError, match="merged"):
        workflows.refine(root, tmp_path / "merged", merges=[text])
    back = workflows.refine(made.root, tmp_path / "back", undo=True)
    assert manifest(back.root) == manifest(root)
    assert (back.root / "classes.json").read_bytes() == (root / "classes.json").read_bytes()
    assert back.card["hashes"] == data.read_card(root)["hashes"]
    photos = [sorted(p.relative_to(one) for p in one.rglob("*.jpg")) for one in (root, back.root)]
    assert photos[0] == photos[1]
    with pytest.raises(DataError, match="its classes were not refined"):
        workflows.refine(back.root, tmp_path / "again", undo=True)


def test_a_class_may_join_another_and_keep_its_name(root, tmp_path):
    first, second, *rest = names_of(root)
    made = workflows.refine(root, tmp_path / "m", merges=[f"{first} + {second} -> {first}"])
    assert names_of(made.root) == [first, *rest]
    assert made.num_changed == 10
    splits = data.read_splits(made.root)
    assert len(splits.train) + len(splits.val) + len(splits.test) == 36


def test_a_class_is_split_by_a_table(root, tmp_path):
    name = names_of(root)[0]
    columns = data.read_manifest(root)
    paths = columns["path"][columns["class"] == name].tolist()
    table = tmp_path / "parts.csv"
    lines = [f"{path},{name} {'old' if n % 2 else 'new'}" for n, path in enumerate(paths)]
    table.write_text("path,class\n" + "\n".join(lines) + "\n")
    made = workflows.refine(root, tmp_path / "s", split=table)
    assert names_of(made.root) == sorted([f"{name} new", f"{name} old", *names_of(root)[1:]])
    assert by_key(made.root) == by_key(root)
    back = workflows.refine(made.root, tmp_path / "back", undo=True)
    assert manifest(back.root) == manifest(root)
    wrong = {
        "path,class\nnowhere.jpg,X\n": "line 2: 'nowhere.jpg' is no photo of the data",
        f"path,class\n{paths[0]},\n": "line 2: names no class",
        f"path,class\n{paths[0]},X\n{paths[0]},Y\n": "line 3: .* is changed twice",
        "file,class\na,b\n": r"must have the columns path \(or key\) and class",
    }
    for text, message in wrong.items():
        table.write_text(text)
        with pytest.raises(DataError, match=message):
            workflows.refine(root, tmp_path / "t", split=table)
    assert not (tmp_path / "t").exists()


def test_what_does_not_fit_is_refused_and_nothing_is_written(root, tmp_path):
    a, b, c, d = names_of(root)
    out = tmp_path / "out"
    wrong = {
        f"{a} + Nothing -> X": "'Nothing' is no class of ",
        f"{a} + {b} -> {c}": "is another class already",
        f"{a} + {a} -> X": "is merged twice",
        f"{a} -> X": "must be written",
        f"{a} + {b}": "must be written",
        f"{a} + {b} + {c} + {d} -> X": "1 class would be left",
    }
    for text, message in wrong.items():
        with pytest.raises(ConfigError, match=message):
            workflows.refine(root, out, merges=[text])
    with pytest.raises(ConfigError, match="is merged twice"):
        workflows.refine(root, out, merges=[f"{a} + {b} -> X", f"{b} + {c} -> Y"])
    with pytest.raises(ConfigError, match="is the name of two merges"):
        workflows.refine(root, out, merges=[f"{a} + {b} -> X", f"{c} + {d} -> X"])
    with pytest.raises(ConfigError, match="nothing to change"):
        workflows.refine(root, out)
    with pytest.raises(ConfigError, match="does nothing else"):
        workflows.refine(root, out, undo=True, merges=[f"{a} + {b} -> X"])
    assert not out.exists()


def test_what_a_runs_actions_advise_is_merged(root, tmp_path, carscale):

    a, b, *_ = names_of(root)
    run = write_run(tmp_path / "run", np.ones(4, bool), np.arange(4))
    with pytest.raises(RunError, match="carscale errors"):
        workflows.refine(root, tmp_path / "out", actions=run)
    (run / "errors").mkdir()
    actions = [{"kind": "merge", "classes": [a, b]}, {"kind": "split", "classes": [a]}]
    (run / "errors" / "actions-val.json").write_text(json.dumps(actions))
    code, _, err = carscale("data", "refine", root, tmp_path / "out", "--actions", run)
    assert code == 0, err
    assert f"{a} / {b}" in names_of(tmp_path / "out")
    assert "to take it back: carscale data refine" in err


@pytest.fixture
def trained(root, tmp_path):
    """A run on the classes of before, one on merged ones, and the merged data."""
    a, b, *_ = names_of(root)
    merged = workflows.refine(root, tmp_path / "merged", merges=[f"{a} + {b} -> A or B"]).root
    words = ("train.num_epochs=1", "train.select=last")
    for data_root, name in ((root, "old"), (merged, "new")):
        assert run_process(jobs.train, data_root, tmp_path / "runs" / name, words) == 0
    return tmp_path / "runs" / "old", tmp_path / "runs" / "new", merged


def test_a_run_of_before_is_scored_under_the_merged_classes(root, trained):
    old, new, merged = trained
    workflows.evaluate(old, split="val", probs=True)
    predictions = RunFolder(old).predictions("val")
    probs_NK = predictions.probs_NK.astype(np.float64)
    names, after = names_of(root), names_of(merged)
    wanted_NL = np.stack(
        [
            probs_NK[:, [0, 1]].sum(axis=1) if name == "A or B" else probs_NK[:, names.index(name)]
            for name in after
        ],
        axis=1,
    )
    new_K = np.array([after.index("A or B") if n < 2 else after.index(names[n]) for n in range(4)])
    found = evaluation.under_merged_classes(predictions, new_K)
    np.testing.assert_allclose(found.probs_NK, wanted_NL, atol=1e-6)
    np.testing.assert_array_equal(found.prediction_N, wanted_NL.argmax(axis=1))
    read = read_run_predictions(old, "val", merged)
    order = np.argsort(predictions.keys_N.astype(str))
    np.testing.assert_array_equal(read.predictions_N, found.prediction_N[order])
    result = compare([old, new], metric="top1")
    assert [arm.name for arm in result.arms] == ["old", "new"]
    assert result.about.num_classes == 3
    old_value = (found.prediction_N == found.labels_N).mean()
    assert result.arms[0].value == pytest.approx(old_value)


def test_runs_of_classes_that_were_split_are_not_scored(root, trained, tmp_path):
    old, _, _ = trained
    name = names_of(root)[0]
    columns = data.read_manifest(root)
    paths = columns["path"][columns["class"] == name].tolist()[:6]
    table = tmp_path / "parts.csv"
    table.write_text("path,class\n" + "".join(f"{path},Part\n" for path in paths))
    split = workflows.refine(root, tmp_path / "split", split=table).root
    with pytest.raises(DataError, match="Part was split"):
        read_run_predictions(old, "val", split)
    bare = dataclasses.replace(RunFolder(old).predictions("val"), probs_NK=None)
    RunFolder(old).predictions_file("val").write_bytes(tables.predictions_bytes(bare))
    with pytest.raises(DataError, match="keeps no probabilities of val"):
        read_run_predictions(old, "val", tmp_path / "merged")
