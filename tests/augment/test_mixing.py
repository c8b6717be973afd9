"""Mixing pairs of photos: shares, rectangles, labels, and the blend against a naive loop."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torchvision.transforms.v2 import functional as F

from carscale import augment, config
from carscale.loaders import mixing
from carscale.types import View

SIDE = 24
POLICIES = ("mixup", "cutmix", "strong")


def params_of(policy, count, **settings_):
    cfg = config.Augment(policy=policy, **settings_)
    sizes = np.array([[60, 40]] * count)
    return augment.policy(cfg, View(image_px=SIDE))(3, 0, count, sizes)


def pictures(count):
    rng = np.random.default_rng(0)
    array = rng.integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8)
    return torch.from_numpy(array).permute(0, 3, 1, 2)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("count", [1, 2, 7, 32])
def test_the_blend_is_a_naive_loops(policy, count):
    params, images = params_of(policy, count, mix_prob=0.8), pictures(count)
    result = mixing.mixed(images, params)
    assert result.is_contiguous(memory_format=torch.channels_last)
    for row in range(count):
        partner = row + 1 if row % 2 == 0 else row - 1
        own = images[row].double()
        if partner >= count:
            assert params.own_share_B[row] == 1
            expected = own
        elif params.swap_B4[row, 2:].prod():
            left, top, width, height = params.swap_B4[row]
            expected = own.clone()
            part = (slice(None), slice(top, top + height), slice(left, left + width))
            expected[part] = images[partner].double()[part]
        else:
            share = float(params.own_share_B[row])
            expected = share * own + (1 - share) * images[partner].double()
        assert (result[row].double() - expected).abs().max() <= 0.5 + 1e-4


@pytest.mark.parametrize("policy", POLICIES)
def test_partners_give_each_other_the_same(policy):
    params = params_of(policy, 64)
    np.testing.assert_array_equal(params.own_share_B[::2], params.own_share_B[1::2])
    np.testing.assert_array_equal(params.swap_B4[::2], params.swap_B4[1::2])
    assert (params.own_share_B < 1).mean() > 0.8


def test_a_swapped_share_is_the_area_that_is_left():
    params = params_of("cutmix", 2000)
    area = params.swap_B4[:, 2:].prod(axis=1) / SIDE**2
    np.testing.assert_allclose(params.own_share_B, 1 - area, atol=1e-6)
    low, high = params.swap_B4[:, :2], params.swap_B4[:, :2] + params.swap_B4[:, 2:]
    assert low.min() >= 0
    assert high.max() <= SIDE


@pytest.mark.parametrize("alpha", [0.2, 1.0, 2.0])
def test_blended_shares_are_drawn_from_the_papers_beta(alpha):
    shares = params_of("mixup", 4000, mixup_alpha=alpha).own_share_B[::2]
    assert stats.kstest(shares, stats.beta(alpha, alpha).cdf).pvalue > 1e-3


@pytest.mark.parametrize("prob", [0.0, 0.3, 1.0])
def test_as_many_pairs_are_mixed_as_asked_for(prob):
    params = params_of("mixup", 4000, mix_prob=prob, mixup_alpha=1.0)
    hits = int((params.own_share_B[::2] < 1).sum())
    low, high = stats.binom.interval(1 - 1e-6, 2000, prob) if 0 < prob < 1 else (2000 * prob,) * 2
    assert low <= hits <= high


@given(first=st.integers(0, 20), pairs=st.integers(1, 8), cut=st.integers(0, 7))
@settings(deadline=None)
def test_even_cuts_mix_the_same_pairs(first, pairs, cut):
    policy = augment.policy(config.Augment(policy="strong"), View(image_px=SIDE))
    count, cut = 2 * pairs, min(2 * cut, 2 * pairs)
    sizes = np.array([[60, 40]] * count)
    whole = policy(0, 2 * first, 2 * first + count, sizes)
    part = policy(0, 2 * first + cut, 2 * first + count, sizes[cut:])
    np.testing.assert_array_equal(whole.own_share_B[cut:], part.own_share_B)
    np.testing.assert_array_equal(whole.swap_B4[cut:], part.swap_B4)


def test_the_photo_itself_is_drawn_as_without_mixing():
    mixed, simple = params_of("cutmix", 16), params_of("simple", 16)
    np.testing.assert_array_equal(mixed.affine_B23, simple.affine_B23)


def test_a_shrunk_partner_is_the_whole_photo_antialiased():
    count = 16
    params, images = params_of("resizemix", count, mix_prob=0.7), pictures(count)
    result = mixing.mixed(images, params)
    sides = params.swap_B4[:, 2]
    assert 0 < (sides > 0).sum() < count
    for row in range(count):
        left, top, width, height = params.swap_B4[row]
        expected = images[row].clone()
        if width:
            small = F.resize(images[row ^ 1].float(), [height, width], antialias=True)
            expected[:, top : top + height, left : left + width] = small.round().to(torch.uint8)
        assert (result[row].int() - expected.int()).abs().max() <= 1
        assert params.own_share_B[row] == pytest.approx(1 - width * height / SIDE**2)


def test_sides_of_shrunk_partners_are_drawn_from_the_papers_range():
    sides = params_of("resizemix", 4000).swap_B4[::2, 2] / SIDE
    assert stats.kstest(sides, stats.uniform(0.1, 0.7).cdf).statistic < 0.05  # whole pixels
    places = params_of("resizemix", 4000).swap_B4
    assert (places[:, :2] + places[:, 2:]).max() <= SIDE


def test_rectangles_are_exchanged_between_partners():
    params, images = params_of("snapmix", 32, mix_prob=0.6), pictures(32)
    assert params.own_share_B is None
    is_mixed = params.swap_B4[:, 2] > 0
    np.testing.assert_array_equal(is_mixed[::2], is_mixed[1::2])
    np.testing.assert_array_equal(params.source_B4, params.swap_B4[augment.partners(32)])
    result = mixing.mixed(images, params)
    for row in range(32):
        left, top, width, height = params.swap_B4[row]
        expected = images[row].clone()
        if width:
            x, y, w, h = params.source_B4[row]
            part = images[row ^ 1][:, y : y + h, x : x + w].float()
            small = F.resize(part, [height, width], antialias=True)
            expected[:, top : top + height, left : left + width] = small.round().to(torch.uint8)
        assert (result[row].int() - expected.int()).abs().max() <= 1
    areas = params_of("snapmix", 4000, snapmix_alpha=5.0).swap_B4[:, 2:].prod(axis=1) / SIDE**2
    assert 0.3 < areas.mean() < 0.5  # Beta(5, 5), cut at the borders


def test_pasted_photos_are_cut_as_cutmix_cuts_each_picture_for_itself():
    params = params_of("cmo", 4000, mix_prob=0.5)
    share = float((params.own_share_B < 1).mean())
    assert 0.45 < share < 0.52  # an empty rectangle now and then
    whole, part = (
        params_of("cmo", 12),
        augment.policy(config.Augment(policy="cmo"), View(image_px=SIDE))(
            3, 5, 12, np.array([[60, 40]] * 7)
        ),
    )
    np.testing.assert_array_equal(whole.swap_B4[5:], part.swap_B4)
