"""Raw labels: what looks the same is one class, what stands for no value is none."""

import json
import shutil
import tarfile
import unicodedata
from collections import Counter
from pathlib import Path

import datasets
import pytest
from command_line import carscale
from frozen_trees import refused_of
from hypothesis import given
from hypothesis import strategies as st
from photos import draw_photo

from carscale import data
from carscale.data.sources.alike_names import alike_names
from carscale.data.sources.labels import class_of, clean_name
from carscale.data.sources.open_source import open_source
from carscale.data.sources.rows import BadRowError
from carscale.errors import ConfigError, DataError, QuestionError

NFC, NFD = (unicodedata.normalize(form, "Citroën C4") for form in ("NFC", "NFD"))
LOOK_THE_SAME = {
    "Audi A4": [
        *("Audi A4 ", "Audi  A4", "Audi\u00a0A4", "Audi\u2003A4", "Audi A4\u200b", "\ufeffAudi A4"),
        *("Au\u00addi A4", "\u202aAudi A4\u202c", "Audi\u3000A4", "Audi A4\u200d", "Audi\tA4"),
    ],
    NFC: [NFD],
    "3": ["3.0", "3.000"],
}
MISSING = [
    *("nan", "NaN", "None", "NULL", "#N/A", "N/A", "NA", "<NA>", "NaT", "-", "?", "(null)", "\\N"),
    *("-1", "-1.0", "#REF!", "#NV", "inf", " nan\u200b", "\u200b", "-nan", "undefined"),
]


@pytest.mark.parametrize("name", LOOK_THE_SAME)
def test_labels_that_look_the_same_are_one_class(name):
    assert {class_of(label) for label in LOOK_THE_SAME[name]} == {name}


@pytest.mark.parametrize("label", MISSING)
def test_words_for_no_value_name_no_class(label):
    with pytest.raises(BadRowError, match=r"no label|stands for no class"):
        class_of(label)


@pytest.mark.parametrize(
    "label", ["Nano", "Nissan", "MX-5 NA", "911", "1.5", "a-1", "भारत", "می‌خواهم", "👨‍👩‍👧", "007"]
)
def test_names_that_only_come_near_are_kept(label):
    assert class_of(label) == label


@given(st.text(max_size=20))
def test_a_clean_name_is_clean(text):
    name = clean_name(text)
    assert clean_name(name) == name
    assert unicodedata.is_normalized("NFC", name)


def source_of(kind: str, place: Path, labels: list[str]) -> Path:
    """Write photos with these labels, one each, as a source of some kind."""
    root = place / "src"
    for number, label in enumerate(labels):
        folder = f"{label}" if kind in ("folder", "zip") else "photos"
        draw_photo(root / folder / f"{number}.jpg", number % 2, number)
    if kind == "zip":
        return Path(shutil.make_archive(str(place / "packed"), "zip", root_dir=root))
    paths = [f"photos/{number}.jpg" for number in range(len(labels))]
    if kind == "csv":
        (root / "cars.csv").write_text(
            "path,label\n" + "".join(f"{p},{n}\n" for p, n in zip(paths, labels, strict=True)),
            encoding="utf-8",
        )
        return root / "cars.csv"
    if kind == "shard":
        with tarfile.open(place / "cars.tar", "w") as archive:
            for number, (path, label) in enumerate(zip(paths, labels, strict=True)):
                (root / f"{number}.json").write_text(json.dumps({"label": label}))
                archive.add(root / path, f"{number}.jpg")
                archive.add(root / f"{number}.json", f"{number}.json")
        return place / "cars.tar"
    if kind == "saved":
        photos = [{"path": None, "bytes": (root / path).read_bytes()} for path in paths]
        names = sorted(set(labels))
        features = datasets.Features(
            image=datasets.Image(decode=False), label=datasets.ClassLabel(names=names)
        )
        numbers = [names.index(label) for label in labels]
        table = {"image": photos, "label": numbers}
        datasets.Dataset.from_dict(table, features=features).save_to_disk(place / "saved")
        return place / "saved"
    return root


@pytest.mark.parametrize("kind", ["folder", "zip", "csv", "shard", "saved"])
def test_labels_become_classes_one_way_for_every_kind_of_source(tmp_path, kind):
    labels = ["Audi A4", "Audi\u00a0A4", "Audi  A4\u200b", NFC, NFD, "nan", "N%A", "#N/A"]
    labels = labels[:6] if kind in ("folder", "zip") else labels
    with open_source(source_of(kind, tmp_path, labels)) as found:
        counts = Counter(file.class_name for file in found.files)
        assert counts == {"Audi A4": 3, NFC: 2} | ({"N%A": 1} if len(labels) > 6 else {})
        assert len(found.refused) == len(labels) - sum(counts.values())
        assert all("stands for no class" in why for _, why in found.refused)
        (note,) = [note for note in found.notes if "look alike" in note]
    assert "2 classes have labels that look alike" in note
    assert r"'Audi\xa0A4'" in note


