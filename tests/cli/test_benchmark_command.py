"""``carscale benchmark``: its words, and small runs to their tables and files."""

import json
from dataclasses import replace

import pytest

from carscale import benchmark

SMALL = ["--image-px", "32", "--local-batch-size", "4", "--num-threads", "1", "--num-images", "8"]
SMALL += ["--num-rounds", "5", "--views", "plain", "--model", "test_vit"]


@pytest.mark.launch
@pytest.mark.parametrize("as_json", [False, True])
def test_it_prints_and_writes_what_it_measured(
    carscale, tiny, tmp_path, as_json, raced, monkeypatch
):
    result, said = raced

    def race(rule, *, advance):
        assert (rule.root, rule.arms) == (str(tiny), ("model", "floor", "torch"))
        for text in said:
            advance(text)
        return result

    monkeypatch.setattr(benchmark, "race", race)
    words = ["--backends", "torch", "--peers", "none", "--out", tmp_path / "out", *SMALL]
    code, stdout, stderr = carscale(
        "benchmark", "loaders", tiny, *words, *(["--json"] if as_json else [])
    )
    assert code == 0, stderr
    stored = json.loads((tmp_path / "out" / "loaders.json").read_text())
    assert stored == result
    for name in ("loaders.png", "loaders.svg"):
        assert (tmp_path / "out" / name).stat().st_size > 1000
        assert name in stderr
    assert "round 5 of 5" in stderr  # progress
    if as_json:
        assert json.loads(stdout) == stored
    else:
        assert "headroom" in stdout
        assert "torch" in stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--backends", "tensor"], "--backends tensor: must be of torch, dali_cpu, dali_gpu"),
        (["--peers", "webdataset"], "--peers webdataset: must be of torchvision, timm"),
        (["--views", "side"], "--views side: must be of train, plain"),
        (["--fit", "stretch"], "--fit stretch: must be crop, pad or squash"),
        (["--peers", "dali-stock-gpu"], "--peers dali-stock-gpu: must be of torchvision"),
        (["--local-batch-size", "999"], "--local-batch-size 999: larger than the"),
        (["--out", "/proc/nowhere"], "--out /proc/nowhere: can't be written"),
        (["--num-threads", "0"], "Invalid value"),
        (["--num-rounds", "4"], "Invalid value"),
    ],
)
def test_wrong_words_exit_2(carscale, tiny, words, says):
    code, stdout, stderr = carscale("benchmark", "loaders", tiny, *words)
    assert (code, stdout) == (2, "")
    assert says in " ".join(stderr.split())


def test_a_folder_that_is_not_frozen_is_named(carscale, tmp_path):
    code, _, stderr = carscale("benchmark", "loaders", tmp_path)
    assert code == 2
    assert "holds no frozen data" in stderr


def test_results_are_not_overwritten(carscale, tiny, tmp_path):
    (tmp_path / "loaders.json").write_text("{}")
    code, _, stderr = carscale("benchmark", "loaders", tiny, "--out", tmp_path)
    assert code == 2
    assert "holds results" in stderr
    assert "--force" in stderr


TWO = ["test_vit", "test_efficientnet", "--image-px", "32", "--local-batch-size", "4"]
TWO += ["--num-threads", "1", "--num-classes", "5"]


@pytest.fixture(scope="module")
def models_once():
    """``measure_models``, which measures each model once, as it is."""
    real, rows = benchmark.measure_models, {}

    def measure_models(names, rule, *, advance):
        missing = tuple(name for name in names if name not in rows)
        plain = replace(rule, attention="none")
        rows.update(zip(missing, real(missing, plain, advance=advance), strict=True))
        return [rows[name] for name in names]

    return measure_models


@pytest.mark.launch
@pytest.mark.slow
def test_models_are_measured_each_in_its_own_process(carscale, models_once, monkeypatch):
    monkeypatch.setattr(benchmark, "measure_models", models_once)
    code, stdout, stderr = carscale("benchmark", "models", *TWO, "--json")
    assert code == 0, stderr
    rows = json.loads(stdout)
    assert [row["name"] for row in rows] == TWO[:2]
    import timm

    for row in rows:
        size = {"img_size": 32} if row["name"] == "test_vit" else {}
        net = timm.create_model(row["name"], num_classes=5, **size)
        assert row["num_parameters"] == sum(p.numel() for p in net.parameters())
        for kind in ("train", "predict"):
            speed = row[kind]
            assert 0 < speed["low"] <= speed["median"] <= speed["high"]
            assert 0.1 < speed["memory_gib"] < 8
        assert row["predict"]["median"] > row["train"]["median"]
        assert row["predict"]["memory_gib"] <= row["train"]["memory_gib"]
    assert "benchmark  2/2 models" in stderr


@pytest.mark.launch
def test_models_are_shown_as_a_table_with_attention(carscale, models_once, monkeypatch):
    monkeypatch.setattr(benchmark, "measure_models", models_once)
    words = [TWO[1], *TWO[2:], "--attention", "eca"]
    code, stdout, stderr = carscale("benchmark", "models", *words)
    assert code == 0, stderr
    assert "attention eca" in stdout
    assert "GMACs" in stdout
    assert "test_efficientnet" in stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["tset_vit"], "ConfigError: model.name=tset_vit: timm"),
        (["test_vit", "--attention", "sse"], "--attention sse: must be none, se, eca, cbam or gc"),
        (["test_vit", "--image-px", "32", "--attention", "se"], "test_vit has no stages"),
        (["test_vit", "--local-batch-size", "1"], "Invalid value"),
        ([], "benchmark models: wants names of models, or --run RUN, one of both"),
        (["test_vit", "--run", "runs/x"], "one of both"),
        (["--run", "runs/x", "--image-px", "32"], "as it was trained; leave out --image-px"),
        (["--run", "runs/x"], "RunError: runs/x: no such run folder"),
    ],
)
def test_wrong_words_of_models_exit_2(carscale, words, says):
    code, stdout, stderr = carscale("benchmark", "models", *words)
    assert (code, stdout) == (2, "")
    assert says in " ".join(stderr.split())
