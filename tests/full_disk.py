"""A small disk of its own that a test fills, makes read-only, and gives back."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class SmallDisk:
    """A tmpfs; ``path`` is where it hangs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ballast = path / "ballast"

    def fill(self, *, leave: int = 0) -> None:
        """Leave so many bytes free, of whole pages."""
        stat = os.statvfs(self.path)
        with self.ballast.open("ab") as file:
            file.write(bytes(max(0, stat.f_bavail * stat.f_frsize - leave)))

    def make_room(self) -> None:
        """Take the ballast away, and let it be written again."""
        self.remount("rw")
        self.ballast.unlink(missing_ok=True)

    def remount(self, how: str) -> None:
        """Make it read-only, ``ro``, or not, ``rw``."""
        subprocess.run(["mount", "-o", f"remount,{how}", str(self.path)], check=True)

    def contents(self) -> dict[str, bytes]:
        """Return every file but the ballast and the files of locks, which hold nothing."""
        return {
            str(path.relative_to(self.path)): path.read_bytes()
            for path in sorted(self.path.rglob("*"))
            if path.is_file() and path != self.ballast and not path.name.endswith(".lock")
        }


@contextmanager
def small_disk(path: Path, *, mebibytes: int) -> Iterator[SmallDisk]:
    """Mount a small disk; skip the test where that is not allowed."""
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "carscale-test", str(path)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a disk can't be mounted here: {mounted.stderr.strip()}")
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)
