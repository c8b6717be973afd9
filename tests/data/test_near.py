"""Near duplicates: the demo's truth, all pairs against a naive loop, floods of like photos."""

import io
import json
import time

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from carscale import data, images, tables
from carscale.data.photos import near_duplicates
from carscale.demo.makes import build_classes
from carscale.demo.scene import take_photo
from carscale.images.canvas import crop_pixels

CARS = build_classes(6, 120)


@pytest.fixture(scope="module")
def photos():
    """60 drawn photos of 6 classes."""
    return [take_photo(CARS[n % 6], np.random.default_rng(n)) for n in range(60)]


def signature_of(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "BMP")  # without loss, as PNG, and 100 times as fast
    return images.measure(file.getvalue()).signature


def textures(count, seed=0):
    """Smooth random pictures, uint8 ``[N, 32, 32]``."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(0, 1, (count, 8, 8)).astype(np.float32)
    smooth = images.crop_hashes(
        coarse.repeat(4, axis=1).repeat(4, axis=2), down=(0.1, 0.9), across=(0.1, 0.9)
    )
    return (128 + 40 * smooth).clip(0, 255).astype(np.uint8)


def found(signatures_NSS, **options):
    return data.near_pairs(images.perceptual_hashes(signatures_NSS), signatures_NSS, **options)


@pytest.mark.parametrize("seed", [0, 1])
def test_every_near_duplicate_of_the_demo_is_found_and_nothing_else(drawn_demo, seed):
    raw, root = drawn_demo(seed)
    truth = json.loads((raw / "truth.json").read_text())
    sources = tables.read_columns(root / "manifest.parquet", ["source"])["source"]
    measured = data.photo_stats(root)
    pairs = data.near_pairs(measured.phashes_N, measured.signatures_NSS)
    names = {frozenset(sources[rows]) for rows in pairs.rows_P2}
    kinds = ("near_duplicates", "near_duplicates_other_label")
    kinds += ("exact_duplicates", "duplicates_across_classes")
    assert names == {frozenset(pair) for kind in kinds for pair in truth[kind]}


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), radius=st.integers(0, 8), many=st.booleans())
def test_pairs_are_those_of_a_naive_loop(seed, radius, many):
    rng = np.random.default_rng(seed)
    base = textures(30, seed)
    copies = base[rng.integers(30, size=60)] + rng.integers(0, 12, (60, 1, 1)).astype(np.uint8)
    hashes_N = images.perceptual_hashes(copies)
    flips = rng.integers(0, 64, (60, 6))
    for column in range(6):  # hashes that differ by a few bits from what they should be
        hashes_N ^= np.uint64(1) << flips[:, column].astype(np.uint64)
    wanted = {
        (a, b)
        for a in range(60)
        for b in range(a + 1, 60)
        if np.bitwise_count(hashes_N[a] ^ hashes_N[b]) <= radius
        and np.corrcoef(copies[a].ravel(), copies[b].ravel())[0, 1] >= 0.97
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(near_duplicates, "FEW", 0 if many else 10_000)
        whole = (((0, 1), (0, 1)),)
        for name, value in (("CROPS", whole), ("TRIMS", whole), ("FINE_TRIMS", ()), ("STEPS", ())):
            patch.setattr(near_duplicates, name, value)
        pairs = data.near_pairs(hashes_N, copies, radius=radius, min_correlation=0.97)
    assert {tuple(pair) for pair in pairs.rows_P2.tolist()} == wanted
    assert (pairs.correlations_P >= 0.97).all()


@pytest.mark.parametrize("share", [0.005, 0.01, 0.015, 0.02, 0.025, 0.03])
def test_a_copy_cut_at_its_sides_is_found(photos, share):
    whole = photos[:12]
    cut = [crop_pixels(pixels, share) for pixels in whole]
    looks = [signature_of(pixels) for pixels in whole + cut]
    pairs = found(np.stack(looks))
    assert pairs.rows_P2.tolist() == [[n, 12 + n] for n in range(12)]


def test_a_copy_with_a_tenth_cut_off_anywhere_is_found(photos):
    rng = np.random.default_rng(3)
    cut = []
    for pixels in photos:
        height, width = (round(0.9 * side) for side in pixels.shape[:2])
        top, left = (
            rng.integers(0, full - part + 1)
            for full, part in zip(pixels.shape[:2], (height, width), strict=True)
        )
        cut.append(pixels[top : top + height, left : left + width])
    looks = [signature_of(pixels) for pixels in photos + cut]
    pairs = {tuple(pair) for pair in found(np.stack(looks)).rows_P2.tolist()}
    wanted = {(n, 60 + n) for n in range(60)}
    assert len(pairs & wanted) >= 0.9 * 60
    assert pairs <= wanted


def test_other_light_and_contrast_are_the_same_photo_and_other_photos_are_not():
    photos = textures(200)
    pairs = found(np.concatenate([photos, (photos[:5] * 0.6 + 30).astype(np.uint8)]))
    assert pairs.rows_P2.tolist() == [[n, 200 + n] for n in range(5)]


def test_plain_photos_have_no_pairs_and_equal_ones_stay_cheap():
    rng = np.random.default_rng(0)
    plain = (128 + rng.integers(0, 3, (20_000, 32, 32))).astype(np.uint8)
    assert len(found(plain).rows_P2) == 0
    began = time.monotonic()
    flood = np.concatenate([textures(10), textures(1, 7).repeat(20_000, axis=0)])
    pairs = found(flood)
    assert time.monotonic() - began < 60
    assert len(pairs.rows_P2) < 40 * 20_000
    assert [len(group) for group in data.near_groups(pairs)] == [20_000]


def test_groups_are_whole_and_ordered():
    photos = textures(6)[[0, 1, 0, 2, 1, 0, 3, 4]]
    groups = data.near_groups(found(photos))
    assert [group.tolist() for group in groups] == [[0, 2, 5], [1, 4]]
    assert data.near_groups(found(photos[:0])) == []
    assert data.near_groups(found(photos[:1])) == []


def test_wrong_arguments_are_named():
    photos = textures(3)
    with pytest.raises(ValueError, match="2 hashes for 3 signatures"):
        data.near_pairs(images.perceptual_hashes(photos)[:2], photos)
    with pytest.raises(ValueError, match="radius must be 0 to 8 bits, got 9"):
        found(photos, radius=9)


def test_few_photos_are_searched_by_one_thread_and_the_number_is_put_back():
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(3)
    try:
        with near_duplicates._threads_for(near_duplicates.FEW_COMPARISONS):
            assert faiss.omp_get_max_threads() == 1
        with near_duplicates._threads_for(near_duplicates.FEW_COMPARISONS + 1):
            assert faiss.omp_get_max_threads() == 3
        rows = np.random.default_rng(0).integers(0, 256, (4, 32, 32)).astype(np.uint8)
        near_duplicates.near_pairs(images.perceptual_hashes(rows), rows)
        assert faiss.omp_get_max_threads() == 3
    finally:
        faiss.omp_set_num_threads(before)