def test_names_that_differ_in_case_accents_or_separators_are_asked_about(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    labels = ["Audi A4"] * 3 + ["AUDI_A4"] * 2 + ["Škoda Fabia"] * 2 + ["Skoda fabia", "BMW"]
    source_of("csv", tmp_path, labels)
    asked = carscale("data", "freeze", "src/cars.csv", "out", code=2)
    assert (
        "classes differ in case, accents or separators alone: Audi A4 (3 files) and AUDI_A4 "
        "(2 files); Škoda Fabia (2 files) and Skoda fabia (1 files)\n"
    ) in asked.stderr
    commands = [line.partition(": ")[2] for line in asked.stderr.splitlines()[-2:]]
    assert commands == [
        "carscale data freeze src/cars.csv out --alike join",
        "carscale data freeze src/cars.csv out --alike apart",
    ]
    assert not Path("out").exists()
    carscale(*commands[0].split()[1:], code=0)
    names = [car.name for car in data.read_splits(Path("out")).classes]
    assert names == ["Audi A4", "BMW", "Škoda Fabia"]
    apart = data.freeze("src/cars.csv", Path("apart"), data.FreezeRule(alike="apart"))
    assert apart.card["counts"]["classes"] == 5
    with pytest.raises(ConfigError, match="--alike no: must be ask, join or apart"):
        data.FreezeRule(alike="no").check()


def test_notes_of_what_was_joined_come_before_the_question(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source_of("csv", tmp_path, ["Audi A4", "Audi\u00a0A4", "AUDI A4", "BMW"])
    asked = carscale("data", "freeze", "src/cars.csv", "out", code=2)
    assert "note: 1 classes have labels that look alike" in asked.stderr
    with pytest.raises(QuestionError, match=r"Audi A4 \(2 files\) and AUDI A4 \(1 files\)"):
        data.freeze("src/cars.csv", Path("out"))


@pytest.mark.parametrize(
    ("names", "groups"),
    [
        (["Honda CR-V", "honda cr v", "Honda CRX"], [["Honda CR-V", "honda cr v"]]),
        (["Straße", "STRASSE"], [["STRASSE", "Straße"]]),
        (["audi/a4", "Audi/A4", "audi a4"], [["Audi/A4", "audi/a4"]]),
        (["!!!", "???", "🚗", "🚙", "吉利", "帝豪"], []),
        (["Audi A4", "Audi A5", "Audi S4", "Audi A4 2012", "Ford Ka", "Ford Ka+"], []),
        (["LP 570-4", "LP 5704", "LP 57 04"], []),
    ],
)
def test_alike_names(names, groups):
    assert alike_names(Counter(names)) == groups


def test_no_two_classes_of_stanford_are_alike(stanford):
    assert not alike_names(Counter(path.name for path in stanford.iterdir()))


CLUTTER = [
    "@eaDir/0.jpg/SYNOPHOTO_THUMB_M.jpg",
    "$RECYCLE.BIN/0.jpg",
    "System Volume Information/x",
]
CLUTTER += ["a/Thumbs.db", "a/THUMBS.DB", "a/@eaDir/0.jpg", "a/desktop.ini", "a/ehthumbs.db"]
CLUTTER += ["lost+found/0.jpg", "#recycle/a/0.jpg", "__MACOSX/a/._0.jpg", "a/~$cars.xlsx"]


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
def test_what_systems_leave_among_photos_is_passed_over(tmp_path, kind):
    root = source_of("folder", tmp_path, ["a", "b"])
    for name in CLUTTER:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / "a" / "0.jpg", root / name)
    if kind != "folder":
        root = Path(shutil.make_archive(str(tmp_path / "packed"), kind, root_dir=root))
    with open_source(root) as found:
        assert [file.relative for file in found.files] == ["a/0.jpg", "b/1.jpg"]
        assert (found.refused, found.empty_classes) == ([], [])


def test_what_systems_leave_in_a_frozen_folder_changes_nothing(tiny, tmp_path):
    frozen = tmp_path / "frozen"
    shutil.copytree(tiny, frozen)
    folder = next(path for path in (frozen / "train").iterdir())
    for name in ("Thumbs.db", "desktop.ini", ".DS_Store", "@eaDir/0.jpg/THUMB.jpg", ".x/y.jpg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    data.verify(frozen, mode="full")
    (folder / "more.jpg").write_bytes(b"x")
    with pytest.raises(DataError, match="1 added"):
        data.verify(frozen)


def test_classes_named_like_what_systems_leave_can_be_frozen_and_checked(tmp_path):
    labels = ["lost+found", "Thumbs.db", "CON", "nul.x", "com1", "Aux 2012"]
    table = source_of("csv", tmp_path, labels)
    frozen = data.freeze(table, tmp_path / "out")
    assert refused_of(frozen.root) == {}
    assert data.verify(frozen.root, mode="full") == 6
    folders = {car.name: car.folder for car in data.read_splits(frozen.root).classes}
    assert folders == {
        "lost+found": "%6Cost+found",
        "Thumbs.db": "%54humbs.db",
        "CON": "%43ON",
        "nul.x": "%6Eul.x",
        "com1": "%63om1",
        "Aux 2012": "Aux 2012",
    }
