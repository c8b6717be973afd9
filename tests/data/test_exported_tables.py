"""Tables as annotation tools export them: one beside the photos of each split, a column a class."""

import csv

import pytest

from carscale.data.sources.open_source import open_source
from carscale.errors import DataError, QuestionError

SIZES = {"train": 4, "valid": 2, "test": 3}
CLASSES = ["Audi A4", "BMW X5"]


def write(path, header, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


@pytest.fixture
def annotated(tmp_path):
    """Write photos called alike in each split, and ``_annotations.csv`` with boxes."""
    for split, count in SIZES.items():
        rows = [(f"{n}.jpg", 9, 9, CLASSES[n % 2], 1, 1, 5, 5) for n in range(count)]
        header = ["filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax"]
        write(tmp_path / split / "_annotations.csv", header, rows)
        for name, *_ in rows:
            (tmp_path / split / name).write_bytes(f"{split} {name}".encode())
    return tmp_path


def found_in(source, **options):
    with open_source(source, **options) as found:
        return {file.relative: (file.class_name, file.split) for file in found.files}, found


def test_tables_beside_the_photos_of_each_split_are_one_set(annotated):
    files, found = found_in(annotated, keep_splits=True)
    names = {"train": "train", "valid": "val", "test": "test"}
    assert files == {
        f"{split}/{n}.jpg": (CLASSES[n % 2], names[split])
        for split, count in SIZES.items()
        for n in range(count)
    }
    assert not found.refused
    assert found.notes[0].startswith("classes are those of tables: test/_annotations.csv, train/")
    for file in found.files:
        assert file.read_whole() == file.relative.replace("/", " ").encode()


def test_boxes_of_such_tables_are_taken(annotated):
    _, found = found_in(annotated, keep_splits=True, crop="boxes")
    assert all(file.box for file in found.files)
    assert len({file.photo for file in found.files}) == sum(SIZES.values())


def test_their_splits_are_asked_about(annotated):
    with pytest.raises(QuestionError, match="is split already") as error, open_source(annotated):
        pass
    assert {*error.value.answers.values()} == {"--keep-splits", "--split-folders together"}
    files, _ = found_in(annotated, split_folders="together")
    assert {split for _, split in files.values()} == {""}
    assert len(files) == sum(SIZES.values())


@pytest.mark.parametrize(
    "options",
    [{"split_folders": "classes"}, {"class_from": "{make}.jpg", "split_folders": "together"}],
)
def test_what_folders_are_said_to_be_comes_first(annotated, options):
    files, _ = found_in(annotated, **options)
    assert not {name for name, _ in files.values()} & {*CLASSES}


def test_a_split_without_a_table_is_no_such_set(annotated):
    (annotated / "valid/_annotations.csv").unlink()
    with pytest.raises(QuestionError, match="hold no class folders"), open_source(annotated):
        pass


def test_class_folders_are_classes_whatever_tables_lie_above(annotated):
    for split in SIZES:
        for name in ("Kia", "Seat"):
            (annotated / split / name).mkdir()
            (annotated / split / name / "1.jpg").write_bytes(b"x")
    files, _ = found_in(annotated, keep_splits=True)
    assert {name for name, _ in files.values()} == {"Kia", "Seat"}


ONE_HOT = [("0.jpg", 1, 0), ("1.jpg", 0, " 1"), ("2.jpg", 1, 1), ("3.jpg", 0, 0), ("4.jpg", 0, 1)]


def test_columns_of_0_and_1_are_classes(tmp_path):
    write(tmp_path / "_classes.csv", ["filename", " Audi A4", "BMW X5"], ONE_HOT)
    for name, *_ in ONE_HOT:
        (tmp_path / name).write_bytes(b"x")
    files, found = found_in(tmp_path / "_classes.csv")
    assert {name: label for name, (label, _) in files.items()} == {
        "0.jpg": "Audi A4",
        "1.jpg": "BMW X5",
        "4.jpg": "BMW X5",
    }
    assert dict(found.refused) == {
        "row 4": "row 4: has several classes: Audi A4, BMW X5",
        "3.jpg": "row 5: no label",
    }
    assert "its 2 columns of 0 and 1 are classes" in found.notes


@pytest.mark.parametrize(
    ("header", "rows"),
    [
        (["filename", "doors", "seats"], [("0.jpg", 0, 1), ("1.jpg", 4, 5)]),
        (["filename", "sold"], [("0.jpg", 0), ("1.jpg", 1)]),
        (["filename", "sold", "new"], [("0.jpg", 1, 1), ("1.jpg", 0, 0)]),
        (["filename", "Audi", "Audi"], [("0.jpg", 1, 0), ("1.jpg", 0, 1)]),
    ],
)
def test_other_columns_are_no_classes(tmp_path, header, rows):
    write(tmp_path / "cars.csv", header, rows)
    with (
        pytest.raises(DataError, match="no column for the label"),
        open_source(tmp_path / "cars.csv"),
    ):
        pass


def test_a_column_that_is_chosen_or_called_label_comes_first(tmp_path):
    write(tmp_path / "a.csv", ["filename", "label", "x"], [("0.jpg", 0, 1), ("1.jpg", 1, 0)])
    write(tmp_path / "b.csv", ["filename", "y", "x"], [("0.jpg", 0, 1), ("1.jpg", 1, 0)])
    for number in range(2):
        (tmp_path / f"{number}.jpg").write_bytes(b"x")
    for files, _ in (found_in(tmp_path / "a.csv"), found_in(tmp_path / "b.csv", label_column="y")):
        assert {name for name, _ in files.values()} == {"0", "1"}


def test_the_label_of_a_row_is_guessed_by_what_may_be_a_name(tmp_path):
    """As Google's AutoML writes: split, photo, label, corners, some of them empty."""
    rows = [
        (split, f"{n}.jpg", "Audi A4", 0.1, 0.1, "", "", 0.9, 0.9, "", "")
        for n, split in enumerate(["VALIDATION", "TRAIN"])
    ]
    write(
        tmp_path / "cars.csv",
        ["TRAIN", "9.jpg", "BMW X5", 0.1, 0.1, "", "", 0.9, 0.9, "", ""],
        rows,
    )
    with pytest.raises(DataError, match="--image-column 2 --label-column 3"):
        found_in(tmp_path / "cars.csv")


def test_a_list_with_blanks_between_columns_is_read_as_it_says(tmp_path):
    (tmp_path / "train.txt").write_text("0.jpg 1\n1.jpg 2\n")
    with pytest.raises(DataError, match="for a blank, 'sep= '"):
        found_in(tmp_path / "train.txt")
    (tmp_path / "train.txt").write_text("sep= \n0.jpg 1\n1.jpg 2\n")
    for number in range(2):
        (tmp_path / f"{number}.jpg").write_bytes(b"x")
    files, _ = found_in(tmp_path / "train.txt", image_column="1", label_column="2")
    assert {name: label for name, (label, _) in files.items()} == {"0.jpg": "1", "1.jpg": "2"}
