"""Which backend runs, and what is said where one can't."""

import importlib
import sys
from dataclasses import replace

import jobs
import pytest
import torch

from carscale import augment, config, data, files, loaders, models
from carscale.errors import ConfigError, MissingExtraError
from carscale.loaders import backends, resolve
from carscale.world import open_world, start_run


@pytest.fixture
def world():
    with open_world(num_cpu_threads=1) as world:
        yield world


def test_without_dali_the_error_has_the_install_command(world, monkeypatch):
    monkeypatch.setitem(sys.modules, "nvidia.dali", None)
    assert not backends.has_dali()
    with pytest.raises(MissingExtraError, match=r"loader.backend=dali_cpu") as said:
        backends.check_backend("dali_cpu", world, None)
    assert "pip install 'carscale[dali]'" in str(said.value)
    backends.check_backend("torch", world, None)


@pytest.mark.dali
def test_without_a_gpu_dali_gpu_is_refused(world):
    pytest.importorskip("nvidia.dali", reason="nvidia-dali is missing")
    on_cpu = replace(world, device=torch.device("cpu"))
    with pytest.raises(ConfigError, match="needs a GPU; this process computes on cpu") as said:
        backends.check_backend("dali_gpu", on_cpu, None)
    assert "loader.backend=torch" in str(said.value)


@pytest.mark.parametrize(
    ("flavour", "driver", "is_fine"),
    [("130", 13000, True), ("120", 13010, True), ("130", 12040, False), ("120", 11080, False)],
)
def test_a_wheel_for_a_newer_cuda_than_the_driver_is_refused(flavour, driver, is_fine):
    if is_fine:
        backends.check_driver(flavour, driver)
        return
    with pytest.raises(ConfigError, match=f"nvidia-dali-cuda{flavour} needs a driver") as said:
        backends.check_driver(flavour, driver)
    assert f"pip install nvidia-dali-cuda{driver // 1000}0" in str(said.value)


@pytest.mark.dali
def test_an_op_that_dali_lacks_is_refused_with_who_can(world, monkeypatch):
    graph = pytest.importorskip("carscale.loaders.dali_graph", reason="nvidia-dali is missing")
    monkeypatch.delitem(graph.RENDERS, "noise")
    with pytest.raises(ConfigError, match="DALI can't render noise") as said:
        backends.check_backend("dali_cpu", world, config.Augment(policy="degrade"))
    assert "these backends can: torch" in str(said.value)
    backends.check_backend("dali_cpu", world, config.Augment(policy="simple"))


@pytest.mark.parametrize(
    ("facts", "backend", "why"),
    [
        ({"has_gpu": False, "has_dali": True}, "torch", "no GPU"),
        ({"has_gpu": True, "has_dali": False}, "torch", "not installed"),
        (
            {
                "has_gpu": True,
                "has_dali": True,
                "loader_images_per_s": 900.0,
                "model_images_per_s": 2500.0,
            },
            "dali_gpu",
            "the CPU loads 900 images/s, the model takes 2500",
        ),
        (
            {
                "has_gpu": True,
                "has_dali": True,
                "loader_images_per_s": 9000.0,
                "model_images_per_s": 2500.0,
            },
            "torch",
            "does not wait",
        ),
    ],
)
def test_auto_takes_the_gpu_only_where_the_model_would_wait(facts, backend, why):
    got, said = loaders.choose(**facts)
    assert got == backend
    assert why in said


def settled(tiny, folder, capsys, *words):
    cfg = jobs.recipe(tiny, folder, *words)
    view = models.preprocessing(cfg.model, cfg.data)
    policy = augment.policy(cfg.augment, view)
    with start_run("test", cfg) as run:
        found = loaders.resolve_backend(cfg, run, data.read_splits(tiny).train, policy)
    return found.backend, capsys.readouterr().err, files.read_json(folder / "env.json")


def test_auto_is_said_once_and_stored(tiny, tmp_path, capsys):
    folder = tmp_path / "run"
    backend, said, facts = settled(tiny, folder, capsys)
    assert backend == "torch"
    assert said.count("loader.backend=torch: no GPU") == 1
    assert facts["backend"] == "torch"
    assert "no GPU" in facts["backend_why"]
    assert config.from_yaml(folder / "config.yaml").loader.backend == "torch"


class Gpu:
    """A world that says it computes on a GPU."""

    type = "cuda"


def on_gpu(monkeypatch, world):
    monkeypatch.setattr(resolve, "has_dali", lambda: True)
    monkeypatch.setattr(resolve, "_loader_speed", lambda *args: 100.0)
    return replace(world, device=Gpu())


def test_measuring_leaves_the_runs_random_weights_alone(tiny, world, tmp_path, monkeypatch):
    def draws(*args):
        torch.rand(1000)
        return 900.0

    faked = on_gpu(monkeypatch, world)
    monkeypatch.setattr(resolve, "check_backend", lambda *args: None)
    monkeypatch.setattr(resolve, "_model_speed", draws)
    cfg = jobs.recipe(tiny, tmp_path / "run")
    policy = augment.policy(cfg.augment, models.preprocessing(cfg.model, cfg.data))
    before = torch.get_rng_state()
    backend, why = resolve._measured(cfg, faked, data.read_splits(tiny).train, policy)
    assert (backend, torch.equal(before, torch.get_rng_state())) == ("dali_gpu", True)
    assert "the CPU loads 100 images/s, the model takes 900" in why


def test_auto_takes_torch_where_dali_gpu_could_not_run(tiny, world, tmp_path, monkeypatch):
    faked = on_gpu(monkeypatch, world)

    def refuses(*args):
        raise ConfigError("nvidia-dali-cuda130 needs a driver for CUDA 13", "install the other")

    monkeypatch.setattr(resolve, "check_backend", refuses)
    cfg = jobs.recipe(tiny, tmp_path / "run")
    policy = augment.policy(cfg.augment, models.preprocessing(cfg.model, cfg.data))
    backend, why = resolve._measured(cfg, faked, data.read_splits(tiny).train, policy)
    assert backend == "torch"
    assert "needs a driver for CUDA 13" in why


def test_a_stated_backend_is_taken_silently(tiny, tmp_path, capsys):
    backend, said, _ = settled(tiny, tmp_path / "run", capsys, "loader.backend=dali_cpu")
    assert backend == "dali_cpu"
    assert "loader.backend" not in said


def test_a_resumed_run_keeps_its_backend(tiny, tmp_path, capsys):
    folder = tmp_path / "run"
    (folder / "checkpoints" / "step_00000001").mkdir(parents=True)
    stored = jobs.recipe(tiny, folder, "loader.backend=dali_cpu", "train.precision=fp32")
    files.write_atomic(folder / "config.yaml", config.to_yaml(stored))
    backend, said, _ = settled(tiny, folder, capsys)
    assert backend == "dali_cpu"
    assert "loader.backend" not in said


def test_importing_loaders_needs_no_dali(monkeypatch):
    monkeypatch.setitem(sys.modules, "nvidia.dali", None)
    importlib.reload(resolve)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_auto_on_a_gpu_measures_and_says_both_speeds(tiny, tmp_path, capsys):
    backend, said, facts = settled(tiny, tmp_path / "run", capsys)
    assert backend in ("torch", "dali_gpu")
    assert "images/s" in said
    assert "images/s" in facts["backend_why"]
