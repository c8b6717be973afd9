"""What the environment asks for changes no result in silence."""

import jobs
import pytest
from ranks import run_process

from carscale import files, pipeline
from carscale.errors import LaunchError
from carscale.world import launcher_settings, open_world
from carscale.world.processes import resolve_precision


@pytest.mark.parametrize("name", launcher_settings.OTHER_ENGINES)
def test_another_engine_is_refused(monkeypatch, name):
    monkeypatch.setenv(name, "true")
    with pytest.raises(LaunchError, match="recipes train by DDP alone"), open_world():
        pass


def test_gradients_are_not_divided_and_models_not_compiled(monkeypatch):
    monkeypatch.setenv("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "4")
    monkeypatch.setenv("ACCELERATE_DYNAMO_BACKEND", "INDUCTOR")
    with open_world(num_cpu_threads=1) as world:
        assert world.accelerator.gradient_accumulation_steps == 1
        assert world.accelerator.state.dynamo_plugin.backend.value == "NO"


def train_with_a_variable(root, folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "4")
        jobs.train(root, folder, ("train.max_steps=3",))


def test_the_variable_of_accumulation_changes_no_bit(tiny, tmp_path):
    assert run_process(jobs.train, tiny, tmp_path / "a", ("train.max_steps=3",)) == 0
    assert run_process(train_with_a_variable, tiny, tmp_path / "b") == 0
    for name in ("log.jsonl", "predictions/val.parquet"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize(
    ("launcher", "setting", "used"),
    [
        ("bf16", "auto", "bf16"),
        ("no", "auto", "fp32"),
        ("fp8", "auto", "fp32"),
        ("fp16", "auto", "fp32"),  # on a CPU
        ("bf16", "fp32", "fp32"),
        (None, "bf16", "bf16"),
    ],
)
def test_an_explicit_precision_wins_and_auto_takes_the_launchers(
    monkeypatch, launcher, setting, used
):
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    monkeypatch.delenv("ACCELERATE_MIXED_PRECISION", raising=False)
    if launcher:
        monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", launcher)
    assert resolve_precision(setting) == used


def test_one_line_says_what_was_asked_for_and_what_became_of_it(monkeypatch, capsys):
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    monkeypatch.setenv("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "4")
    monkeypatch.setenv("ACCELERATE_DYNAMO_BACKEND", "INDUCTOR")
    with open_world(num_cpu_threads=1, precision="fp32"):
        pass
    assert capsys.readouterr().err.splitlines()[0] == (
        "the launcher asked for mixed_precision=bf16 (not taken, train.precision=fp32), "
        "gradient_accumulation_steps=4 (not taken, train.accumulate_steps is), "
        "dynamo_backend=inductor (not taken, models are not compiled)"
    )
    for name in ("MIXED_PRECISION", "GRADIENT_ACCUMULATION_STEPS", "DYNAMO_BACKEND"):
        monkeypatch.setenv(
            f"ACCELERATE_{name}", {"GRADIENT_ACCUMULATION_STEPS": "1"}.get(name, "no")
        )
    assert launcher_settings.told("fp32") == ""


def test_auto_is_stored_as_what_it_was(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    run = pipeline.run("r", jobs.recipe(tiny, tmp_path / "r", "train.max_steps=1"))
    assert run.settings().train.precision == "bf16"
    assert files.read_json(run.environment_file)["precision"] == "bf16"
