"""Progressive resizing: stages by step, on every backend, from any step."""

import dataclasses

import jobs
import numpy as np
import pytest
import torch

from carscale import augment, config, data, loaders, models
from carscale.loaders.progressive_resize import ResizeSchedule
from carscale.world import open_world


def grown(first, last, num_samples=640, **train):
    return loaders.resize_schedule(
        config.Recipe(
            data=config.Data(image_px=last),
            loader=config.Loader(global_batch_size=64),
            train=config.Train(grow_from_px=first, **train),
        ),
        num_samples,
    )


def test_sides_grow_evenly_over_the_run():
    assert grown(128, 224, num_epochs=8) == ResizeSchedule((128, 160, 192, 224), (20, 40, 60))
    assert grown(128, 224, num_epochs=8, max_steps=8) == ResizeSchedule(
        (128, 160, 192, 224), (2, 4, 6)
    )
    assert grown(0, 224) is None


@pytest.mark.parametrize(("first", "last"), [(16, 16), (17, 30), (90, 100), (250, 252), (200, 224)])
def test_sides_never_pass_the_last_and_each_stage_differs(first, last):
    resize_schedule = grown(first, last, num_epochs=8)
    assert resize_schedule.sides[-1] == last
    assert list(resize_schedule.sides) == sorted(set(resize_schedule.sides))
    assert len(resize_schedule.ends) == len(resize_schedule.sides) - 1


@pytest.mark.parametrize("backend", ["torch", pytest.param("dali_cpu", marks=pytest.mark.dali)])
def test_batches_have_their_stages_side_from_any_step(tiny, tmp_path, backend):
    if backend != "torch":
        pytest.importorskip("nvidia.dali", reason="nvidia-dali is missing")
    cfg = jobs.recipe(tiny, tmp_path / "run")
    view = models.preprocessing(cfg.model, cfg.data)
    loader_cfg = config.Loader(backend=backend, global_batch_size=4, num_threads=1)
    policy = augment.policy(config.Augment(policy="strong"), view)
    resize_schedule = ResizeSchedule((16, 32, view.image_px), (2, 5))
    with open_world(num_cpu_threads=1) as world:
        train = data.read_splits(tiny).train

        def of(policy, resize_schedule=None):
            return loaders.train_loader(
                loader_cfg, train, policy, world, seed=0, resize_schedule=resize_schedule
            )

        whole = list(of(policy, resize_schedule).batches(0, 7, 2))
        sides = [batch.images_BCHW.shape[-1] for batch in whole]
        assert sides == [16] * 4 + [32] * 6 + [view.image_px] * 4
        for step in (1, 2, 4, 6):
            rest = list(of(policy, resize_schedule).batches(step, 7, 2))
            assert len(rest) == 2 * (7 - step)
            for one, other in zip(whole[2 * step :], rest, strict=True):
                torch.testing.assert_close(one.images_BCHW, other.images_BCHW, rtol=0, atol=0)
                assert torch.equal(one.ids_B, other.ids_B)
        small = of(augment.policy(policy.cfg, dataclasses.replace(view, image_px=32)))
        alike = list(small.batches(2, 5, 2))
        for one, other in zip(whole[4:10], alike, strict=True):
            np.testing.assert_array_equal(one.images_BCHW.numpy(), other.images_BCHW.numpy())
