"""Small frozen data that every test may read, and the real photos where they are."""

import fcntl
import json
import os
from collections.abc import Callable
from pathlib import Path

import command_line
import forked
import hypothesis
import pytest
from photos import draw_classes

from carscale import data
from carscale.demo import build_demo
from carscale.studies.warm import start_server

hypothesis.settings.register_profile("carscale", deadline=None)  # machines are shared
hypothesis.settings.load_profile("carscale")

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Keep the stat cache of tests out of the home folder."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session", autouse=True)
def own_cores():
    """Give a worker its share of the cores: threads that wait for each other spin."""
    if num_workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0")):
        import torch

        torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // num_workers))


@pytest.fixture
def carscale() -> Callable[..., tuple[int, str, str]]:
    """Call the command line in this process; return exit code, stdout and stderr."""

    def call(*words: object) -> tuple[int, str, str]:
        answer = command_line.carscale(*words)
        return answer.returncode, answer.stdout, answer.stderr

    return call


@pytest.fixture(scope="session")
def fork_address(tmp_path_factory) -> Path:
    """Where the server listens that starts recipes in forks; it ends with the tests."""
    address = tmp_path_factory.mktemp("forked") / "socket"
    with start_server(address, "{}") as server:
        yield address
        server.stdin.close()


@pytest.fixture
def fork_launch(fork_address) -> forked.ForkedLaunch:
    """In place of ``Launch``: recipes start in 1 s, without ``accelerate launch``."""
    return forked.ForkedLaunch(fork_address)


@pytest.fixture
def quick(monkeypatch):
    """Empty figures, for tests of what is not a figure: 0.2 s of computing less each."""
    from matplotlib.figure import Figure

    def render(draw, folder, name):
        folder.mkdir(parents=True, exist_ok=True)
        for theme in ("dark", "light"):
            (folder / f"{name}-{theme}.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
        (folder / f"{name}.png").write_bytes(b"")
        figure = Figure()
        figure.subplots()
        return figure

    monkeypatch.setattr("carscale.report.page.theme.render", render)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Path:
    """A frozen folder of 4 classes, long-tailed: 24, 16, 10 and 6 photos."""
    folder = tmp_path_factory.mktemp("tiny")
    raw = draw_classes(folder / "raw", [24, 16, 10, 6])
    return data.freeze(raw, folder / "frozen").root


@pytest.fixture(scope="session")
def made_once(tmp_path_factory) -> Callable[[str, Callable[[Path], object]], Path]:
    """Return a folder that one of all workers makes; what lies in it is only read."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def made(name: str, make: Callable[[Path], object]) -> Path:
        place = shared / name
        with (shared / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (place / "made").exists():
                place.mkdir()
                make(place)
                (place / "made").touch()
        return place

    return made


@pytest.fixture(scope="session")
def drawn_demo(made_once) -> Callable[[int], tuple[Path, Path]]:
    """Small demo sets by seed, each drawn once: the class folders and what was frozen of them."""

    def drawn(seed: int) -> tuple[Path, Path]:
        def make(place: Path) -> None:
            build_demo(place / "raw", num_classes=6, num_images=240, seed=seed)
            rule = data.FreezeRule(near_duplicates="ignore")  # so that some leak
            data.freeze(place / "raw", place / "frozen", rule)

        place = made_once(f"demo{seed}", make)
        return place / "raw", place / "frozen"

    return drawn


@pytest.fixture(scope="session")
def demo_of_command(made_once) -> tuple[Path, str]:
    """The smallest demo set, drawn by ``carscale data demo``, and what that printed."""

    def make(place: Path) -> None:
        words = (place / "raw", "--num-classes", 6, "--num-images", 120)
        answer = command_line.carscale("data", "demo", *words, code=0)
        (place / "printed.txt").write_text(answer.stdout)

    place = made_once("demo_of_command", make)
    return place / "raw", (place / "printed.txt").read_text()


@pytest.fixture(scope="session")
def raced(made_once, tiny) -> tuple[dict, list[str]]:
    """A small race of loaders, run once: its result, and what it said of its progress."""

    def make(place: Path) -> None:
        from carscale.benchmark import RaceRule, race

        said = []
        arms = ("torch", "torchvision", "floor", "model")
        small = {"image_px": 32, "local_batch_size": 4, "num_threads": 1, "num_images": 8}
        rule = RaceRule(
            root=str(tiny), arms=arms, views=("train",), model="test_vit", num_rounds=5, **small
        )
        result = race(rule, advance=said.append)
        (place / "race.json").write_text(json.dumps([result, said]))

    return tuple(json.loads((made_once("raced", make) / "race.json").read_text()))


@pytest.fixture(scope="session")
def stanford() -> Path:
    """The 196 classes of real photos."""
    root = SHARED / "cars" / "stanford"
    if not root.is_dir():
        pytest.skip("../shared/cars/stanford is not on this machine")
    return root


@pytest.fixture(scope="session")
def frozen_stanford(stanford, made_once) -> Path:
    """The real photos, frozen by links."""
    rule = data.FreezeRule(link="hard")
    return made_once("stanford", lambda place: data.freeze(stanford, place / "cars", rule)) / "cars"


@pytest.fixture(scope="session")
def odd() -> Path:
    """Valid, odd and broken images."""
    root = SHARED / "photos" / "odd"
    if not root.is_dir():
        pytest.skip("../shared/photos/odd is not on this machine")
    return root
