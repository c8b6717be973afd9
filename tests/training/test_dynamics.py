"""What the model said of each photo: recorded as it was shown, read back by epoch."""

import jobs
import numpy as np
import pytest
from ranks import run_ranks

from carscale import data, files
from carscale.training import read_dynamics
from carscale.training.dynamics import RECORD


@pytest.fixture(scope="module")
def folder(tiny, tmp_path_factory):
    where = tmp_path_factory.mktemp("dynamics") / "run"
    jobs.train(tiny, where, ("train.num_epochs=3", "train.log_dynamics=true"))
    return where


def test_every_showing_is_recorded_once(tiny, folder):
    records = np.fromfile(folder / "dynamics.bin", dtype=RECORD)
    steps = [row for row in files.read_lines(folder / "log.jsonl") if row["event"] == "step"]
    assert len(records) == 12 * len(steps)
    assert np.array_equal(records["step"], np.repeat(np.arange(len(steps)), 12))
    assert set(records["id"].tolist()) <= set(data.read_splits(tiny).train.ids_N.tolist())
    assert ((records["prob"] > 0) & (records["prob"] < 1)).all()
    assert records["is_right"].dtype == bool


def test_two_ranks_record_the_same_showings_as_one(tiny, folder, tmp_path):
    words = ("train.num_epochs=3", "train.log_dynamics=true", "train.accumulate_steps=3")
    run_ranks(jobs.train, tiny, tmp_path / "two", words, world_size=2)
    one = np.sort(np.fromfile(folder / "dynamics.bin", dtype=RECORD), order=["step", "id", "prob"])
    two = np.fromfile(tmp_path / "two" / "dynamics.bin", dtype=RECORD)
    two = np.sort(two, order=["step", "id", "prob"])
    assert np.array_equal(one["step"], two["step"])
    assert np.array_equal(one["id"], two["id"])
    assert np.abs(one["prob"] - two["prob"]).max() < 1e-4  # sums in another order


def test_nothing_is_recorded_unless_asked_for(tiny, tmp_path):
    jobs.train(tiny, tmp_path / "run", ("train.max_steps=2",))
    assert not (tmp_path / "run" / "dynamics.bin").exists()


def test_epochs_are_what_a_loop_over_records_gives(tmp_path):
    rng = np.random.default_rng(0)
    records = np.zeros(60, dtype=RECORD)
    records["step"] = np.repeat(np.arange(15), 4)
    ids = np.array([3, 5, 8, 13, 21, 34, 55, 89, 144, 233])
    records["id"] = rng.choice(ids, size=60)
    records["prob"], records["is_right"] = rng.random(60), rng.random(60) < 0.5
    (tmp_path / "dynamics.bin").write_bytes(records.tobytes() + b"torn")
    prob_EM, right_EM = read_dynamics(tmp_path / "dynamics.bin", ids, global_batch_size=4)
    assert prob_EM.shape == right_EM.shape == (6, 10)
    for epoch in range(6):
        for column, photo in enumerate(ids):
            mine = records[(records["step"] * 4 // 10 == epoch) & (records["id"] == photo)]
            if not len(mine):
                assert np.isnan(prob_EM[epoch, column])
                assert not right_EM[epoch, column]
                continue
            assert prob_EM[epoch, column] == pytest.approx(mine["prob"].mean(), abs=1e-6)
            assert right_EM[epoch, column] == (mine["is_right"].mean() > 0.5)


def test_no_file_and_photos_of_another_data_set_give_none(tmp_path, folder):
    assert read_dynamics(tmp_path / "none.bin", np.arange(3), global_batch_size=4) is None
    other = np.arange(10_000, 10_010)
    assert read_dynamics(folder / "dynamics.bin", other, global_batch_size=12) is None
