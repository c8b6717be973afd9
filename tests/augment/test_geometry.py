"""The plan of an affine against what the affine says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carscale import augment, config
from carscale.augment.geometry import axis_aligned, compose, mirrored, planned, snapped
from carscale.augment.policies import POLICIES
from carscale.types import View

SIDE = 48
LENGTH = st.integers(1, 4000)


@given(
    size=st.tuples(LENGTH, LENGTH),
    scale=st.tuples(st.floats(0.05, 90), st.floats(0.05, 90)),
    at=st.tuples(st.floats(-0.9, 0.9), st.floats(-0.9, 0.9)),
)
@settings(deadline=None, max_examples=300)
def test_snapped_moves_no_border_by_more_than_a_pixel(size, scale, at):
    sizes_B2, scale_B2 = np.array([size]), np.array([scale])
    # some of the photo shows: the square begins between its far ends
    reach_B2 = np.where(np.array([at]) < 0, scale_B2 * SIDE, sizes_B2)
    before = axis_aligned(scale_B2, np.array([at]) * reach_B2)
    after = snapped(before, sizes_B2, SIDE)
    plan = planned(after, sizes_B2, SIDE)
    assert not plan.is_warped_B[0]
    for axis in range(2):
        s0, o0 = before[0, axis, axis], before[0, axis, 2]
        s1, o1 = after[0, axis, axis], after[0, axis, 2]
        for border in (0, size[axis]):  # where the photo ends, in the square
            was = np.clip((border - o0) / s0, 0, SIDE)
            now = np.clip((border - o1) / s1, 0, SIDE)
            assert abs(was - now) <= 1.5  # 1 but for a photo thinner than a pixel
        if o0 > 0:  # the square begins inside the photo
            assert -1e-6 <= o0 - o1 <= max(1, s0) + 1e-6
            assert o1 % plan.denominator_B[0] < 1e-6


@pytest.mark.parametrize("fit", ["pad", "crop", "squash"])
@pytest.mark.parametrize("name", [*sorted(POLICIES), "plain"])
@given(size=st.tuples(LENGTH, LENGTH), seed=st.integers(0, 999))
@settings(deadline=None, max_examples=25)
def test_the_plan_reaches_every_pixel_that_the_affine_sees(fit, name, size, seed):
    view = View(image_px=SIDE, fit=fit)
    sizes_B2 = np.array([size] * 4)
    if name == "plain":
        params = augment.plain(sizes_B2, view)
    else:
        params = augment.policy(config.Augment(policy=name), view)(seed, 0, 4, sizes_B2)
    plan = params.geometry
    centres_3P = np.ones((3, SIDE, SIDE))
    centres_3P[:2] = np.mgrid[0:SIDE, 0:SIDE][::-1] + 0.5
    for b in range(4):
        seen_2P = params.affine_B23[b] @ centres_3P.reshape(3, -1)
        left, top, right, bottom = plan.region_B4[b]
        assert 0 <= left < right <= size[0]
        assert 0 <= top < bottom <= size[1]
        assert left % plan.denominator_B[b] == 0
        assert top % plan.denominator_B[b] == 0
        inside = (seen_2P >= 0).all(axis=0) & (seen_2P <= np.array(size)[:, None]).all(axis=0)
        corner, far = np.array([[left], [top]]), np.array([[right], [bottom]])
        reached = (seen_2P >= corner - 1e-2) & (seen_2P <= far + 1e-2)
        assert reached[:, inside].all()
        # through the plan, output pixel -> place in the region -> the same source pixel
        per_px_2 = plan.span_B2[b] / plan.small_B2[b]
        if plan.is_warped_B[b]:
            small_2P = plan.warp_B23[b] @ centres_3P.reshape(3, -1)
        else:
            small_2P = centres_3P.reshape(3, -1)[:2].copy()
            if plan.is_mirrored_B[b]:
                small_2P[0] = SIDE - small_2P[0]
            small_2P -= plan.place_B2[b][:, None]
        again_2P = small_2P * per_px_2[:, None] + corner
        np.testing.assert_allclose(again_2P, seen_2P, atol=2e-3 * max(1, *per_px_2))


@given(scale=st.floats(0.1, 40))
def test_the_scaled_decode_covers_the_output(scale):
    affine = axis_aligned(np.array([[scale, scale]]), np.zeros((1, 2)))
    size = np.array([[round(scale * SIDE) + 1] * 2])
    plan = planned(snapped(affine, size, SIDE), size, SIDE)
    denominator = plan.denominator_B[0]
    assert denominator in (1, 2, 4, 8)
    shrinks_by = (plan.span_B2 / plan.small_B2).min()
    assert denominator <= max(1, shrinks_by * (1 + 1e-9))
    assert denominator == 8 or 2 * denominator > shrinks_by * (1 - 1e-9)


def test_mirrored_and_compose_are_what_they_say():
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(2, 5, 2, 3))
    point = np.array([3.0, 7.0])
    for b in range(5):
        inner = other[b, :, :2] @ point + other[b, :, 2]
        wanted = one[b, :, :2] @ inner + one[b, :, 2]
        both = compose(one, other)[b]
        np.testing.assert_allclose(both[:, :2] @ point + both[:, 2], wanted)
    flipped = mirrored(one, np.array([True, False] * 2 + [True]), 10)
    at, across = np.array([3.0, 7, 1]), np.array([7.0, 7, 1])
    np.testing.assert_allclose(flipped[0] @ at, one[0] @ across)
    np.testing.assert_array_equal(flipped[1], one[1])


def test_a_rotated_or_half_pixel_affine_is_warped():
    sizes = np.array([[100, 100]] * 3)
    affine = axis_aligned(np.full((3, 2), 2.0), np.zeros((3, 2)))
    affine[1, 0, 1] = 0.1
    affine[2, 0, 2] = 0.5
    assert planned(affine, sizes, 40).is_warped_B.tolist() == [False, True, True]
