import sys
from pathlib import Path

import pytest
from matplotlib.figure import Figure

sys.path.insert(0, str(Path(__file__).parent))

from fake_run import make_run, write_analysed


@pytest.fixture(scope="session")
def run12(tmp_path_factory):
    """A run of 12 classes with its report, and its predictions by split."""
    run = tmp_path_factory.mktemp("runs") / "twelve"
    made = make_run(run)
    write_analysed(run)
    return run, made


@pytest.fixture(scope="session")
def run196(tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "many"
    made = make_run(run, num_classes=196, num_samples=3000, splits=("val",), with_logs=False)
    write_analysed(run)
    return run, made


@pytest.fixture
def quick(monkeypatch):
    """Empty figures, for tests of what is not a figure: 1 s less each."""

    def render(draw, folder, name):
        folder.mkdir(parents=True, exist_ok=True)
        for theme in ("dark", "light"):
            (folder / f"{name}-{theme}.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
        (folder / f"{name}.png").write_bytes(b"")
        figure = Figure()
        figure.subplots()
        return figure

    monkeypatch.setattr("carscale.report.page.theme.render", render)
