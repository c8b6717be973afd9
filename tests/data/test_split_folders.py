"""Folders that are splits: found at any depth and spelling, never classes, never changed."""

import shutil
from pathlib import Path

import pytest
from command_line import carscale
from frozen_trees import refused_of, rows_of
from photos import draw_classes, draw_photo

from carscale import data
from carscale.data.frozen.split_assignment import leaks
from carscale.data.sources.open_source import open_source
from carscale.data.sources.photos import source_classes
from carscale.data.sources.split_folders import find_split_folders, split_word
from carscale.errors import ConfigError, DataError, QuestionError

KEEP = data.FreezeRule(keep_splits=True)


@pytest.mark.parametrize(
    ("split", "names"),
    [
        ("train", "train TRAIN Training cars_train train_images train2017 01_train TrainSet"),
        ("train", "stanford-cars-train trainval train_val imgs.train Trainingsdaten CarsTrain"),
        ("val", "val valid Validation dev dev-set val2017 valset"),
        ("test", "test Testing cars_test test1 TestImages testset eval test_set"),
        (None, "latest contest trainee Tester Audi attest restval valencia 2012 devon"),
        (None, "Audi_test_drive my-train-station"),
    ],
)
def test_split_words_are_read_in_any_spelling(split, names):
    for name in names.split():
        assert split_word(name) == split, name


@pytest.mark.parametrize(
    ("folders", "found"),
    [
        (["train/A", "test/A"], {"train", "test"}),
        (["car_data/car_data/train/A", "car_data/car_data/test/A"], None),
        (["cars_train/cars_train", "cars_test/cars_test"], {"cars_train", "cars_test"}),
        (["A/train", "A/test", "B/train"], {"A/train", "A/test", "B/train"}),
        (["set1/train/A", "set1/val/A", "set2/train/A"], {"set1/train", "set1/val", "set2/train"}),
        (["images/train/A", "images/val/A", "other/A"], {"images/train", "images/val"}),
        (["train/A/test", "valid/A/x"], {"train", "valid"}),
        (["Audi/A4", "Audi/test", "Ford Test"], set()),  # no train beside it
        (["train/A", "bus/B"], set()),
    ],
)
def test_folders_are_splits_where_a_train_and_another_lie_together(folders, found):
    wanted = {folder.rpartition("/")[0] for folder in folders} if found is None else found
    assert set(find_split_folders(folders)) == wanted


def draw(root: Path, *folders: str, num_photos: int = 3) -> Path:
    for number, folder in enumerate(folders):
        for turn in range(num_photos):
            draw_photo(root / folder / f"{turn}.jpg", number % 2, 100 * number + turn)
    return root


LAYOUTS = {
    "below": "car_data/car_data/{}/{}",
    "beside": "{}/{}",
    "decorated": "cars_{}/{}",
    "upper": "data/{}_IMAGES/{}",
    "repeated": "data/{0}ing_set/{0}ing_set/{1}",
    "inside classes": "cars/{1}/{0}",
}


