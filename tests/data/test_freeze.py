"""Freezing: the same bytes twice, twins and groups in one split, hard links, wrong rules."""

import hashlib
import io
import json
import shutil
from collections import Counter, defaultdict

import numpy as np
import pytest
from frozen_trees import rows_of, save, scene, tree_of
from photos import draw_classes, draw_photo
from PIL import Image

from carscale import data
from carscale.errors import ConfigError, DataError

# --- the same bytes ---------------------------------------------------------------------------


def test_bytes_are_equal_when_frozen_twice(raw, tmp_path):
    first = data.freeze(raw, tmp_path / "one")
    second = data.freeze(raw, tmp_path / "deeper" / "another name")
    assert tree_of(first.root) == tree_of(second.root)
    assert len(tree_of(first.root)) > 33
    assert first.card == second.card
    assert first.root == tmp_path / "one"
    assert json.loads((first.root / "card.json").read_text()) == first.card


def test_bytes_are_equal_when_the_source_was_copied(raw, tmp_path):
    copy = tmp_path / "raw"  # same name, another place, written in another order
    for path in sorted(raw.rglob("*.jpg"), reverse=True):
        target = copy / path.relative_to(raw)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    one, two = data.freeze(raw, tmp_path / "one"), data.freeze(copy, tmp_path / "two")
    assert tree_of(one.root) == tree_of(two.root)


def test_splits_differ_when_the_seed_differs(raw, tmp_path):
    one = data.freeze(raw, tmp_path / "one")
    two = data.freeze(raw, tmp_path / "two", data.FreezeRule(seed=1))
    assert one.card["counts"] == two.card["counts"]
    assert one.card["hashes"]["classes"] == two.card["hashes"]["classes"]
    assert all(one.card["hashes"][s] != two.card["hashes"][s] for s in ("train", "val", "test"))


def test_every_photo_is_once_in_the_folder_and_kept_byte_for_byte(raw, tmp_path):
    frozen = data.freeze(raw, tmp_path / "out")
    rows = rows_of(frozen.root)
    assert [row["id"] for row in rows] == list(range(33))
    sources = {path.relative_to(raw).as_posix() for path in raw.rglob("*.jpg")}
    assert {row["source"] for row in rows} == sources
    for row in rows:
        stored = (frozen.root / row["path"]).read_bytes()
        assert stored == (raw / row["source"]).read_bytes()
        assert row["sha256"] == row["original_sha256"] == hashlib.sha256(stored).hexdigest()
        assert row["normalised"] == ""
        with Image.open(io.BytesIO(stored)) as image:
            assert image.size == (row["width"], row["height"])
    assert Counter(row["split"] for row in rows) == {"train": 22, "val": 6, "test": 5}
    assert sorted(p.name for p in frozen.root.iterdir()) == sorted(
        [
            "train",
            "val",
            "test",
            "card.json",
            "classes.json",
            "manifest.parquet",
            "quarantine.jsonl",
        ]
    )


def test_ids_and_labels_follow_folder_names(raw, tmp_path):
    splits = data.read_splits(data.freeze(raw, tmp_path / "out").root)
    for split in (splits.train, splits.val, splits.test):
        assert (np.diff(split.ids_N) > 0).all()
        for path, label in zip(split.paths_N, split.labels_N, strict=True):
            assert path.split("/")[:2] == [split.name, splits.classes[label].folder]
    folders = [car_class.folder for car_class in splits.classes]
    assert folders == sorted(folders)


# --- duplicates, small classes, groups ---------------------------------------------------------


def test_duplicates_are_never_in_two_splits(tmp_path):
    raw = draw_classes(tmp_path / "raw", [20, 20])
    for number in range(0, 16, 2):
        shutil.copyfile(
            raw / "Make0 Model" / f"{number:03d}.jpg", raw / "Make0 Model" / f"copy of {number}.jpg"
        )
    shutil.copyfile(raw / "Make0 Model/001.jpg", raw / "Make1 Model/wrong.jpg")
    for seed in range(3):
        frozen = data.freeze(raw, tmp_path / f"out{seed}", data.FreezeRule(seed=seed))
        places = defaultdict(set)
        for row in rows_of(frozen.root):
            places[row["sha256"]].add(row["split"])
        assert all(len(splits) == 1 for splits in places.values())
        assert len(places) == 40
    notes = frozen.card["notes"]
    assert notes["num_exact_duplicates"] == 9
    assert notes["label_conflicts"] == [["Make0 Model/001.jpg", "Make1 Model/wrong.jpg"]]
    text = "\n".join(frozen.warnings)
    assert "9 exact duplicates" in text
    assert "1 photos lie in two classes" in text
    assert "Make0 Model/001.jpg = Make1 Model/wrong.jpg" in text
    keys = [row["key"] for row in rows_of(frozen.root)]
    assert len(set(keys)) == len(keys)


