"""Sets as they are published: where the files of Stanford Cars and CompCars lie."""

import zipfile

import boxed_sets as sets
import pytest
from photos import draw_photo

from carscale import data
from carscale.data.sources.open_source import open_source
from carscale.errors import DataError

ROWS = sets.boxes(12, split_at=8)


def splits_of(root, **options):
    with open_source(root, **options) as found:
        splits = {file.relative.rpartition("/")[2]: file.split for file in found.files}
        return splits, found.refused, found.notes


def test_labels_of_stanfords_test_may_lie_outside_the_devkit(tmp_path):
    """As torchvision has them: stanford_cars/cars_test_annos_withlabels.mat."""
    root = sets.write_stanford(tmp_path / "stanford_cars", ROWS)
    labels = "cars_test_annos_withlabels.mat"
    (root / "devkit" / labels).rename(root / labels)
    splits, refused, _ = splits_of(tmp_path, keep_splits=True)
    assert splits == {name: split for name, _, _, split in ROWS}
    assert not refused


def test_the_test_of_stanford_without_labels_says_what_to_download(tmp_path):
    sets.write_stanford(tmp_path, ROWS)
    (tmp_path / "devkit/cars_test_annos_withlabels.mat").unlink()
    splits, refused, _ = splits_of(tmp_path, keep_splits=True)
    assert set(splits.values()) == {"train"}
    assert len(refused) == 4
    assert all("download cars_test_annos_withlabels.mat beside it" in why for _, why in refused)


@pytest.fixture
def comp_cars(tmp_path):
    root = sets.write_comp_cars(tmp_path / "data", ROWS)
    lists = root / "train_test_split/classification"
    lists.mkdir(parents=True)
    lines = {"train": [], "test": []}
    for name, label, _, split in ROWS[1:]:
        lines[split].append(f"{78 + label}/{label + 1}/2012/{name}\r\n")
    for split, own in lines.items():
        (lists / f"{split}.txt").write_text("".join(own), newline="")
    return tmp_path


def test_the_splits_of_comp_cars_are_kept(comp_cars):
    splits, refused, _ = splits_of(comp_cars, keep_splits=True)
    assert splits == {name: split for name, _, _, split in ROWS[1:]}
    assert [(path.rpartition("/")[2], why) for path, why in refused] == [
        (ROWS[0][0], "is in no split")
    ]


def test_splits_of_comp_cars_that_are_not_kept_are_said(comp_cars):
    splits, refused, notes = splits_of(comp_cars)
    assert splits == {name: "" for name, *_ in ROWS}
    assert not refused
    said = "11 photos are in splits of train_test_split/classification/: --keep-splits"
    assert said in notes


def test_comp_cars_without_its_lists_has_no_splits_to_keep(tmp_path):
    root = sets.write_comp_cars(tmp_path / "data", ROWS)
    with pytest.raises(DataError, match="--keep-splits wants"), open_source(root, keep_splits=True):
        pass


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


def classes_of(source, **options):
    with open_source(source, **options) as found:
        return {file.class_name for file in found.files}, found.notes


@pytest.mark.parametrize("top", ["archive/cars", "resized_DVM_v2", "cars"])
def test_folders_above_makes_are_no_part_of_classes(tmp_path, top):
    touch(tmp_path, f"{top}/Audi/A5/1.jpg", f"{top}/BMW/M3/1.jpg", f"{top}/readme.md")
    classes, notes = classes_of(tmp_path)
    assert classes - {""} == {"Audi/A5", "BMW/M3"}
    assert notes[0] == f"all photos lie below {top}/, which is no class; classes start there"
    classes, _ = classes_of(tmp_path, class_from=f"{top}/{{make}}/{{model}}/*")
    assert classes == {"Audi A5", "BMW M3"}


@pytest.mark.parametrize(
    "folders",
    [
        ("audi/a4", "audi/a5"),  # one make
        ("Audi/Ford Blue", "Audi/BMW Red"),  # a make, and models called like others
        ("site/a4", "site/x5"),
        ("set/Audi A4", "set/Norrik Pitka"),  # not all are known
        ("set/Audi A4", "other/BMW X5"),
    ],
)
def test_folders_that_may_be_makes_stay(tmp_path, folders):
    touch(tmp_path, *(f"{folder}/1.jpg" for folder in folders))
    classes, notes = classes_of(tmp_path)
    assert classes == set(folders)
    assert not notes


def write_zip(path, names):
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            info = zipfile.ZipInfo("x")
            info.filename = name
            archive.writestr(info, b"x")
    return path


def test_a_zip_with_backslashes_is_read_as_windows_means_it(tmp_path):
    path = write_zip(tmp_path / "a.zip", ["Audi A4\\1.jpg", "BMW X5\\1.jpg", "..\\Kia\\1.jpg"])
    with open_source(path) as found:
        assert {file.relative for file in found.files} == {"Audi A4/1.jpg", "BMW X5/1.jpg"}
        assert found.refused == [("../Kia/1.jpg", "leads out of the archive")]
        assert "names in the archive have \\ between folders" in found.notes[0]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("cars-train.tfrecord", "TFRecord"),
        ("cars196-train.tfrecord-00000-of-00008", "TFRecord"),
        ("train/data.mdb", "LMDB"),
        ("cars.beton", "FFCV"),
    ],
)
def test_packed_photos_of_kinds_that_are_not_read_are_named(tmp_path, name, kind):
    path = tmp_path / "set" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(bytes(range(256)) * 8)
    with pytest.raises(DataError, match=f"holds {kind}, which is not read; the first: {name}"):
        data.freeze(tmp_path / "set", tmp_path / "out")


def test_photos_without_suffixes_beside_an_archive_are_photos(tmp_path):
    for label, folder in enumerate(("Audi A4", "BMW M3")):
        for n in range(4):
            draw_photo(tmp_path / "set" / folder / f"{n}.jpg", label, n)
            (tmp_path / "set" / folder / f"{n}.jpg").rename(tmp_path / "set" / folder / str(n))
    (tmp_path / "set" / "original.zip").write_bytes(b"PK")
    assert data.freeze(tmp_path / "set", tmp_path / "out").card["counts"]["classes"] == 2
