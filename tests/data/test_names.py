"""Class and file names: reversible, never a split to Hugging Face, distinct on every disk."""

import hashlib
import os
import unicodedata
from collections import Counter
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from carscale import data
from carscale.data.frozen.names import is_clutter, safe_name, unique_folders
from carscale.data.sources.labels import clean_name

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")

NFC, NFD = (unicodedata.normalize(form, "Citroën C3 été") for form in ("NFC", "NFD"))
PLAIN_NAMES = ["Audi A4 Sedan 2012", "1", "Škoda Octavia", "吉利 帝豪", "a.b.c", "mid.dot"]
UNICODE_NAMES = [NFC, NFD, "Straße", "STRASSE", "ﬁat", "FIAT", "fiat", "İstanbul", "Ωmega", "🚗"]
DOT_NAMES = ["_under", "__init__", "trailing.", "trailing ", " leading", "-x", "~x", "__MACOSX"]
KEYWORDS = ["train", "training", "validation", "valid", "dev", "val"]
KEYWORDS += ["test", "testing", "eval", "evaluation"]
SPLIT_NAMES = ["ford_test", "dev-car", "my val", "evaluation", "train", "test", "x.eval", "0val9"]
SPLIT_NAMES += ["Xtest", "xtest", "Test", "TEST", "testing_training-eval", "1 train", "val"]
SPLIT_NAMES += ["atest", "Atest", "aval.x", "Aval.x"]
ODD_NAMES = ["100%", "%41", "A#1", "a*b", "a[b", "a]b", "who?", "it's", 'say "x"', "two\nlines"]
ODD_NAMES += ["back\\slash", "a:b", "a::b", "{b}", "$HOME", "a&b", "tab\there", "data", "a;b,c=d"]
NESTED_NAMES = ["audi/a4", "bmw/a4", "audi/test", "Audi/a4"]
LONG_NAMES = ["x" * 240, "x" * 239 + "y", "_" + "l" * 240, "é" * 120, "%" * 200, "é" * 119 + "è"]
BYTE_NAMES = [os.fsdecode(b"caf\xe9"), os.fsdecode(b"\xff\xfe_test")]
ALL_NAMES = PLAIN_NAMES + UNICODE_NAMES + DOT_NAMES + SPLIT_NAMES + ODD_NAMES + NESTED_NAMES
ALL_NAMES += LONG_NAMES + BYTE_NAMES

FILE_NAMES = ["test.jpg", "audi-test_1.jpg", "valid.png", "train 1.jpg", "plain.jpg", "x.eval"]
FILE_NAMES += [
    "metadata.csv",
    "task.toml",
    "a#b%41?.jpg",
    "n\newline.jpg",
    "UPPER.JPG",
    "no suffix",
]
FILE_NAMES += ["?" * 120 + ".jpg", "é" * 120 + ".jpg", os.fsdecode(b"\xe9.jpg"), "_first.jpg"]


def draw_small(path: Path, number: int) -> None:
    """Write a PNG that differs from every other by its number."""
    rng = np.random.default_rng(number)
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, "PNG", compress_level=1)


def draw_named(root: Path, names: list[str], counts: list[int], files: list[str] | None = None):
    """Write class folders of these names, so many photos each."""
    number = 0
    for place, name in enumerate(names):
        for turn in range(counts[place % len(counts)]):
            file = files[turn] if files else f"{turn}.png"
            draw_small(root / name / file, number)
            number += 1
    return root


def as_read_by_hf(root: Path, cache: Path) -> tuple[dict[str, Counter], list[str]]:
    """Return what HF imagefolder finds: per split the hashes with their labels; label names."""
    datasets = pytest.importorskip("datasets")
    found = datasets.load_dataset(
        "imagefolder", data_dir=str(root), drop_labels=False, cache_dir=str(cache)
    )
    names = next(iter(found.values())).features["label"].names
    read = {}
    for split, rows in found.items():
        rows = rows.cast_column("image", datasets.Image(decode=False))
        read["val" if split == "validation" else str(split)] = Counter(
            (hashlib.sha256(photo["bytes"] or Path(photo["path"]).read_bytes()).hexdigest(), label)
            for photo, label in zip(rows["image"], rows["label"], strict=True)
        )
    return read, names


