"""The domain gap: none between halves of one set, and the right one where there is one."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

from carscale import curate, data, images
from carscale.errors import DataError


def as_photo(signature_SS: np.ndarray) -> bytes:
    """A grey copy as a photo of its own."""
    return images.encode_png(signature_SS.repeat(4, 0).repeat(4, 1)[..., None].repeat(3, axis=2))


def stats_of(rng: np.random.Generator, count: int, *, name: str = "set", **shift: float):
    """Stats of photos that were never drawn; a shift moves an attribute by deviations."""
    usual = {
        "brightness": (105, 22),
        "contrast": (62, 12),
        "sharpness": (1.0, 0.14),
        "information": (7.5, 0.2),
        "saturation": (20, 10),
        "red": (106, 25),
        "green": (102, 25),
        "blue": (103, 25),
        "width": (330, 60),
        "height": (190, 30),
        "num_bytes": (17_000, 4000),
        "quality": (85, 4),
    }
    values = {
        key: middle + spread * (rng.normal(size=count) + shift.get(key, 0))
        for key, (middle, spread) in usual.items()
    }
    values["width"], values["height"] = (
        np.maximum(20, values[key]).round() for key in ("width", "height")
    )
    signatures_NSS = rng.integers(0, 256, (count, 32, 32)).astype(np.uint8)
    return curate.MeasuredPhotos(
        name=name,
        values=values,
        phashes_N=images.perceptual_hashes(signatures_NSS),
        signatures_NSS=signatures_NSS,
        sha256_N=np.array([f"{name}{number}" for number in range(count)], dtype=object),
        photos=[
            data.SourcePhoto(
                f"{name}/{number}", lambda number=number: as_photo(signatures_NSS[number])
            )
            for number in range(count)
        ],
        splits_N=np.full(count, "train", dtype=object),
        total=count,
    )


def columns_of(stats):
    values = stats.values
    return {key: values[key] for key in ("brightness", "contrast", "sharpness", "quality", "red")}


def test_halves_of_one_set_rarely_show_a_gap():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(200):
        whole = stats_of(rng, 300)
        order = rng.permutation(300)
        halves = [columns_of(whole.rows(part)) for part in (order[:170], order[170:])]
        gaps = curate.attribute_gaps(*halves)
        found.append(any(one.p < 0.05 for one in gaps))
        assert all(one.low <= one.delta <= one.high for one in gaps)
    assert np.mean(found) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)


def test_halves_are_not_told_apart_and_p_is_uniform():
    p = []
    for seed in range(40):
        points = np.random.default_rng(seed).normal(size=(120, 6))
        told = curate.classifier_two_sample_test(
            points[:60], points[60:], what="x", num_permutations=19, seed=seed
        )
        p.append(told.p)
    assert np.mean(np.array(p) <= 0.05) <= 0.15
    assert 0.35 < np.mean(p) < 0.65


def test_accuracy_is_that_of_scikit_learn():
    rng = np.random.default_rng(4)
    one, other = rng.normal(size=(300, 4)), rng.normal((0.8, 0, 0, 0), 1, (300, 4))
    told = curate.classifier_two_sample_test(one, other, what="x", num_permutations=19)
    labels = np.repeat([0, 1], 300)
    wanted = cross_val_score(LogisticRegression(), np.concatenate([one, other]), labels, cv=5)
    assert abs(told.accuracy - wanted.mean()) < 0.03
    assert told.p == 0.05
    assert told.low < told.accuracy < told.high


def test_what_cannot_be_told_apart_is_left_out():
    assert curate.classifier_two_sample_test(np.ones((9, 2)), np.ones((50, 2)), what="x") is None
    assert curate.classifier_two_sample_test(np.ones((50, 2)), np.ones((50, 2)), what="x") is None
    assert curate.classifier_two_sample_test(np.ones((50, 0)), np.ones((50, 0)), what="x") is None


def test_many_features_are_cut_to_components():
    rng = np.random.default_rng(5)
    one, other = rng.normal(size=(150, 300)), rng.normal(size=(150, 300))
    other[:, :40] += 1.5
    assert (
        curate.classifier_two_sample_test(one, other, what="x", num_permutations=19).accuracy > 0.8
    )


@pytest.mark.parametrize(
    ("shift", "word"),
    [
        ({"brightness": -1.5}, "darker"),
        ({"sharpness": -1.5}, "blurrier"),
        ({"saturation": 1.5}, "more colourful"),
        ({"quality": -2.0}, "more compressed"),
        ({"width": 2.0, "height": 2.0}, "times as large"),
        ({"red": -2.0, "blue": 2.0}, "bluer"),
    ],
)
def test_a_shift_is_found_and_said(shift, word):
    rng = np.random.default_rng(6)
    gap = curate.find_gap(
        stats_of(rng, 300), stats_of(rng, 200, name="other", **shift), num_permutations=19
    )
    text = " ".join(gap.as_dict()["summary"])
    assert word in text
    assert "No gap found" not in text
    told = {one.name: one for one in gap.attributes}
    for name in set(shift) & set(told):
        assert np.sign(told[name].delta) == np.sign(shift[name])
        assert told[name].matters
        assert told[name].beyond > 0.8


def test_exchanged_channels_are_suspected():
    rng = np.random.default_rng(7)
    one = stats_of(rng, 300, red=1.0)
    swapped = stats_of(rng, 300, name="swapped", blue=1.0)
    text = " ".join(curate.find_gap(one, swapped, num_permutations=19).as_dict()["summary"])
    assert "red and blue are exchanged" in text


def test_photos_of_both_are_counted_by_split():
    rng = np.random.default_rng(8)
    one, other = stats_of(rng, 60), stats_of(rng, 40, name="other")
    other.sha256_N[:3] = one.sha256_N[[5, 6, 7]]
    other.phashes_N[3:5] = one.phashes_N[[8, 9]]
    other.signatures_NSS[3:5] = one.signatures_NSS[[8, 9]]
    one.splits_N[8] = "test"
    overlap = curate.find_gap(one, other, num_permutations=19).overlap
    assert (overlap.exact, overlap.near) == (3, 2)
    assert overlap.by_split == {"train": 4, "test": 1}
    assert ("other/3", "set/8") in {pair[:2] for pair in overlap.pairs}


def test_embeddings_are_compared():
    rng = np.random.default_rng(9)
    one, other = stats_of(rng, 80), stats_of(rng, 80, name="other")
    vectors = rng.normal(size=(160, 20)).astype(np.float16)
    alike = curate.find_gap(
        one, other, embeddings=(vectors[:80], vectors[80:]), num_permutations=19
    )
    assert alike.embeddings.p > 0.05
    assert "sees both alike" in " ".join(alike.as_dict()["summary"])
    far = curate.find_gap(
        one, other, embeddings=(vectors[:80], vectors[80:] + 1), num_permutations=19
    )
    assert far.embeddings.p < 0.01
    assert far.two_sample[-1].what == "what the model sees"
    assert far.two_sample[-1].accuracy > 0.95
    json.dumps(far.as_dict(), allow_nan=False)


# ---- real photos


@pytest.fixture(scope="module")
def cars(stanford, tmp_path_factory) -> Path:
    """Twelve classes of real photos, frozen."""
    raw = tmp_path_factory.mktemp("gap") / "raw"
    raw.mkdir()
    for folder in sorted(stanford.iterdir())[:24:2]:
        (raw / folder.name).symlink_to(folder)
    return data.freeze(raw, raw.parent / "cars", follow_links=True).root


def changed(root: Path, out: Path, change) -> Path:
    """Copy every photo of a source, changed."""
    folders = sorted((root.parent / "raw").iterdir())
    for path in (path for folder in folders for path in sorted(folder.iterdir())):
        target = out / path.parent.name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        change(Image.open(path).convert("RGB")).save(target, quality=90)
    return out


def compared(one, other, **options):
    with (
        curate.measure_photos(one, most=20_000) as a,
        curate.measure_photos(other, most=20_000) as b,
    ):
        return curate.find_gap(a, b, num_permutations=19, **options)


def test_halves_of_real_photos_show_no_gap(cars):
    with curate.measure_photos(cars, most=20_000) as whole:
        hits = []
        for seed in range(20):
            order = np.random.default_rng(seed).permutation(len(whole))
            half = len(whole) // 2
            parts = [columns_of(whole.rows(rows)) for rows in (order[:half], order[half:])]
            hits.append(any(one.matters for one in curate.attribute_gaps(*parts)))
            features = [np.column_stack(list(part.values())) for part in parts]
            told = curate.classifier_two_sample_test(
                *features, what="x", num_permutations=19, seed=seed
            )
            hits.append(told.p <= 0.05)
        assert np.mean(hits) <= 0.15


def test_a_blurred_copy_is_blurrier_and_all_of_it_is_known(cars, tmp_path):
    blurred = changed(cars, tmp_path / "soft", lambda im: im.filter(ImageFilter.GaussianBlur(2)))
    gap = compared(cars, blurred)
    told = {one.name: one for one in gap.attributes}
    assert told["sharpness"].strength == "large"
    assert told["sharpness"].delta < -0.6
    assert not told["size"].matters
    text = " ".join(gap.as_dict()["summary"])
    assert "B's photos are blurrier: half of them beyond" in text
    assert gap.overlap.near > 0.95 * gap.b["num_compared"]


def centre(image: Image.Image) -> Image.Image:
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))


@pytest.mark.parametrize(
    ("how", "change"),
    [("squashed", lambda im: im), ("cut", centre)],
)
def test_one_size_is_told_by_how_it_came_about(cars, tmp_path, how, change):
    made = changed(cars, tmp_path / how, lambda im: change(im).resize((224, 224)))
    gap = compared(cars, made)
    assert (gap.shape_b.width, gap.shape_b.height, gap.shape_b.how) == (224, 224, how)
    assert f"{how} to 224x224" in gap.as_dict()["summary"][0]


def test_renamed40_was_squashed(stanford, cars):
    source = stanford.parent / "renamed40"
    if not source.is_dir():
        pytest.skip("../shared/cars/renamed40 is not on this machine")
    assert "squashed to 224x224" in compared(cars, source).as_dict()["summary"][0]


@pytest.mark.parametrize("quality", [30, 50, 75, 90, 95])
def test_quality_is_the_one_that_pillow_wrote(quality, tmp_path):
    rng = np.random.default_rng(quality)
    photo = Image.fromarray(rng.integers(0, 256, (32, 32, 3)).astype(np.uint8))
    photo.save(tmp_path / "a.jpg", quality=quality)
    photo.save(tmp_path / "a.png")
    assert abs(images.jpeg_quality((tmp_path / "a.jpg").read_bytes()) - quality) < 1.5
    assert images.jpeg_quality((tmp_path / "a.png").read_bytes()) is None


def test_a_draw_is_told_and_broken_files_are_counted(tiny, tmp_path):
    for number in range(30):
        target = tmp_path / "more" / "Fiat" / f"{number:02d}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        shade = np.full((40, 60, 3), 40 + number, np.uint8)
        Image.fromarray(shade).save(target)
    (tmp_path / "more" / "Fiat" / "broken.jpg").write_bytes(b"none")
    with curate.measure_photos(tmp_path / "more", most=100) as stats:
        assert (len(stats), stats.unread, stats.total) == (30, 1, 31)
    with curate.measure_photos(tiny, most=20) as stats:
        assert (len(stats), stats.total) == (20, 56)
        assert len(set(stats.sha256_N.tolist())) == 20
    (tmp_path / "few" / "Fiat").mkdir(parents=True)
    (tmp_path / "few" / "Fiat" / "a.jpg").write_bytes(b"none")
    with (
        pytest.raises(DataError, match="three at least"),
        curate.measure_photos(tmp_path / "few", most=9),
    ):
        pass
