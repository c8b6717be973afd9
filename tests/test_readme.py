"""The README's commands run as they stand, made small; its tables are true."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import jobs
import pytest

from carscale import config

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```bash\n(.*?)```", README, flags=re.DOTALL)
SMALLER = {
    "carscale data demo": "--num-classes 6 --num-images 120",
    "accelerate launch": " ".join([*jobs.SMALL, "train.max_steps=4"]),
}


@pytest.mark.launch
def test_the_first_commands_run_in_an_empty_folder(tmp_path):
    commands = next(block for block in BLOCKS if "carscale data demo" in block).splitlines()
    assert len(commands) == 6
    (tmp_path / "recipes").symlink_to(ROOT / "recipes")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "COLUMNS": "120"}
    printed = []

    def run(words):
        return subprocess.run(
            words, cwd=tmp_path, env=env, capture_output=True, text=True, check=False
        )

    for command in commands:
        extra = next((words for start, words in SMALLER.items() if command.startswith(start)), "")
        answer = run([*command.split(), *extra.split()])
        assert answer.returncode == 0, f"{command}\n{answer.stderr}"
        printed.append(answer.stdout)
    assert "top1" in printed[3]
    assert "95 % [" in printed[3]
    page = tmp_path / printed[4].strip()
    assert page.name == "index.html"
    assert "effnet_focal" in page.read_text()
    assert "Microvan" in printed[5] or "Sedan" in printed[5]
    away = next(block for block in BLOCKS if "carscale export" in block).splitlines()
    for command in away:
        answer = run(shlex.split(command, comments=True))
        assert answer.returncode == 0, f"{command}\n{answer.stderr}"
    assert (tmp_path / "exported" / "README.md").exists()
    assert "abstains: below 0.8" in answer.stdout


def test_every_path_and_recipe_it_names_exists():
    for name in re.findall(
        r"`?((?:recipes|accelerate_configs|carscale|benchmarks)/[\w./]*)", README
    ):
        assert (ROOT / name).exists(), name
    recipes = {path.name for path in (ROOT / "recipes").glob("[a-z]*.py")}
    assert recipes == set(re.findall(r"\| `recipes/([\w.]+)`", README))


def test_every_setting_it_names_is_one():
    for key in re.findall(r"\b((?:data|loader|train|optim|model|balance|augment)\.\w+)=", README):
        section, name = key.split(".")
        assert name in type(getattr(config.Recipe(), section)).model_fields, key


def test_every_make_target_it_names_exists():
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert set(re.findall(r"^make (\w+)", README, flags=re.MULTILINE)) <= targets


def test_the_changelog_knows_every_recipe_and_command():
    from carscale.cli.main import app

    text = (ROOT / "CHANGELOG.md").read_text()
    for path in (ROOT / "recipes").glob("[a-z]*.py"):
        assert path.stem in text
    for command in app.registered_commands:
        assert f"carscale {command.name}" in text


def test_every_path_that_contributing_names_exists():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    named = re.findall(r"`((?:carscale|tests|benchmarks|recipes)(?:/[\w./]+)?)`", text)
    assert len(named) > 30
    for name in named:
        assert (ROOT / name).exists(), name
