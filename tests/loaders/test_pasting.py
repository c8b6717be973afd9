"""``cmo``: which photos are pasted, what their labels count, and the same by any cut of a batch."""

import jobs
import numpy as np
import pytest
import torch
from scipy import stats

from carscale import augment, balance, config, data, loaders, models
from carscale.world import open_world

CUT = {"mix_prob": 0.6}


@pytest.fixture(params=["torch", pytest.param("dali_cpu", marks=pytest.mark.dali)])
def loader_of(request, tiny, tmp_path):
    if request.param != "torch":
        pytest.importorskip("nvidia.dali", reason="nvidia-dali is missing")
    cfg, splits = jobs.recipe(tiny, tmp_path / "run"), data.read_splits(tiny)
    view = models.preprocessing(cfg.model, cfg.data)
    with open_world(num_cpu_threads=1) as world:

        def make(**settings):
            policy = augment.policy(config.Augment(policy="cmo", **settings), view)
            loader = config.Loader(backend=request.param, global_batch_size=12)
            return loaders.train_loader(loader, splits.train, policy, world, seed=0)

        yield make


def test_a_batch_is_the_photos_with_rectangles_of_the_drawn_ones(loader_of):
    loader = loader_of(**CUT)
    batch, plan = next(loader.batches(0, 1, 1)), loader.plan(0, 0, 1)
    own = next(loader_of(mix_prob=0.0).batches(0, 1, 1))
    assert len(batch.images_BCHW) == len(batch.labels_B) == len(batch.ids_B) == 12
    assert torch.equal(batch.ids_B, own.ids_B)
    labels_N, is_mixed_B = loader.split.labels_N, plan.partners_B >= 12
    assert 0 < is_mixed_B.sum() == len(plan.rows_B) - 12
    assert batch.partner_labels_B.tolist() == labels_N[plan.rows_B[plan.partners_B]].tolist()
    for row in range(12):
        left, top, width, height = plan.params.swap_B4[row]
        assert (width * height > 0) == is_mixed_B[row]
        is_own = torch.ones(batch.images_BCHW.shape[2:], dtype=torch.bool)
        is_own[top : top + height, left : left + width] = False
        same = (batch.images_BCHW[row] == own.images_BCHW[row]).all(dim=0)
        assert same[is_own].all()
        assert not is_mixed_B[row] or not same[~is_own].all()
        assert batch.own_share_B[row] == pytest.approx(float(is_own.float().mean()))


@pytest.mark.parametrize("power", [0.0, 1.0, 2.0])
def test_photos_are_pasted_as_often_as_the_authors_sampler_draws_them(loader_of, power):
    loader = loader_of(cmo_power=power)
    labels_N, counts_K = loader.split.labels_N, loader.split.counts_K
    drawn = loader.paste_stream.rows(0, 8000)
    assert not np.array_equal(drawn[:100], loader.stream.rows(0, 100))
    weights_N = [1 / counts_K[label] ** power for label in labels_N]
    theirs = torch.utils.data.WeightedRandomSampler(
        weights_N, 8000, generator=torch.Generator().manual_seed(1)
    )
    found_2K = [np.bincount(labels_N[rows], minlength=len(counts_K)) for rows in (drawn, [*theirs])]
    assert stats.chi2_contingency(found_2K).pvalue > 1e-3


@pytest.mark.parametrize("micro_steps", [2, 3])
def test_micro_steps_paste_what_one_step_pastes(loader_of, micro_steps):
    loader = loader_of(**CUT)
    (whole,) = loader.batches(3, 4, 1)
    parts = list(loader.batches(3, 4, micro_steps))
    for name in ("images_BCHW", "ids_B", "partner_labels_B", "own_share_B"):
        assert torch.equal(torch.cat([getattr(one, name) for one in parts]), getattr(whole, name))


def test_a_window_weighs_as_much_as_its_labels_count(loader_of):
    loader = loader_of(**CUT)
    loss = balance.loss(config.Balance(class_weights="inverse"), loader.split.counts_K)
    (batch,) = loader.batches(2, 3, 1)
    weights_B, other_B = loss.weights_L[batch.labels_B], loss.weights_L[batch.partner_labels_B]
    wanted = (batch.own_share_B * weights_B + (1 - batch.own_share_B) * other_B).sum()
    assert loss.accumulation_weight(*loader.accumulation_labels(2)) == pytest.approx(float(wanted))
