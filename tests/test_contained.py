"""A folder of a stranger: nothing read or written below it leads out, waits or is endless."""

import os
import socket
from pathlib import Path

import pytest
from strangers import no_longer_than

from carscale import contained
from carscale.errors import DataError, UnsafePathError

LIMIT_S = 5


@pytest.fixture
def folder(tmp_path):
    """A folder that is itself reached through a link, and a secret beside it."""
    (tmp_path / "real" / "a").mkdir(parents=True)
    (tmp_path / "real" / "a" / "1.txt").write_text("one")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "1.txt").write_text("secret")
    (tmp_path / "root").symlink_to("real", target_is_directory=True)
    return tmp_path / "root"


def test_a_folder_may_be_a_link_itself(folder):
    assert contained.read_inside(folder, "a/1.txt") == b"one"
    assert contained.inside(folder, "a/1.txt", "file") == folder / "a" / "1.txt"
    assert contained.inside(folder, "new/2.txt", "file") == folder / "new" / "2.txt"
    with pytest.raises(FileNotFoundError, match=r"a/2\.txt"):
        contained.read_inside(folder, "a/2.txt")


@pytest.mark.parametrize(
    "path",
    ["../secret/1.txt", "/etc/hostname", "a/../../secret/1.txt", "a//1.txt", "./a", "", "a\0b", 3],
)
def test_paths_that_lead_out_by_their_words_are_refused(folder, path):
    assert not contained.is_plain(path)
    for use in (contained.read_inside, contained.open_inside):
        with pytest.raises(UnsafePathError, match="may lead out of it"):
            use(folder, path)
    with pytest.raises(UnsafePathError):
        contained.inside(folder, path, "file")


def make(folder, kind):
    """Put something odd at ``folder/odd``; return the path of a file that goes through it."""
    odd = folder / "odd"
    if kind == "link":
        odd.symlink_to(folder.parent / "secret" / "1.txt")
    elif kind == "link inside":
        odd.symlink_to("a/1.txt")
    elif kind == "folder link":
        odd.symlink_to(folder.parent / "secret", target_is_directory=True)
        return "odd/1.txt"
    elif kind == "dead link":
        odd.symlink_to("nowhere")
    elif kind == "loop":
        odd.symlink_to("odd")
    elif kind == "fifo":
        os.mkfifo(odd)
    elif kind == "socket":
        os.chdir(folder)  # the path of a socket is short
        with socket.socket(socket.AF_UNIX) as one:
            one.bind("odd")
    elif kind == "endless device":
        odd.symlink_to("/dev/zero")
    else:
        odd.mkdir()
    return "odd"


KINDS = ["link", "link inside", "folder link", "dead link", "loop", "fifo", "socket"]
KINDS += ["endless device", "folder"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_regular_file_is_refused_at_once(folder, kind, monkeypatch):
    monkeypatch.chdir(folder)
    path = make(folder, kind)
    for use in (
        lambda: contained.read_inside(folder, path),
        lambda: contained.inside(folder, path, "file"),
        lambda: contained.open_file(folder / "odd"),
        lambda: contained.open_file(folder / "odd", os.O_RDWR | os.O_CREAT),
    ):
        with no_longer_than(LIMIT_S), pytest.raises(UnsafePathError) as caught:
            use()
        assert str(folder / "odd") in str(caught.value)
    assert (folder.parent / "secret" / "1.txt").read_text() == "secret"
    assert not (folder / "nowhere").exists()


def test_a_file_that_a_person_names_may_be_a_link_but_no_device(folder):
    (folder / "mine").symlink_to("a/1.txt")
    assert contained.read_named(folder / "mine", max_bytes=10) == b"one"
    os.mkfifo(folder / "pipe")
    for name in ("pipe", "/dev/zero"):
        with pytest.raises(UnsafePathError, match="wanted a regular file"):
            contained.read_named(folder / name, max_bytes=10)


def test_a_file_too_large_is_refused_unread(folder):
    with (folder / "a" / "big").open("wb") as file:
        file.truncate(1 << 40)  # takes no room
    with pytest.raises(UnsafePathError, match="holds 1099511627776 bytes; at most 100 are read"):
        contained.read_inside(folder, "a/big", max_bytes=100)


def test_no_descriptor_is_left_open(folder):
    make(folder, "fifo")
    before = len(list(Path("/proc/self/fd").iterdir()))
    contained.read_inside(folder, "a/1.txt")
    for path in ("odd", "a/none", "none/none", "a/1.txt/b"):
        with pytest.raises(OSError, match=r"\w"):
            contained.read_inside(folder, path)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_the_error_is_one_of_data_and_one_of_files(folder):
    with pytest.raises(UnsafePathError) as caught:
        contained.read_inside(folder, "../secret/1.txt")
    assert isinstance(caught.value, DataError)
    assert isinstance(caught.value, OSError)
    assert caught.value.exit_code == 2