def as_read_by_us(root: Path) -> tuple[dict[str, Counter], list[str]]:
    """Return the same of ``read_splits``; splits without a photo left out."""
    splits = data.read_splits(root)
    read = {}
    for split in (splits.train, splits.val, splits.test):
        hashes = [hashlib.sha256((root / p).read_bytes()).hexdigest() for p in split.paths_N]
        if len(split):
            read[split.name] = Counter(zip(hashes, split.labels_N.tolist(), strict=True))
    return read, [car_class.folder for car_class in splits.classes]


def assert_hf_agrees(root: Path, tmp_path: Path) -> None:
    """Splits, labels and files are the same to both readers."""
    theirs, their_names = as_read_by_hf(root, tmp_path / "hf")
    ours, our_names = as_read_by_us(root)
    assert their_names == our_names
    assert theirs == ours


@pytest.fixture(scope="module")
def named(tmp_path_factory) -> Path:
    """Every odd class name, frozen; counts of 1 and 2 leave classes without val or test."""
    folder = tmp_path_factory.mktemp("named")
    draw_named(folder / "raw", ALL_NAMES, [5, 1, 3, 2])
    rule = data.FreezeRule(split_folders="classes", alike="apart")
    return data.freeze(folder / "raw", folder / "frozen", rule).root


def test_hf_reads_the_same_when_class_names_are_odd(named, tmp_path):
    assert_hf_agrees(named, tmp_path)


def test_class_names_are_kept_when_folders_are_encoded(named):
    splits = data.read_splits(named)
    as_text = {
        os.fsencode(clean_name(n)).decode("utf-8", "backslashreplace")
        for n in ALL_NAMES
        if not is_clutter(n)
    }
    assert sorted(car_class.name for car_class in splits.classes) == sorted(as_text)
    assert sum(map(len, (splits.train, splits.val, splits.test))) == sum(
        [5, 1, 3, 2][place % 4] for place, name in enumerate(ALL_NAMES) if not is_clutter(name)
    )
    folders = sorted(path.name for path in (named / "train").iterdir())
    assert folders == [car_class.folder for car_class in splits.classes]
    assert (splits.train.counts_K > 0).all()
    for car_class in splits.classes:
        if len(car_class.name.encode()) < 60 and "\\x" not in car_class.name:
            assert unquote(car_class.folder) == car_class.name
    assert data.verify(named, mode="full") == sum(map(len, (splits.train, splits.val, splits.test)))


def test_source_paths_are_kept_when_names_are_odd(named):
    from carscale import tables

    columns = tables.read_columns(named / "manifest.parquet", ["source", "class", "path"])
    for source, name in zip(columns["source"], columns["class"], strict=True):
        assert clean_name(source.rpartition("/")[0]) == name
    assert len(set(columns["path"])) == len(columns["path"])


@pytest.mark.parametrize("count", [1, 2, 12])
def test_hf_reads_the_same_when_there_is_one_class(tmp_path, count):
    raw = draw_named(tmp_path / "raw", ["ford_test"], [count])
    frozen = data.freeze(raw, tmp_path / "frozen")
    assert any("only one class" in line for line in frozen.warnings)
    assert_hf_agrees(frozen.root, tmp_path)


def test_hf_reads_the_same_when_file_names_hold_split_words(tmp_path):
    raw = draw_named(tmp_path / "raw", ["audi/a4", "my val", "Ford"], [len(FILE_NAMES)], FILE_NAMES)
    frozen = data.freeze(raw, tmp_path / "frozen")
    assert frozen.card["counts"]["quarantined"] == 0
    assert_hf_agrees(frozen.root, tmp_path)


def test_hf_reads_the_same_when_a_split_lacks_classes(tmp_path):
    raw = draw_named(tmp_path / "raw", ["a", "b", "val c"], [9])
    rule = data.FreezeRule(fractions=(0.9, 0.1, 0.0))
    frozen = data.freeze(raw, tmp_path / "frozen", rule)
    assert frozen.card["counts"]["test"] == 0
    assert_hf_agrees(frozen.root, tmp_path)


