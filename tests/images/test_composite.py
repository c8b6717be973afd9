"""Cars cut out and put on other grounds; cameras turned."""

from contextlib import suppress

import cv2
import numpy as np
import pytest

from carscale import images
from carscale.images import composite


def scene(seed, middle=(96, 70), axes=(60, 32), size=(192, 128)):
    """A reddish ellipse on a grainy green ground, and where it is."""
    rng = np.random.default_rng(seed)
    width, height = size
    mask = np.zeros((height, width), np.uint8)
    cv2.ellipse(mask, middle, axes, 0, 0, 360, 1, cv2.FILLED)
    pixels = np.array([60, 120, 70]) + rng.normal(0, 14, (height, width, 3))
    car = np.array([170, 50, 45]) + rng.normal(0, 10, (height, width, 3))
    pixels[mask > 0] = car[mask > 0]
    return pixels.clip(0, 255).astype(np.uint8), mask.astype(bool)


def coarse(mask):
    """What a run may say of it: right, on a grid of 12 x 12."""
    return cv2.resize(mask.astype(np.float32), (12, 12), interpolation=cv2.INTER_AREA)


def test_a_car_is_cut_out_along_its_edge():
    pixels, mask = scene(0)
    found = composite.cut_out(pixels, coarse(mask))
    assert found.shape == mask.shape
    assert (found & mask).sum() / (found | mask).sum() > 0.95


def test_a_roof_that_the_run_does_not_know_is_added_or_refuses_the_mask():
    """Of another colour than car and ground: a low one is added, a high one makes it unsure."""
    for height, is_sure in ((8, True), (34, False)):
        pixels, mask = scene(0, middle=(96, 80), axes=(60, 32))
        roof = np.zeros_like(mask)
        roof[52 - height : 60, 70:122] = True
        roof &= ~mask
        grey = np.array([70, 70, 200]) + np.random.default_rng(3).normal(0, 8, (128, 192, 3))
        pixels[roof] = grey[roof].clip(0, 255).astype(np.uint8)
        if not is_sure:
            with pytest.raises(composite.BadMaskError, match="unsure roof: by colours the car is"):
                composite.cut_out(pixels, coarse(mask))
            continue
        found = composite.cut_out(pixels, coarse(mask))
        assert found[roof].mean() > 0.8


@pytest.mark.parametrize(
    "car",
    [np.zeros((12, 12)), np.ones((12, 12)), np.random.default_rng(0).random((12, 12))],
    ids=["nowhere", "everywhere", "noise"],
)
def test_masks_that_do_not_hold_are_refused(car):
    pixels, _ = scene(1)
    with pytest.raises(composite.BadMaskError):
        composite.cut_out(pixels, car)


