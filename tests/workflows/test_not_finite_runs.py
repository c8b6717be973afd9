"""Commands on a run whose weights or tables hold NaN: one error, and nothing is replaced."""

import math
import shlex
import shutil
from dataclasses import replace

import jobs
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import carscale

from carscale import files, models, pipeline, tables
from carscale.errors import DataError, NotFiniteError, RunError
from carscale.runs import RunFolder


@pytest.fixture(scope="module")
def good(tiny, tmp_path_factory):
    """A trained run, evaluated on test, with its errors and its page."""
    folder = tmp_path_factory.mktemp("good") / "run"
    pipeline.run("effnet_focal", jobs.recipe(tiny, folder, "train.max_steps=2"))
    carscale("evaluate", folder, "--split", "test", "--embeddings", "--temperature", code=0)
    carscale("evaluate", folder, "--split", "val", code=0)
    carscale("errors", folder, code=0)
    (folder / "report").mkdir()
    (folder / "report" / "index.html").write_text("what was there before")
    return folder


@pytest.fixture
def run(good, tmp_path):
    return RunFolder(shutil.copytree(good, tmp_path / "run"))


def contents(run: RunFolder) -> dict[str, bytes]:
    return {
        str(path.relative_to(run.path)): path.read_bytes()
        for path in sorted(run.path.rglob("*"))
        if path.is_file() and path.name != ".update.lock"
    }


def spoil_weights(run: RunFolder, number: float) -> None:
    """Fill the classifier's weights with a number."""
    folder = run.best_checkpoint
    state = models.read_weights(folder / "model.safetensors")
    state["head.weight"].fill_(number)
    models.save_state(folder, "model", state)


def spoil_table(run: RunFolder, split: str, column: str, number: object) -> None:
    """Put a value into the third row of a predictions table."""
    path = run.predictions_file(split)
    table = pq.read_table(path)
    values = table.column(column).to_pylist()
    if isinstance(number, str):
        values = list(map(str, values))
    values[2] = number
    kind = pa.array(values).type
    index = table.column_names.index(column)
    pq.write_table(table.set_column(index, pa.field(column, kind), pa.array(values)), path)


def photo_of(tiny) -> str:
    return str(next((tiny / "val").rglob("*.jpg")))


COMMANDS = {
    "evaluate": ("evaluate", "RUN", "--split", "val"),
    "evaluate test with all": (
        *("evaluate", "RUN", "--split", "test", "--embeddings", "--temperature"),
    ),
    "predict": ("predict", "RUN", "PHOTO"),
    "saliency": ("evaluate", "RUN", "--split", "test", "--saliency", "ID"),
}


@pytest.mark.parametrize("number", [math.nan, math.inf, 3e38], ids=str)
@pytest.mark.parametrize("command", COMMANDS)
def test_bad_weights_end_in_one_error_and_replace_nothing(run, tiny, command, number):
    if command == "saliency" and number == 3e38:
        pytest.skip("draws no number")
    spoil_weights(run, number)
    before = contents(run)
    photo_id = run.predictions("test").ids_N[0]
    places = {"RUN": run, "PHOTO": photo_of(tiny), "ID": photo_id}
    words = [places.get(word, word) for word in COMMANDS[command]]
    answer = carscale(*words)
    error = answer.stderr[answer.stderr.index("NotFiniteError") :].strip().splitlines()
    assert answer.returncode == 1
    assert error[1:] == [
        "  train it again, slower, under another name: run.name=NAME optim.lr=RATE"
    ]
    assert answer.stdout == ""
    assert contents(run) == before


SPOILT = [
    ("prob_label", math.nan), ("loss", math.inf), ("margin", -math.inf), ("prob_prediction", 7.0),
    ("label", -1), ("label", math.nan), ("prediction", 0.5), ("label", None), ("probs", [0.5]),
    ("top5_prob", [math.nan] * 4), ("loss", "much"),
]  # fmt: skip


