"""evaluate, predict, report and help: results on stdout, errors in one line, exit codes."""

import csv
import io
import json
import re
import resource
import shlex
import subprocess
import sys
from pathlib import Path

import jobs
import numpy as np
import pytest
from photos import draw_photo
from PIL import Image

from carscale import evaluation, files, models, tables
from carscale.cli.main import app, run


@pytest.fixture(scope="module")
def trained(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / "run"
    jobs.train(tiny, folder, ("train.num_epochs=6",))
    return folder


def call(monkeypatch, capsys, *words: object) -> tuple[int, str, str]:
    """Run the command line in this process; return exit code, stdout, stderr."""
    monkeypatch.setattr(sys, "argv", ["carscale", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        run()
    out, err = capsys.readouterr()
    return ended.value.code or 0, out, err


def test_help_is_quick_and_loads_no_torch():
    code = (
        "import sys; sys.argv = ['carscale', '--help']\n"
        "from carscale.cli.main import run\n"
        "try: run()\nexcept SystemExit: pass\n"
        "assert not {'torch', 'datasets', 'pyarrow', 'numpy', 'cv2'} & set(sys.modules)"
    )
    least = "import pydantic, typer.rich_utils"  # what it can't do without, on the same machine
    times = {least: [], code: []}
    for _ in range(3):
        for words, found in times.items():
            start = _seconds_of_children()
            answer = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True)
            found.append(_seconds_of_children() - start)
            assert answer.returncode == 0, answer.stderr
    assert min(times[code]) < 6 * min(times[least])  # about 3 times


def _seconds_of_children() -> float:
    """Return the CPU time of ended children: other work on the machine does not change it."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def commands() -> list[tuple[str, str]]:
    """Every command's words and its help."""
    found = [(c.name, c.callback.__doc__) for c in app.registered_commands]
    for group in app.registered_groups:
        inner = group.typer_instance.registered_commands
        found += [
            (f"{group.name} {c.name or c.callback.__name__}", c.callback.__doc__) for c in inner
        ]
    return found


@pytest.mark.parametrize(("name", "text"), commands(), ids=lambda value: str(value)[:20])
def test_help_is_a_sentence_and_an_example_that_parses(name, text):
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    assert lines[0].endswith(".")
    example = shlex.split(lines[-1].removeprefix("Example: "))
    assert example[: 1 + len(name.split())] == ["carscale", *name.split()]
    import typer

    command = typer.main.get_command(app)
    for part in name.split():
        command = command.commands[part]
    command.make_context(name, example[1 + len(name.split()) :], resilient_parsing=False)


def test_evaluate_writes_predictions_metrics_and_the_ledger(trained, monkeypatch, capsys):
    code, out, _ = call(monkeypatch, capsys, "evaluate", trained, "--split", "test", "--probs")
    assert code == 0
    assert re.search(r"top1 +0\.\d{4}  95 % \[", out)
    predictions = tables.read_predictions(trained / "predictions" / "test.parquet")
    assert predictions.probs_NK.shape == (len(predictions), 4)
    metrics = files.read_json(trained / "metrics.json")
    assert metrics["test"]["num_samples"] == len(predictions)
    assert {row["class"] for row in metrics["held_out"]["per_class"]} == {
        f"Make{k} Model" for k in range(4)
    }
    val = tables.read_predictions(trained / "predictions" / "val.parquet")  # the recipe's own
    pooled = sum(row["support"] for row in metrics["held_out"]["per_class"])
    assert pooled == len(val) + len(predictions)
    looks = files.read_lines(trained / "test_evaluations.jsonl")
    call(monkeypatch, capsys, "evaluate", trained, "--split", "val")
    assert len(files.read_lines(trained / "test_evaluations.jsonl")) == len(looks)
    call(monkeypatch, capsys, "evaluate", trained, "--split", "test")
    assert len(files.read_lines(trained / "test_evaluations.jsonl")) == len(looks) + 1


def test_val_decides_the_temperature_of_every_split(tiny, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "run"
    jobs.train(tiny, folder, ("train.num_epochs=2", "evaluate.temperature=val"))
    val = tables.read_predictions(folder / "predictions" / "val.parquet")
    assert "temperature" not in val.about  # training fits none
    call(monkeypatch, capsys, "evaluate", folder, "--split", "test", "--no-temperature", "--probs")
    plain = tables.read_predictions(folder / "predictions" / "test.parquet")
    assert not (folder / "calibration.json").exists()
    code, out, _ = call(monkeypatch, capsys, "evaluate", folder, "--split", "test", "--no-probs")
    assert code == 0
    stored = files.read_json(folder / "calibration.json")
    assert f"temperature {stored['temperature']:.3f}, fitted on val" in out
    assert stored["num_samples"] == len(val)
    assert stored["split_hash"] == val.about["split_hash"]
    assert stored["loss_after"] < stored["loss_before"]
    scaled = tables.read_predictions(folder / "predictions" / "test.parquet")
    wanted = evaluation.with_temperature(plain, stored["temperature"])
    assert scaled.probs_NK is None
    np.testing.assert_allclose(scaled.loss_N, wanted.loss_N, atol=1e-5)
    np.testing.assert_allclose(scaled.prob_prediction_N, wanted.prob_prediction_N, atol=1e-6)
    np.testing.assert_array_equal(scaled.prediction_N, plain.prediction_N)
    assert files.read_json(folder / "metrics.json")["test"]["about"]["temperature"] > 0
    call(monkeypatch, capsys, "evaluate", folder)
    again = files.read_json(folder / "calibration.json")
    assert again["temperature"] == stored["temperature"]  # test had no say
    draw_photo(tmp_path / "a.jpg", 1, 5)
    code, out, err = call(monkeypatch, capsys, "predict", folder, tmp_path / "a.jpg", "--json")
    assert f"at temperature {stored['temperature']:.3f}, fitted on val" in err
    warm = [top["prob"] for top in json.loads(out)["top5"]]
    (folder / "calibration.json").unlink()
    code, out, err = call(monkeypatch, capsys, "predict", folder, tmp_path / "a.jpg", "--json")
    assert "no temperature is fitted yet" in err
    cold = np.array([top["prob"] for top in json.loads(out)["top5"]])
    powers = cold ** (1 / stored["temperature"])
    np.testing.assert_allclose(warm, powers / powers.sum(), atol=1e-4)


def test_flip_is_chosen_at_evaluation_and_told(trained, monkeypatch, capsys):
    call(monkeypatch, capsys, "evaluate", trained, "--probs")
    plain = tables.read_predictions(trained / "predictions" / "val.parquet")
    call(monkeypatch, capsys, "evaluate", trained, "--probs", "--flip", "--temperature")
    both = tables.read_predictions(trained / "predictions" / "val.parquet")
    assert (plain.about["flip"], both.about["flip"]) == (False, True)
    assert np.abs(plain.probs_NK - both.probs_NK).max() > 1e-4
    assert files.read_json(trained / "calibration.json")["flip"] is True
    path = trained / "config.yaml"  # a temperature of flipped predictions is not for plain ones
    assert "flip: false" in path.read_text()
    draw_photo(trained.parent / "a.jpg", 1, 5)
    _, _, err = call(monkeypatch, capsys, "predict", trained, trained.parent / "a.jpg")
    assert "temperature" not in err
    (trained / "calibration.json").unlink()


def test_report_prints_the_page(trained, monkeypatch, capsys, quick):
    call(monkeypatch, capsys, "evaluate", trained, "--split", "val")
    code, out, _ = call(monkeypatch, capsys, "report", trained)
    assert code == 0
    assert out.strip() == str(trained / "report" / "index.html")


def test_predict_reads_any_photo_and_names_what_it_cannot(trained, tmp_path, monkeypatch, capsys):
    draw_photo(tmp_path / "in" / "a b.jpg", 1, 5)
    (tmp_path / "in" / "broken.jpg").write_bytes(b"\xff\xd8 no")
    code, out, _ = call(monkeypatch, capsys, "predict", trained, tmp_path / "in", "--json")
    assert code == 0
    rows = [json.loads(line) for line in out.splitlines()]
    good, bad = rows
    assert good["error"] is None
    assert len(good["top5"]) == 4
    assert sum(top["prob"] for top in good["top5"]) == pytest.approx(1, abs=1e-4)
    assert bad["top5"] == []
    assert bad["error"]
    code, out, _ = call(monkeypatch, capsys, "predict", trained, tmp_path / "in", "--csv")
    assert {len(row) for row in csv.reader(io.StringIO(out))} == {13}
    table = list(csv.DictReader(io.StringIO(out)))
    assert table[0]["class1"] == good["top5"][0]["class"]
    monkeypatch.setenv("COLUMNS", "200")
    code, out, _ = call(monkeypatch, capsys, "predict", trained, tmp_path / "in")
    assert "a b.jpg" in out
    only_bad = tmp_path / "in" / "broken.jpg"
    assert call(monkeypatch, capsys, "predict", trained, only_bad)[0] == 1


def test_predict_passes_over_no_file_of_a_folder_silently(trained, tmp_path, monkeypatch, capsys):
    draw_photo(tmp_path / "in" / "1.jpg", 1, 5)
    draw_photo(tmp_path / "in" / "sub" / "2.jpg", 1, 6)
    (tmp_path / "in" / "sub" / "2.jpg").rename(tmp_path / "in" / "sub" / "no suffix")
    with Image.open(tmp_path / "in" / "1.jpg") as image:
        image.save(tmp_path / "in" / "2.mpo", "MPO", save_all=True, append_images=[image.copy()])
        image.save(tmp_path / "in" / "3.jpg_large", "JPEG")
    broken = {
        "4.HEIC": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(400),
        "5.nef": b"IIRO" + bytes(9) + b"raw",
        "6.jpg": b"<html>",
    }
    for name, content in {**broken, "a.csv": b"path,label", ".DS_Store": b"\0\1", "b": b""}.items():
        (tmp_path / "in" / name).write_bytes(content)
    _, out, err = call(monkeypatch, capsys, "predict", trained, tmp_path / "in", "--json")
    rows = {Path(row["path"]).name: row["error"] for row in map(json.loads, out.splitlines())}
    read = {"1.jpg", "2.mpo", "3.jpg_large", "no suffix"}
    assert {name for name, error in rows.items() if error is None} == read
    assert {name for name, error in rows.items() if error} == set(broken)
    assert "HEIC" in rows["4.HEIC"]
    assert "a camera raw file" in rows["5.nef"]
    assert "an HTML page" in rows["6.jpg"]
    assert "in: 2 of 9 files are no photos and were passed over: a.csv, b" in err


def test_predict_agrees_with_evaluate(tiny, trained, monkeypatch, capsys):
    call(monkeypatch, capsys, "evaluate", trained, "--split", "test")
    predictions = tables.read_predictions(trained / "predictions" / "test.parquet")
    _, out, _ = call(monkeypatch, capsys, "predict", trained, tiny / "test", "--json")
    by_path = {json.loads(line)["path"]: json.loads(line) for line in out.splitlines()}
    assert len(by_path) == len(predictions)
    for row, path in enumerate(predictions.paths_N):
        top = by_path[str(tiny / path)]["top5"][0]
        assert top["prob"] == pytest.approx(float(predictions.prob_prediction_N[row]), abs=1e-5)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["evaluate", "nowhere"], "RunError: nowhere: no such run folder"),
        (["evaluate", "RUN", "--split", "dev"], "ConfigError: --split dev: must be train, val"),
        (["evaluate", "RUN", "optim.lr=3"], "can't change in an evaluation"),
        (["evaluate", "RUN", "loader.backend=nope"], "loader.backend='nope': should be"),
        (
            ["evaluate", "RUN", "data.root=nowhere"],
            "DataError: nowhere: holds no frozen data (no such folder, seen from",
        ),
        (["predict", "RUN", "nowhere.jpg"], "DataError: nowhere.jpg: no such file or folder"),
        (["predict", "RUN", "x.jpg", "--json", "--csv"], "exclude each other"),
        (["report", "nowhere"], "RunError: nowhere: no such run folder"),
    ],
)
def test_wrong_input_is_one_error_and_exit_2(trained, monkeypatch, capsys, words, said):
    words = [str(trained) if word == "RUN" else word for word in words]
    code, out, err = call(monkeypatch, capsys, *words)
    assert code == 2
    assert said in err
    assert "Traceback" not in err
    assert out == ""


