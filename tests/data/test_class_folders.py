"""Which parts of a path are the class: depth, templates, expressions; folders that are none."""

import re
import zipfile
from pathlib import Path

import pytest
from command_line import carscale
from frozen_trees import refused_of, rows_of
from photos import draw_photo

from carscale import data
from carscale.data.sources.class_folders import nested_note, pattern_of
from carscale.data.sources.open_source import open_source
from carscale.errors import ConfigError, DataError


def draw(root: Path, *paths: str) -> Path:
    for number, path in enumerate(paths):
        draw_photo(root / path, number % 2, number)
    return root


def cars_of(root: Path) -> dict[str, tuple]:
    return {c.name: (c.make, c.model, c.body, c.year) for c in data.read_splits(root).classes}


PORSCHE = [
    f"{variant}/{year}/{colour}/1.jpg"
    for variant in ("911 930", "Cayman", "Taycan Turbo S")
    for year in (2012, 2013)
    for colour in ("Black", "Guards Red", "White")
]


def test_folders_below_a_depth_are_no_part_of_classes(tmp_path):
    root = draw(tmp_path / "cars", *PORSCHE)
    frozen = data.freeze(root, tmp_path / "out", data.FreezeRule(class_depth=1))
    assert set(cars_of(frozen.root)) == {"911 930", "Cayman", "Taycan Turbo S"}
    assert frozen.card["rule"]["class_depth"] == 1
    with open_source(root, class_depth=9) as found:
        assert len({file.class_name for file in found.files}) == 18


def test_folders_that_look_like_no_classes_are_named_with_the_option(tmp_path):
    answer = carscale("data", "freeze", draw(tmp_path / "cars", *PORSCHE), tmp_path / "out", code=0)
    assert (
        "note: the last folders of 18 classes are colours and years; for the 3 classes above them: "
        "--class-depth 1\n"
    ) in answer.stderr


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ({"Audi/A4/2012", "Audi/A5/2012", "BMW/X5/2013"}, "years; for the 3 .*--class-depth 2"),
        ({"Audi/front", "Audi/rear", "BMW/front", "BMW/rear"}, "views; .*--class-depth 1"),
        ({"A4/session 1", "A4/session 2", "X5/session 1"}, "sessions"),
        ({"Audi/A4", "Audi/A5", "BMW/X5"}, None),
        ({"Audi/A4/Sedan", "BMW/X5/SUV", "VW/Golf/Sedan"}, None),
        ({"Peugeot/2008", "Peugeot/3008", "BMW/2002"}, None),  # none of them repeats
        ({"Black", "White"}, None),
        ({"Audi A4 2012", "Audi A5 2012"}, None),
    ],
)
def test_only_folders_that_repeat_and_are_no_names_are_named(names, says):
    note = nested_note(names)
    if says is None:
        assert note == ""
    else:
        assert re.search(says, note), note


def test_parts_of_paths_fill_make_model_body_and_year(tmp_path):
    paths = [
        f"Great Wall/Hover H{n}/{year}/{k}.jpg" for n in "35" for year in (2011, 2012) for k in "12"
    ]
    root = draw(tmp_path / "cars", *paths, "vw/golf/2012/1.jpg", "vw/lost.jpg")
    rule = data.FreezeRule(class_from="{make}/{model}/{year}/*")
    frozen = data.freeze(root, tmp_path / "out", rule)
    assert cars_of(frozen.root) == {
        "Great Wall Hover H3 2011": ("Great Wall", "Hover H3", None, 2011),
        "Great Wall Hover H3 2012": ("Great Wall", "Hover H3", None, 2012),
        "Great Wall Hover H5 2011": ("Great Wall", "Hover H5", None, 2011),
        "Great Wall Hover H5 2012": ("Great Wall", "Hover H5", None, 2012),
        "vw golf 2012": ("Volkswagen", "golf", None, 2012),
    }
    assert refused_of(frozen.root) == {"vw/lost.jpg": "--class-from finds no class in vw/lost.jpg"}
    assert frozen.card["rule"]["class_from"] == "{make}/{model}/{year}/*"


@pytest.mark.parametrize(
    ("pattern", "classes"),
    [
        ("{make}_{model}_*/*", {"honda civic si", "norrik two pitka"}),  # VMMRdb: all years
        ("{make}_{model}_{year}/*", {"honda civic si 2004", "honda civic si 2005",
                                     "norrik two pitka 1999"}),
        (r"(?P<make>[^_/]+)_[^/]*", {"honda", "norrik two"}),
        (r"(?P<class>[a-z ]+_[^/]*?)_\d{4}/", {"honda civic si", "norrik two pitka"}),
    ],
)  # fmt: skip
def test_years_can_be_one_class_or_many(tmp_path, pattern, classes):
    root = draw(
        tmp_path / "cars",
        *("honda_civic si_2004/1.jpg", "honda_civic_si_2005/2.jpg", "norrik two_pitka_1999/3.jpg"),
    )
    with open_source(root, class_from=pattern) as found:
        assert {file.class_name for file in found.files} == classes