@pytest.mark.parametrize("size", [(192, 1), (192, 3), (192, 4), (3, 192), (192, 12)])
def test_a_photo_as_thin_as_a_line_has_a_mask_or_none(size):
    pixels, _ = scene(0, middle=(size[0] // 2, size[1] // 2), axes=(60, 32), size=size)
    car = np.zeros((12, 12))
    car[3:10, 2:10] = 1
    with suppress(composite.BadMaskError):
        assert composite.cut_out(pixels, car).any()


def test_two_ways_to_cut_that_differ_are_refused():
    """Beside the car stands another thing, of which the run is not sure."""
    pixels, mask = scene(0, middle=(60, 70), axes=(50, 32))
    beside = np.zeros_like(mask)
    beside[20:110, 125:185] = True
    rng = np.random.default_rng(3)
    blue = np.array([40, 60, 200]) + rng.normal(0, 8, (128, 192, 3))
    pixels[beside] = blue[beside].clip(0, 255).astype(np.uint8)
    car = np.maximum(mask.astype(np.float32), 0.42 * beside)
    with pytest.raises(composite.BadMaskError, match="two ways to cut the car out"):
        composite.cut_out(pixels, car)


@pytest.mark.parametrize(
    ("shapes", "told"),
    [
        ([((20, 20), (6, 6))], "fills"),
        ([((50, 60), (40, 30)), ((150, 60), (30, 25))], "in pieces"),
        ([((96, 40), (80, 12)), ((40, 80), (12, 40))], "ragged"),
    ],
)
def test_shapes_that_are_no_car(shapes, told):
    mask = np.zeros((128, 192), np.uint8)
    for middle, axes in shapes:
        cv2.ellipse(mask, middle, axes, 0, 0, 360, 1, cv2.FILLED)
    with pytest.raises(composite.BadMaskError, match=told):
        composite.check_mask(mask.astype(bool))


def test_a_car_covers_the_one_that_stood_there():
    _, mask = scene(0)
    _, hidden = scene(1, middle=(80, 60), axes=(45, 24))
    place = composite.place_car(mask, (192, 128), hidden, (384, 256))
    assert place.leftover < 0.01
    corner = np.array([[place.left, place.top], [192, 128]])
    assert place.scale == pytest.approx(1.05 * 2 * 91 / 121, rel=0.03)
    assert np.isfinite(corner).all()
    tall = np.zeros((128, 192), bool)
    tall[2:126, 80:110] = True
    assert composite.place_car(mask, (192, 128), tall, (192, 128)).leftover > 0.02


def test_a_car_on_another_ground():
    car, mask = scene(0)
    ground, hidden = scene(1, middle=(90, 66), axes=(50, 26))
    ground = 255 - ground  # a violet ground, a cyan car
    place = composite.place_car(mask, (192, 128), hidden, (192, 128))
    made = composite.put_on_ground(car, mask, ground, hidden, place)
    assert made.shape == ground.shape
    assert (made[:10] == ground[:10]).all()  # far away nothing changes
    red = made[..., 0].astype(int) - made[..., 2]
    assert (red[50:80, 70:110] > 60).all()  # the car's own colour
    cyan = (ground[..., 1].astype(int) - ground[..., 0] > 60) & hidden
    still = (made[..., 1].astype(int) - made[..., 0] > 60) & hidden
    assert still.sum() < 0.02 * cyan.sum()  # the other car is gone
    foot = round(place.top + place.scale * 103)
    assert made[foot : foot + 3, 80:110].mean() < ground[foot : foot + 3, 80:110].mean() - 15


def test_a_camera_that_does_not_turn_changes_nothing():
    pixels, _ = scene(2)
    assert (images.turn_camera(pixels, 0, 0, 0) == pixels).all()


@pytest.mark.parametrize("angles", [(14, 0, 0), (-14, 6, 3), (8, -6, -3), (0, 0, 3)])
def test_a_turned_camera_sees_no_empty_corner(angles):
    """What lies beyond the photo would be mirrored: rings around its middle would fold back."""
    down, across = np.mgrid[:128, :192]
    rings = np.maximum(np.abs(down - 63.5) / 64, np.abs(across - 95.5) / 96)
    photo = np.repeat((250 * rings)[..., None], 3, axis=2).astype(np.uint8)
    turned = images.turn_camera(photo, *angles)
    edge = np.concatenate([turned[0], turned[-1], turned[:, 0], turned[:, -1]])[:, 0].astype(int)
    inner = turned[2:-2, 2:-2, 0].astype(int)
    border = np.concatenate([inner[0], inner[-1], inner[:, 0], inner[:, -1]])
    assert edge.mean() > border.mean()  # rings grow outwards up to the last pixel
    assert edge.max() <= 250
    assert 0.4 < turned.shape[0] / 128 <= 1
    assert turned.shape[1] / turned.shape[0] == pytest.approx(1.5, rel=0.03)


def test_a_turned_camera_moves_points_as_the_formula_says():
    """Of a dot: K R K^-1 x by hand, less the corner of the box that was cut."""
    width, height, yaw = 192, 128, 10.0
    focal = 1.2 * width

    def moved(x):  # yaw alone, on the middle row
        angle = np.radians(yaw)
        ray = np.array([(x - width / 2) / focal, 0, 1])
        turned = [
            np.cos(angle) * ray[0] + np.sin(angle) * ray[2],
            -np.sin(angle) * ray[0] + np.cos(angle) * ray[2],
        ]
        return focal * turned[0] / turned[1] + width / 2

    found = []
    for x in (70, 110):
        pixels = np.zeros((height, width, 3), np.uint8)
        cv2.circle(pixels, (x, height // 2), 3, (255, 255, 255), cv2.FILLED)
        turned = images.turn_camera(pixels, yaw, 0, 0)
        found.append(np.average(np.arange(turned.shape[1]), weights=turned[..., 0].sum(axis=0)))
    assert found[1] - found[0] == pytest.approx(moved(110) - moved(70), abs=0.5)


def test_exposure_is_in_linear_light():
    grey = np.full((2, 2, 3), 100, np.uint8)
    wanted = 255 * (2 * (100 / 255) ** 2.2) ** (1 / 2.2)
    assert abs(int(images.expose(grey, 1.0)[0, 0, 0]) - wanted) <= 0.5
    assert (images.expose(grey, 0.0) == grey).all()


def test_motion_blur_along_its_way_only():
    pixels = np.zeros((31, 31, 3), np.uint8)
    pixels[15, 15] = 255
    blurred = images.motion_blur(pixels, 8, 0.0).astype(int)
    assert blurred[15].sum() > 0.9 * blurred.sum()
    assert (blurred[15, 12:19, 0] > 10).all()
    assert blurred.sum() == pytest.approx(3 * 255, rel=0.05)
    assert images.motion_blur(pixels, 0.4, 30) is pixels
