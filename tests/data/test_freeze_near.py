"""``freeze --near-duplicates``: no near pair crosses splits; the same input, the same bytes."""

import json

import numpy as np
import pytest
from frozen_trees import rows_of, save, scene, tree_of
from PIL import Image

from carscale import data, errors, images
from carscale.data.photos.near_groups import group_near
from carscale.data.photos.sample import Sample

GROUP = data.FreezeRule(near_duplicates="group")


def split_pairs(raw, root):
    """Splits of each near pair of the demo's truth."""
    truth = json.loads((raw / "truth.json").read_text())
    split_of = {row["source"]: row["split"] for row in rows_of(root)}
    pairs = truth["near_duplicates"] + truth["near_duplicates_other_label"]
    return [{split_of[path] for path in pair} for pair in pairs]


@pytest.fixture(scope="module")
def grouped(drawn_demo, tmp_path_factory):
    return data.freeze(drawn_demo(0)[0], tmp_path_factory.mktemp("near") / "grouped", GROUP)


def test_no_near_pair_crosses_splits_and_some_do_where_they_are_ignored(drawn_demo, grouped):
    raw, ignored = drawn_demo(0)
    assert all(len(splits) == 1 for splits in split_pairs(raw, grouped.root))
    assert any(len(splits) > 1 for splits in split_pairs(raw, ignored))
    measured = data.photo_stats(grouped.root)
    pairs = data.near_pairs(measured.phashes_N, measured.signatures_NSS)
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
    lone = {path for path, name in groups.items() if not name}
    near = {path for kind in truth for pair in _pairs(truth, kind) for path in pair}
    assert lone == groups.keys() - near
    assert grouped.card["rule"]["near_duplicates"] == "group"
    assert data.read_card(ignored)["rule"]["near_duplicates"] == "ignore"
    assert any("near duplicates, in" in line for line in grouped.warnings)


def _pairs(truth, kind):
    return truth[kind] if "duplicates" in kind else []


def test_the_same_input_gives_the_same_bytes(drawn_demo, grouped, tmp_path):
    raw, _ = drawn_demo(0)
    again = data.freeze(raw, tmp_path / "again", GROUP)
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
    rule = data.FreezeRule(group_by=r"Car\d/s.", near_duplicates="group")
    rows = rows_of(data.freeze(raw, tmp_path / "out", rule).root)
    by_name = {row["source"]: (row["split"], row["group"]) for row in rows}
    joined = {by_name[path] for path in by_name if path.startswith(("Car0/sa", "Car0/sb"))}
    assert len(joined) == 1
    assert joined.pop()[1] == "Car0/sa"
    assert by_name["Car0/sc_0.png"][1] == "Car0/sc"


def test_photos_without_a_look_stay_alone_and_a_flood_is_told():
    rng = np.random.default_rng(0)
    seen = rng.integers(0, 256, (1, 32, 32)).astype(np.uint8)
    stats_N = images.empty_stats(30)
    stats_N["brightness"][:20] = 100
    stats_N["phash"][:20] = images.perceptual_hashes(seen)
    stats_N["signature"][:20] = seen
    samples = [Sample(None, None, None, f"{n:064d}", "", 1) for n in range(30)]
    grouped, notes = group_near(samples, stats_N)
    assert [one.group_name for one in grouped] == ["near:" + "0" * 16] * 20 + [""] * 10
    assert notes[0] == "20 photos are near duplicates, in 1 groups that stay in one split"
    assert notes[1].startswith("the largest group has 20 of 30 photos")
    assert group_near([], images.empty_stats(0)) == ([], ["no near duplicates"])


def test_another_word_is_refused(tmp_path):
    with pytest.raises(errors.ConfigError, match="--near-duplicates drop: must be group or ignore"):
        data.freeze(tmp_path, tmp_path / "out", data.FreezeRule(near_duplicates="drop"))
