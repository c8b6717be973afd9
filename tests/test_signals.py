"""Signals, kills and lost links, with real launchers: nothing is lost, nobody is left behind."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import jobs
import psutil
import pytest
from ranks import run_ranks

from carscale import files
from carscale.runs import RunFolder

ROOT = Path(__file__).resolve().parents[1]
RECIPE = str(ROOT / "recipes" / "effnet_focal.py")
CPU1, CPU2 = (str(ROOT / "accelerate_configs" / f"cpu{n}.yaml") for n in (1, 2))
ACCELERATE = ("-m", "accelerate.commands.launch", "--config_file")
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
LAUNCHERS = {
    "python": (RECIPE,),
    "accelerate 1": (*ACCELERATE, CPU1, RECIPE),
    "accelerate 2": (*ACCELERATE, CPU2, RECIPE),
    "torchrun 2": (*TORCHRUN, RECIPE),
    "carscale 1": ("-m", "carscale", "train", "effnet_focal", "--config_file", CPU1),
    "carscale 2": ("-m", "carscale", "train", "effnet_focal", "--config_file", CPU2),
}
LONG = ("train.num_epochs=100000", "optim.lr=0.0001")
pytestmark = pytest.mark.launch


class Training:
    """A launched training: its launcher, its ranks, what it said."""

    def __init__(self, launcher, root, folder, *words, within=(), passes=()):
        self.folder, self.log = RunFolder(folder), folder.with_suffix(".log")
        names = [f"data.root={root}", f"run.dir={folder.parent}", f"run.name={folder.name}"]
        start = [launcher] if within[:1] == ("env",) else [sys.executable]
        start += LAUNCHERS.get(launcher, launcher) if start == [sys.executable] else []
        command = [*start, *names, *jobs.SMALL, *words]
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [*within, *command],
                stdout=log,
                stderr=log,
                pass_fds=passes,
                env={**os.environ, "PYTHONPATH": str(ROOT), "ACCELERATE_USE_CPU": "1"},
            )
        self.launcher = psutil.Process(self.process.pid)

    def until_step(self, step):
        self.until(lambda: self.folder.steps_done >= step, 120)
        family = [self.launcher, *self.launcher.children(recursive=True)]
        name = f"run.name={self.folder.name}"
        found = [one for one in family if any("effnet_focal.py" in w for w in one.cmdline())]
        leaves = [one for one in found if not one.children()]
        self.ranks = [one for one in leaves if name in one.cmdline()]
        return self

    def until(self, condition, seconds):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, self.said()
            time.sleep(0.05)

    def ended(self, seconds=20):
        """Wait for the end of launcher and ranks; return the launcher's exit code."""
        self.until(lambda: self.process.poll() is not None, seconds)
        self.until(lambda: not any(map(is_alive, self.ranks)), seconds)
        return self.process.returncode

    def said(self):
        return self.log.read_text()

    def saved_step(self):
        return files.read_json(self.folder.checkpoints("step")[0] / "state.json")["step"]


def is_alive(process):
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


@pytest.fixture
def start():
    """Start a training; what is left of it when the test fails is killed."""
    started = []

    def training(*args, **kwargs):
        started.append(Training(*args, **kwargs))
        return started[-1]

    yield training
    for one in started:
        if one.process.poll() is None:
            for process in [*one.launcher.children(recursive=True), one.launcher]:
                process.kill()
            one.process.wait()


EXIT_CODES = {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGUSR1: 143, signal.SIGKILL: -9}
SAMPLE = [
    ("carscale 2", "last rank", signal.SIGUSR1),
]
TABLE = [
    (launcher, who, number)
    for launcher in LAUNCHERS
    for who in ("launcher", "first rank", "last rank")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGKILL)
    if who == "launcher" or (number != signal.SIGKILL and launcher != "python")
    if who != "last rank" or launcher.endswith("2")
    if (launcher, number) != ("python", signal.SIGKILL)
]
CASES = [
    pytest.param(*row, marks=[] if row in SAMPLE else pytest.mark.slow, id="-".join(map(str, row)))
    for row in TABLE
]


@pytest.mark.parametrize(("launcher", "who", "number"), CASES)
def test_training_ends_saved_and_leaves_nobody(start, tiny, tmp_path, launcher, who, number):
    training = start(launcher, tiny, tmp_path / "run", *LONG).until_step(10)
    receivers = {"launcher": training.launcher, "first rank": training.ranks[0]}
    receivers.get(who, training.ranks[-1]).send_signal(number)
    code = training.ended()
    step = re.findall(r"stopped by SIG\w+ after step (\d+) of", training.said())
    assert step == [str(training.saved_step())], training.said()
    assert not training.folder.is_training  # the lock is free
    if launcher.startswith(("carscale", "python")):
        assert code == EXIT_CODES[number]
        assert "Traceback" not in training.said()
        assert "stopped by" in training.said().splitlines()[-1]


