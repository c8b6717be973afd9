"""What speaks against a photo: planted faults are found, good photos pass."""

import numpy as np

from carscale import data, images, synth


def test_dark_and_blurred_photos_are_of_low_quality(tiny):
    real = data.photo_stats(tiny)
    rng = np.random.default_rng(0)
    good = np.kron(rng.integers(40, 220, (16, 20, 3)), np.ones((4, 4, 1))).astype(np.uint8)
    made = [good, good // 16, np.full_like(good, 128)]
    stats = images.empty_stats(3)
    for row, pixels in enumerate(made):
        stats[row] = images.measure(images.encode_png(pixels))
    found = synth.quality_reasons(real, stats)
    assert "dark" in found[1]
    assert "low information" in found[2]
    assert 0 not in found


def test_a_photo_must_be_among_the_first_five_of_a_model():
    top = {1: list("abcde"), 2: list("abcde"), 9: list("zbcde")}
    names = {1: "e", 2: "f", 9: "b"}
    assert set(synth.class_reasons(top, names, 20)) == {2}
    assert "which says a" in synth.class_reasons(top, names, 1000)[2]
    assert set(synth.class_reasons(top, names, 12)) == {1, 2}  # of the first three
    assert set(synth.class_reasons(top, names, 3)) == {1, 2, 9}


def test_outliers_lie_farther_off_than_real_photos_do():
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((20, 32))
    real = (centres.repeat(30, axis=0) + 0.3 * rng.standard_normal((600, 32))).astype(np.float32)
    good = (centres + 0.3 * rng.standard_normal((20, 32))).astype(np.float32)
    odd = rng.standard_normal((20, 32)).astype(np.float32)
    nearest = synth.NearestPhotos.of(real)
    found = synth.outlier_reasons(nearest, np.concatenate([good, odd]))
    assert set(found) >= set(range(20, 40))
    assert len([row for row in found if row < 20]) <= 2
    each = synth.outlier_reasons(nearest, 7 * odd)  # length says nothing
    assert len(each) == 20


def test_one_percent_of_real_photos_lie_beyond_the_limit():
    rng = np.random.default_rng(1)
    real = rng.standard_normal((3000, 16)).astype(np.float32)
    nearest = synth.NearestPhotos.of(real)
    unit = real / np.linalg.norm(real, axis=1, keepdims=True)
    alike = unit @ unit.T
    np.fill_diagonal(alike, -1)
    near = np.sort(alike, axis=1)[:, -3:].mean(axis=1)  # naive: all against all
    assert abs((near < nearest.limit).mean() - 0.01) < 1e-3
