"""``freeze --near-duplicates``: no near pair crosses splits; the same input, the same bytes."""

import json
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from frozen_trees import refused_of, rows_of, save, scene, tree_of
from PIL import Image

from carscale import curate, data, errors, images
from carscale.data.freezing.near import group_near, spare_samples
from carscale.data.frozen.cache import cache_file
from carscale.data.photos import near_folder
from carscale.data.photos.sample import Sample
from carscale.data.sources.scan import SourceFile


def split_pairs(raw, root):
    """Splits of each near pair of the demo's truth."""
    truth = json.loads((raw / "truth.json").read_text())
    split_of = {row["source"]: row["split"] for row in rows_of(root)}
    pairs = truth["near_duplicates"] + truth["near_duplicates_other_label"]
    return [{split_of[path] for path in pair} for pair in pairs]


@pytest.fixture(scope="module")
def grouped(drawn_demo, tmp_path_factory):
    return data.freeze(drawn_demo(0)[0], tmp_path_factory.mktemp("near") / "grouped")


def test_no_near_pair_crosses_splits_and_some_do_where_they_are_ignored(drawn_demo, grouped):
    raw, ignored = drawn_demo(0)
    assert all(len(splits) == 1 for splits in split_pairs(raw, grouped.root))
    assert any(len(splits) > 1 for splits in split_pairs(raw, ignored))
    measured, photos = data.photo_stats(grouped.root), data.read_photos(grouped.root)
    pairs = data.near_duplicates(grouped.root, photos, measured)
    splits_N = np.array([row["split"] for row in rows_of(grouped.root)])
    assert len(pairs.rows_P2) > 5
    assert (splits_N[pairs.rows_P2[:, 0]] == splits_N[pairs.rows_P2[:, 1]]).all()


def test_the_manifest_names_the_group_and_the_card_the_rule(drawn_demo, grouped):
    raw, ignored = drawn_demo(0)
    groups = {row["source"]: row["group"] for row in rows_of(grouped.root)}
    truth = json.loads((raw / "truth.json").read_text())
    for one, other in truth["near_duplicates"]:
        assert groups[one] == groups[other]
        assert groups[one].startswith("near:")
    assert sum(not name for name in groups.values()) > 0.8 * len(groups)
    assert grouped.card["rule"]["near_duplicates"] == "group"
    assert data.read_card(ignored)["rule"]["near_duplicates"] == "ignore"
    assert any("near duplicates: " in line for line in grouped.warnings)


def test_the_same_input_gives_the_same_bytes(drawn_demo, grouped, tmp_path):
    raw, _ = drawn_demo(0)
    again = data.freeze(raw, tmp_path / "again")
    assert tree_of(again.root) == tree_of(grouped.root)


def test_fractions_and_classes_hold_as_without(drawn_demo, grouped):
    _, ignored = drawn_demo(0)
    for counts, others in zip(
        *(
            [data.read_splits(root).train.counts_K for root in (grouped.root, ignored)],
            [data.read_splits(root).test.counts_K for root in (grouped.root, ignored)],
        ),
        strict=True,
    ):
        assert counts.min() > 0
        assert others.min() > 0
    before, after = (data.read_card(root)["counts"] for root in (ignored, grouped.root))
    assert abs(before["train"] - after["train"]) <= 8


def test_a_group_by_the_path_brings_its_near_duplicates_along(tmp_path):
    """Sessions a and b share a photo stored anew: both sessions are one group, with one name."""
    raw = tmp_path / "raw"
    for label in range(2):
        for session in "abcdefgh":
            for number in range(3):
                picture = scene(64, 48, seed=100 * label + 10 * ord(session) + number)
                save(raw / f"Car{label}" / f"s{session}_{number}.png", picture, "PNG")
    shared = Image.open(raw / "Car0" / "sa_0.png").resize((96, 72))
    save(raw / "Car0" / "sb_9.jpg", shared, "JPEG", quality=85)
    rule = data.FreezeRule(group_by=r"Car\d/s.")
    rows = rows_of(data.freeze(raw, tmp_path / "out", rule).root)
    by_name = {row["source"]: (row["split"], row["group"]) for row in rows}
    joined = {by_name[path] for path in by_name if path.startswith(("Car0/sa", "Car0/sb"))}
    assert len(joined) == 1
    assert joined.pop()[1] == "Car0/sa"
    assert by_name["Car0/sc_0.png"][1] == "Car0/sc"


