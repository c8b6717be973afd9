"""Which ranks are started here, and with what environment."""

import re
from pathlib import Path

import pytest

from carscale.errors import ConfigError
from carscale.world.launch import plan_ranks

CONFIGS = Path(__file__).resolve().parents[2] / "accelerate_configs"


@pytest.fixture(autouse=True)
def _outside_of_a_launch(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)


def plan(name, *words):
    return plan_ranks(["--config_file", str(CONFIGS / name), *words])


def test_one_process_is_a_world_of_its_own():
    (rank,) = plan("cpu1.yaml").environments
    assert rank["ACCELERATE_USE_CPU"] == "True"
    assert not {"RANK", "WORLD_SIZE", "MASTER_PORT"} & rank.keys()


def test_ranks_of_one_machine_meet_at_another_port_each_time():
    first, second = plan("cpu2.yaml"), plan("cpu2.yaml")
    assert [rank["RANK"] for rank in first.environments] == ["0", "1"]
    assert [rank["LOCAL_RANK"] for rank in first.environments] == ["0", "1"]
    assert {rank["WORLD_SIZE"] for rank in first.environments} == {"2"}
    assert {rank["MASTER_ADDR"] for rank in first.environments} == {"127.0.0.1"}
    ports = {rank["MASTER_PORT"] for rank in [*first.environments, *second.environments]}
    assert len(ports) == 2


def test_the_second_of_two_machines_starts_the_last_ranks():
    words = ("--machine_rank", "1", "--main_process_ip", "10.0.0.1", "--main_process_port", "29511")
    found = plan("multinode_2x8.yaml", *words)
    assert found.num_machines == 2
    assert [rank["RANK"] for rank in found.environments] == [str(n) for n in range(8, 16)]
    assert [rank["LOCAL_RANK"] for rank in found.environments] == [str(n) for n in range(8)]
    for rank in found.environments:
        meets = (rank["MASTER_ADDR"], rank["MASTER_PORT"], rank["WORLD_SIZE"])
        assert meets == ("10.0.0.1", "29511", "16")
        assert rank["LOCAL_WORLD_SIZE"] == "8"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--no_such_option"], "does not take '--no_such_option'"),
        (["--config_file", "nowhere.yaml"], "nowhere.yaml"),
        (["--cpu", "--num_processes", "2"], "starts one process here, not 2"),
        (["--use_fsdp", "--num_processes", "2"], "ask for use_fsdp; recipes train by DDP alone"),
    ],
)
def test_what_can_not_be_started_is_said(words, said):
    with pytest.raises(ConfigError, match=re.escape(said)):
        plan_ranks(words)


def test_a_file_that_is_no_yaml_is_said(tmp_path):
    (tmp_path / "odd.yaml").write_text("[1, 2")
    with pytest.raises(ConfigError, match=r"odd\.yaml"):
        plan_ranks(["--config_file", str(tmp_path / "odd.yaml")])
