"""The run folder: writes that a kill can't tear, logs, the lock."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carscale import files, locks
from carscale.errors import RunError


@pytest.mark.parametrize("content", ["text é\n", b"\x00\xff", ""])
def test_write_atomic_writes_all(tmp_path, content):
    path = tmp_path / "a.txt"
    path.write_text("old and longer than the new")
    files.write_atomic(path, content)
    assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_the_old_file_is_whole_when_a_write_is_interrupted(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    files.write_atomic(path, "old")

    def fail(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", fail)
        patch.setattr(os, "replace", fail)
        with pytest.raises(KeyboardInterrupt):
            files.write_atomic(path, "new")
    assert path.read_text() == "old"
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(KeyboardInterrupt):
            files.write_atomic(path, "new")
    assert path.read_text() == "old"
    files.write_atomic(path, "new")
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_text() == "new"


def test_the_new_bytes_are_on_disk_before_the_name_is(tmp_path, monkeypatch):
    seen = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (seen.append("fsync"), fsync(fd))[1])
    monkeypatch.setattr(Path, "replace", lambda a, b: (seen.append("replace"), replace(a, b))[1])
    files.write_atomic(tmp_path / "a", "x")
    assert seen == ["fsync", "replace", "fsync"]


def folder_of(path: Path, text: str) -> Path:
    (path / "deep").mkdir(parents=True)
    (path / "deep" / "a").write_text(text)
    return path


def test_publish_folder_puts_or_replaces_a_folder(tmp_path):
    final = tmp_path / "final"
    files.publish_folder(folder_of(tmp_path / "one", "1"), final)
    assert (final / "deep" / "a").read_text() == "1"
    (final / "extra").write_text("x")
    files.publish_folder(folder_of(tmp_path / "two", "2"), final)
    assert (final / "deep" / "a").read_text() == "2"
    assert not (final / "extra").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["final"]


def test_a_folder_is_always_there_when_publishing_fails(tmp_path, monkeypatch):
    final = tmp_path / "final"
    files.publish_folder(folder_of(tmp_path / "one", "1"), final)
    beside = folder_of(tmp_path / "two", "2")
    rename = Path.rename

    def rename_or_fail(self, target):
        if self == beside:
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", rename_or_fail)
    with pytest.raises(OSError, match="No space"):
        files.publish_folder(beside, final)
    assert (final / "deep" / "a").read_text() == "1"


def test_json_survives_and_nan_is_refused(tmp_path):
    path = tmp_path / "a.json"
    files.write_json(path, {"b": [1, 2.5, None], "a": "é"})
    assert files.read_json(path) == {"a": "é", "b": [1, 2.5, None]}
    assert path.read_text().index('"a"') < path.read_text().index('"b"')
    for value in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="JSON compliant"):
            files.write_json(path, {"a": value})
    assert files.read_json(path)["a"] == "é"


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "no such file"), (b"{", "can't be read"), (b"\xff", "can't be read"), (b"", "can't")],
)
def test_json_that_is_none_is_refused(tmp_path, content, says):
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RunError, match=says) as caught:
        files.read_json(path)
    assert str(caught.value).startswith(str(path))
    with pytest.raises(RunError, match="is a folder, wanted a regular file"):
        files.read_json(tmp_path)


def test_update_json_keeps_the_other_keys(tmp_path):
    path = tmp_path / "a.json"
    for key, value in [("val", 1), ("test", {"x": 2}), ("val", 3)]:
        files.update_json(path, lambda whole, key=key, value=value: whole | {key: value})
    assert files.read_json(path) == {"val": 3, "test": {"x": 2}}


def test_lines_are_appended_and_read(tmp_path):
    path = tmp_path / "a.jsonl"
    assert files.read_lines(path) == []
    for number in range(3):
        files.append_line(path, {"number": number, "text": "two\nlines é\u2028"})
    assert [line["number"] for line in files.read_lines(path)] == [0, 1, 2]
    assert files.read_lines(path)[0]["text"] == "two\nlines é\u2028"


UPDATE = (
    "import sys; from pathlib import Path; from carscale import files\n"
    "folder, name = Path(sys.argv[1]), sys.argv[2]\n"
    "print('ready', flush=True); sys.stdin.readline()\n"
    "for n in range(25):\n"
    "    files.append_line(folder / 'looks.jsonl', {'name': name, 'n': n})\n"
    "    files.update_json(folder / 'metrics.json', lambda whole: whole | {f'{name} {n}': n})\n"
)


def test_updates_of_many_processes_are_all_kept(tmp_path):
    start = [sys.executable, "-c", UPDATE, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    root = Path(__file__).resolve().parents[1]
    writers = [subprocess.Popen([*start, name], cwd=root, **pipes) for name in "abcd"]
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.stdin.write("\n")
        writer.stdin.flush()
    assert [writer.communicate(timeout=60) and writer.returncode for writer in writers] == [0] * 4
    every = {(name, n) for name in "abcd" for n in range(25)}
    lines = files.read_lines(tmp_path / "looks.jsonl")
    assert len(lines) == 100
    assert {(line["name"], line["n"]) for line in lines} == every
    assert set(files.read_json(tmp_path / "metrics.json")) == {f"{name} {n}" for name, n in every}


@given(st.integers(0, 200))
def test_a_torn_last_line_is_left_out_wherever_it_is_torn(tmp_path_factory, cut):
    path = tmp_path_factory.mktemp("torn") / "a.jsonl"
    records = [{"step": n, "text": "é" * n} for n in range(6)]
    whole = "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records).encode()
    path.write_bytes(whole[:cut])
    assert files.read_lines(path) == records[: whole[:cut].count(b"\n")]


def test_a_log_is_cut_back_to_a_known_size(tmp_path):
    path = tmp_path / "log.jsonl"
    log = files.JsonLines(path)
    log.write(step=1, loss=0.1)
    log.write(step=2, loss=0.2)
    size = log.sync()
    assert size == path.stat().st_size > 0
    log.write(step=3, loss=0.3)
    log.close()
    assert len(files.read_lines(path)) == 3
    log = files.JsonLines(path, size=size)
    assert len(files.read_lines(path)) == 2
    log.write(step=3, loss="again")
    log.close()
    assert [line["step"] for line in files.read_lines(path)] == [1, 2, 3]
    assert files.read_lines(path)[2]["loss"] == "again"
    files.JsonLines(path).close()
    assert path.read_bytes() == b""


def test_a_log_that_is_shorter_than_it_was_is_not_padded(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text('{"step": 1}\n')
    log = files.JsonLines(path, size=500)
    log.write(step=2)
    log.close()
    assert [line["step"] for line in files.read_lines(path)] == [1, 2]


def test_a_log_refuses_nan(tmp_path):
    log = files.JsonLines(tmp_path / "log.jsonl")
    with pytest.raises(ValueError, match="JSON compliant"):
        log.write(loss=float("nan"))
    log.close()
    assert files.read_lines(tmp_path / "log.jsonl") == []


HOLD = (
    "import sys, time; from pathlib import Path; from carscale import locks\n"
    "with locks.hold_lock(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
)


def test_a_second_process_is_refused_until_the_first_is_killed(tmp_path):
    root = Path(__file__).resolve().parents[1]
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=root
    ) as holder:
        try:
            assert holder.stdout.readline() == "held\n"
            with pytest.raises(RunError, match=r"another process.*\n.*run\.name=NAME"):
                locks.hold_lock(tmp_path).__enter__()
        finally:
            holder.send_signal(signal.SIGKILL)
        holder.wait(timeout=10)
    with locks.hold_lock(tmp_path):
        assert (tmp_path / ".lock").exists()
    with locks.hold_lock(tmp_path), pytest.raises(RunError):
        locks.hold_lock(tmp_path).__enter__()


def test_the_lock_is_free_when_the_block_raised(tmp_path):
    with pytest.raises(ValueError, match="mine"), locks.hold_lock(tmp_path):
        raise ValueError("mine")
    with locks.hold_lock(tmp_path):
        assert multiprocessing.current_process().name