def samples_of(classes, sizes=None, splits=None):
    """Samples that were never decoded; all photos differ."""
    sizes, splits = sizes or [10] * len(classes), splits or [""] * len(classes)
    return [
        Sample(
            SourceFile(None, f"{name}/{n}.jpg", name, split),
            Path(str(n)),
            images.Photo(b"", ".jpg", size, 10, "RGB", 1, ""),
            f"{n:064d}",
            "",
            1,
        )
        for n, (name, size, split) in enumerate(zip(classes, sizes, splits, strict=True))
    ]


def all_pairs(*groups):
    pairs = sorted(pair for group in groups for pair in combinations(group, 2))
    return data.NearPairs(np.array(pairs), np.full(len(pairs), 0.97, np.float32))


def test_a_large_group_is_told_and_without_pairs_nothing_is_said():
    samples = samples_of("a" * 30)
    grouped, notes = group_near(samples, all_pairs(range(12)))
    assert [one.group_name for one in grouped] == ["near:" + "0" * 16] * 12 + [""] * 18
    assert notes == [
        "near duplicates: 1 groups of 12 photos, each kept in one split; not to look for them: "
        "--near-duplicates ignore",
        "the largest group has 12 of 30 photos: splits may miss their fractions",
    ]
    assert group_near(samples, all_pairs(range(12)), spare=range(11))[1] == []
    ruled = [replace(sample, group_name=f"rule {n // 15}") for n, sample in enumerate(samples)]
    assert group_near(ruled, all_pairs([0, 1], [2, 3, 4], [16, 17]), spare=[17])[1] == [
        notes[0].replace("1 groups of 12", "2 groups of 5"),
        "the largest group has 15 of 30 photos: splits may miss their fractions",
    ]
    nothing = data.NearPairs(np.empty((0, 2), np.int64), np.empty(0, np.float32))
    assert group_near(samples, nothing) == (samples, [])


def test_of_each_class_and_split_the_largest_is_kept_when_others_are_dropped():
    samples = samples_of("aaabbcc", [10, 30, 20, 5, 6, 1, 2], ["", "", "", "", "", "train", "val"])
    samples.append(replace(samples[0], file=SourceFile(None, "a/copy.jpg", "a")))
    pairs = all_pairs([0, 1, 2], [3, 4], [5, 6])
    assert spare_samples(samples, pairs) == {0: 1, 2: 1, 7: 1, 3: 4}
    two_classes = all_pairs([2, 3])
    assert spare_samples(samples, two_classes) == {7: 0}  # the same bytes alone


def test_dropped_photos_are_listed_and_the_larger_stays(drawn_demo, tmp_path):
    raw, _ = drawn_demo(0)
    made = data.freeze(raw, tmp_path / "out", data.FreezeRule(near_duplicates="drop"))
    truth = json.loads((raw / "truth.json").read_text())
    kept, gone = {row["source"] for row in rows_of(made.root)}, refused_of(made.root)
    for kind in ("near_duplicates", "exact_duplicates"):
        for pair in truth[kind]:
            assert len(kept & set(pair)) == 1
            (lost,) = set(pair) - kept
            how = "near duplicate of" if kind == "near_duplicates" else "same bytes as"
            assert gone[lost].startswith(f"{how} ")
    for pair in truth["near_duplicates_other_label"]:
        assert kept.issuperset(pair)  # a person has to say which label is wrong
    audit = curate.audit_data(made.root)
    assert {group.is_conflict for group in audit.duplicates} <= {True}
    assert not audit.leaks


