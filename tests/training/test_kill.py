"""Ten kills, each resumed: weights and log bit-identical to the straight run."""

import jobs
import pytest
from ranks import run_process, run_ranks
from torch.multiprocessing import ProcessExitedException, ProcessRaisedException

from carscale import files

WORDS = (
    "train.num_epochs=4",
    "train.checkpoint_every_steps=2",
    "train.accumulate_steps=2",
    "model.drop_rate=0.2",
    "model.name=test_efficientnet",  # batch norm too
)
KILLS = [
    ("log line", 1),
    ("log line", 4),
    ("log line", 9),
    ("log line", 13),
    ("log line", 18),
    ("weights file", 3),  # inside the checkpoint writer: half a file
    ("weights file", 8),
    ("json file", 14),  # inside the checkpoint writer: before state.json
    ("publish", 4),  # all written, not yet renamed
    ("prune", 2),  # renamed, old ones not yet deleted
]


def result(folder):
    newest = sorted((folder / "checkpoints").glob("step_*"))[-1]
    best = sorted((folder / "checkpoints").glob("best_*"))
    files = [p for p in sorted(newest.iterdir()) if p.suffix == ".safetensors"]
    files += [best[-1] / "model.safetensors", folder / "log.jsonl"]
    files += [path for path in (folder / "dynamics.bin",) if path.exists()]
    return {f"{p.parent.name}/{p.name}".removeprefix(folder.name): p.read_bytes() for p in files}


SNAPMIX = ("model.name=test_efficientnet", "augment.policy=snapmix", "data.image_px=64")
"""Label weights come from batch norms, whose statistics differ by rank."""


@pytest.mark.parametrize(
    ("world_size", "more"),
    [
        (2, ()),
        pytest.param(3, (), marks=pytest.mark.slow),
        pytest.param(2, SNAPMIX, marks=pytest.mark.slow),
    ],
)
def test_ranks_killed_and_resumed_end_as_the_straight_run(tiny, tmp_path, world_size, more):
    words = tuple(word for word in WORDS if not word.startswith("model.name"))
    words = (*words, "train.log_dynamics=true", *more)
    run_ranks(jobs.train, tiny, tmp_path / "straight", words, world_size=world_size)
    dies = (jobs.train_until, tiny, tmp_path / "killed", words, "weights file", 5)
    with pytest.raises((ProcessExitedException, ProcessRaisedException)):
        run_ranks(*dies, world_size=world_size)
    before = len(list((tmp_path / "killed" / "checkpoints").glob("step_*")))
    assert before  # it had come past a checkpoint
    run_ranks(jobs.train, tiny, tmp_path / "killed", words, world_size=world_size)
    straight, killed = (result(tmp_path / name) for name in ("straight", "killed"))
    assert straight == killed
    log = files.read_lines(tmp_path / "killed" / "log.jsonl")
    assert [line["step"] for line in log if line["event"] == "step"] == list(range(1, 14))
    assert files.read_json(tmp_path / "killed" / "env.json")["world_size"] == world_size


@pytest.fixture(scope="module")
def straight(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("kill") / "run"
    assert run_process(jobs.train, tiny, folder, WORDS) == 0
    return result(folder)


@pytest.mark.parametrize(("where", "count"), KILLS)
def test_a_killed_run_ends_as_the_straight_one(tiny, straight, tmp_path, where, count):
    folder = tmp_path / "run"
    assert run_process(jobs.train_until, tiny, folder, WORDS, where, count) == -9
    assert run_process(jobs.train, tiny, folder, WORDS) == 0
    assert result(folder) == straight
    assert not list((folder / "checkpoints").glob(".*"))


DALI_WORDS = (*WORDS, "loader.backend=dali_cpu")


@pytest.fixture(scope="module")
def straight_on_dali(tiny, tmp_path_factory):
    pytest.importorskip("nvidia.dali", reason="nvidia-dali is missing")
    folder = tmp_path_factory.mktemp("dali") / "run"
    assert run_process(jobs.train, tiny, folder, DALI_WORDS) == 0
    return result(folder)


@pytest.mark.dali
@pytest.mark.parametrize(
    ("where", "count"),
    [KILLS[2], *(pytest.param(*kill, marks=pytest.mark.slow) for kill in KILLS[5:9:3])],
)
def test_a_killed_run_on_dali_ends_as_the_straight_one(
    tiny, straight_on_dali, tmp_path, where, count
):
    folder = tmp_path / "killed"
    assert run_process(jobs.train_until, tiny, folder, DALI_WORDS, where, count) == -9
    assert run_process(jobs.train, tiny, folder, DALI_WORDS) == 0
    assert result(folder) == straight_on_dali
