"""Car places: learned from where cars stand, found where they stand elsewhere."""

import numpy as np
import pytest

from carscale import synth

CELLS, FEATURES = 12, 40


def features(rng, middle, num_photos):
    """Feature maps in which an ellipse around ``middle`` looks like a car."""
    down, across = np.mgrid[:CELLS, :CELLS] / CELLS
    is_car = np.hypot((across - middle[0]) / 0.42, (down - middle[1]) / 0.3) < 1
    car = np.where(np.arange(FEATURES) < 8, 1.0, 0.0)
    noise = rng.standard_normal((num_photos, CELLS, CELLS, FEATURES))
    return (noise + 1.5 * is_car[..., None] * car).astype(np.float32), is_car


def test_a_car_is_found_also_where_no_other_stood():
    rng = np.random.default_rng(0)
    taught, _ = features(rng, (0.5, 0.55), 60)
    places = synth.fit_places(taught)
    for middle in ((0.5, 0.55), (0.3, 0.35)):
        asked, is_car = features(rng, middle, 20)
        found = synth.car_probability(places, asked) > 0.5
        assert found[:, is_car].mean() > 0.9
        assert found[:, ~is_car].mean() < 0.2


def test_probabilities_and_their_shape():
    rng = np.random.default_rng(1)
    taught, _ = features(rng, (0.5, 0.5), 30)
    found = synth.car_probability(synth.fit_places(taught), taught[:3])
    assert found.shape == (3, CELLS, CELLS)
    assert found.dtype == np.float32
    assert found.min() >= 0
    assert found.max() <= 1


@pytest.mark.parametrize("shape", [(19, 12, 12, 4), (40, 5, 12, 4)])
def test_too_little_to_learn_from(shape):
    with pytest.raises(ValueError, match="20 photos or more"):
        synth.fit_places(np.zeros(shape, np.float32))
