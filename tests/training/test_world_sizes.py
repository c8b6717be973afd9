"""1, 2 and 3 processes with the same global batch: the same samples, views and losses."""

import jobs
import numpy as np
import pytest
from ranks import run_ranks

from carscale import files

NUM_STEPS = 24


DALI = pytest.mark.dali
MIXED = (
    "augment.policy=strong",
    "balance.sampling=oversample",
    "train.grow_from_px=16",
    "train.max_steps=12",
)


@pytest.mark.parametrize(
    ("accumulate", "backend", "more"),
    [
        (1, "torch", ()),
        (2, "torch", MIXED),
        (2, "torch", ("augment.policy=cmo", "augment.mix_prob=0.5")),
        pytest.param(1, "torch", ("augment.policy=resizemix",), marks=pytest.mark.slow),
        pytest.param(1, "torch", ("augment.policy=snapmix",), marks=pytest.mark.slow),
        pytest.param(2, "dali_cpu", (), marks=[DALI, pytest.mark.slow]),
        pytest.param(1, "dali_cpu", MIXED, marks=[DALI, pytest.mark.slow]),
    ],
)
def test_ids_and_parameters_are_the_same_at_every_step(tiny, tmp_path, accumulate, backend, more):
    if backend != "torch":
        pytest.importorskip("nvidia.dali", reason="nvidia-dali is missing")
    seen = {}
    for world_size in (1, 2, 3):
        out = tmp_path / str(world_size)
        out.mkdir()
        words = (accumulate, 12, backend, more)
        run_ranks(jobs.record_batches, tiny, out, *words, world_size=world_size)
        rows = np.concatenate([np.load(out / f"rank{r}.npy") for r in range(world_size)])
        sampler = np.lexsort((rows[:, 2], rows[:, 1], rows[:, 0]))  # step, micro-step, rank
        seen[world_size] = np.delete(rows[sampler], [1, 2], axis=1)
    assert len(seen[1]) == 12 * 12
    np.testing.assert_array_equal(seen[1], seen[2])
    np.testing.assert_array_equal(seen[1], seen[3])


@pytest.mark.parametrize(
    ("backend", "policy"),
    [
        ("torch", "cutmix"),
        pytest.param("torch", "cmo", marks=pytest.mark.slow),
        pytest.param("dali_cpu", "cutmix", marks=[pytest.mark.dali, pytest.mark.slow]),
    ],
)
def test_losses_agree(tiny, tmp_path, backend, policy):
    if backend != "torch":
        pytest.importorskip("nvidia.dali", reason="nvidia-dali is missing")
    words = (
        f"loader.backend={backend}",
        "balance.class_weights=inverse",
        "balance.sampling=natural",
        "balance.loss=focal",
        f"augment.policy={policy}",
        "train.num_epochs=20",
        f"train.max_steps={NUM_STEPS}",
        "optim.lr=0.0003",
    )
    logs = {}
    for world_size in (1, 2, 3):
        for accumulate in (1, 2) if backend == "torch" else (2,):
            folder = tmp_path / f"{world_size}x{accumulate}"
            overrides = (*words, f"train.accumulate_steps={accumulate}")
            run_ranks(jobs.train, tiny, folder, overrides, world_size=world_size)
            lines = files.read_lines(folder / "log.jsonl")
            logs[world_size, accumulate] = np.array(
                [line["loss"] for line in lines if line["event"] == "step"]
            )
    first = next(iter(logs.values()))
    assert len(first) == NUM_STEPS
    assert first.std() > 0.01  # it does learn
    for key, losses in logs.items():
        worst = np.abs(losses - first).max()
        assert worst < 1e-5, f"{key}: {worst}"


def test_gather_takes_unequal_rows():
    run_ranks(jobs.check_gather, (3, 0), world_size=2)
    run_ranks(jobs.check_gather, (0, 5, 2), world_size=3)
