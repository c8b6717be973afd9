"""Small frozen data that every test may read, and the real photos where they are."""

import functools
import os
import sys
from pathlib import Path

import pytest
from photos import draw_classes

from carscale import data
from carscale.cli import main

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Keep the stat cache of tests out of the home folder."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def carscale(monkeypatch, capsys):
    """Call the command line in this process; return exit code, stdout and stderr."""

    def call(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["carscale", *map(str, words)])
        monkeypatch.setenv("COLUMNS", "200")
        with pytest.raises(SystemExit) as caught:
            main.run()
        out = capsys.readouterr()
        return int(caught.value.code or 0), out.out, out.err

    return call


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Path:
    """A frozen folder of 4 classes, long-tailed: 24, 16, 10 and 6 photos."""
    folder = tmp_path_factory.mktemp("tiny")
    raw = draw_classes(folder / "raw", [24, 16, 10, 6])
    return data.freeze(raw, folder / "frozen").root


@pytest.fixture(scope="session")
def drawn_demo(tmp_path_factory):
    """Small demo sets by seed, each drawn once: the class folders and what was frozen of them."""
    from carscale import data
    from carscale.demo import build_demo

    @functools.cache
    def drawn(seed: int) -> tuple[Path, Path]:
        place = tmp_path_factory.mktemp(f"demo{seed}")
        build_demo(place / "raw", num_classes=6, num_images=240, seed=seed)
        return place / "raw", data.freeze(place / "raw", place / "frozen").root

    return drawn


@pytest.fixture(scope="session")
def stanford() -> Path:
    """The 196 classes of real photos."""
    root = SHARED / "cars" / "stanford"
    if not root.is_dir():
        pytest.skip("../shared/cars/stanford is not on this machine")
    return root


@pytest.fixture(scope="session")
def odd() -> Path:
    """Valid, odd and broken images."""
    root = SHARED / "photos" / "odd"
    if not root.is_dir():
        pytest.skip("../shared/photos/odd is not on this machine")
    return root
