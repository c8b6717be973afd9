import sys
from pathlib import Path

import pytest

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