@pytest.mark.parametrize("name", jobs.OUT_OF_MEMORY)
def test_out_of_memory_is_said_in_words(trained, tiny, monkeypatch, capsys, name):
    def exhausted(self, images):
        raise jobs.OUT_OF_MEMORY[name]

    monkeypatch.setattr(models.Classifier, "forward", exhausted)
    words = ["evaluate", trained, "--split", "test", "loader.eval_batch_size=6"]
    code, out, err = call(monkeypatch, capsys, *words)
    assert (code, out) == (1, "")
    assert "OutOfMemoryError: out of memory on cpu with 6 photos of test at once" in err
    assert err.endswith("\n  take fewer at once: loader.eval_batch_size=3\n")
    code, out, err = call(monkeypatch, capsys, "predict", trained, tiny / "test")
    assert (code, out) == (1, "")
    assert "OutOfMemoryError: out of memory on cpu with 16 photos\n  free memory there" in err


def test_a_model_of_another_class_list_is_not_evaluated(trained, tmp_path, monkeypatch, capsys):
    from photos import draw_classes

    from carscale import data

    other = data.freeze(draw_classes(tmp_path / "raw", [8, 8, 8]), tmp_path / "other").root
    code, _, err = call(monkeypatch, capsys, "evaluate", trained, f"data.root={other}")
    assert code == 2
    assert "was trained on 4 classes" in err
    assert "only in the model: Make3 Model" in err
