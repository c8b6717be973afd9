"""A page in a browser without a window, where this machine has one."""

import shutil
import subprocess
from pathlib import Path

import pytest

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)


def dump_dom(page: Path, profile: Path) -> subprocess.CompletedProcess[str]:
    """Open a page; return its document as stdout and its console in stderr."""
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine: apt-get install chromium")
    return subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu",
         "--disable-background-networking",
         f"--user-data-dir={profile}", "--enable-logging=stderr", "--dump-dom",
         "--window-size=500,900", page.as_uri()],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
