"""A signal ends training after a step, saved; gone on with, it ends as the straight run."""

import signal

import jobs
import pytest
from ranks import run_process, run_ranks
from test_kill import WORDS, result
from torch.multiprocessing import ProcessExitedException

from carscale import files

SIGNALS = [
    ("step", 1, signal.SIGTERM, 143),
    ("step", 5, signal.SIGINT, 130),
    ("scoring", 1, signal.SIGUSR1, 143),  # the epoch's last step is trained, val not yet scored
    ("scoring", 3, signal.SIGTERM, 143),
]


@pytest.fixture(scope="module")
def straight(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("straight") / "run"
    assert run_process(jobs.train, tiny, folder, WORDS) == 0
    return result(folder)


@pytest.mark.parametrize(("where", "count", "number", "code"), SIGNALS)
def test_a_signalled_run_is_saved_and_ends_as_the_straight_one(
    tiny, straight, tmp_path, where, count, number, code
):
    folder = tmp_path / "run"
    assert run_process(jobs.train_signalled, tiny, folder, WORDS, where, count, number) == code
    saved = files.read_json(max((folder / "checkpoints").glob("step_*")) / "state.json")
    if where == "step":
        assert saved["step"] == count
    assert saved["needs_score"] == (where == "scoring")
    assert run_process(jobs.train, tiny, folder, WORDS) == 0
    assert result(folder) == straight
    assert not list((folder / "checkpoints").glob(".*"))


RANKS_WORDS = tuple(word for word in WORDS if not word.startswith("model.name"))


@pytest.fixture(scope="module")
def straight_ranks(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks") / "run"
    run_ranks(jobs.train, tiny, folder, RANKS_WORDS)
    return result(folder)


@pytest.mark.parametrize(("where", "count", "rank"), [("step", 2, 1), ("scoring", 1, 0)])
def test_all_ranks_stop_at_the_same_step_when_one_is_signalled(
    tiny, straight_ranks, tmp_path, where, count, rank
):
    signalled = (tiny, tmp_path / "stopped", RANKS_WORDS, where, count, signal.SIGTERM, rank)
    with pytest.raises(ProcessExitedException) as ended:
        run_ranks(jobs.train_signalled, *signalled)
    assert ended.value.exit_code == 143
    saved = files.read_json(max((tmp_path / "stopped/checkpoints").glob("step_*")) / "state.json")
    if where == "step":
        assert saved["step"] == count + 1  # agreed a step ahead
    run_ranks(jobs.train, tiny, tmp_path / "stopped", RANKS_WORDS)
    assert result(tmp_path / "stopped") == straight_ranks
