"""A frozen folder appears whole or not at all, and replaces only its like."""

import hashlib
import json
import os
import shutil
import signal
from pathlib import Path

import pytest
from frozen_trees import tree_of
from photos import draw_classes, draw_photo
from ranks import run_process

from carscale import data, files, locks, tables
from carscale.data.freezing import freeze
from carscale.errors import DataError, DiskError, RunError


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

    def advance(what: str, total: int) -> None:
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


def test_a_killed_freeze_goes_on_where_it_was_and_ends_with_the_same_bytes(raw, tmp_path):
    whole = data.freeze(raw, tmp_path / "whole").root
    out, scratch = tmp_path / "out", tmp_path / ".out.freezing"
    assert run_process(_freeze_and_die, raw, out, False) == -signal.SIGKILL
    journal = (scratch / "decoded" / "journal.jsonl").read_bytes().splitlines()
    assert len(journal) >= 16
    stamps = {
        path: path.stat().st_mtime_ns
        for path in (scratch / "decoded" / "0").iterdir()
        if int(path.name) < len(journal)
    }
    assert stamps
    kept = {}

    def watch(what, total):
        kept.update({path: path.stat().st_mtime_ns for path in stamps})

    data.freeze(raw, out, advance=watch)
    assert kept == stamps  # what was decoded is not decoded anew
    assert tree_of(out) == tree_of(whole)
    assert not scratch.exists()


def _freeze_and_die_late(source: Path, out: Path) -> None:
    """Be killed when all photos have their places."""
    files.publish_folder = lambda staging, final: os.kill(os.getpid(), signal.SIGKILL)
    data.freeze(source, out)


def test_a_freeze_killed_before_it_is_published_goes_on(raw, tmp_path):
    whole = data.freeze(raw, tmp_path / "whole").root
    out = tmp_path / "out"
    assert run_process(_freeze_and_die_late, raw, out) == -signal.SIGKILL
    assert not out.exists()
    assert len(list((tmp_path / ".out.freezing" / "new").rglob("*.jpg"))) == 33
    calls = []
    # another draw of splits
    data.freeze(raw, out, data.FreezeRule(seed=3), advance=lambda *call: calls.append(call))
    assert calls[:33] == [("decode", 33)] * 33
    data.freeze(raw, out, force=True)
    assert tree_of(out) == tree_of(whole)


def test_an_archive_that_changed_after_a_kill_is_decoded_anew(raw, tmp_path):
    archive = shutil.make_archive(tmp_path / "cars", "zip", raw)
    out = tmp_path / "out"
    assert run_process(_freeze_and_die, archive, out, False) == -signal.SIGKILL
    other = shutil.copytree(raw, tmp_path / "raw")
    first = min(path for path in other.rglob("*.jpg"))
    draw_photo(first, 0, 999)
    shutil.make_archive(tmp_path / "cars", "zip", other)
    frozen = data.freeze(archive, out).root
    hashes = tables.read_columns(frozen / "manifest.parquet", ["original_sha256"])
    assert hashlib.sha256(first.read_bytes()).hexdigest() in hashes["original_sha256"]


def test_two_freezes_into_one_folder_do_not_meet(raw, tmp_path):
    (tmp_path / ".out.freezing").mkdir()
    with (
        locks.hold_lock(tmp_path / ".out.freezing"),
        pytest.raises(RunError, match="freezing in this folder"),
    ):
        data.freeze(raw, tmp_path / "out")


def test_leftovers_of_a_dead_process_with_our_number_are_swept(raw, tmp_path):
    root = data.freeze(raw, tmp_path / "cars").root
    left = tmp_path / f".out.{os.getpid()}.packing"
    (left / "staged").mkdir(parents=True)
    (left / "staged" / "x").write_text("x")
    assert data.verify(data.pack(root, tmp_path / "out").root, mode="full")
    assert not left.exists()


@pytest.mark.parametrize("where", ["lay_out", "publish_folder", "rename", "interrupt"])
def test_the_old_folder_is_whole_when_a_forced_freeze_fails(raw, tmp_path, monkeypatch, where):
    out = data.freeze(raw, tmp_path / "out").root
    before = tree_of(out)

    def fail(*args, **kwargs):
        raise OSError(28, "No space left on device")

    rename = Path.rename

    def rename_all_but_the_new(self, target):
        if self.name == "new":
            fail()
        return rename(self, target)

    def interrupt(what, total):
        raise KeyboardInterrupt

    if where == "rename":
        monkeypatch.setattr(Path, "rename", rename_all_but_the_new)
    elif where != "interrupt":
        owner = files if where == "publish_folder" else freeze
        monkeypatch.setattr(owner, where, fail)
    error = KeyboardInterrupt if where == "interrupt" else DiskError
    advance = interrupt if where == "interrupt" else (lambda what, total: None)
    with pytest.raises(error):
        data.freeze(raw, out, data.FreezeRule(seed=5), force=True, advance=advance)
    assert tree_of(out) == before
    monkeypatch.undo()
    data.freeze(raw, out, data.FreezeRule(seed=5), force=True)  # goes on from there
    assert tree_of(out) != before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