@pytest.mark.parametrize("command", ["errors", "report"])
def test_a_bad_table_ends_in_one_error_that_says_how_to_make_it_anew(run, quick, command):
    for column, number in SPOILT:
        kept = run.predictions_file("val").read_bytes()
        spoil_table(run, "val", column, number)
        before = contents(run)
        answer = carscale(command, run)
        error = answer.stderr[answer.stderr.index("DataError") :].strip().splitlines()
        assert answer.returncode == 2, (column, number)
        assert len(error) == 2, error
        assert error[0].startswith(f"DataError: {run.predictions_file('val')}: ")
        assert contents(run) == before
        run.predictions_file("val").write_bytes(kept)
    spoil_table(run, "val", "loss", math.nan)
    answer = carscale(command, run)
    advice = shlex.split(answer.stderr.strip().splitlines()[-1].partition("with: carscale ")[2])
    carscale(*advice, code=0)
    carscale(command, run, code=0)


def test_a_bad_table_of_another_split_is_left_out_of_the_metrics(run):
    spoil_table(run, "test", "loss", math.nan)
    answer = carscale("evaluate", run, "--split", "val", code=0)
    assert "left out of val and test together" in answer.stderr
    held_out = run.metrics()["held_out"]["per_class"]
    assert sum(row["support"] for row in held_out) == run.metrics()["val"]["num_samples"]


def test_bad_embeddings_are_made_anew_by_what_the_error_says(run):
    path = run.embeddings_file("test")
    found = tables.read_predictions(run.predictions_file("test"))
    numbers_ND = np.ones((len(found), 3), np.float16)
    numbers_ND[1, 1] = np.nan
    path.write_bytes(tables.embeddings_bytes(replace(found, embeddings_ND=numbers_ND)))
    with pytest.raises(DataError, match=r"1 of \d+ numbers are NaN or infinite") as caught:
        tables.read_embeddings(path)
    carscale(*shlex.split(str(caught.value).partition("carscale ")[2]), code=0)
    assert len(tables.read_embeddings(path)[0]) == len(found)


@pytest.mark.parametrize("number", ["NaN", "-1"])
def test_a_temperature_that_is_none_is_fitted_again_by_what_the_error_says(run, tiny, number):
    text = run.calibration_file.read_text()
    old = f'"temperature": {run.calibration()["temperature"]!r}'
    assert old in text
    run.calibration_file.write_text(text.replace(old, f'"temperature": {number}'))
    answer = carscale("predict", run, photo_of(tiny))
    assert answer.returncode == 2
    assert "RunError" in answer.stderr
    carscale("evaluate", run, "--temperature", code=0)
    carscale("predict", run, photo_of(tiny), code=0)


def test_json_of_ours_holds_no_nan(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"a": NaN}')
    with pytest.raises(RunError, match="NaN is no number in JSON"):
        files.read_json(path)
    with pytest.raises(ValueError, match="JSON compliant"):
        files.append_line(tmp_path / "lines.jsonl", {"a": math.nan})


def test_embeddings_that_are_no_numbers_are_not_compared(run, tiny):
    from carscale.workflows.embed import embed_readable

    read = lambda: (tiny / "val").rglob("*.jpg").__next__().read_bytes()  # noqa: E731
    state = models.read_weights(run.best_checkpoint / "model.safetensors")
    state["norm.weight" if "norm.weight" in state else "fc_norm.weight"].fill_(3e38)
    models.save_state(run.best_checkpoint, "model", state)
    with pytest.raises(NotFiniteError, match="embeddings hold numbers above 65504"):
        embed_readable(run, run.settings(), [read])


def test_metrics_that_can_not_be_read_are_said_before_anything_is_replaced(run):
    text = run.metrics_file.read_text()
    run.metrics_file.write_text(text.replace('"loss": ', '"loss": NaN, "was": ', 1))
    before = contents(run)
    answer = carscale("evaluate", run, "--split", "val")
    assert answer.returncode == 2
    assert f"RunError: {run.metrics_file}: can't be read: NaN is no number" in answer.stderr
    assert contents(run) == before
