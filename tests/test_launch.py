"""Real processes: accelerate launch with the shipped files, two machines in one, wrong launches."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import jobs
import pytest
import yaml
from command_line import carscale
from ranks import run_ranks

from carscale import config, files
from carscale.errors import LaunchError
from carscale.world.launch import plan_ranks

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = ROOT / "accelerate_configs"
RECIPE = str(ROOT / "recipes" / "effnet_focal.py")
pytestmark = pytest.mark.launch


def launch(*words: str, timeout: int = 180, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "accelerate.commands.launch", *words]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, "PYTHONPATH": str(ROOT), **env},
        check=False,
    )


def settings(root: Path, folder: Path) -> list[str]:
    words = [f"data.root={root}", f"run.dir={folder.parent}", f"run.name={folder.name}"]
    return [*words, *jobs.SMALL, "train.max_steps=6", "model.drop_rate=0.2"]


@pytest.fixture(scope="module")
def cpu2_run(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cpu2") / "run"
    answer = launch("--config_file", str(CONFIGS / "cpu2.yaml"), RECIPE, *settings(tiny, folder))
    assert answer.returncode == 0, answer.stderr
    return folder


def test_cpu2_really_runs_two_processes(cpu2_run):
    env = json.loads((cpu2_run / "env.json").read_text())
    assert env["world_size"] == 2
    events = [line["event"] for line in files.read_lines(cpu2_run / "log.jsonl")]
    assert events.count("step") == 6
    assert events[-1] == "end"


def test_two_machines_train_to_the_same_log(cpu2_run, tiny, tmp_path):
    folder = tmp_path / "run"
    port = str(29600 + os.getpid() % 300)
    shared = ["--config_file", str(CONFIGS / "cpu2.yaml"), "--num_machines", "2"]
    shared += ["--main_process_ip", "127.0.0.1", "--main_process_port", port]
    start = [sys.executable, "-m", "accelerate.commands.launch", *shared]
    machines = [
        subprocess.Popen(
            [*start, "--machine_rank", str(rank), RECIPE, *settings(tiny, folder)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    errors = [machine.communicate(timeout=180)[1] for machine in machines]
    assert [machine.returncode for machine in machines] == [0, 0], errors
    assert json.loads((folder / "env.json").read_text())["world_size"] == 2
    for name in ("log.jsonl", "predictions/val.parquet"):
        assert (folder / name).read_bytes() == (cpu2_run / name).read_bytes()


@pytest.mark.slow
def test_plain_launch_on_a_cpu_uses_all_cores(tiny, tmp_path):
    folder = tmp_path / "run"
    words = [w for w in settings(tiny, folder) if not w.startswith("train.num_cpu_threads")]
    answer = launch(RECIPE, *words)
    assert answer.returncode == 0, answer.stderr
    env = json.loads((folder / "env.json").read_text())
    assert env["world_size"] == 1
    assert env["num_cpu_threads"] == len(os.sched_getaffinity(0))


def test_evaluate_spreads_over_processes(cpu2_run, tmp_path):
    one = carscale("evaluate", cpu2_run, "--split", "test", "--json", code=0)
    alone = (cpu2_run / "predictions" / "test.parquet").read_bytes()
    words = ("evaluate", str(cpu2_run), "--split", "test", "--json")
    run_ranks(jobs.command, words, tmp_path)
    assert (cpu2_run / "predictions" / "test.parquet").read_bytes() == alone
    assert json.loads((tmp_path / "rank0.txt").read_text()) == json.loads(one.stdout)
    assert (tmp_path / "rank1.txt").read_text() == ""
    evaluations = files.read_lines(cpu2_run / "test_evaluations.jsonl")
    assert len(evaluations) == 2  # one a command, not one a process
    assert evaluations[0]["top1"] == evaluations[1]["top1"]


def test_processes_that_do_not_see_each_other_are_stopped(monkeypatch):
    from carscale.world import check_launch

    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(LaunchError, match="started 2 processes but Accelerate sees 1"):
        check_launch(1)


def test_a_lost_launch_is_stopped_in_a_real_process(tiny, tmp_path):
    """Two processes are announced, but nothing tells them where to meet."""
    folder = tmp_path / "run"
    answer = subprocess.run(
        [sys.executable, RECIPE, *settings(tiny, folder)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT), "WORLD_SIZE": "2"},
        check=False,
    )
    assert answer.returncode == 2
    assert "LaunchError: 2 processes were announced but can't find each other" in answer.stderr
    assert "accelerate launch --config_file" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_wrong_key_is_said_before_torch_is_loaded(tmp_path):
    """An interpreter whose torch can't be imported still names the mistake."""
    (tmp_path / "torch.py").write_text("raise SystemExit('torch was imported')")
    answer = subprocess.run(
        [sys.executable, RECIPE, "train.num_epoch=3"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        check=False,
    )
    assert answer.returncode == 2
    assert answer.stderr.startswith(
        "ConfigError: command line: unknown key 'train.num_epoch'; did you mean 'train.num_epochs'?"
    )


KUBERNETES = CONFIGS / "kubernetes_2x8.yaml"
LAUNCH_FILES = sorted(set(CONFIGS.glob("*.yaml")) - {KUBERNETES})


@pytest.mark.parametrize("path", LAUNCH_FILES, ids=lambda path: path.stem)
def test_launch_files_say_when_to_use_them_and_are_valid(path):
    from accelerate.commands.config.config_args import load_config_from_file

    text = path.read_text()
    assert text.startswith("# ")
    loaded = load_config_from_file(str(path))
    stored = yaml.safe_load(text)
    assert loaded.num_processes == stored["num_processes"]
    many = stored["num_processes"] > 1
    assert str(stored["distributed_type"]) == ("MULTI_GPU" if many else "NO")


def test_the_launch_files_are_those_of_the_readme():
    names = {path.stem for path in LAUNCH_FILES}
    assert names == {"cpu1", "cpu2", "gpu1", "gpu2", "gpu8", "multinode_2x8"}


def test_the_kubernetes_job_starts_a_machine_a_pod():
    service, job = yaml.safe_load_all(KUBERNETES.read_text())
    pods = job["spec"]["template"]["spec"]
    assert pods["subdomain"] == service["metadata"]["name"]
    assert job["spec"]["completionMode"] == "Indexed"
    (train,) = pods["containers"]
    start, recipe, *words = train["command"][1:]
    assert (train["command"][0], start) == ("carscale", "train")
    assert config.packaged(recipe).suffix == ".py"
    launch = words[words.index("--launch") + 1].replace("$(JOB_COMPLETION_INDEX)", "1")
    file = config.packaged(words[words.index("--config_file") + 1])
    plan = plan_ranks(["--config_file", str(file), *shlex.split(launch)])
    assert plan.num_machines == job["spec"]["completions"] == 2
    assert len(plan.environments) == train["resources"]["limits"]["nvidia.com/gpu"] == 8
    assert plan.environments[0]["MASTER_ADDR"] == f"{job['metadata']['name']}-0.carscale"
    settings = [word for word in words[: words.index("--config_file")] if "=" in word]
    assert config.resolve(config.Recipe(), settings).data.root == "/data/cars"