def test_names_of_files_can_tell_classes_also_in_split_folders(tmp_path):
    root = draw(
        tmp_path / "cars",
        *(
            f"{s}/Audi_{m}_2012_{n}.jpg"
            for s in ("train", "test")
            for m in ("A4", "TT")
            for n in "12"
        ),
    )
    with open_source(root, keep_splits=True, class_from="{make}_{model}_{year}_*.jpg") as found:
        assert {(file.split, file.class_name) for file in found.files} == {
            (split, f"Audi {model} 2012") for split in ("train", "test") for model in ("A4", "TT")
        }
    flat = draw(tmp_path / "flat", *(f"Audi_{m}_{n}.jpg" for m in ("A4", "TT") for n in "12"))
    frozen = data.freeze(flat, tmp_path / "out", data.FreezeRule(class_from="{make}_{model}_*"))
    assert {row["class"] for row in rows_of(frozen.root)} == {"Audi A4", "Audi TT"}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"class_from": "{maker}/*"}, r"names maker; parts are class, make.*\n.*for example"),
        ({"class_from": "*/*"}, "names no part"),
        ({"class_from": "(?P<make>"}, "is no expression"),
        ({"class_from": "{make}/{make}"}, "is no expression"),
        ({"class_depth": 0}, "--class-depth 0: must be 1 or more"),
        ({"class_depth": 1, "class_from": "{make}/*"}, "--class-from says it already"),
    ],
)
def test_rules_that_make_no_sense_are_refused(options, says):
    with pytest.raises(ConfigError, match=says):
        data.FreezeRule(**options).check()


def test_a_pattern_that_fits_nothing_and_a_source_with_labels_are_refused(tmp_path):
    root = draw(tmp_path / "cars", "A/1.jpg", "B/2.jpg")
    with pytest.raises(DataError, match=r"fits none of 2 paths; the first: A/1\.jpg"):
        data.freeze(root, tmp_path / "out", data.FreezeRule(class_from="{make}/{model}/*.jpg"))
    (root / "cars.csv").write_text("path,label\nA/1.jpg,x\n")
    with pytest.raises(ConfigError, match=r"--class-depth 1: .*cars\.csv has labels"):
        data.freeze(root / "cars.csv", tmp_path / "out", data.FreezeRule(class_depth=1))


def test_a_template_is_read_as_it_is_written():
    assert pattern_of("{make}.(x)/*").search("a.(x)/1.jpg")
    assert not pattern_of("{make}.(x)/*").search("ay(x)/1.jpg")
    assert pattern_of("**/{make}/{model}/*").search("x/y/audi/a4/1.jpg")["make"] == "audi"


@pytest.mark.parametrize(
    ("tables", "keep", "command"),
    [
        (["metadata.csv"], False, "carscale data freeze SET/metadata.csv OUT"),
        (["metadata.parquet"], False, "carscale data freeze SET/metadata.parquet OUT"),
        (["metadata.jsonl"], False, "carscale data freeze hf://SET OUT"),
        (["train/metadata.csv", "test/metadata.csv"], False, "carscale data freeze hf://SET OUT"),
        (["train/metadata.csv"], True, "carscale data freeze hf://SET OUT --keep-splits"),
    ],
)
@pytest.mark.parametrize("sub", ["", "images"])
def test_labels_in_a_table_beside_photos_are_named(tmp_path, tables, keep, command, sub):
    for table in tables:
        folder = (tmp_path / table).parent / sub
        folder.mkdir(parents=True, exist_ok=True)
        (tmp_path / table).write_text("file_name,label\n1.jpg,Audi\n")
        for number in range(3):
            (folder / f"{number}.jpg").write_bytes(b"")
    with (
        pytest.raises(DataError, match="its photos lie in no class folders") as error,
        open_source(tmp_path, keep_splits=keep),
    ):
        pass
    assert command.replace("SET", str(tmp_path)) in str(error.value)


def test_a_table_beside_class_folders_is_said_to_be_passed_over(tmp_path):
    for name in ("Audi/1.jpg", "BMW/1.jpg", "metadata.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    with open_source(tmp_path) as found:
        assert [file.class_name for file in found.files] == ["Audi", "BMW"]
        (note,) = found.notes
    assert note.startswith("classes are folders; for labels in metadata.csv: carscale data freeze ")


def test_labels_in_a_table_in_an_archive_are_named(tmp_path):
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for name in ("set/1.jpg", "set/2.jpg", "set/metadata.csv"):
            archive.writestr(name, b"")
    with (
        pytest.raises(DataError, match=r"labels may stand in its set/metadata.csv: unpack it"),
        open_source(tmp_path / "set.zip"),
    ):
        pass