def test_labels_differ_when_a_byte_name_looks_like_its_escape(tmp_path):
    raw = draw_named(tmp_path / "raw", [os.fsdecode(b"\xe9"), "\\xe9"], [6])
    frozen = data.freeze(raw, tmp_path / "frozen")
    assert data.read_splits(frozen.root).train.counts_K.tolist() == [4, 4]


def looks_like_a_split(name: str, *, is_folder: bool) -> bool:
    """Tell what Hugging Face's own patterns make of a name."""
    from datasets import data_files
    from fsspec.core import url_to_fs
    from fsspec.utils import glob_translate

    assert url_to_fs("/")[0].protocol
    kind = "DIR_NAME" if is_folder else "FILENAME"
    tables = getattr(data_files, f"DEFAULT_PATTERNS_SPLIT_IN_{kind}")
    path = f"{name}/1.jpg" if is_folder else name
    import re

    return any(
        re.match(glob_translate(pattern), path)
        for patterns in tables.values()
        for pattern in patterns
    )


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=30)
WORDY = st.lists(
    st.sampled_from([*KEYWORDS, "-", ".", "_", " ", "0", "9", "a", "T", "%", "/", ":", '"', "é"]),
    min_size=1,
    max_size=6,
).map("".join)


def test_the_oracle_knows_a_split_when_it_sees_one():
    assert looks_like_a_split("ford_test", is_folder=True)
    assert looks_like_a_split("a test.jpg", is_folder=False)
    assert not looks_like_a_split("contest", is_folder=True)


@settings(max_examples=300, deadline=None)
@given(TEXT | WORDY)
@example("%74")
@example("test")
@example(":test")
def test_safe_name_is_reversible_when_it_is_unicode(name):
    safe = safe_name(name)
    assert unquote(safe, errors="strict") == name
    assert not set(safe) & set('/\\*?[]:"<>|\n\r\t\x00')
    assert safe[0] not in "._ "
    assert safe[-1] not in ". "


@settings(max_examples=200, deadline=None)
@given(WORDY | TEXT)
def test_safe_name_is_no_split_to_hf(name):
    assert not looks_like_a_split(safe_name(name), is_folder=True)
    assert not looks_like_a_split(safe_name(f"{name}.jpg"), is_folder=False)


CASED = st.lists(
    st.sampled_from(["x", "X", "test", "TEST", "val", "_", "é", "e\u0301", "ß", "ss"]),
    min_size=1,
    max_size=5,
).map("".join)


@settings(max_examples=200, deadline=None)
@given(st.sets(TEXT | WORDY | CASED, min_size=1, max_size=12))
@example({"Xtest", "xtest"})
@example({"_x", "_X", "%5Fx"})
@example({NFC, NFD, NFC.upper()})
def test_unique_folders_differ_where_case_does_not_count(names):
    folders = unique_folders(names)
    assert set(folders) == names
    folded = {unicodedata.normalize("NFC", f).casefold() for f in folders.values()}
    assert len(folded) == len(names)
    for name, folder in folders.items():
        assert unquote(folder) == name
        assert not looks_like_a_split(folder, is_folder=True)


def test_unique_folders_fit_a_disk_when_many_long_names_start_alike():
    for start in ("_" + "a" * 240, "é" * 110, "%" * 120, "?" * 240):
        names = [f"{start}{number:03d}" for number in range(60)]
        folders = unique_folders(names)
        assert len({folder.casefold() for folder in folders.values()}) == 60
        assert all(40 < len(folder.encode()) <= 255 for folder in folders.values())
        assert not any(looks_like_a_split(f, is_folder=True) for f in folders.values())


@pytest.mark.parametrize("cut", range(190, 215))
def test_long_names_are_no_split_to_hf_wherever_they_are_cut(cut):
    folder = unique_folders(["x" * (cut - 5) + "-tester" + "y" * 40])
    assert not looks_like_a_split(next(iter(folder.values())), is_folder=True)