def test_a_near_duplicate_of_a_given_test_leaves_train(tmp_path):
    raw = tmp_path / "raw"
    for n, split in enumerate(["train"] * 12 + ["val"] * 3 + ["test"] * 3):
        for label in range(2):
            save(
                raw / split / f"Car{label}" / f"{n}.png", scene(96, 64, seed=50 * label + n), "PNG"
            )
    again = scene(96, 64, seed=16).resize((72, 48))
    save(raw / "train" / "Car0" / "again.jpg", again, "JPEG", quality=90)
    made = data.freeze(raw, tmp_path / "out", data.FreezeRule(keep_splits=True))
    reason = "leak: its group is in test: test/Car0/16.png"
    assert refused_of(made.root) == {"train/Car0/again.jpg": reason}
    kept = data.FreezeRule(keep_splits=True, near_duplicates="ignore")
    assert refused_of(data.freeze(raw, tmp_path / "leaky", kept).root) == {}


def test_what_a_freeze_found_is_not_looked_for_again(grouped, monkeypatch):
    """Neither by check nor by dedupe, nor by a version without some photos."""
    root = grouped.root
    monkeypatch.setattr(near_folder, "near_pairs", None)
    audit = curate.audit_data(root)
    assert audit.has_near
    assert len(audit.duplicates) > 5
    assert not audit.leaks
    found = curate.find_duplicates(root)
    assert [one.rows for one in found.groups] == [one.rows for one in audit.duplicates]
    smaller = root.parent / "smaller"
    curate.drop_duplicates(found, smaller)
    left = curate.find_duplicates(smaller)
    assert all(group.is_conflict for group in left.groups)


def test_a_lost_photo_is_named_and_its_pairs_are_found_once_it_is_back(tmp_path):
    raw = tmp_path / "raw"
    for n in range(6):
        save(raw / "Car" / f"{n}.png", scene(seed=n), "PNG")
    save(raw / "Car" / "again.jpg", scene(seed=0), "JPEG", quality=80)
    root = data.freeze(raw, tmp_path / "out", data.FreezeRule(near_duplicates="ignore")).root
    (photo,) = (root / row["path"] for row in rows_of(root) if row["source"] == "Car/again.jpg")
    content = photo.read_bytes()
    photo.write_bytes(content[:-300])  # measured while it was frozen, lost since
    with pytest.raises(errors.DataError, match="a photo can't be read any more") as caught:
        curate.find_duplicates(root)
    assert caught.value.lines[1] == f"see which with: carscale data check {root}"
    cache_file(root, "photo_stats").unlink()
    found = curate.find_duplicates(root)
    assert len(found.groups) == 0
    assert ["1 photos can't be read" in line for line in found.notes] == [True]
    photo.write_bytes(content)
    assert len(curate.find_duplicates(root).groups) == 1


def test_what_a_draw_can_not_split_and_two_classes_are_told(tmp_path):
    raw = tmp_path / "raw"
    for number in range(6):
        for name in ("Car A", "Car B"):
            image = scene(96, 64, seed=1).resize((96 - 4 * number, 64))
            save(raw / name / f"{name[-1]}{number}.jpg", image, "JPEG", quality=95 - number)
    made = data.freeze(raw, tmp_path / "out")
    told = " ".join(made.warnings)
    assert "val and test got no photo: there are too few, or one group holds most" in told
    assert "1 of these groups lie in two classes, by a wrong label or as two cars" in told


def test_groups_by_a_rule_are_counted(tmp_path):
    raw = tmp_path / "raw"
    for number in range(9):
        save(raw / "Car" / f"s{number // 4}_{number}.png", scene(seed=number), "PNG")
    save(raw / "Car" / "odd.png", scene(seed=99), "PNG")
    made = data.freeze(raw, tmp_path / "out", data.FreezeRule(group_by=r"s\d"))
    assert (
        "--group-by: 3 groups; the largest, 's1', has 4 of 10 photos; 1 are in none"
        in made.warnings
    )


def test_another_word_is_refused(tmp_path):
    with pytest.raises(
        errors.ConfigError, match="--near-duplicates keep: must be one of group, drop, ignore"
    ):
        data.freeze(tmp_path, tmp_path / "out", data.FreezeRule(near_duplicates="keep"))
