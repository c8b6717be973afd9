"""What lies in the working folder is data: no process of ours imports it."""

import os
import subprocess
import sys
from pathlib import Path

import jobs
import pytest

from carscale.studies.launching import Launch

ROOT = Path(__file__).resolve().parents[1]
RECIPE = ROOT / "recipes" / "effnet_focal.py"
NAMES = (
    *("accelerate", "simplejpeg", "torch", "timm", "numpy", "rich", "typer", "yaml", "pydantic"),
    *("datasets", "PIL", "cv2", "psutil", "lazy_loader", "json", "socket", "multiprocessing"),
    *("sitecustomize_of_mine", "carscale_recipe", "simplejpeg_more"),
)


@pytest.fixture
def folder(tmp_path):
    """A working folder full of modules that leave a marker when somebody imports them."""
    place = tmp_path / "work"
    place.mkdir()
    for name in NAMES:
        mark = f"open({str(tmp_path / 'marks')!r}, 'a').write({name!r} + ' ')\n"
        (place / name).mkdir()
        (place / name / "__init__.py").write_text(mark)
    return place


def run(folder, *words, env=()):
    """Run a process in the folder; return it, and what was imported of the folder."""
    answer = subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **dict(env)},
        capture_output=True,
        text=True,
        check=False,
    )
    marks = folder.parent / "marks"
    return answer, marks.read_text() if marks.exists() else ""


def test_the_markers_work(folder):
    _, marks = run(folder, "-c", "import simplejpeg")
    assert marks == "simplejpeg "


@pytest.mark.parametrize("words", [["recipes"], ["--help"], ["errors", "no/such/run"]])
def test_the_command_line_imports_nothing_of_it(folder, words):
    answer, marks = run(folder, "-m", "carscale", *words)
    assert marks == "", answer.stderr
    assert answer.returncode == (2 if "errors" in words else 0), answer.stderr


def test_a_folder_that_pythonpath_names_stays(folder):
    """Only what ``-m`` puts there is taken off."""
    _, marks = run(folder, "-m", "carscale", "--help", env={"PYTHONPATH": f"{ROOT}:{folder}"})
    assert "lazy_loader" in marks


@pytest.mark.launch
def test_a_training_and_all_that_it_starts_import_nothing_of_it(folder, tiny, tmp_path):
    words = [f"data.root={tiny}", f"run.dir={tmp_path}", "run.name=run", *jobs.SMALL]
    words += ["train.max_steps=1", "optim.warmup_epochs=0"]
    answer, marks = run(folder, "-m", "carscale", "train", "effnet_focal", *words)
    assert answer.returncode == 0, answer.stderr
    assert marks == ""


def test_runs_of_studies_and_folds_start_without_it(folder):
    command = Launch(("--num_processes", "1")).command(RECIPE, ["no.such=key"])
    assert command[:2] == [sys.executable, "-P"]
    answer, marks = run(folder, *command[1:])
    assert "unknown key 'no.such'" in answer.stderr
    assert marks == ""


def test_a_recipe_may_import_what_lies_beside_it_and_nothing_of_the_working_folder(
    folder, tmp_path
):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "my_part.py").write_text("SEED = 3\n")
    (mine / "r.py").write_text(
        "from carscale import config, pipeline\nimport my_part, simplejpeg, accelerate\n"
        "RECIPE = config.Recipe(seed=my_part.SEED)\n"
        "if __name__ == '__main__':\n    pipeline.main('r', RECIPE)\n"
    )
    answer, marks = run(folder, mine / "r.py", "--dry-run")
    assert "seed: 3" in answer.stdout, answer.stderr
    assert marks == ""


@pytest.mark.launch
def test_an_arm_of_a_benchmark_imports_nothing_of_it(folder, tiny):
    rule = f"RaceRule({str(tiny)!r}, ('floor',), ('plain',), num_rounds=1, num_images=4)"
    (folder.parent / "race.py").write_text(
        "from carscale.benchmark.loader_race import RaceRule, race\n"
        f"print(len(race({rule})['rows']))\n"
    )
    answer, marks = run(folder, folder.parent / "race.py")
    assert answer.stdout == "1\n", answer.stderr
    assert marks == ""


def test_processes_of_a_pool_import_nothing_of_it(folder):
    code = (
        "import os, sys; sys.path.pop(0)\n"
        "from carscale.threads import SpawnedPool\n"
        "os.environ.pop('PYTHONSAFEPATH', None)\n"
        "pool = SpawnedPool(1)\n"
        "print(pool.submit(len, 'abc').result(), 'PYTHONSAFEPATH' in os.environ)\n"
        "pool.shutdown()\n"
    )
    (folder.parent / "script.py").write_text(code)
    answer, marks = run(folder, folder.parent / "script.py")
    assert answer.stdout == "3 False\n", answer.stderr
    assert marks == ""
