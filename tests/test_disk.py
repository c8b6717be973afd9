"""What a disk refuses as one error; what is no disk's fault passes."""

import errno
import os

import pytest

from carscale import disk, files
from carscale.errors import ConfigError, DataError, DiskError


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (errno.ENOSPC, "make room on that disk"),
        (errno.EDQUOT, "make room on that disk"),
        (errno.EFBIG, "make room on that disk"),
        (errno.EROFS, "make it writable"),
        (errno.EACCES, "make it writable"),
        (errno.EIO, "the disk or the network drive fails"),
        (errno.ESTALE, "the disk or the network drive fails"),
    ],
    ids=lambda value: errno.errorcode.get(value, ""),
)
def test_what_a_disk_refuses_names_the_file_and_what_to_do(tmp_path, number, says):
    path = tmp_path / "no" / "file"
    with pytest.raises(DiskError) as caught, disk.writing(path, 5_000_000):
        raise OSError(number, os.strerror(number))
    fact, advice = str(caught.value).split("\n  ")
    assert fact.startswith(f"{path}: can't be written: {os.strerror(number)}")
    assert ("it needs at least 5.0 MB, " in fact) == (says == "make room on that disk")
    assert advice.startswith(says)
    assert caught.value.exit_code == 1


@pytest.mark.parametrize(
    "error", [FileNotFoundError(2, "gone"), OSError("words alone"), TypeError("mine"),
              ConfigError("a.yaml: wrong"), DiskError("out: freezing needs about 9 GB")],
)  # fmt: skip
def test_what_is_no_disks_fault_passes_as_it_is(tmp_path, error):
    with pytest.raises(type(error)) as caught, disk.writing(tmp_path):
        raise error
    assert caught.value is error


def test_who_writes_a_folder_names_it_and_not_the_file_in_it(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with (
        pytest.raises(DiskError, match=f"^{tmp_path / 'out'}: ") as caught,
        files.staged_folder(tmp_path / "out", "drawing") as folder,
    ):
        files.write_atomic(folder / "a.txt", "text")
    assert str(caught.value).endswith("nothing was changed there")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_can_not_be_is_no_disks_fault(tmp_path):
    (tmp_path / "file").write_text("x")
    with (
        pytest.raises(DataError, match=r"can't be written: .*Not a directory"),
        files.staged_folder(tmp_path / "file" / "out", "drawing"),
    ):
        pass


def test_room_is_asked_for_before_and_where_the_folder_will_be(tmp_path, monkeypatch):
    usage = type("Usage", (), {"total": 100, "free": 50})()
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda path: usage)
    disk.check_room(tmp_path / "no" / "out", 50, "packing")
    with pytest.raises(DiskError, match="out: packing needs about 51 B, 50 B are free there"):
        disk.check_room(tmp_path / "no" / "out", 51, "packing")
    usage.total = 0  # some network drives say so
    disk.check_room(tmp_path / "no" / "out", 51, "packing")


def test_every_file_and_folder_is_on_disk_before_it_has_its_name(tmp_path, monkeypatch):
    """Of a folder that appears whole: all below it is synced, then it is renamed."""
    synced, at_rename = set(), {}
    fsync_path, rename = files.fsync_path, type(tmp_path).rename

    def record(path):
        synced.add(path.name)
        fsync_path(path)

    def look(self, target):
        at_rename[target.name] = set(synced)
        return rename(self, target)

    monkeypatch.setattr(files, "fsync_path", record)
    monkeypatch.setattr(type(tmp_path), "rename", look)
    for make in (files.staged_folder, files.resumable_folder):
        synced.clear()
        with make(tmp_path / make.__name__, "drawing") as folder:
            (folder / "deep").mkdir()
            (folder / "deep" / "photo").write_text("x")
            staged = folder.name
        assert at_rename[make.__name__] >= {staged, "deep", "photo"}
