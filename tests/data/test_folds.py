"""Parts of train: each photo in one, groups whole, classes even, whatever the order of photos."""

import shutil
from collections import Counter

import boxed_sets
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from photos import draw_classes

from carscale import config, data, tables
from carscale.data.frozen.folds import assign_folds, hold_out
from carscale.data.frozen.manifest import read_manifest
from carscale.errors import ConfigError, DataError

LABELS = st.lists(st.integers(0, 4), min_size=1, max_size=60)
NUM_FOLDS = st.integers(2, 6)


def names(count):
    return [f"photo{number}" for number in range(count)]


@st.composite
def grouped(draw):
    """Labels, and groups of photos of any class, numbered as ``components`` does."""
    labels = draw(LABELS)
    places = draw(st.lists(st.integers(0, 20), min_size=len(labels), max_size=len(labels)))
    return labels, [places.index(place) for place in places]


@given(grouped(), NUM_FOLDS)
def test_every_photo_has_one_fold_and_groups_stay_whole(case, num_folds):
    labels, groups = case
    found = assign_folds(labels, groups, names(len(labels)), num_folds)
    assert len(found) == len(labels)
    assert set(found) <= set(range(num_folds))
    assert len(set(zip(groups, found, strict=True))) == len(set(groups))
    # no fold is empty where there are groups for all, which run_folds counts on
    assert len(set(found)) == min(num_folds, len(set(groups)))
    assert (num_folds - 1 in found) == (len(set(groups)) >= num_folds)


@given(LABELS, NUM_FOLDS)
def test_without_groups_the_folds_of_a_class_differ_by_one_at_most(labels, num_folds):
    found = assign_folds(labels, range(len(labels)), names(len(labels)), num_folds)
    for label in set(labels):
        held = Counter(f for f, own in zip(found, labels, strict=True) if own == label)
        sizes = [held[fold] for fold in range(num_folds)]
        assert max(sizes) - min(sizes) <= 1


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(1, 5)), min_size=1, max_size=20), NUM_FOLDS
)
def test_a_class_of_two_groups_is_in_two_folds(groups, num_folds):
    labels = [label for label, size in groups for _ in range(size)]
    starts = np.cumsum([0, *[size for _, size in groups]])
    numbers = [int(starts[n]) for n, (_, size) in enumerate(groups) for _ in range(size)]
    found = assign_folds(labels, numbers, names(len(labels)), num_folds)
    for label, num_groups in Counter(label for label, _ in groups).items():
        used = {fold for fold, own in zip(found, labels, strict=True) if own == label}
        assert len(used) >= min(2, num_groups)


@given(grouped(), NUM_FOLDS, st.randoms(use_true_random=False))
def test_the_order_of_photos_does_not_matter(case, num_folds, random):
    labels, groups = case
    order = list(range(len(labels)))
    random.shuffle(order)
    shuffled = [groups[n] for n in order]
    mixed = assign_folds(
        [labels[n] for n in order],
        [shuffled.index(group) for group in shuffled],
        [f"photo{n}" for n in order],
        num_folds,
    )
    found = assign_folds(labels, groups, names(len(labels)), num_folds)
    assert [found[n] for n in order] == mixed


def test_another_name_is_another_draw():
    zeros, alone = [0] * 40, range(40)
    one = assign_folds(zeros, alone, names(40), 2)
    other = assign_folds(zeros, alone, [f"other{n}" for n in range(40)], 2)
    assert one != other


@pytest.fixture(scope="module")
def linked(tmp_path_factory):
    """Two classes of 24 photos: sessions of four, and in each class photos stored twice."""
    place = tmp_path_factory.mktemp("linked")
    raw = draw_classes(place / "raw", [24, 24])
    for label in range(2):
        folder = raw / f"Make{label} Model"
        for photo in sorted(folder.glob("*.jpg")):
            number = int(photo.stem)
            session = f"session{label}{number // 4}-" if number < 16 else ""
            photo.rename(photo.with_name(f"{session}{photo.name}"))
        for number in (16, 18, 20, 22):
            shutil.copy(folder / f"{number:03d}.jpg", folder / f"twin{number}.jpg")
    rule = data.FreezeRule(group_by=r"session\d+", fractions=(0.8, 0.2, 0.0))
    return data.freeze(raw, place / "frozen", rule).root


def rows_of(root):
    columns = tables.read_columns(root / "manifest.parquet", ["id", "sha256", "class", "group"])
    return {row[0]: row[1:] for row in zip(*(columns[n].tolist() for n in columns), strict=True)}


def test_folds_keep_manifest_ids_twins_and_groups_together(linked):
    whole, rows = data.read_splits(linked), rows_of(linked)
    parts = [hold_out(whole, 3, fold) for fold in range(3)]
    held = np.concatenate([part.val.ids_N for part in parts])
    assert sorted(held.tolist()) == whole.train.ids_N.tolist()
    keys = dict(zip(whole.train.ids_N.tolist(), whole.train.keys_N.tolist(), strict=True))
    linked_pairs = 0
    for part in parts:
        assert part.train.name == "train"
        assert part.val.name == "val"
        assert part.test is whole.test
        together = np.sort(np.concatenate([part.train.ids_N, part.val.ids_N]))
        assert np.array_equal(together, whole.train.ids_N)
        kept, out = ([rows[n] for n in one.ids_N.tolist()] for one in (part.train, part.val))
        assert not {row[0] for row in kept} & {row[0] for row in out}
        assert not {row[2] for row in kept if row[2]} & {row[2] for row in out}
        linked_pairs += len(out) - len({row[0] for row in out})
        for split in (part.train, part.val):
            assert split.keys_N.tolist() == [keys[n] for n in split.ids_N.tolist()]
            assert [whole.classes[k].name for k in split.labels_N] == [
                rows[n][1] for n in split.ids_N.tolist()
            ]
            assert len(split.paths_N) == len(split.sizes_N2) == len(split)
            assert split.read_bytes(0)  # photos lie where they lay
    assert linked_pairs >= 4  # twins are there, so that keeping them together is asked