@pytest.mark.parametrize("rank", [1, 0])
@pytest.mark.slow
def test_a_killed_rank_is_started_again_and_ends_as_the_straight_run(start, tiny, tmp_path, rank):
    words = ("train.max_steps=30", "train.num_epochs=1000", "train.checkpoint_every_steps=7")
    killed = start("carscale 2", tiny, tmp_path / "killed", *words, "--restarts", "2")
    killed.until_step(10).ranks[rank].kill()
    killed.until(lambda: "starting all again" in killed.said(), 20)
    assert killed.until_step(20).ended(120) == 0
    assert f"rank {rank} ended by SIGKILL; starting all again, 1 of 2" in killed.said()
    run_ranks(jobs.train, tiny, tmp_path / "straight", words)
    for name in ("log.jsonl", "predictions/val.parquet"):
        there, here = (tmp_path / run / name for run in ("straight", "killed"))
        assert here.read_bytes() == there.read_bytes()


def test_wrong_input_is_not_started_again(start, tiny, tmp_path):
    training = start("carscale 2", tiny, tmp_path / "run", "data.root=nowhere", "--restarts=2")
    training.ranks = []
    assert training.ended(60) == 2
    assert "DataError: data.root=nowhere: no such folder" in training.said()
    assert "starting all again" not in training.said()
    assert "Traceback" not in training.said()


def test_an_error_of_all_ranks_is_said_once(start, tiny, tmp_path):
    words = ("optim.lr=1e30", "optim.warmup_epochs=0", "train.max_steps=1")
    training = start("carscale 2", tiny, tmp_path / "run", *words)
    training.ranks = []
    assert training.ended(60) == 1
    assert training.said().count("photos have a loss or probability that is NaN") == 1
    assert "Traceback" not in training.said()


def machine(rank, port, address="127.0.0.1"):
    """Return a launcher of one of two machines, a rank each."""
    words = f"--num_machines 2 --machine_rank {rank} --main_process_ip {address}"
    launch = f"{words} --main_process_port {port}"
    return ("-m", "carscale", "train", "effnet_focal", "--config_file", CPU2, "--launch", launch)


SHORT = "world.timeout_minutes=0.1"


@pytest.mark.slow
def test_a_machine_that_never_comes_is_named(start, tiny, tmp_path):
    port = 29900 + os.getpid() % 90
    trainings = []
    for rank in (0, 1):
        there = start(machine(rank, port + rank), tiny, tmp_path / str(rank), *LONG, SHORT)
        there.ranks = []
        trainings.append(there)
    for rank, there in enumerate(trainings):
        assert there.ended(60) == 1
        assert f"rank {1 - rank} did not come for 0.1 minutes" in there.said()
        assert "Traceback" not in there.said()


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_rank_restarts_both_machines(start, tiny, tmp_path, rank):
    words = ("train.max_steps=60", "train.num_epochs=1000", "train.checkpoint_every_steps=7")
    port = 29800 + os.getpid() % 90
    two = [
        start(machine(n, port), tiny, tmp_path / "killed", *words, "--restarts=2") for n in (0, 1)
    ]
    killed = two[rank].until_step(20)
    two[1 - rank].until_step(20)
    killed.ranks[0].kill()
    for there in two:
        there.until(lambda there=there: "starting all again, 1 of 2" in there.said(), 30)
    for there in two:
        assert there.ended(180) == 0, there.said()
    straight = start("accelerate 2", tiny, tmp_path / "straight", *words).until_step(1)
    assert straight.ended(120) == 0
    for name in ("log.jsonl", "predictions/val.parquet"):
        there, here = (training.folder.path / name for training in (straight, killed))
        assert here.read_bytes() == there.read_bytes()


def test_a_rank_that_is_stopped_is_named_and_the_other_ends(start, tiny, tmp_path):
    training = start("carscale 2", tiny, tmp_path / "run", *LONG, SHORT).until_step(5)
    training.ranks[1].suspend()
    assert training.ended(40) == 1
    assert re.search(r"rank 1 \(.*\) was silent for 0.1 minutes", training.said())


HANGS = """
import os, time
from contextlib import contextmanager
from carscale.training import logger

plain, calls = logger.TrainingLogger.waiting, []

@contextmanager
def hang(self):
    calls.append(1)
    time.sleep(3600 if len(calls) > 5 and os.environ["RANK"] == "1" else 0)
    with plain(self):
        yield

logger.TrainingLogger.waiting = hang
"""


@pytest.mark.slow
def test_a_rank_that_hangs_in_a_live_process_is_named(start, tiny, tmp_path):
    recipe = tmp_path / "effnet_focal.py"
    recipe.write_text(HANGS + Path(RECIPE).read_text())
    launcher = ("-m", "carscale", "train", str(recipe), "--config_file", CPU2)
    training = start(launcher, tiny, tmp_path / "run", *LONG, SHORT)
    training.ranks = []
    assert training.ended(60) == 1
    assert re.search(r"rank 1 \(.*\) has stood at step 5 for 0.1 minutes", training.said())


