"""The race of loaders: real processes, small."""

import os
import subprocess
import sys
import time
from dataclasses import replace

import psutil
import pytest

from carscale.benchmark import RaceRule, race
from carscale.benchmark import loader_race as module
from carscale.errors import LoaderError


def rule(root, *arms, **settings):
    small = {
        "image_px": 32,
        "local_batch_size": 4,
        "num_threads": 1,
        "num_rounds": 5,
        "num_images": 8,
    }
    return RaceRule(root=str(root), arms=arms, model="test_vit", **{**small, **settings})


def children() -> list[int]:
    return [p.pid for p in psutil.Process().children(recursive=True) if "loader_arms" in cmd(p)]


def cmd(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


@pytest.mark.launch
def test_arms_take_turns_and_every_number_is_there(raced):
    result, said = raced
    arms = ["torch", "torchvision", "floor", "model"]
    assert [row["arm"] for row in result["rows"]] == arms
    for row in result["rows"]:
        assert len(row["rounds"]) == 5
        assert 0 < row["low"] <= row["median"] <= row["high"]
        assert row["low"] == min(row["rounds"])  # five rounds: the interval is all of them
        assert 0 <= row["cpu_share"] < float("inf")  # rounds are shorter than a tick of that clock
        assert 0.01 < row["memory_gib"] < 4
        assert row["first_batch_s"] > 0
    by_arm = {row["arm"]: row for row in result["rows"]}
    expected = by_arm["torch"]["median"] / by_arm["model"]["median"]
    assert by_arm["torch"]["headroom"] == pytest.approx(expected)
    (ratio,) = result["ratios"]
    assert (ratio["arm"], ratio["peer"]) == ("torch", "torchvision")
    assert ratio["low"] <= ratio["median"] <= ratio["high"]
    assert result["advice"]["backend"] == "torch"
    assert len(said) == len(arms) * (1 + 6)
    assert not children()


@pytest.mark.launch
@pytest.mark.dali
@pytest.mark.parametrize("view", ["train", pytest.param("plain", marks=pytest.mark.slow)])
def test_dali_and_timm_run_as_arms(tiny, view):
    pytest.importorskip("nvidia.dali", reason="nvidia-dali is missing")
    arms = ("dali_cpu", "timm", "dali-stock")
    result = race(rule(tiny, *arms, views=(view,), num_rounds=1))
    assert [row["arm"] for row in result["rows"]] == list(arms)
    assert not children()


@pytest.mark.launch
def test_an_arm_that_fails_says_why_and_leaves_no_process(tiny):
    with pytest.raises(LoaderError, match="model, view train: ended with 1") as said:
        race(replace(rule(tiny, "torch", "model", views=("train",)), model="no_such_net"))
    assert "knows no such model" in str(said.value).replace("\n", " ")
    assert not children()


@pytest.mark.launch
def test_an_arm_that_hangs_is_ended(tiny):
    start = time.monotonic()
    with pytest.raises(LoaderError, match=r"gave no answer in 0\.2 s"):
        race(rule(tiny, "floor", views=("train",), timeout_s=0.2))
    assert time.monotonic() - start < 30
    assert not children()


@pytest.mark.launch
def test_a_killed_parent_leaves_no_arm(tiny):
    program = (
        "from carscale.benchmark import RaceRule, race; "
        f"race(RaceRule(root={str(tiny)!r}, arms=('torchvision',), views=('train',), image_px=32, "
        "local_batch_size=4, num_threads=1, num_images=8, num_rounds=10**6))"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], env=dict(os.environ))
    arms: list[psutil.Process] = []
    for _ in range(300):
        arms = psutil.Process(parent.pid).children(recursive=True)
        if len(arms) >= 2:  # the arm and its worker
            break
        time.sleep(0.1)
    assert len(arms) >= 2
    time.sleep(1)
    parent.kill()
    parent.wait()
    _, alive = psutil.wait_procs(arms, timeout=20)
    assert not alive


def test_ratios_are_paired_by_round():
    rows = [
        {"arm": "torch", "view": "train", "rounds": [10.0, 30.0, 20.0], "median": 20.0},
        {"arm": "timm", "view": "train", "rounds": [5.0, 10.0, 20.0], "median": 10.0},
    ]
    (ratio,) = module._ratios(rows)
    assert (ratio["median"], ratio["low"], ratio["high"]) == (2.0, 1.0, 3.0)