def test_boxes_of_one_photo_lie_in_one_fold_whatever_their_groups(tmp_path):
    boxes = [(0, (0, 0, 40, 40)), (1, (50, 10, 110, 60))]
    rows = [(f"{n}.png", label, box, "") for n in range(12) for label, box in boxes]
    root = boxed_sets.write_coco(tmp_path / "set", rows)
    names = r"images/(.*)"  # the second box of a photo has another name: 0~2.png
    rule = data.FreezeRule(crop="boxes", group_by=names, fractions=(1.0, 0.0, 0.0))
    whole = data.read_splits(data.freeze(root, tmp_path / "out", rule).root)
    columns = read_manifest(whole.train.root, ["id", "original_sha256"])
    photo_of = dict(zip(columns["id"].tolist(), columns["original_sha256"].tolist(), strict=True))
    for fold in range(3):
        part = hold_out(whole, 3, fold)
        kept, out = ({photo_of[n] for n in one.ids_N.tolist()} for one in (part.train, part.val))
        assert not kept & out
        assert len(out) == 4


def test_a_twin_outside_of_a_photos_group_stays_with_it(tmp_path):
    raw = draw_classes(tmp_path / "raw", [12])
    for photo in sorted((raw / "Make0 Model").glob("*.jpg")):
        shutil.copy(photo, photo.with_name(f"twin{photo.name}"))
        photo.rename(photo.with_name(f"session{photo.name}"))
    rule = data.FreezeRule(group_by=r"session\d+", fractions=(1.0, 0.0, 0.0))
    whole = data.read_splits(data.freeze(raw, tmp_path / "twins", rule).root)
    rows = rows_of(whole.train.root)
    assert len({row[2] for row in rows.values()}) == len(rows) == 24  # groups do not link them
    for fold in range(3):
        part = hold_out(whole, 3, fold)
        kept, out = ({rows[n][0] for n in one.ids_N.tolist()} for one in (part.train, part.val))
        assert not kept & out
        assert (len(out), len(part.val)) == (4, 8)


def test_hashes_tell_folds_apart_from_each_other_and_from_the_whole(linked):
    whole = data.read_splits(linked)
    parts = [hold_out(whole, 3, fold) for fold in range(3)]
    hashes = {one.hash for part in parts for one in (part.train, part.val)}
    assert len(hashes) == 6
    assert not hashes & {whole.train.hash, whole.val.hash}
    for part in parts:
        assert part.card["hashes"]["train"] == part.train.hash
        assert part.card["hashes"]["val"] == part.val.hash
        assert part.card["hashes"]["classes"] == whole.card["hashes"]["classes"]
    assert hold_out(whole, 3, 1).val.hash == parts[1].val.hash
    assert hold_out(whole, 4, 1).val.hash != parts[1].val.hash


def test_load_cuts_train_where_the_settings_ask(linked):
    cut = data.load(config.Data(root=str(linked), num_folds=2, fold=1))
    assert cut.val.hash == hold_out(data.read_splits(linked), 2, 1).val.hash
    assert data.load(config.Data(root=str(linked))).val.hash == data.read_splits(linked).val.hash


def test_a_pack_has_the_folds_of_its_folder(linked, tmp_path):
    pack = data.pack(linked, tmp_path / "pack", data.PackRule(max_px=52)).root
    for fold in range(3):
        one, other = (hold_out(data.read_splits(root), 3, fold) for root in (linked, pack))
        assert one.val.ids_N.tolist() == other.val.ids_N.tolist()
        assert one.train.keys_N.tolist() == other.train.keys_N.tolist()
        assert one.val.hash != other.val.hash  # other bytes
        assert other.val.read_bytes(0)


def test_more_folds_than_groups_are_refused_with_how_many_there_can_be(tiny):
    whole = data.read_splits(tiny)
    count = len(whole.train)
    assert len(hold_out(whole, count, count - 1).val) == 1
    with pytest.raises(DataError) as error:
        hold_out(whole, count + 1, count)
    assert f"{count} train photos in {count} groups give no {count + 1} folds" in str(error.value)
    assert f"data.num_folds={count}" in str(error.value)


def test_train_that_must_stay_together_has_no_folds(tmp_path):
    raw = draw_classes(tmp_path / "raw", [6])
    rule = data.FreezeRule(group_by="Make")
    whole = data.read_splits(data.freeze(raw, tmp_path / "one", rule).root)
    with pytest.raises(DataError, match="no part can be held out"):
        hold_out(whole, 2, 0)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["data.num_folds=1"], "data.fold=0: is no part of data.num_folds=1; take 2 folds or more"),
        (["data.num_folds=3", "data.fold=3"], "data.fold=3: is no part of data.num_folds=3"),
        (["data.fold=1"], "data.fold=1: is no part of data.num_folds=0"),
        (["data.num_folds=-2"], "data.num_folds"),
    ],
)
def test_folds_that_are_none_are_refused(words, said):
    with pytest.raises(ConfigError) as error:
        config.resolve(config.Recipe(), words)
    assert said in str(error.value)
