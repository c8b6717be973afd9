"""A frozen folder appears whole or not at all, and replaces only its like."""

import json
import os
import signal
from pathlib import Path

import pytest
from frozen_trees import tree_of
from photos import draw_classes
from ranks import run_process

from carscale import data, files
from carscale.data.freezing import freeze
from carscale.errors import DataError


def test_out_is_left_alone_when_it_is_there(raw, tmp_path):
    out = data.freeze(raw, tmp_path / "out").root
    before = tree_of(tmp_path)
    with pytest.raises(DataError, match=r"is there already.*\n.*--force"):
        data.freeze(raw, out, data.FreezeRule(seed=9))
    assert tree_of(tmp_path) == before


def test_out_is_replaced_when_forced(raw, tmp_path):
    out = data.freeze(raw, tmp_path / "out").root
    before = tree_of(out)
    data.freeze(raw, out, data.FreezeRule(seed=9), force=True)
    assert tree_of(out) != before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    data.verify(out, mode="full")


def test_a_link_at_out_is_kept_when_forced(raw, tmp_path):
    real = data.freeze(raw, tmp_path / "real").root
    (tmp_path / "link").symlink_to(real, target_is_directory=True)
    data.freeze(raw, tmp_path / "link", data.FreezeRule(seed=9), force=True)
    assert (tmp_path / "link").is_symlink()
    assert json.loads((real / "card.json").read_text())["seed"] == 9
    assert {path.name for path in tmp_path.iterdir()} == {"link", "real"}


def test_other_folders_and_files_are_never_replaced(raw, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no frozen data, and other files"):
        data.freeze(raw, tmp_path / "mine", force=True)
    with pytest.raises(DataError, match="file: is a file"):
        data.freeze(raw, tmp_path / "file", force=True)
    with pytest.raises(DataError, match="is there already"):
        data.freeze(raw, tmp_path / "file")
    with pytest.raises(DataError, match="can't be written"):
        data.freeze(raw, tmp_path / "file" / "out")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "x"
    data.freeze(raw, tmp_path / "empty", force=True)


def test_out_and_source_may_not_lie_in_each_other(tmp_path):
    raw = draw_classes(tmp_path / "outer" / "raw", [3, 3])
    with pytest.raises(DataError, match="lies inside the source"):
        data.freeze(raw, raw / "out")
    with pytest.raises(DataError, match="lies inside the source"):
        data.freeze(raw, raw, force=True)
    with pytest.raises(DataError, match="lies inside it"):
        data.freeze(raw, tmp_path / "outer", force=True)
    assert len(list(raw.rglob("*.jpg"))) == 6


def _freeze_and_die(source: Path, out: Path, force: bool) -> None:
    """Be killed when half of the photos are decoded."""
    seen = []

    def advance(total: int) -> None:
        seen.append(total)
        if len(seen) == total // 2:
            os.kill(os.getpid(), signal.SIGKILL)

    data.freeze(source, out, force=force, advance=advance)


def test_nothing_is_at_out_when_killed(raw, tmp_path):
    assert run_process(_freeze_and_die, raw, tmp_path / "out", False) == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    assert any(path.name.endswith(".freezing") for path in tmp_path.iterdir())
    frozen = data.freeze(raw, tmp_path / "out")  # what the killed one left is in nobody's way
    assert data.verify(frozen.root, mode="full") == 33


def test_the_old_folder_is_whole_when_a_forced_freeze_is_killed(raw, tmp_path):
    out = data.freeze(raw, tmp_path / "out").root
    before = tree_of(out)
    assert run_process(_freeze_and_die, raw, out, True) == -signal.SIGKILL
    assert tree_of(out) == before


def test_leftovers_of_a_dead_process_with_our_number_are_swept(raw, tmp_path):
    left = tmp_path / f".out.{os.getpid()}.freezing"
    (left / "staged").mkdir(parents=True)
    (left / "staged" / "x").write_text("x")
    assert data.verify(data.freeze(raw, tmp_path / "out").root, mode="full") == 33
    assert not left.exists()


@pytest.mark.parametrize("where", ["lay_out", "publish_folder", "rename", "interrupt"])
def test_the_old_folder_is_whole_when_a_forced_freeze_fails(raw, tmp_path, monkeypatch, where):
    out = data.freeze(raw, tmp_path / "out").root
    before = tree_of(tmp_path)

    def fail(*args, **kwargs):
        raise OSError(28, "No space left on device")

    rename = Path.rename

    def rename_all_but_the_new(self, target):
        if self.name.endswith(".freezing"):
            fail()
        return rename(self, target)

    def interrupt(total):
        raise KeyboardInterrupt

    if where == "rename":
        monkeypatch.setattr(Path, "rename", rename_all_but_the_new)
    elif where != "interrupt":
        owner = files if where == "publish_folder" else freeze
        monkeypatch.setattr(owner, where, fail)
    error = KeyboardInterrupt if where == "interrupt" else DataError
    advance = interrupt if where == "interrupt" else (lambda total: None)
    with pytest.raises(error):
        data.freeze(raw, out, data.FreezeRule(seed=5), force=True, advance=advance)
    assert tree_of(tmp_path) == before
