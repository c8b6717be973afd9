"""``carscale recipes``: packaged recipes in an empty folder, and one to copy and run."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import jobs
import pytest

from carscale import config

ROOT = Path(__file__).resolve().parents[2]


def test_an_empty_folder_lists_the_recipes_of_carscale(carscale, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = carscale("recipes")
    assert code == 0
    for path in jobs.RECIPES.glob("[!_]*.py"):
        assert path.stem in out
    assert "studies/balance.yaml" in out
    assert "presets/vit.yaml" in out
    assert "__init__" not in out
    _, out, _ = carscale("recipes", "--json")
    rows = json.loads(out)
    assert {row["name"] for row in rows} >= {"effnet_focal.py", "studies/balance.yaml"}
    assert all(Path(row["path"]).is_file() and row["purpose"] for row in rows)


def test_a_name_prints_the_file(carscale, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, path in (
        ("effnet_focal", "effnet_focal.py"),
        ("recipes/effnet_focal.py", "effnet_focal.py"),
        ("studies/balance.yaml", "studies/balance.yaml"),
        ("vit", "presets/vit.yaml"),
    ):
        code, out, _ = carscale("recipes", name)
        assert (code, out) == (0, (jobs.RECIPES / path).read_text())
    code, out, err = carscale("recipes", "effnet_local")
    assert (code, out) == (2, "")
    assert "effnet_local: no such recipe" in err


def test_another_folder_is_listed(carscale, tmp_path):
    (tmp_path / "mine.py").write_text('"""My own."""')
    assert "My own." in carscale("recipes", tmp_path)[1]
    assert "holds no recipes" in carscale("recipes", tmp_path.parent)[2]


@pytest.mark.launch
def test_a_copied_variation_runs_anywhere(carscale, tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(carscale("recipes", "effnet_focal")[1])
    env = os.environ | {"PYTHONSAFEPATH": "1", "PYTHONPATH": str(ROOT)}
    words = [f"data.root={tiny}", *jobs.SMALL, "train.max_steps=2", "run.dir=runs"]
    command = [sys.executable, "mine.py", *words]
    answer = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert "val top-1" in answer.stderr


def test_a_recipe_is_a_module_that_runs(tiny, tmp_path, monkeypatch, capsys):
    words = [f"data.root={tiny}", *jobs.SMALL, "train.max_steps=2", f"run.dir={tmp_path}"]
    name = "carscale.recipes.effnet_focal"
    monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "argv", [name, *words])
    runpy.run_module(name, run_name="__main__", alter_sys=True)
    assert "val top-1" in capsys.readouterr().err


def test_a_copied_study_finds_the_recipes_of_carscale(carscale, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(carscale("recipes", "studies/architecture_hub.yaml")[1])
    study = config.read_study(Path("mine.yaml"))
    assert {arm.recipe for arm in study.arms} == {config.RECIPES / "effnet_baseline.py"}
    assert study.arms[-1].config == config.RECIPES / "presets" / "vit.yaml"
    Path("mine.yaml").write_text("recipe: ../nope.py\narms: {a: {}, b: {seed: 1}}")
    code, _, err = carscale("study", "mine.yaml")
    assert code == 2
    assert "no such recipe" in err
