"""What errors of commands say to type works when it is typed; after that the command does too."""

import shlex
import shutil

import jobs
import pytest
from command_line import carscale
from photos import draw_classes

from carscale import tables


@pytest.fixture(scope="module")
def trained(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / "run"
    jobs.train(tiny, folder, ("train.max_steps=2",))
    carscale("evaluate", folder, "--embeddings", code=0)
    return folder


@pytest.fixture
def place(trained, tiny, tmp_path, monkeypatch):
    """A working folder with a run, a frozen folder and photos; each may be spoilt."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(trained, "run")
    shutil.copytree(tiny, "frozen")
    draw_classes(tmp_path / "raw", [9, 9, 6])
    return tmp_path


def advised(said: str, **stands_for: str) -> list[str]:
    """Return the words of the first command that an error says to type, its capitals filled in."""
    line = next(line for line in said.splitlines() if ": carscale " in line)
    words = shlex.split(line.partition(": carscale ")[2])
    return [stands_for.get(word, word) for word in words]


def no_table(place):
    (place / "run/predictions/val.parquet").write_bytes(b"x")


def other_table(place):
    (place / "run/predictions/val.parquet").write_bytes(tables.table_bytes({"a": [1]}))


def no_embeddings(place):
    (place / "run/predictions/val.embeddings.parquet").write_bytes(b"x")


def no_predictions(place):
    (place / "run/predictions/val.parquet").unlink()


@pytest.mark.parametrize("spoil", [no_table, other_table, no_embeddings, no_predictions])
def test_tables_are_made_anew(place, spoil):
    spoil(place)
    said = carscale("errors", "run", code=2).stderr
    assert carscale(*advised(said), code=0)
    assert carscale("errors", "run", code=0)


def test_a_table_of_folds_is_not_made_by_folds_of_other_options(place):
    (place / "run/predictions/folds.parquet").write_bytes(b"x")
    said = carscale("errors", "run", code=2).stderr
    assert said.endswith("make it anew by the command that made it: carscale folds run ...\n")


@pytest.mark.parametrize("root", ["raw", "nowhere", "empty"])
def test_photos_that_are_not_frozen_are_frozen(place, root):
    (place / "empty").mkdir()
    said = carscale("data", "check", root, code=2).stderr
    words = advised(said, FOLDER="raw", NEW_FOLDER="new")
    assert words[:3] == ["data", "freeze", "raw"]
    carscale(*words, code=0)
    carscale("data", "check", "new" if root == "raw" else root, code=0)


def test_photos_that_changed_are_frozen_anew(place):
    next((place / "frozen" / "train").rglob("*.jpg")).unlink()
    said = carscale("data", "check", "frozen", code=1).stderr
    words = advised(said, SOURCE="raw", NEW_FOLDER="new")
    carscale(*words, code=0)
    carscale("data", "check", "new", code=0)


def test_a_map_is_made_before_a_merge(place):
    ask = ("data", "merge", "frozen", "raw", "--map", "map.yaml", "out")
    said = carscale(*ask, code=2).stderr
    carscale(*advised(said, BASE="frozen", SOURCE="raw"), code=0)
    assert (place / "map.yaml").exists()
