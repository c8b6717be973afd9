"""Parameters of policies: ranges, geometry, pairing."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carscale import augment, config
from carscale.augment.policies import POLICIES
from carscale.types import View

SIZES = st.tuples(st.integers(1, 5000), st.integers(1, 5000))


def corners(affine_23: np.ndarray, side: int) -> np.ndarray:
    points = np.array([[0, side, 0, side], [0, 0, side, side], [1, 1, 1, 1]])
    return affine_23 @ points


@given(size=SIZES, seed=st.integers(0, 99), scale=st.floats(0.05, 1))
@settings(deadline=None)
def test_simple_crops_lie_inside_the_photo(size, seed, scale):
    cfg = config.Augment(policy="simple", crop_scale_min=scale)
    view = View(image_px=64, fit="crop")
    params = augment.policy(cfg, view)(seed, 0, 16, np.array([size] * 16))
    for affine_23 in params.affine_B23:
        x, y = corners(affine_23, 64)
        slack = 1e-6 * max(size)
        assert x.min() >= -slack
        assert x.max() <= size[0] + slack
        assert y.min() >= -slack
        assert y.max() <= size[1] + slack
        aspect = np.ptp(x) / np.ptp(y)
        assert 3 / 4 - 1e-6 <= aspect <= 4 / 3 + 1e-6


@given(size=SIZES, seed=st.integers(0, 99), scale=st.floats(0.05, 1))
@settings(deadline=None)
def test_simple_crops_of_a_padded_view_hold_the_photo_or_lie_in_it(size, seed, scale):
    cfg = config.Augment(policy="simple", crop_scale_min=scale)
    params = augment.policy(cfg, View(image_px=64, fit="pad"))(seed, 0, 8, np.array([size] * 8))
    for affine_23 in params.affine_B23:
        for axis, length in zip(corners(affine_23, 64), size, strict=True):
            slack = 1e-6 * max(size)
            inside = axis.min() >= -slack and axis.max() <= length + slack
            around = axis.min() <= slack and axis.max() >= length - slack
            assert inside or around


@given(size=SIZES, seed=st.integers(0, 99))
@settings(deadline=None)
def test_simple_crops_of_a_squashed_view_lie_inside_the_photo(size, seed):
    cfg = config.Augment(policy="simple")
    params = augment.policy(cfg, View(image_px=64, fit="squash"))(seed, 0, 8, np.array([size] * 8))
    for affine_23 in params.affine_B23:
        for axis, length in zip(corners(affine_23, 64), size, strict=True):
            assert axis.min() >= -1e-6 * length
            assert axis.max() <= length * (1 + 1e-6)


def test_simple_keeps_the_share_of_area_where_it_fits():
    cfg = config.Augment(policy="simple", crop_scale_min=0.3)
    params = augment.policy(cfg, View(image_px=32))(0, 0, 4000, np.array([[200, 200]] * 4000))
    area = np.abs(np.linalg.det(params.affine_B23[:, :, :2])) * 32**2 / 200**2
    assert 0.25 < area.min() < 0.32  # a wide crop of much area shrinks a little
    assert 0.97 < area.max() <= 1
    flips = (params.affine_B23[:, 0, 0] < 0).mean()
    assert abs(flips - 0.5) < 4 * np.sqrt(0.25 / 4000)


@pytest.mark.parametrize("fit", ["pad", "crop", "squash"])
@given(size=SIZES)
@settings(deadline=None)
def test_plain_view_is_centred_and_keeps_or_fills(fit, size):
    side = 96
    affine_23 = augment.plain(np.array([size]), View(image_px=side, fit=fit)).affine_B23[0]
    x, y = corners(affine_23, side)
    step_x, step_y = affine_23[0, 0], affine_23[1, 1]
    if fit == "squash":
        np.testing.assert_allclose([x.min(), x.max(), y.min(), y.max()], [0, size[0], 0, size[1]])
        return
    inside = x.min() >= -1e-6 and x.max() <= size[0] + 1e-6
    if fit == "crop":  # nothing but photo
        assert inside
        assert y.min() >= -1e-6
        assert y.max() <= size[1] + 1e-6
    else:  # all of the photo
        assert x.min() <= 1e-6
        assert x.max() >= size[0] - 1e-6
        assert y.min() <= 1e-6
        assert y.max() >= size[1] - 1e-6
    # centred, but for one pixel of the output: an odd one lies on one side
    assert abs(x.min() + x.max() - size[0]) <= max(1, step_x) + 1e-6
    assert abs(y.min() + y.max() - size[1]) <= max(1, step_y) + 1e-6


def test_standard_rotates_about_the_centre_and_keeps_scale():
    quiet = {"brightness": 0, "contrast": 0, "saturation": 0, "shift": 0}
    sizes = np.array([[300, 200]] * 500)
    view = View(image_px=50)
    cfg = config.Augment(policy="standard", rotate_degrees=20, **quiet)
    turned = augment.policy(cfg, view)(0, 0, 500, sizes)
    straight = augment.policy(config.Augment(policy="simple"), view)(0, 0, 500, sizes)
    centre = np.array([25, 25, 1])
    np.testing.assert_allclose(turned.affine_B23 @ centre, straight.affine_B23 @ centre)
    np.testing.assert_allclose(
        np.linalg.det(turned.affine_B23[:, :, :2]), np.linalg.det(straight.affine_B23[:, :, :2])
    )
    inner = np.linalg.inv(straight.affine_B23[:, :, :2]) @ turned.affine_B23[:, :, :2]
    degrees = np.rad2deg(np.arctan2(inner[:, 1, 0], inner[:, 0, 0]))
    assert 19 < np.abs(degrees).max() <= 20
    np.testing.assert_array_equal(turned.colour_B3[0], [1, 1, 1])


def test_colour_factors_are_drawn_from_their_columns():
    params = augment.policy(config.Augment(), View(image_px=8))(5, 0, 50, np.array([[9, 9]] * 50))
    draws = 2 * augment.uniforms(5, "augment", 0, 50) - 1
    np.testing.assert_allclose(params.colour_B3, 1 + 0.25 * draws[:, 8:11], rtol=1e-6)


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_parameters_do_not_depend_on_the_range_asked_for(name):
    sizes = np.array([[100 + n, 80] for n in range(12)])
    policy = augment.policy(config.Augment(policy=name), View(image_px=32))
    whole = policy(1, 4, 16, sizes)
    part = policy(1, 8, 12, sizes[4:8])
    cut = whole.rows(4, 8)
    for field in dataclasses.fields(cut.geometry):
        one, other = (getattr(p.geometry, field.name) for p in (cut, part))
        np.testing.assert_array_equal(one, other, err_msg=field.name)
    for field in dataclasses.fields(cut):
        if field.name != "geometry" and getattr(part, field.name) is not None:
            np.testing.assert_array_equal(getattr(cut, field.name), getattr(part, field.name))


def test_every_policy_of_the_schema_exists():
    assert set(POLICIES) == set(config.Augment.model_fields["policy"].annotation.__args__)
