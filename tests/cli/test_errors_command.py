"""carscale errors, evaluate --embeddings and --saliency, from the command line."""

import csv
import io
import json
import shutil

import jobs
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from test_commands import call

from carscale import files, tables


@pytest.fixture(scope="module")
def trained(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("errors") / "run"
    words = ("train.num_epochs=3", "model.name=test_efficientnet", "train.log_dynamics=true")
    jobs.train(tiny, folder, words)
    return folder


def test_every_mistake_is_listed_with_its_cause(trained, monkeypatch, capsys):
    code, out, err = call(monkeypatch, capsys, "errors", trained, "--csv")
    assert code == 0
    val = tables.read_predictions(trained / "predictions" / "val.parquet")
    wrong = val.ids_N[val.prediction_N != val.labels_N]
    rows = list(csv.DictReader(io.StringIO(out)))
    assert sorted(int(row["id"]) for row in rows) == sorted(wrong.tolist())
    losses = [float(row["loss"]) for row in rows]
    assert losses == sorted(losses, reverse=True)
    stored = pq.read_table(trained / "errors" / "val.parquet").to_pydict()
    assert stored["id"] == [int(row["id"]) for row in rows]
    assert len(stored["top5"][0]) == min(5, val.top5_NT.shape[1])
    assert "note: No out-of-sample predictions" in err
    assert f"carscale folds {trained}" in err


def test_json_adds_up_and_actions_lie_beside(trained, monkeypatch, capsys):
    code, out, _ = call(monkeypatch, capsys, "errors", trained, "--json")
    assert code == 0
    told = json.loads(out)
    causes = sum(group["num_primary"] for group in told["groups"])
    assert causes + told["num_unexplained"] == told["num_mistakes"]
    assert files.read_json(trained / "errors" / "actions-val.json") == told["actions"]


def test_embeddings_of_split_and_train_are_kept_and_used(trained, tiny, monkeypatch, capsys):
    folder = trained.parent / "embedded"
    shutil.copytree(trained, folder)
    code, _, _ = call(monkeypatch, capsys, "evaluate", folder, "--embeddings")
    assert code == 0
    for name in ("val", "train"):
        ids_N, embeddings_ND, _ = tables.read_embeddings(
            folder / "predictions" / f"{name}.embeddings.parquet"
        )
        assert len(ids_N) == len(embeddings_ND) > 0
    code, _, err = call(monkeypatch, capsys, "errors", folder)
    assert code == 0
    assert "No embeddings" not in err
    stored = pq.read_table(folder / "errors" / "val.parquet")
    assert "embedding" in stored.column_names

    wrong = stored.column("id").to_pylist()[:2]
    words = ",".join(map(str, wrong))
    code, out, _ = call(monkeypatch, capsys, "evaluate", folder, "--saliency", words)
    assert code == 0
    paths = out.split()
    assert [path.rsplit("-", 1)[1] for path in paths] == [f"{one}.png" for one in wrong]
    with Image.open(paths[0]) as picture:
        assert picture.width > 4 * picture.height


def test_predictions_of_other_photos_are_told_apart(trained, tmp_path, monkeypatch, capsys):
    from photos import draw_classes

    from carscale import data

    other = data.freeze(draw_classes(tmp_path / "raw", [12, 12, 12, 12]), tmp_path / "other").root
    code, out, err = call(monkeypatch, capsys, "errors", trained, "--data-root", other)
    assert code == 0
    assert "holds another val split" in err
    assert "mistakes in" in out
    code, _, err = call(monkeypatch, capsys, "errors", trained, "--data-root", tmp_path / "none")
    assert code == 0
    assert "--data-root FOLDER" in err


def test_another_class_list_is_refused(trained, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "run"
    shutil.copytree(trained, folder)
    listed = files.read_json(folder / "classes.json")["classes"]
    files.write_json(folder / "classes.json", {"classes": listed[:2]})
    code, _, err = call(monkeypatch, capsys, "errors", folder)
    assert code == 2
    assert "it was made with another class list" in err
    assert "carscale evaluate" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("errors", "RUN", "--json", "--csv"), "exclude each other"),
        (("errors", "RUN", "--split", "train"), "must be val or test"),
        (
            ("errors", "RUN", "--split", "test"),
            "no predictions of test\n  make them with: carscale",
        ),
        (("evaluate", "RUN", "--saliency", "x"), "wanted ids of photos"),
        (("evaluate", "RUN", "--saliency", "99999"), "holds no photo of that id"),
    ],
)
def test_bad_words_are_told_with_what_to_type(trained, monkeypatch, capsys, words, said):
    filled = [trained if word == "RUN" else word for word in words]
    code, _, err = call(monkeypatch, capsys, *filled)
    assert code == 2
    assert said in err


