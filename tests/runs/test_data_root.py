"""A run finds its data from any folder, and after both were moved; typed paths are people's."""

import shutil
from pathlib import Path

import pytest

from carscale import config, files
from carscale.config import Recipe
from carscale.errors import ConfigError
from carscale.runs import RunFolder, data_places


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with a frozen folder and a run that was trained there with ``data.root=cars``."""
    project = tmp_path / "project"
    (project / "cars").mkdir(parents=True)
    (project / "cars/card.json").write_text("{}")
    run = project / "runs/r"
    run.mkdir(parents=True)
    monkeypatch.chdir(project)
    cfg = config.resolve(Recipe(), ["data.root=cars"])
    (run / "config.yaml").write_text(config.to_yaml(cfg))
    files.write_json(run / "env.json", {"data": data_places(run, "cars")})
    return project


def root_from(folder, run, monkeypatch):
    monkeypatch.chdir(folder)
    return RunFolder(run).settings().data.root


def test_from_where_it_was_trained_it_is_as_typed(project, monkeypatch):
    assert root_from(project, "runs/r", monkeypatch) == "cars"


def test_from_another_folder_it_is_found(project, tmp_path, monkeypatch):
    (tmp_path / "cars").mkdir()
    (tmp_path / "cars/card.json").write_text("{}")  # another set of the same name
    assert root_from(tmp_path, "project/runs/r", monkeypatch) == str(project / "cars")
    assert root_from(project / "runs", "r", monkeypatch) == str(project / "cars")


def test_it_is_found_when_the_project_or_the_run_was_moved(project, tmp_path, monkeypatch):
    run = shutil.copytree(project / "runs/r", tmp_path / "backup/r")
    assert root_from(tmp_path, run, monkeypatch) == str(project / "cars")
    moved = project.rename(tmp_path / "moved")
    assert root_from(tmp_path, moved / "runs/r", monkeypatch) == str(moved / "cars")
    assert root_from(moved, "runs/r", monkeypatch) == "cars"


def test_a_run_that_named_its_data_in_full_finds_them_where_both_were_moved(
    project, tmp_path, monkeypatch
):
    run, root = project / "runs/r", str(project / "cars")
    (run / "config.yaml").write_text(
        config.to_yaml(config.resolve(Recipe(), [f"data.root={root}"]))
    )
    files.write_json(run / "env.json", {"data": data_places(run, root)})
    assert root_from(tmp_path, run, monkeypatch) == root
    moved = project.rename(tmp_path / "moved")
    assert root_from(tmp_path, moved / "runs/r", monkeypatch) == str(moved / "cars")


def test_runs_behind_a_link_are_found(project, tmp_path, monkeypatch):
    (project / "runs").rename(tmp_path / "scratch")
    (project / "runs").symlink_to(tmp_path / "scratch")
    monkeypatch.chdir(project)
    files.write_json(project / "runs/r/env.json", {"data": data_places(Path("runs/r"), "cars")})
    assert root_from(project, "runs/r", monkeypatch) == "cars"
    assert root_from(tmp_path, "project/runs/r", monkeypatch) == str(project / "cars")


def test_a_run_without_data_here_says_as_typed(project, tmp_path, monkeypatch):
    shutil.rmtree(project / "cars")
    assert root_from(tmp_path, "project/runs/r", monkeypatch) == "cars"


def test_home_and_variables_are_filled_in(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SCRATCH", "/scratch")
    monkeypatch.chdir(tmp_path)
    cfg = config.resolve(Recipe(), ["data.root=~/cars", "run.dir=${SCRATCH}/$SCRATCH/runs"])
    assert (cfg.data.root, cfg.run.dir) == (f"{tmp_path}/cars", "/scratch//scratch/runs")
    assert config.resolve(Recipe(), ["model.weights=~"]).model.weights == str(tmp_path)
    (tmp_path / "a$b").mkdir()
    assert config.resolve(Recipe(), ["data.root=a$b"]).data.root == "a$b"  # it is called so


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("data.root=~nobody-here/cars", "~nobody-here names no user's home folder"),
        ("run.dir=$NOT_SET_HERE/runs", r"\$NOT_SET_HERE is no variable that is set"),
    ],
)
def test_what_stands_for_nothing_is_refused(word, said):
    with pytest.raises(ConfigError, match=said):
        config.resolve(Recipe(), [word])
