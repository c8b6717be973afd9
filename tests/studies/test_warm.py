"""Recipes in forks of a warm process: they live, say and die as processes of their own."""

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import jobs
import pytest

from carscale.errors import ConfigError
from carscale.runs import RunFolder
from carscale.studies import fork_server, run, warm
from carscale.studies.launching import Launch
from carscale.world import launch

ROOT = Path(__file__).resolve().parents[2]
RECIPE = """
import atexit, os, signal, sys, time
from pathlib import Path
import beside
atexit.register(lambda: print("at exit"))
print(*sys.argv[1:], os.getsid(0) == os.getpid(), repr(sys.stdin.read()), Path.cwd().name, __name__)
"""
ENDS = {
    "raise ValueError('no')": 1,
    "sys.exit(3)": 3,
    "os.kill(os.getpid(), signal.SIGKILL)": -9,
    "pass": 0,
}


@pytest.fixture
def recipe(tmp_path):
    def write(end):
        (tmp_path / "beside.py").write_text("")
        path = tmp_path / "mine.py"
        path.write_text(RECIPE + end)
        return path

    return write


def until(condition):
    end = time.monotonic() + 240
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize(("end", "code"), ENDS.items())
def test_a_fork_ends_as_its_recipe_does_and_the_next_runs(fork_launch, recipe, tmp_path, end, code):
    command = fork_launch.command(recipe(end), ["a=1", "b=x y"])
    log = tmp_path / "log.txt"
    assert run.train(command, log, lambda: None, cwd=tmp_path) == code
    first, *said = log.read_text().splitlines()
    assert first.startswith("$ ")
    assert shlex.split(first)[-2:] == ["a=1", "b=x y"]
    assert code < 0 or said[0] == f"a=1 b=x y True '' {tmp_path.name} __main__"
    assert ("at exit" in said) == (code >= 0)
    assert ("ValueError: no" in said) == (code == 1)


def test_signals_reach_the_recipe(fork_launch, recipe, tmp_path):
    waits = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(5)); print('up', flush=True)\n"
    process = subprocess.Popen(
        fork_launch.command(recipe(f"{waits}time.sleep(60)"), []),
        stdout=(log := (tmp_path / "log").open("w")),
        cwd=tmp_path,
    )
    log.close()
    until(lambda: "up" in (tmp_path / "log").read_text())
    process.terminate()
    assert process.wait(30) == 5


def test_a_recipe_goes_on_when_client_and_server_are_gone(recipe, tmp_path):
    waits = "print('up', flush=True)\nwhile not Path('go').exists(): time.sleep(0.02)\n"
    source = recipe(f"{waits}Path('done').write_text('')")
    server = warm.start_server(tmp_path / "socket", "{}")
    process = subprocess.Popen(
        warm.asked(tmp_path / "socket", Launch().command(source, [])),
        stdout=(log := (tmp_path / "log").open("w")),
        cwd=tmp_path,
    )
    log.close()
    until(lambda: "up" in (tmp_path / "log").read_text())
    process.kill()
    process.wait()
    server.stdin.close()
    assert server.wait(30) == 0
    assert not (tmp_path / "done").exists()
    (tmp_path / "go").touch()
    until((tmp_path / "done").exists)


def test_a_server_is_prepared_once_it_has_loaded(tmp_path, fork_address):
    kept = warm.WarmLaunch(tmp_path)
    (tmp_path / "socket").symlink_to(fork_address)
    kept._server = True
    kept.prepare()  # the client that asks for nothing harms nobody
    kept.prepare()
    kept.address = tmp_path / "nobody"
    kept.prepare()


def test_without_a_server_the_client_is_the_cold_command(tmp_path):
    cold = [sys.executable, "-c", "import sys; print(sys.argv); sys.exit(4)", "train", "x.py"]
    command = warm.asked(tmp_path / "nobody", cold)
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stdout) == (4, "['-c', 'train', 'x.py']\n")


def test_what_can_not_be_forked_starts_as_it_always_did(monkeypatch, fork_launch):
    several = Launch(("--num_processes", "2"))
    for other in (several, fork_launch):
        with warm.kept_warm(other) as kept:
            assert kept is other
    with warm.kept_warm(Launch()) as kept:  # and nothing starts before the first command
        assert isinstance(kept, warm.WarmLaunch)
        assert not kept.address.exists()
    assert not kept.address.parent.exists()

    import torch

    assert "ACCELERATE_MIXED_PRECISION" in launch.environment_of_one() | os.environ
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert launch.environment_of_one() is None
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(launch, "plan_ranks", lambda words: launch.Plan([{}, {}]))
    assert launch.environment_of_one() is None

    def refuses(words):
        raise ConfigError("no")

    monkeypatch.setattr(launch, "plan_ranks", refuses)
    assert launch.environment_of_one() is None


@pytest.mark.launch
def test_a_warm_run_is_the_cold_run(tiny, tmp_path):
    recipe = ROOT / "recipes" / "effnet_baseline.py"
    words = [f"data.root={tiny}", *jobs.SMALL, "train.max_steps=2", "train.num_cpu_threads=0"]
    folders = {name: tmp_path / name for name in ("cold", "first", "second")}
    with warm.kept_warm(Launch()) as kept:
        for name, folder in folders.items():
            how = Launch() if name == "cold" else kept
            named = [f"run.dir={tmp_path}", f"run.name={name}"]
            log = tmp_path / f"{name}.txt"
            code = run.train(how.command(recipe, [*words, *named]), log, lambda: None)
            assert code == 0, log.read_text()
            assert RunFolder(folder).is_finished
    for part in ("log.jsonl", "predictions/val.parquet"):
        cold, first, second = ((folder / part).read_bytes() for folder in folders.values())
        assert cold == first == second


def test_signal_names_are_those_that_training_heeds():
    assert set(fork_server.PASSED_ON) == {
        *(signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP)
    }
