"""Code comes from the command line or from carscale, never from a run folder or a study file."""

import json
import os
import shutil
from pathlib import Path

import jobs
import pytest
from command_line import carscale
from fake_strangers import run_with

from carscale import config
from carscale.errors import ConfigError, RunError
from carscale.studies.folds import FoldRule, _recipe, run_folds
from carscale.studies.launching import Launch
from carscale.workflows import recipe_file

ROOT = Path(__file__).resolve().parents[2]
PLAIN = """from carscale import config
from carscale.config import Optim
NAME = "test_vit"
RECIPE = config.vary(config.Recipe(optim=Optim(lr=2e-3)), model={"name": NAME})
"""


def evil(path, marker, text=PLAIN):
    """Write a recipe that leaves a marker when it is run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"open({str(marker)!r}, 'w')\n{text}")
    return path


def study(folder, recipe, arms="{a: {}, b: {optim.weight_decay: 0.2}}", more=""):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "s.yaml").write_text(f"recipe: {json.dumps(str(recipe))}\narms: {arms}\n{more}")
    return folder / "s.yaml"


def test_a_dry_run_runs_no_file_that_a_study_names(tiny, tmp_path):
    recipe = evil(tmp_path / "got" / "r.py", tmp_path / "ran")
    file = study(tmp_path / "got", "r.py")
    words = [f"data.root={tiny}", *jobs.SMALL[2:], "--dry-run", "--out", tmp_path / "out"]
    said = carscale("study", file, *words, code=0)
    assert not (tmp_path / "ran").exists()
    assert "6 runs not measured: a dry run runs no recipe of yours" in said.stdout
    assert said.stdout.count(f"carscale train {recipe}") == 6


@pytest.mark.parametrize(
    "text",
    [
        "RECIPE = __import__('os').system('true')",
        "RECIPE = config.Recipe(seed=len('abc'))",
        "RECIPE = config.Recipe(**{'seed': 1})",
        "RECIPE = config.vary.__globals__['sys']",
        "RECIPE = config.Recipe\nfor one in (1, 2): RECIPE = one",
        "import os as config\nRECIPE = config.getcwd()",
        "RECIPE = (lambda: config.Recipe())()",
        "RECIPE = [config.Recipe() for _ in 'a'][0]",
        "(((((RECIPE = 1",
        "RECIPE = " + "(" * 5000 + "1" + ")" * 5000,
        "RECIPE = config.Recipe(optim=3)",
        "RECIPE = config.Recipe(seed=-True)",
    ],
)
def test_what_only_running_would_tell_is_refused_and_not_run(tmp_path, text):
    path = tmp_path / "r.py"
    path.write_text(f"from carscale import config\n{text}\n")
    with pytest.raises(ConfigError, match=r"r\.py: "):
        config.stated_recipe(path)


@pytest.mark.parametrize("path", sorted((ROOT / "recipes").glob("[a-z]*.py")), ids=lambda p: p.stem)
def test_recipes_are_read_as_they_run(path):
    assert config.stated_recipe(path) == config.read_recipe(path)


def outside(folder):
    return "../outside.py"


def absolute(folder):
    return folder.parent / "outside.py"


def linked(folder):
    (folder / "r.py").symlink_to("../outside.py")
    return "r.py"


def in_a_linked_folder(folder):
    (folder / "more").symlink_to("..", target_is_directory=True)
    return "more/outside.py"


def through_home(folder):
    (folder / "b").mkdir()
    return "b/../../outside.py"


def linked_to_a_packaged_name(folder):
    (folder / "effnet_focal.py").symlink_to("../outside.py")
    return "effnet_focal.py"


def no_python(folder):
    shutil.copy(folder.parent / "outside.py", folder / "r.txt")
    return "r.txt"


def a_fifo(folder):
    os.mkfifo(folder / "r.py")
    return "r.py"


def a_folder(folder):
    (folder / "r.py").mkdir()
    return "r.py"


ELSEWHERE = [
    *(outside, absolute, linked, in_a_linked_folder, through_home, linked_to_a_packaged_name),
    *(a_fifo, a_folder),
]


@pytest.mark.parametrize(
    ("key", "name"),
    [("recipe", no_python), *((key, one) for key in ("recipe", "config") for one in ELSEWHERE)],
)
def test_a_study_takes_no_file_from_elsewhere(tmp_path, monkeypatch, name, key):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    evil(tmp_path / "got" / "outside.py", tmp_path / "ran")
    (tmp_path / "got" / "study").mkdir()
    named = json.dumps(str(name(tmp_path / "got" / "study")))
    if key == "recipe":
        file = study(tmp_path / "got" / "study", json.loads(named))
    else:
        arms = f"{{a: {{}}, b: {{config: {named}}}}}"
        file = study(tmp_path / "got" / "study", "effnet_focal", arms)
    with pytest.raises(ConfigError, match=r"lies neither below|no such recipe|is no recipe"):
        config.read_study(file)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["effnet_focal", "../effnet_focal.py", "recipes/effnet_focal.py"])
def test_a_study_names_recipes_of_carscale_from_anywhere(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    found = config.read_study(study(tmp_path / "got", name)).arms[0].recipe
    assert found.samefile(config.RECIPES / "effnet_focal.py")


@pytest.mark.parametrize("named", ["mine/r.py", "../mine/r.py"])
def test_a_study_names_recipes_of_its_folder_and_of_the_working_folder(
    tmp_path, monkeypatch, named
):
    monkeypatch.chdir(tmp_path)
    for folder in ("got/mine", "mine"):
        evil(tmp_path / folder / "r.py", tmp_path / "ran")
    study(Path("got"), named)
    assert config.read_study(Path("got/s.yaml")).arms[0].recipe.name == "r.py"


def test_no_name_outside_of_carscale_is_packaged(tmp_path):
    recipe = evil(tmp_path / "r.py", tmp_path / "ran")
    assert config.packaged(recipe) is None
    assert config.packaged(f"../{recipe.name}") is None
    assert not config.is_packaged(recipe)


def test_a_recipe_whose_name_begins_with_a_dash_is_no_option(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = Launch().command(Path("--launch=--main_process_port.py"), [])
    assert command[-1] == str(tmp_path / "--launch=--main_process_port.py")


@pytest.mark.parametrize(
    "command",
    [
        ["{evil}", "data.root=x"],
        ["recipes/effnet_focal.py"],  # one that lies here, and is none of ours
        ["python", "{evil}"],
        "{evil} seed=1",
        ["/nowhere/r.py"],
        ["no words that end so"],
        [],
    ],
)
def test_folds_run_no_file_that_a_run_names(tiny, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    file = evil(tmp_path / "evil.py", tmp_path / "ran")
    evil(tmp_path / "recipes" / "effnet_focal.py", tmp_path / "ran")
    run = run_with(tmp_path / "run", data_root=tiny)
    env = run.environment() | {"command": json.loads(json.dumps(command).format(evil=file))}
    run.environment_file.write_text(json.dumps(env))
    with pytest.raises(RunError, match="none that came with carscale") as error:
        run_folds(run, FoldRule(2))
    assert "carscale folds" in str(error.value)
    assert "--recipe" in str(error.value)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "named",
    [
        str(ROOT / "recipes" / "effnet_focal.py"),
        "/home/somebody/site-packages/carscale/recipes/effnet_focal.py",
        "recipes/effnet_focal.py",
    ],
)
def test_folds_find_recipes_of_carscale_wherever_the_run_was_made(tmp_path, monkeypatch, named):
    monkeypatch.chdir(tmp_path)
    run = run_with(tmp_path / "run")
    run.environment_file.write_text(json.dumps(run.environment() | {"command": [named]}))
    assert _recipe(run).samefile(recipe_file("effnet_focal"))


@pytest.mark.parametrize("how", ["file", "recipe"])
def test_only_the_command_line_empties_a_run(tmp_path, monkeypatch, how):
    mine = run_with(tmp_path / "runs" / "mine")
    before = sorted(mine.path.rglob("*"))
    (tmp_path / "got.yaml").write_text("resume: overwrite\nrun: {name: mine}\n")
    base = config.Recipe(resume="overwrite" if how == "recipe" else "auto")
    words = [f"config={tmp_path / 'got.yaml'}"] if how == "file" else []
    with pytest.raises(ConfigError, match="only the command line may ask for it"):
        config.resolve(base, [*words, f"run.dir={tmp_path / 'runs'}"])
    assert config.resolve(base, [*words, "resume=auto"]).resume == "auto"
    assert config.resolve(base, [*words, "resume=overwrite"]).resume == "overwrite"
    assert sorted(mine.path.rglob("*")) == before


def test_a_study_and_the_settings_of_a_run_empty_none(tiny, tmp_path):
    run = run_with(tmp_path / "run")
    text = run.settings_file.read_text().replace("resume: auto", "resume: overwrite")
    run.settings_file.write_text(text)
    with pytest.raises(ConfigError, match="only the command line may ask for it"):
        run.settings()
    (tmp_path / "preset.yaml").write_text("resume: overwrite\n")
    arms = "{a: {}, b: {config: preset.yaml}}"
    file = study(tmp_path, "effnet_focal", arms)
    said = carscale("study", file, f"data.root={tiny}", code=2).stderr
    assert "only the command line may ask for it" in said


def test_a_log_that_is_a_link_is_not_written_through(tiny, tmp_path):
    target = tmp_path / "precious.txt"
    target.write_text("mine")
    file = tmp_path / "s.yaml"
    file.write_text("recipe: effnet_baseline\nseeds: 1\narms: {a: {}, b: {balance.loss: focal}}\n")
    logs = tmp_path / "out/logs"
    logs.mkdir(parents=True)
    (logs / "a-s0.txt").symlink_to(target)
    words = (f"data.root={tiny}", *jobs.SMALL, "train.max_steps=1", "--out", tmp_path / "out")
    assert "is a link" in carscale("study", file, *words, code=2).stderr
    assert target.read_text() == "mine"