@pytest.fixture
def namespaces():
    """Two hosts that reach each other as 10.99.7.1 and 10.99.7.2, and by no other name."""
    names = ["carscale-a", "carscale-b"]
    ends = ["carscale-va", "carscale-vb"]

    def ip(*words):
        return subprocess.run(["ip", *words], capture_output=True, check=False).returncode == 0

    made = [ip("netns", "add", name) for name in names]
    made += [ip("link", "add", ends[0], "type", "veth", "peer", "name", ends[1])]
    for number, (name, end) in enumerate(zip(names, ends, strict=True), start=1):
        made += [ip("link", "set", end, "netns", name)]
        inside = ("netns", "exec", name, "ip")
        made += [ip(*inside, "addr", "add", f"10.99.7.{number}/24", "dev", end)]
        made += [ip(*inside, "link", "set", each, "up") for each in ("lo", end)]
    if all(made):
        yield [("ip", "netns", "exec", name) for name in names]
    for name in names:
        ip("netns", "del", name)
    if not all(made):
        pytest.skip("this machine allows no network namespaces")


@pytest.mark.slow
def test_two_hosts_find_each_other_and_miss_each_other(
    start, tiny, tmp_path, namespaces, monkeypatch
):
    monkeypatch.delenv("GLOO_SOCKET_IFNAME", raising=False)
    hosts = [
        start(machine(rank, 29511, "10.99.7.1"), tiny, tmp_path / "run", *LONG, SHORT, within=w)
        for rank, w in enumerate(namespaces)
    ]
    for host in hosts:
        host.until_step(5)
    subprocess.run([*namespaces[1], "ip", "link", "set", "carscale-vb", "down"], check=True)
    for host in hosts:
        assert host.ended(40) == 1
    for rank in (0, 1):
        said = f"[rank {1 - rank}] LostRankError: rank {rank} ("
        assert said in hosts[0].said()
    assert "was silent for 0.1 minutes (world.timeout_minutes)" in hosts[0].said()
    assert "Traceback" not in hosts[0].said()


SRUN = """#!/bin/bash
[ "$1" = --kill-on-bad-exit=1 ] || exit 9
shift
for node in 0 1; do SLURM_NODEID=$node "$@" & echo $! >> "$STUB/nodes"; done
wait -n; code=$?
wait
exit $code
"""
SCONTROL = """#!/bin/bash
if [ "$1" = show ]; then echo 127.0.0.1; else echo "$@" >> "$STUB/requeued"; fi
"""


@pytest.mark.slow
def test_the_slurm_script_saves_when_warned_requeues_and_goes_on(start, tiny, tmp_path):
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    carscale = f'#!/bin/bash\nexec {sys.executable} -m carscale "$@"\n'
    for name, text in (("srun", SRUN), ("scontrol", SCONTROL), ("carscale", carscale)):
        (bin_folder / name).write_text(text)
        (bin_folder / name).chmod(0o755)
    two = Path(CPU2).read_text().replace("num_machines: 1", "num_machines: 2")
    (tmp_path / "two.yaml").write_text(two)
    within = (
        *("env", f"PATH={bin_folder}:{os.environ['PATH']}", f"STUB={tmp_path}"),
        *("SLURM_JOB_NODELIST=node[1-2]", f"SLURM_JOB_ID={os.getpid()}"),
        *(
            f"CARSCALE_LAUNCH_FILE={tmp_path}/two.yaml",
            "bash",
            str(ROOT / "accelerate_configs/slurm_2x8.sh"),
        ),
    )
    words = ("train.max_steps=40", "train.num_epochs=1000")
    job = start("effnet_focal", tiny, tmp_path / "run", *words, within=within).until_step(10)
    for node in (tmp_path / "nodes").read_text().split():
        os.kill(int(node), signal.SIGUSR1)
    assert job.ended() == 143, job.said()
    assert "stopped by SIGUSR1 after step" in job.said()
    saved = job.saved_step()
    assert (tmp_path / "requeued").read_text() == f"requeue {os.getpid()}\n"
    again = start("effnet_focal", tiny, tmp_path / "run", *words, within=within).until_step(39)
    assert again.ended() == 0, again.said()
    assert f"going on from step {saved} of 40" in again.said()
    assert again.folder.is_finished


def test_a_terminal_that_goes_away_ends_training_saved(start, tiny, tmp_path):
    """Its end sends SIGHUP, and what is written to it from then on fails."""
    ours, theirs = os.openpty()
    terminal = (sys.executable, str(Path(__file__).with_name("terminal.py")), str(theirs))
    training = start("python", tiny, tmp_path / "run", *LONG, within=terminal, passes=(theirs,))
    os.close(theirs)
    training.until_step(10)
    os.close(ours)
    assert training.ended() == 129
    assert training.saved_step() >= 10
    assert not training.folder.is_training