def test_zero_errors_are_fine(trained, tmp_path, monkeypatch, capsys):
    from dataclasses import replace

    folder = tmp_path / "run"
    shutil.copytree(trained, folder)
    path = folder / "predictions" / "val.parquet"
    val = tables.read_predictions(path)
    right = replace(val, prediction_N=val.labels_N, probs_NK=None)
    path.write_bytes(tables.predictions_bytes(right))
    code, out, _ = call(monkeypatch, capsys, "errors", folder)
    assert code == 0
    assert out.startswith(f"val: 0 mistakes in {len(val)} photos\n")
    assert "Cause" not in out
    assert "Worse than the rest" not in out
    code, out, _ = call(monkeypatch, capsys, "errors", folder, "--csv")
    assert np.char.count(out, "\n") == 1


def test_a_report_hands_its_figures_to_the_tracker(tiny, tmp_path, monkeypatch, capsys):
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="tensorboard is missing"
    )
    folder = tmp_path / "run"
    jobs.train(tiny, folder, ("train.max_steps=2", "train.tracker=tensorboard"))
    code, _, _ = call(monkeypatch, capsys, "report", folder)
    assert code == 0
    names = set()
    for path in folder.rglob("events.out.tfevents.*"):
        events = accumulator.EventAccumulator(str(path), size_guidance={"images": 0})
        names |= set(events.Reload().Tags()["images"])
    drawn = {f"report/{path.stem}" for path in (folder / "report" / "figures").glob("*.png")}
    assert drawn
    assert names == drawn


@pytest.mark.parametrize("words", [(",",), ("1,-2",)])
def test_saliency_of_no_photo_is_refused(trained, monkeypatch, capsys, words):
    code, _, err = call(monkeypatch, capsys, "evaluate", trained, "--saliency", *words)
    assert code == 2
    assert "wanted ids of photos" in err


def test_saliency_goes_with_nothing_that_predicts(trained, monkeypatch, capsys):
    words = ("evaluate", trained, "--saliency", "1", "--embeddings")
    code, _, err = call(monkeypatch, capsys, *words)
    assert code == 2
    assert "--saliency only draws" in err


def test_a_model_that_broke_is_told(trained, tmp_path, monkeypatch, capsys):
    from dataclasses import replace

    folder = tmp_path / "run"
    shutil.copytree(trained, folder)
    path = folder / "predictions" / "val.parquet"
    val = tables.read_predictions(path)
    broken = replace(val, prob_label_N=np.full(len(val), np.nan, np.float32))
    path.write_bytes(tables.predictions_bytes(broken))
    code, _, err = call(monkeypatch, capsys, "errors", folder)
    assert code == 2
    assert f"{len(val)} of {len(val)} photos have a loss or probability that is NaN" in err
    assert f"carscale evaluate {folder} --split val" in err


def test_a_path_that_holds_a_capital_word_stays_as_it_is(trained, tmp_path, monkeypatch, capsys):
    root = tmp_path / "RUN" / "NAME"
    code, _, err = call(monkeypatch, capsys, "errors", trained, "--data-root", root)
    assert code == 0
    assert f"No frozen photos at {root}:" in err