def test_a_class_of_one_photo_is_in_train_and_named(tmp_path):
    raw = draw_classes(tmp_path / "raw", [8, 1, 2])
    (raw / "Empty Car").mkdir()
    frozen = data.freeze(raw, tmp_path / "out")
    splits = data.read_splits(frozen.root)
    assert splits.train.counts_K[1] == 1
    assert splits.val.counts_K[1] == splits.test.counts_K[1] == 0
    assert frozen.card["notes"]["classes_of_one_photo"] == ["Make1 Model"]
    assert frozen.card["notes"]["empty_classes"] == ["Empty Car"]
    text = "\n".join(frozen.warnings)
    assert "classes of one photo, in train only: Make1 Model" in text
    assert "folders without a photo: Empty Car" in text
    assert "Empty Car" not in [car_class.name for car_class in splits.classes]


def test_groups_stay_whole_when_grouped_by_an_expression(tmp_path):
    raw = tmp_path / "raw"
    for number in range(40):
        draw_photo(raw / "A" / f"session{number // 4}_{number}.jpg", 0, number)
        draw_photo(raw / "B" / f"session{number // 4}_{number}.jpg", 1, number)
    rule = data.FreezeRule(group_by=r"session(\d+)_")
    rows = rows_of(data.freeze(raw, tmp_path / "out", rule).root)
    places = defaultdict(set)
    for row in rows:
        assert row["group"] == row["source"].split("session")[1].split("_")[0]
        places[row["group"]].add(row["split"])
    assert len(places) == 10
    assert all(len(splits) == 1 for splits in places.values())
    assert {split for splits in places.values() for split in splits} == {"train", "val", "test"}
    with pytest.raises(DataError, match=r"--group-by 'nothing' matches none of 80 paths"):
        data.freeze(raw, tmp_path / "none", data.FreezeRule(group_by="nothing"))
    assert not (tmp_path / "none").exists()


def test_train_falls_off_when_a_long_tail_is_asked_for(tmp_path):
    raw = draw_classes(tmp_path / "raw", [30, 30, 30])
    rule = data.FreezeRule(long_tail=(20, 5))
    splits = data.read_splits(data.freeze(raw, tmp_path / "out", rule).root)
    assert splits.train.counts_K.tolist() == [20, 10, 5]
    assert sum(map(len, (splits.train, splits.val, splits.test))) == 90
    assert abs(splits.val.counts_K - splits.test.counts_K).max() <= 2  # 30 photos: 21 + 4 + 5


def test_progress_counts_every_file(raw, tmp_path):
    calls = []
    data.freeze(raw, tmp_path / "out", advance=lambda *call: calls.append(call))
    assert calls[:33] == [("decode", 33)] * 33
    assert {what for what, _ in calls[33:]} <= set(data.NEAR_UNITS)


# --- hard links --------------------------------------------------------------------------------


def test_bytes_are_shared_when_linked(tmp_path):
    raw = draw_classes(tmp_path / "raw", [5, 3])
    save(raw / "Make0 Model" / "odd.png", scene().convert("RGBA"), "PNG")
    (raw / "Make1 Model" / "link.jpg").symlink_to("000.jpg")
    before = tree_of(raw)
    linked = data.freeze(raw, tmp_path / "linked", data.FreezeRule(link="hard"))
    for row in rows_of(linked.root):
        same = (linked.root / row["path"]).samefile(raw / row["source"])
        assert same == (row["normalised"] == "")
        assert not (linked.root / row["path"]).is_symlink()
    copied = data.freeze(raw, tmp_path / "copied")
    assert tree_of(linked.root) == tree_of(copied.root)
    assert tree_of(raw) == before
    inodes = {p.stat().st_ino for p in raw.rglob("*.jpg")}
    assert not inodes & {p.stat().st_ino for p in copied.root.rglob("*.jpg")}


# --- rules that make no sense ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ({"fractions": (0.7, 0.2, 0.2)}, r"--fractions \(0.7, 0.2, 0.2\)"),
        ({"fractions": (0.0, 0.5, 0.5)}, "train above 0"),
        ({"fractions": (1.2, -0.1, -0.1)}, "three shares"),
        ({"fractions": (float("nan"), 0.5, 0.5)}, "three shares"),
        ({"long_tail": (5, 9)}, "--long-tail 5:9"),
        ({"long_tail": (5, 0)}, "--long-tail 5:0"),
        ({"link": "soft"}, "--link soft"),
        ({"group_by": "("}, "is no regular expression"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(raw, tmp_path, rule, says):
    with pytest.raises(ConfigError, match=says):
        data.freeze(raw, tmp_path / "out", data.FreezeRule(**rule))
    assert not list(tmp_path.iterdir())
