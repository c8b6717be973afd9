"""Crops that join: what is known of them goes along, and no photo lies in two splits."""

import boxed_sets as sets
import pytest
from frozen_trees import rows_of

from carscale import curate, data, tables
from carscale.curate import ClassTarget, MergeRule, Origin
from carscale.errors import ConfigError

GOALS = {name: ClassTarget("match", name) for name in sets.NAMES}
CROP = data.Reading(crop="boxes", box_margin=0.25)
KEPT = ["original_sha256", "box", "box_margin", "attributes", "normalised"]


def merge(base, source, out, as_split="train", reading=CROP):
    rule = MergeRule(as_split=as_split, near_train="keep")
    origin = Origin(str(source), reading=reading)
    return curate.merge_source(base, origin, out, targets_of=lambda _: GOALS, rule=rule)


def photos(root, first, last, box, label):
    names = [f"{number:03d}.png" for number in range(first, last)]
    return sets.write_coco(root, [(name, label, box, "") for name in names])


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    place = tmp_path_factory.mktemp("base")
    root = sets.write_coco(
        place / "raw", [(f"{n:03d}.png", n % 2, (0, 0, 50, 50), "") for n in range(12)]
    )
    return data.freeze(root, place / "cars", data.FreezeRule(crop="boxes", box_margin=0.25)).root


def splits_of(root):
    found = {}
    for row in rows_of(root):
        found.setdefault(row["original_sha256"], set()).add(row["split"])
    return found


@pytest.mark.parametrize("as_split", ["train", "test_web"])
def test_another_car_of_a_photo_joins_train_alone_and_only_where_that_is(base, tmp_path, as_split):
    source = photos(tmp_path / "web", 0, 16, (70, 20, 118, 78), 1)
    made = merge(base, source, tmp_path / "new", as_split)
    old = splits_of(base)
    num_in_train = sum(splits == {"train"} for splits in old.values())
    num_joined = 4 + (num_in_train if as_split == "train" else 0)
    assert made.counts["joined"] == {as_split: num_joined}
    assert all(len(splits) == 1 for splits in splits_of(made.root).values())


def test_a_frozen_set_brings_along_what_its_photos_were_cut_from(base, tmp_path):
    source = photos(tmp_path / "web", 6, 20, (70, 20, 118, 78), 1)
    pattern = (("number", r"(\d+)"),)
    rule = data.FreezeRule(crop="boxes", box_margin=0.25, attributes=pattern)
    frozen = data.freeze(source, tmp_path / "more", rule).root
    made = merge(base, frozen, tmp_path / "new", reading=data.Reading())
    assert all(len(splits) == 1 for splits in splits_of(made.root).values())

    def told(root):
        columns = tables.read_manifest(root / "manifest.parquet", KEPT)
        return set(zip(*(columns[name].tolist() for name in KEPT), strict=True))

    joined = told(made.root) - told(base)
    assert len(joined) == made.counts["joined"]["train"] >= 8
    assert joined <= told(frozen)


def test_options_that_a_frozen_source_can_not_heed_are_refused(base, tmp_path):
    with pytest.raises(ConfigError, match=r"--crop: .* is frozen"):
        merge(base, base, tmp_path / "new", reading=CROP)
    with pytest.raises(ConfigError, match=r"--attribute: .* is frozen"):
        merge(base, base, tmp_path / "new", reading=data.Reading(attributes=(("n", "."),)))
