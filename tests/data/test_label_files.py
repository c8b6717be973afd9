"""Photos in one folder or none, with a file beside that may say what they show; paths of others."""

import csv
import zipfile
from pathlib import Path

import pytest

from carscale.data.sources.open_source import open_source
from carscale.errors import DataError, QuestionError


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


def problem_of(source: Path, **options) -> DataError:
    with pytest.raises(DataError) as error, open_source(source, **options):
        pass
    return error.value


@pytest.mark.parametrize("name", ["labels.csv", "ann/cars.tsv", "train.txt", "cars.parquet"])
def test_a_table_beside_one_folder_of_photos_is_asked_about(tmp_path, name):
    error = problem_of(touch(tmp_path, "images/1.jpg", "images/2.jpg", name))
    assert isinstance(error, QuestionError)
    assert f"all photos lie in one folder, images, and {name} may say" in error.fact
    assert f"carscale data freeze {tmp_path / name} OUT" in error.next_steps[0]
    assert error.answers == {"images is a class": "--class-depth 1"}


@pytest.mark.parametrize("name", ["annotations.xml", "train/info.labels", "VehicleInfo.mat"])
def test_an_annotation_of_an_unknown_kind_is_named_with_those_that_are_read(tmp_path, name):
    error = problem_of(touch(tmp_path, "train/1.jpg", name))
    assert name in error.fact
    assert "COCO, Pascal VOC, YOLO and the devkit of Stanford Cars are read" in error.next_steps[0]


def test_annotations_beside_photos_in_no_folder_are_named(tmp_path):
    error = problem_of(touch(tmp_path, *(f"{n}.{s}" for n in range(5) for s in ("jpg", "json"))))
    assert "lie in no class folders, beside 0.json, 1.json, 2.json and 2 more\n" in str(error)


def test_the_largest_of_several_tables_is_the_one_to_read(tmp_path):
    touch(tmp_path, "images/1.jpg", "classes.csv")
    (tmp_path / "train.csv").write_text("path,label\n" * 9)
    assert f"freeze {tmp_path / 'train.csv'} OUT" in problem_of(tmp_path).next_steps[0]


@pytest.mark.parametrize(
    ("names", "options", "classes"),
    [
        (["Audi/1.jpg", "BMW/1.jpg", "labels.csv"], {}, {"Audi", "BMW"}),
        (["Audi/1.jpg", "README.txt", "LICENSE.md"], {}, {"Audi"}),
        (["images/1.jpg", "labels.csv"], {"class_depth": 1}, {"images"}),
        (["images/audi_1.jpg", "labels.csv"], {"class_from": "{make}_*.jpg"}, {"audi"}),
    ],
)
def test_nothing_is_asked_where_classes_are_known(tmp_path, names, options, classes):
    with open_source(touch(tmp_path, *names), **options) as found:
        assert {file.class_name for file in found.files} == classes


def test_a_table_in_an_archive_is_asked_about(tmp_path):
    with zipfile.ZipFile(tmp_path / "cars.zip", "w") as archive:
        for name in ("images/1.jpg", "labels.csv"):
            archive.writestr(name, b"x")
    error = problem_of(tmp_path / "cars.zip")
    assert "images, and labels.csv may say" in error.fact
    assert error.next_steps[0].startswith("unpack it")


def table(path: Path, rows: list[tuple[str, str]]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label"), *rows])
    return path


@pytest.mark.parametrize(
    "written",
    [
        "C:\\Users\\me\\cars\\images\\{}.jpg",
        "images\\{}.jpg",
        "/home/me/cars/images/{}.jpg",
        "cars/images/{}.jpg",
        "https://labels.example/data/images/{}.jpg",
        "{}",
    ],
)
def test_paths_of_another_machine_mean_photos_by_how_they_end(tmp_path, written):
    touch(tmp_path, "images/1.jpg", "images/2.jpg")
    rows = [(written.format(n), label) for n, label in ((1, "Audi"), (2, "BMW"), (3, "BMW"))]
    with open_source(table(tmp_path / "cars.csv", rows)) as found:
        kept = [(file.relative, file.class_name) for file in found.files]
        (note,), refused = found.notes, [name for name, _ in found.refused]
    assert kept == [("images/1.jpg", "Audi"), ("images/2.jpg", "BMW")]
    assert note.endswith(f"the first: {written.format(1)} is images/1.jpg")
    assert refused == [written.format(3)]


def test_a_table_with_one_path_that_leads_to_a_photo_is_taken_at_its_word(tmp_path):
    touch(tmp_path, "images/1.jpg", "images/2.jpg")
    rows = [("images/1.jpg", "Audi"), ("/home/me/images/2.jpg", "BMW")]
    with open_source(table(tmp_path / "cars.csv", rows)) as found:
        assert [file.relative for file in found.files] == ["images/1.jpg"]


def test_a_photo_of_another_folder_is_named_but_not_taken(tmp_path):
    touch(tmp_path, "media/upload/3/1.jpg")
    error = problem_of(table(tmp_path / "cars.csv", [("/data/upload/3/1.jpg", "Audi")]))
    assert "none of 1 rows can be used" in str(error)
    assert "and media/upload/3/1.jpg is there: write it so" in str(error)


@pytest.mark.parametrize("name", ["data/train-00000-of-00002.parquet", "cars.parquet"])
def test_parquet_without_photos_beside_it_is_read_by_datasets(tmp_path, name):
    error = problem_of(touch(tmp_path, name, "README.md"))
    assert f"for photos in it: carscale data freeze hf://{tmp_path} OUT" in str(error)


def test_a_folder_of_archives_is_to_be_unpacked(tmp_path):
    error = problem_of(touch(tmp_path, "Cars-001.zip", "Cars-002.zip"))
    assert "holds archives and no photos; the first: Cars-001.zip" in str(error)
    assert "unpack them into one folder" in str(error)


def test_a_spreadsheet_beside_photos_is_to_be_saved_as_csv(tmp_path):
    error = problem_of(touch(tmp_path, "img/1.jpg", "cars.xlsx"))
    assert "save the spreadsheet as CSV" in str(error)


def test_photos_in_no_folder_may_have_classes_in_their_names(tmp_path):
    error = problem_of(touch(tmp_path, "Audi_A5_2012_33_RWD.jpg", "BMW_M3_2012_40.jpg"))
    assert "--class-from '{make}_{model}_{year}_*.jpg'" in str(error)
    with open_source(tmp_path, class_from="{make}_{model}_{year}_*.jpg") as found:
        assert {file.class_name for file in found.files} == {"Audi A5 2012", "BMW M3 2012"}


def test_a_placeholder_of_icloud_is_refused_by_name(tmp_path):
    touch(tmp_path, "Audi/1.jpg", "Audi/.2.jpg.icloud", "BMW/1.jpg")
    with open_source(tmp_path) as found:
        assert found.refused == [
            ("Audi/.2.jpg.icloud", "a placeholder of iCloud: download it first")
        ]
        assert len(found.files) == 2