def draw_layout(root: Path, layout: str) -> Path:
    pattern = LAYOUTS[layout]
    splits = ("TRAIN", "TEST") if layout == "upper" else ("train", "test")
    draw(root, *(pattern.format(s, name) for s in splits for name in ("Audi A4", "BMW X5")))
    if layout == "beside":
        draw(root, "extra/Fiat", num_photos=1)
        (root / "annotations").mkdir()
        (root / "annotations" / "boxes.txt").write_text("1 2 3 4")
    (root / "names.csv").write_text("Audi A4\n")
    return root


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_split_folders_are_asked_about_kept_or_put_together(tmp_path, layout, kind):
    source = draw_layout(tmp_path / "cars", layout)
    if kind != "folder":
        source = Path(shutil.make_archive(str(tmp_path / "packed"), kind, root_dir=source))
    with pytest.raises(QuestionError, match=r"is split already \(.*: 6 train, 6 test\)") as asked:
        data.freeze(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert len(asked.value.answers) == 3
    with open_source(source, keep_splits=True) as found:
        assert {(f.split, f.class_name) for f in found.files} == {
            (split, name) for split in ("train", "test") for name in ("Audi A4", "BMW X5")
        }
        outside = {path for path, why in found.refused if why == "lies in no split folder"}
        assert outside == {"names.csv"} | (
            {"extra", "annotations"} if layout == "beside" else set()
        )
    with open_source(source, split_folders="together") as found:
        assert {(f.split, f.class_name) for f in found.files} == {("", "Audi A4"), ("", "BMW X5")}
        assert "are put together and drawn anew" in found.notes[-1]
    with open_source(source, split_folders="classes") as found:
        assert len({f.class_name for f in found.files}) == 4 + (layout == "beside") * 2


def test_splits_without_class_folders_are_refused_with_what_to_do(tmp_path):
    source = draw(tmp_path / "src", "cars_train/cars_train", "cars_test/cars_test")
    for rule in (None, KEEP):
        with pytest.raises(DataError, match=r"hold no class folders: .* 6 files show\n.*TABLE.csv"):
            data.freeze(source, tmp_path / "out", rule)
    rule = data.FreezeRule(split_folders="classes")
    assert data.freeze(source, tmp_path / "out", rule).card["counts"]["classes"] == 2


def test_a_lone_train_folder_is_no_part_of_classes(tmp_path):
    source = draw(tmp_path / "src", "Train/Audi", "Train/BMW/X5")
    (source / "labels").mkdir()
    with open_source(source) as found:
        assert {file.class_name for file in found.files} == {"Audi", "BMW/X5"}
        assert found.notes == [
            "all photos lie below Train/, which is no class; classes start there"
        ]


def test_other_commands_take_the_photos_of_all_splits(tmp_path):
    source = draw_layout(tmp_path / "cars", "below")
    with source_classes(source) as classes:
        assert {name: len(photos) for name, photos in classes.items()} == {
            "Audi A4": 6,
            "BMW X5": 6,
        }


def test_paths_in_a_table_tell_splits(tmp_path):
    root = draw_layout(tmp_path / "cars", "below")
    paths = sorted(path.relative_to(root) for path in root.rglob("*.jpg"))
    lines = "".join(f"{path},{path.parent.name}\n" for path in paths)
    table = root / "cars.csv"
    table.write_text(f"path,label\n{lines}")
    with pytest.raises(QuestionError, match="by the folders test, train"), open_source(table):
        pass
    with open_source(table, split_folders="together") as found:
        assert found.notes == [
            "splits test, train of the folders test, train are put together and drawn anew; keep "
            "them: --keep-splits"
        ]
    with open_source(table, keep_splits=True) as found:
        assert {(f.relative.split("/")[2], f.split) for f in found.files} == {
            ("train", "train"),
            ("test", "test"),
        }


@pytest.mark.parametrize("kind", ["same photo", "group", "near"])
def test_given_val_and_test_stay_and_what_leaked_into_train_goes(tmp_path, kind):
    raw = draw_classes(tmp_path / "raw" / "train", [6, 6]).parent
    for number, split in enumerate(("val", "test")):
        for label in range(2):
            for turn in range(3):
                path = raw / split / f"Make{label} Model" / f"s{number}{turn}_x.jpg"
                draw_photo(path, label, 1000 * (number + 1) + turn)
        leak = raw / "train" / "Make0 Model" / f"s{number}0_leak.jpg"
        if kind == "group":
            draw_photo(leak, 0, 5000 + number)
        else:
            content = (raw / split / "Make0 Model" / f"s{number}0_x.jpg").read_bytes()
            leak.write_bytes(content + (b"\0" if kind == "near" else b""))
    rule = data.FreezeRule(
        keep_splits=True,
        group_by=r"(s\d\d)_" if kind == "group" else None,
        near_duplicates="group" if kind == "near" else "ignore",
    )
    frozen = data.freeze(raw, tmp_path / "out", rule)
    assert all(row["split"] == row["source"].split("/")[0] for row in rows_of(frozen.root))
    assert [frozen.card["counts"][s] for s in ("train", "val", "test")] == [12, 6, 6]
    refused = refused_of(frozen.root)
    assert sorted(refused) == [f"train/Make0 Model/s{n}0_leak.jpg" for n in (0, 1)]
    what = "the same photo" if kind == "same photo" else "its group"
    assert refused["train/Make0 Model/s10_leak.jpg"].startswith(f"leak: {what} is in test: test/")
    assert any("2 photos of train leaked from val or test" in line for line in frozen.warnings)
    assert any("(leak: " in line for line in frozen.warnings)


def test_a_photo_of_both_val_and_test_stays_in_both(tmp_path):
    raw = draw(tmp_path / "raw", *(f"{s}/{c}" for s in ("train", "val", "test") for c in "AB"))
    shutil.copyfile(raw / "val/A/0.jpg", raw / "test/A/copy.jpg")
    frozen = data.freeze(raw, tmp_path / "out", KEEP)
    assert [frozen.card["counts"][s] for s in ("train", "val", "test")] == [6, 6, 7]
    assert "1 exact duplicates, 1 of them in val and test of the source, where they stay" in (
        frozen.warnings
    )


def test_a_train_that_leaked_as_a_whole_is_refused(tmp_path):
    raw = draw(tmp_path / "raw", "train/A", "train/B")
    shutil.copytree(raw / "train", raw / "test")
    with pytest.raises(DataError, match=r"all 6 photos of train leaked.*\n  draw other splits"):
        data.freeze(raw, tmp_path / "out", KEEP)
    assert not (tmp_path / "out").exists()


def test_leaks_are_of_train_alone_and_name_test_before_val():
    assert leaks([0, 1, 2, 0, 1, 0], [0, 0, 0, 3, 3, 5]) == {0: 2, 3: 4}


def test_a_val_is_drawn_from_train_and_from_nothing_else(tmp_path):
    raw = draw_classes(tmp_path / "raw" / "train", [20, 10]).parent
    draw(raw, "test/Make0 Model", "test/Make1 Model")
    shutil.copyfile(raw / "train/Make0 Model/000.jpg", raw / "train/Make0 Model/twin.jpg")
    plain = data.freeze(raw, tmp_path / "plain", KEEP)
    assert plain.warnings[0].endswith("from train: --keep-splits --val-fraction 0.1")
    rule = data.FreezeRule(keep_splits=True, val_fraction=0.2)
    frozen = data.freeze(raw, tmp_path / "out", rule)
    assert [frozen.card["counts"][s] for s in ("train", "val", "test")] == [25, 6, 6]
    rows = rows_of(frozen.root)
    assert all((row["split"] == "test") == row["source"].startswith("test/") for row in rows)
    twins = {r["split"] for r in rows if r["source"].endswith(("Make0 Model/000.jpg", "twin.jpg"))}
    assert len(twins) == 1
    val = {row["class"] for row in rows if row["split"] == "val"}
    assert val == {"Make0 Model", "Make1 Model"}
    assert frozen.card["rule"]["val_fraction"] == 0.2
    draw(raw, "val/Make0 Model")
    with pytest.raises(DataError, match="has a val of 3 photos, and given splits are never"):
        data.freeze(raw, tmp_path / "no", rule)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"val_fraction": 0.1}, "--val-fraction: is of the train that --keep-splits keeps"),
        ({"val_fraction": 1.0, "keep_splits": True}, "must be above 0 and below 1"),
        ({"val_fraction": float("nan"), "keep_splits": True}, "must be above 0 and below 1"),
        ({"fractions": (0.8, 0.2, 0.0), "keep_splits": True}, r"draws no splits\n.*--val-fraction"),
        ({"split_folders": "no"}, "must be ask, together or classes"),
    ],
)
def test_rules_that_make_no_sense_are_refused(options, says):
    with pytest.raises(ConfigError, match=says):
        data.FreezeRule(**options).check()


def test_each_answer_is_a_whole_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    draw(tmp_path / "my cars", *(f"{s}/{c}" for s in ("train", "test") for c in "AB"))
    asked = carscale("data", "freeze", "my cars", "out", "--seed", 3, "--follow-links", code=2)
    commands = [line.partition(": ")[2] for line in asked.stderr.splitlines()[-3:]]
    assert commands[0] == (
        "carscale data freeze 'my cars' out --seed 3 --follow-links --keep-splits"
    )
    assert commands[1].endswith("--split-folders together")
    assert not Path("out").exists()
    carscale("data", "freeze", "my cars", "out", "--split-folders", "together", code=0)
    assert data.read_card(Path("out"))["counts"]["classes"] == 2
