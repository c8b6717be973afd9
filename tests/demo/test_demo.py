"""The demo set against its own truth: what ``truth.json`` says must be what lies on disk."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from carscale.demo import build, build_demo, makes, plant
from carscale.errors import DataError

NUM_CLASSES, NUM_IMAGES = 6, 120


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """One small set, its truth, and the calls of its progress bar."""
    root = tmp_path_factory.mktemp("demo") / "set"
    done = []
    truth = build_demo(root, num_classes=NUM_CLASSES, num_images=NUM_IMAGES, advance=done.append)
    return root, truth, done


def photos(root):
    return sorted(p.relative_to(root).as_posix() for p in root.rglob("img_*"))


def upright_grey(path):
    """Return a photo that decodes as grey levels, stored as it is."""
    with Image.open(path) as image:
        return np.asarray(image.convert("L"), float)


def laplacian_variance(grey):
    inner = grey[1:-1, 1:-1]
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    return float((around - 4 * inner).var())


def clean(root, truth):
    broken = {row["path"] for row in truth["broken"]}
    return [p for p in photos(root) if p not in broken]


def test_bytes_are_equal_when_built_twice(demo, demo_of_command):
    root, truth, _ = demo
    again, _ = demo_of_command
    assert json.loads((again / "truth.json").read_text()) == truth

    def digest(folder):
        return {
            p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
            for p in folder.rglob("*")
            if p.is_file()
        }

    assert digest(root) == digest(again)


def test_photos_differ_when_the_seed_does():
    classes = makes.build_classes(6, 120)
    shots, _ = plant.plan_shots(classes, 0)
    first = next(shot for shot in shots if shot.problem == "none")
    assert plant.render_shot(first, classes, 0) != plant.render_shot(first, classes, 1)


def test_counts_match_the_folders(demo):
    root, truth, done = demo
    assert sum(done) == NUM_IMAGES == len(photos(root))
    for row in truth["classes"]:
        assert len(list((root / row["name"]).iterdir())) == row["count"]
    assert json.loads((root / "truth.json").read_text()) == truth
    counts = [row["count"] for row in truth["classes"]]
    assert 4 <= max(counts) / min(counts) <= 7


def test_sizes_are_within_200_to_900_px(demo):
    root, truth, _ = demo
    longs, portraits = [], 0
    for path in clean(root, truth):
        with Image.open(root / path) as image:
            longs.append(max(image.size))
            portraits += image.height > image.width
    assert min(longs) >= 200
    assert max(longs) <= 900
    assert 0 < portraits < NUM_IMAGES / 2


def test_a_photo_has_at_most_one_problem(demo):
    root, truth, _ = demo
    rows = [
        row["path"] for key in ("swapped_labels", "broken", "exif_rotated") for row in truth[key]
    ]
    rows += truth["dark"] + truth["blurred"]
    pair_keys = ("exact_duplicates", "duplicates_across_classes", "near_duplicates")
    for key in (*pair_keys, "near_duplicates_other_label"):
        rows += [path for pair in truth[key] for path in pair]
    assert len(rows) == len(set(rows))
    assert set(rows) <= set(photos(root))
    scarce = (truth["scarce_hard"], truth["scarce_easy"])
    assert not any(path.startswith(scarce) for path in rows)


def test_swapped_labels_are_between_unlike_classes(demo):
    _, truth, _ = demo
    alike = {frozenset(pair) for pair in truth["look_alike_pairs"]}
    assert truth["swapped_labels"]
    for row in truth["swapped_labels"]:
        assert row["path"].startswith(row["label"] + "/")
        assert row["true"] != row["label"]
        assert frozenset((row["label"], row["true"])) not in alike


def test_exact_duplicates_have_equal_bytes(demo):
    root, truth, _ = demo
    for first, second in truth["exact_duplicates"] + truth["duplicates_across_classes"]:
        assert (root / first).read_bytes() == (root / second).read_bytes()
    for first, second in truth["exact_duplicates"]:
        assert Path(first).parent == Path(second).parent
    [[first, second]] = truth["duplicates_across_classes"]
    assert Path(first).parent != Path(second).parent


def test_no_other_files_are_equal(demo):
    root, truth, _ = demo
    copies = {b for _, b in truth["exact_duplicates"] + truth["duplicates_across_classes"]}
    digests = [
        hashlib.sha256((root / p).read_bytes()).digest() for p in photos(root) if p not in copies
    ]
    assert len(digests) == len(set(digests))


def test_near_duplicates_look_equal_and_have_other_bytes(demo):
    root, truth, _ = demo
    pairs = truth["near_duplicates"] + truth["near_duplicates_other_label"]
    assert len(truth["near_duplicates_other_label"]) == 3
    for first, second in pairs:
        assert (root / first).read_bytes() != (root / second).read_bytes()
        small = []
        for path in (first, second):
            with Image.open(root / path) as image:
                small.append(np.asarray(image.convert("L").resize((24, 24)), float))
        assert np.corrcoef(small[0].ravel(), small[1].ravel())[0, 1] > 0.9


def test_broken_files_cannot_be_decoded(demo):
    root, truth, _ = demo
    assert len(truth["broken"]) == 5
    for row in truth["broken"]:
        with pytest.raises(OSError, match=r".+"), Image.open(root / row["path"]) as image:
            image.load()


def test_all_other_files_decode(demo):
    root, truth, _ = demo
    for path in clean(root, truth):
        with Image.open(root / path) as image:
            image.load()
            assert image.mode == "RGB"


def test_exif_tag_is_on_rotated_photos_only(demo):
    root, truth, _ = demo
    wanted = {row["path"]: row["orientation"] for row in truth["exif_rotated"]}
    assert wanted
    for path in clean(root, truth):
        with Image.open(root / path) as image:
            assert image.getexif().get(0x0112, 1) == wanted.get(path, 1)


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_a_rotated_photo_is_upright_when_its_tag_is_honoured(orientation, tmp_path):
    from PIL import ImageOps

    from carscale.images.canvas import encode_jpeg

    upright = np.zeros((40, 64, 3), np.uint8)
    upright[:20, :32] = 250
    path = tmp_path / "turned.jpg"
    path.write_bytes(encode_jpeg(upright, quality=95, orientation=orientation))
    with Image.open(path) as image:
        seen = np.asarray(ImageOps.exif_transpose(image))
        assert np.asarray(image).shape != upright.shape or orientation == 3
    assert seen.shape == upright.shape
    assert np.abs(seen.astype(int) - upright).mean() < 3


def test_dark_photos_are_the_darkest(demo):
    root, truth, _ = demo
    greys = {path: upright_grey(root / path).mean() for path in clean(root, truth)}
    rest = [grey for path, grey in greys.items() if path not in truth["dark"]]
    assert max(greys[path] for path in truth["dark"]) < min(rest)


def test_blurred_photos_are_the_least_sharp(demo):
    root, truth, _ = demo
    sharp = {
        path: laplacian_variance(upright_grey(root / path))
        for path in clean(root, truth)
        if path not in truth["dark"]
    }
    rest = [value for path, value in sharp.items() if path not in truth["blurred"]]
    assert max(sharp[path] for path in truth["blurred"]) < min(rest)


@pytest.mark.parametrize("num_classes", [6, 7, 12, 31, 60])
def test_classes_are_distinct_for_any_number(num_classes):
    classes = makes.build_classes(num_classes, 20 * num_classes)
    assert len({car.name for car in classes}) == num_classes
    assert sum(car.count for car in classes) == 20 * num_classes
    assert [car.role for car in classes[-2:]] == ["scarce_hard", "scarce_easy"]
    assert min(car.count for car in classes) >= 5
    plant.plan_shots(classes, 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_classes": 5}, "num_classes must be 6..60, got 5"),
        ({"num_classes": 61, "num_images": 2000}, "num_classes must be 6..60, got 61"),
        ({"num_images": 239}, "12 classes need at least 240 images, got 239"),
        ({"seed": -1}, "seed must be >= 0, got -1"),
    ],
)
def test_raises_when_a_number_is_out_of_range(tmp_path, changes, message):
    with pytest.raises(DataError, match=message):
        build_demo(tmp_path / "set", **changes)
    assert list(tmp_path.iterdir()) == []


def test_raises_when_the_folder_is_not_empty(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(DataError, match="not an empty folder"):
        build_demo(tmp_path, num_classes=6, num_images=120)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_nothing_is_left_after_a_failure(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "SHOTS_PER_TASK", 1)  # stop after one photo

    def stop(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_demo(tmp_path / "set", num_classes=6, num_images=120, advance=stop)
    assert list(tmp_path.iterdir()) == []


def test_a_script_without_a_main_guard_draws_it(tmp_path):
    script = tmp_path / "draw.py"
    script.write_text(
        "import carscale\n"
        "from carscale.demo import build\n"
        "plan, build.SHOTS_PER_TASK = build.plan_shots, 4\n"
        "build.plan_shots = lambda *rule: (plan(*rule)[0][:8], plan(*rule)[1])\n"
        'carscale.draw_demo("raw", num_classes=6, num_images=120)\n'
        'print("drawn")\n'
    )
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.stdout == "drawn\n", done.stderr
    assert len(photos(tmp_path / "raw")) == 8
