"""Freezing: same bytes twice, whole or not at all, odd photos made plain, the rest untouched."""

import hashlib
import io
import json
import os
import random
import shutil
import signal
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from photos import draw_classes, draw_photo
from PIL import Image, ImageOps
from ranks import run_process

from carscale import data, images, tables
from carscale.data import freezing
from carscale.errors import ConfigError, DataError

COLUMNS = ["path", "class", "split", "source", "sha256", "original_sha256", "original_mode"]
COLUMNS += ["original_orientation", "normalised", "width", "height", "group", "key", "id"]


def tree_of(folder: Path) -> dict[str, str]:
    """Return every file's hash and every folder, so that two trees can be compared."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        if path.is_file()
        else "folder"
        for path in folder.rglob("*")
    }


def rows_of(root: Path) -> list[dict]:
    columns = tables.read_columns(root / "manifest.parquet", COLUMNS)
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def row_of(root: Path, source: str) -> dict:
    (row,) = (row for row in rows_of(root) if row["source"] == source)
    return row


def refused_of(root: Path) -> dict[str, str]:
    lines = (root / "quarantine.jsonl").read_text().splitlines()
    return {line["path"]: line["reason"] for line in map(json.loads, lines)}


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> Path:
    return draw_classes(tmp_path_factory.mktemp("freeze") / "raw", [20, 9, 4])


def save(path: Path, image: Image.Image, kind: str, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, kind, **options)
    return path


def scene(width=40, height=28, seed=0) -> Image.Image:
    """A smooth picture without any symmetry, so that JPEG and a turn can be told apart."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (3, 4, 3), dtype=np.uint8))
    return small.resize((width, height), Image.Resampling.BICUBIC)


# --- the same bytes ---------------------------------------------------------------------------


def test_bytes_are_equal_when_frozen_twice(raw, tmp_path):
    first = data.freeze(raw, tmp_path / "one")
    second = data.freeze(raw, tmp_path / "deeper" / "another name")
    assert tree_of(first.root) == tree_of(second.root)
    assert len(tree_of(first.root)) > 33
    assert first.card == second.card
    assert first.root == tmp_path / "one"
    assert json.loads((first.root / "card.json").read_text()) == first.card


def test_bytes_are_equal_when_the_source_was_copied(raw, tmp_path):
    copy = tmp_path / "raw"  # same name, another place, written in another order
    for path in sorted(raw.rglob("*.jpg"), reverse=True):
        target = copy / path.relative_to(raw)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    one, two = data.freeze(raw, tmp_path / "one"), data.freeze(copy, tmp_path / "two")
    assert tree_of(one.root) == tree_of(two.root)


def test_splits_differ_when_the_seed_differs(raw, tmp_path):
    one = data.freeze(raw, tmp_path / "one")
    two = data.freeze(raw, tmp_path / "two", data.FreezeRule(seed=1))
    assert one.card["counts"] == two.card["counts"]
    assert one.card["hashes"]["classes"] == two.card["hashes"]["classes"]
    assert all(one.card["hashes"][s] != two.card["hashes"][s] for s in ("train", "val", "test"))


def test_every_photo_is_once_in_the_folder_and_kept_byte_for_byte(raw, tmp_path):
    frozen = data.freeze(raw, tmp_path / "out")
    rows = rows_of(frozen.root)
    assert [row["id"] for row in rows] == list(range(33))
    sources = {path.relative_to(raw).as_posix() for path in raw.rglob("*.jpg")}
    assert {row["source"] for row in rows} == sources
    for row in rows:
        stored = (frozen.root / row["path"]).read_bytes()
        assert stored == (raw / row["source"]).read_bytes()
        assert row["sha256"] == row["original_sha256"] == hashlib.sha256(stored).hexdigest()
        assert row["normalised"] == ""
        with Image.open(io.BytesIO(stored)) as image:
            assert image.size == (row["width"], row["height"])
    assert Counter(row["split"] for row in rows) == {"train": 22, "val": 6, "test": 5}
    assert sorted(p.name for p in frozen.root.iterdir()) == sorted(
        [
            "train",
            "val",
            "test",
            "card.json",
            "classes.json",
            "manifest.parquet",
            "quarantine.jsonl",
        ]
    )


def test_ids_and_labels_follow_folder_names(raw, tmp_path):
    splits = data.read_splits(data.freeze(raw, tmp_path / "out").root)
    for split in (splits.train, splits.val, splits.test):
        assert (np.diff(split.ids_N) > 0).all()
        for path, label in zip(split.paths_N, split.labels_N, strict=True):
            assert path.split("/")[:2] == [split.name, splits.classes[label].folder]
    folders = [car_class.folder for car_class in splits.classes]
    assert folders == sorted(folders)


# --- duplicates, small classes, groups ---------------------------------------------------------


def test_duplicates_are_never_in_two_splits(tmp_path):
    raw = draw_classes(tmp_path / "raw", [20, 20])
    for number in range(0, 16, 2):
        shutil.copyfile(
            raw / "Make0 Model" / f"{number:03d}.jpg", raw / "Make0 Model" / f"copy of {number}.jpg"
        )
    shutil.copyfile(raw / "Make0 Model/001.jpg", raw / "Make1 Model/wrong.jpg")
    for seed in range(3):
        frozen = data.freeze(raw, tmp_path / f"out{seed}", data.FreezeRule(seed=seed))
        places = defaultdict(set)
        for row in rows_of(frozen.root):
            places[row["sha256"]].add(row["split"])
        assert all(len(splits) == 1 for splits in places.values())
        assert len(places) == 40
    notes = frozen.card["notes"]
    assert notes["num_exact_duplicates"] == 9
    assert notes["identical_photos_in_two_classes"] == [
        ["Make0 Model/001.jpg", "Make1 Model/wrong.jpg"]
    ]
    text = "\n".join(frozen.warnings)
    assert "9 exact duplicates" in text
    assert "1 photos lie in two classes" in text
    assert "Make0 Model/001.jpg = Make1 Model/wrong.jpg" in text
    keys = [row["key"] for row in rows_of(frozen.root)]
    assert len(set(keys)) == len(keys)


def test_a_class_of_one_photo_is_in_train_and_named(tmp_path):
    raw = draw_classes(tmp_path / "raw", [8, 1, 2])
    (raw / "Empty Car").mkdir()
    frozen = data.freeze(raw, tmp_path / "out")
    splits = data.read_splits(frozen.root)
    assert splits.train.counts_K[1] == 1
    assert splits.val.counts_K[1] == splits.test.counts_K[1] == 0
    assert frozen.card["notes"]["classes_of_one_photo"] == ["Make1 Model"]
    assert frozen.card["notes"]["empty_classes"] == ["Empty Car"]
    text = "\n".join(frozen.warnings)
    assert "classes of one photo, in train only: Make1 Model" in text
    assert "folders without a photo: Empty Car" in text
    assert "Empty Car" not in [car_class.name for car_class in splits.classes]


def test_groups_stay_whole_when_grouped_by_an_expression(tmp_path):
    raw = tmp_path / "raw"
    for number in range(40):
        draw_photo(raw / "A" / f"session{number // 4}_{number}.jpg", 0, number)
        draw_photo(raw / "B" / f"session{number // 4}_{number}.jpg", 1, number)
    rule = data.FreezeRule(group_by=r"session(\d+)_")
    rows = rows_of(data.freeze(raw, tmp_path / "out", rule).root)
    places = defaultdict(set)
    for row in rows:
        assert row["group"] == row["source"].split("session")[1].split("_")[0]
        places[row["group"]].add(row["split"])
    assert len(places) == 10
    assert all(len(splits) == 1 for splits in places.values())
    assert {split for splits in places.values() for split in splits} == {"train", "val", "test"}
    with pytest.raises(DataError, match=r"--group-by 'nothing' matches none of 80 paths"):
        data.freeze(raw, tmp_path / "none", data.FreezeRule(group_by="nothing"))
    assert not (tmp_path / "none").exists()


def test_train_falls_off_when_a_long_tail_is_asked_for(tmp_path):
    raw = draw_classes(tmp_path / "raw", [30, 30, 30])
    rule = data.FreezeRule(long_tail=(20, 5))
    splits = data.read_splits(data.freeze(raw, tmp_path / "out", rule).root)
    assert splits.train.counts_K.tolist() == [20, 10, 5]
    assert sum(map(len, (splits.train, splits.val, splits.test))) == 90
    assert abs(splits.val.counts_K - splits.test.counts_K).max() <= 2  # 30 photos: 21 + 4 + 5


# --- splits that are there already -------------------------------------------------------------


def draw_split_source(root: Path) -> Path:
    draw_classes(root / "train", [6, 4])
    for number in range(3):
        draw_photo(root / "valid" / "Make0 Model" / f"v{number}.jpg", 0, 100 + number)
        draw_photo(root / "Test" / "Make1 Model" / f"t{number}.jpg", 1, 200 + number)
    return root


def test_given_splits_are_kept(tmp_path):
    raw = draw_split_source(tmp_path / "raw")
    twin = raw / "Test" / "Make1 Model" / "twin.jpg"
    shutil.copyfile(raw / "train/Make1 Model/000.jpg", twin)
    draw_photo(raw / "extra" / "Make0 Model" / "x.jpg", 0, 300)
    draw_photo(raw / "lost.jpg", 0, 301)
    (raw / "train" / "Nothing").mkdir()
    frozen = data.freeze(raw, tmp_path / "out", data.FreezeRule(keep_splits=True))
    found = {row["source"]: row["split"] for row in rows_of(frozen.root)}
    wanted = {"train": "train", "valid": "val", "Test": "test"}
    for source, split in found.items():
        if source == "train/Make1 Model/000.jpg":
            assert split == "test"  # it has a twin there
        else:
            assert split == wanted[source.split("/")[0]]
    assert len(found) == 17
    assert {car.name for car in data.read_splits(frozen.root).classes} == {
        "Make0 Model",
        "Make1 Model",
    }
    assert refused_of(frozen.root) == {
        "extra": "lies in no split folder",
        "lost.jpg": "lies in no split folder",
    }
    assert frozen.card["notes"]["empty_classes"] == ["train/Nothing"]


def test_given_splits_are_kept_when_one_is_empty(tmp_path):
    raw = draw_split_source(tmp_path / "raw")
    (raw / "dev").mkdir()
    frozen = data.freeze(raw, tmp_path / "out", data.FreezeRule(keep_splits=True))
    assert frozen.card["counts"]["train"] == 10


def test_given_splits_without_train_are_refused(tmp_path):
    raw = draw_split_source(tmp_path / "raw")
    shutil.rmtree(raw / "train")
    with pytest.raises(DataError, match="--keep-splits wants a folder train"):
        data.freeze(raw, tmp_path / "out", data.FreezeRule(keep_splits=True))


def test_a_split_source_is_refused_when_splits_are_drawn(tmp_path):
    raw = draw_split_source(tmp_path / "raw")
    with pytest.raises(DataError, match=r"is split already .*\n.*--keep-splits"):
        data.freeze(raw, tmp_path / "out")


# --- files that are no photos ------------------------------------------------------------------


def test_what_is_no_photo_goes_to_quarantine_with_a_reason(tmp_path):
    raw = draw_classes(tmp_path / "raw", [6, 3])
    good = (raw / "Make0 Model" / "000.jpg").read_bytes()
    folder = raw / "Make0 Model"
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "notes.txt").write_text("a text")
    (folder / "cut.jpg").write_bytes(good[: len(good) // 2])
    (folder / "head.jpg").write_bytes(good[:20])
    (folder / ".hidden.jpg").write_bytes(good)
    (folder / "Thumbs.db").write_bytes(b"x")
    (raw / "top.jpg").write_bytes(good)
    (folder / "gone.jpg").symlink_to("nowhere.jpg")
    (folder / "self.jpg").symlink_to("self.jpg")
    os.mkfifo(folder / "pipe.jpg")
    (folder / "back").symlink_to(raw, target_is_directory=True)
    bad = Image.new("F", (4, 4))
    bad.save(folder / "float.tif")
    frozen = data.freeze(raw, tmp_path / "out")
    refused = refused_of(frozen.root)
    assert frozen.card["counts"]["quarantined"] == len(refused) == 10
    name = "Make0 Model/"
    assert refused["top.jpg"] == "lies in no class folder"
    assert refused[name + "empty.jpg"] == "empty file"
    assert refused[name + "notes.txt"] == "no image"
    assert refused[name + "gone.jpg"] == "broken link"
    assert refused[name + "self.jpg"].startswith("link can't be followed")
    assert refused[name + "pipe.jpg"] == "no regular file"
    assert refused[name + "back"] == "link leads back to a folder above"
    assert refused[name + "float.tif"] == "float pixels without a stated range"
    assert "can't be decoded" in refused[name + "cut.jpg"]
    assert name + "head.jpg" in refused
    assert sum(frozen.card["counts"][s] for s in ("train", "val", "test")) == 9
    assert "10 files in quarantine.jsonl" in "\n".join(frozen.warnings)


def test_links_are_followed_when_they_lead_elsewhere(tmp_path):
    raw = draw_classes(tmp_path / "raw", [4])
    elsewhere = draw_classes(tmp_path / "elsewhere", [0, 5])
    (raw / "Linked").symlink_to(elsewhere / "Make1 Model", target_is_directory=True)
    (raw / "Make0 Model" / "one.jpg").symlink_to(elsewhere / "Make1 Model" / "000.jpg")
    frozen = data.freeze(raw, tmp_path / "out")
    assert Counter(row["class"] for row in rows_of(frozen.root)) == {"Linked": 5, "Make0 Model": 5}
    assert not any(path.is_symlink() for path in frozen.root.rglob("*"))


@pytest.mark.parametrize("kind", ["nothing", "empty", "only top", "only text", "file"])
def test_a_source_without_photos_is_refused(tmp_path, kind):
    raw = tmp_path / "raw"
    if kind == "file":
        raw.write_text("x")
    elif kind != "nothing":
        (raw / "A").mkdir(parents=True)
    if kind == "only top":
        draw_photo(raw / "1.jpg", 0, 0)
    if kind == "only text":
        (raw / "A" / "x.txt").write_text("x")
    says = {
        "nothing": "no such folder",
        "file": "no such folder",
        "empty": "holds no photos in class folders",
        "only top": "holds no photos in class folders",
        "only text": r"none of 1 files is a photo; the first: A/x.txt: no image",
    }
    with pytest.raises(DataError, match=says[kind]):
        data.freeze(raw, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert {path.name for path in tmp_path.iterdir()} <= {"raw"}


# --- whole or not at all -----------------------------------------------------------------------


def test_out_is_left_alone_when_it_is_there(raw, tmp_path):
    out = data.freeze(raw, tmp_path / "out").root
    before = tree_of(tmp_path)
    with pytest.raises(DataError, match=r"is there already.*\n.*--force"):
        data.freeze(raw, out, data.FreezeRule(seed=9))
    assert tree_of(tmp_path) == before


def test_out_is_replaced_when_forced(raw, tmp_path):
    out = data.freeze(raw, tmp_path / "out").root
    before = tree_of(out)
    data.freeze(raw, out, data.FreezeRule(seed=9), force=True)
    assert tree_of(out) != before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    data.verify(out, mode="full")


def test_a_link_at_out_is_kept_when_forced(raw, tmp_path):
    real = data.freeze(raw, tmp_path / "real").root
    (tmp_path / "link").symlink_to(real, target_is_directory=True)
    data.freeze(raw, tmp_path / "link", data.FreezeRule(seed=9), force=True)
    assert (tmp_path / "link").is_symlink()
    assert json.loads((real / "card.json").read_text())["seed"] == 9
    assert {path.name for path in tmp_path.iterdir()} == {"link", "real"}


def test_other_folders_and_files_are_never_replaced(raw, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no frozen data; --force replaces only those"):
        data.freeze(raw, tmp_path / "mine", force=True)
    with pytest.raises(DataError, match="file: is a file"):
        data.freeze(raw, tmp_path / "file", force=True)
    with pytest.raises(DataError, match="is there already"):
        data.freeze(raw, tmp_path / "file")
    with pytest.raises(DataError, match="can't be written"):
        data.freeze(raw, tmp_path / "file" / "out")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "x"
    data.freeze(raw, tmp_path / "empty", force=True)


def test_out_and_source_may_not_lie_in_each_other(tmp_path):
    raw = draw_classes(tmp_path / "outer" / "raw", [3, 3])
    with pytest.raises(DataError, match="lies inside the source"):
        data.freeze(raw, raw / "out")
    with pytest.raises(DataError, match="lies inside the source"):
        data.freeze(raw, raw, force=True)
    with pytest.raises(DataError, match="lies inside it"):
        data.freeze(raw, tmp_path / "outer", force=True)
    assert len(list(raw.rglob("*.jpg"))) == 6


def _freeze_and_die(source: Path, out: Path, force: bool) -> None:
    """Be killed when half of the photos are decoded."""
    seen = []

    def advance(total: int) -> None:
        seen.append(total)
        if len(seen) == total // 2:
            os.kill(os.getpid(), signal.SIGKILL)

    data.freeze(source, out, force=force, advance=advance)


def test_nothing_is_at_out_when_killed(raw, tmp_path):
    assert run_process(_freeze_and_die, raw, tmp_path / "out", False) == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    assert any(path.name.endswith(".freezing") for path in tmp_path.iterdir())
    frozen = data.freeze(raw, tmp_path / "out")  # what the killed one left is in nobody's way
    assert data.verify(frozen.root, mode="full") == 33


def test_the_old_folder_is_whole_when_a_forced_freeze_is_killed(raw, tmp_path):
    out = data.freeze(raw, tmp_path / "out").root
    before = tree_of(out)
    assert run_process(_freeze_and_die, raw, out, True) == -signal.SIGKILL
    assert tree_of(out) == before


def test_leftovers_of_a_dead_process_with_our_number_are_swept(raw, tmp_path):
    left = tmp_path / f".out.{os.getpid()}.freezing"
    (left / "staged").mkdir(parents=True)
    (left / "staged" / "x").write_text("x")
    assert data.verify(data.freeze(raw, tmp_path / "out").root, mode="full") == 33
    assert not left.exists()


@pytest.mark.parametrize("where", ["lay_out", "replace_folder", "rename", "interrupt"])
def test_the_old_folder_is_whole_when_a_forced_freeze_fails(raw, tmp_path, monkeypatch, where):
    out = data.freeze(raw, tmp_path / "out").root
    before = tree_of(tmp_path)

    def fail(*args, **kwargs):
        raise OSError(28, "No space left on device")

    rename = Path.rename

    def rename_all_but_the_new(self, target):
        if self.name.endswith(".freezing"):
            fail()
        return rename(self, target)

    def interrupt(total):
        raise KeyboardInterrupt

    if where == "rename":
        monkeypatch.setattr(Path, "rename", rename_all_but_the_new)
    elif where != "interrupt":
        owner = freezing.runs if where == "replace_folder" else freezing
        monkeypatch.setattr(owner, where, fail)
    error = KeyboardInterrupt if where == "interrupt" else DataError
    advance = interrupt if where == "interrupt" else (lambda total: None)
    with pytest.raises(error):
        data.freeze(raw, out, data.FreezeRule(seed=5), force=True, advance=advance)
    assert tree_of(tmp_path) == before


def test_progress_counts_every_file(raw, tmp_path):
    calls = []
    data.freeze(raw, tmp_path / "out", advance=calls.append)
    assert calls == [33] * 33


# --- hard links --------------------------------------------------------------------------------


def test_bytes_are_shared_when_linked(tmp_path):
    raw = draw_classes(tmp_path / "raw", [5, 3])
    save(raw / "Make0 Model" / "odd.png", scene().convert("RGBA"), "PNG")
    (raw / "Make1 Model" / "link.jpg").symlink_to("000.jpg")
    before = tree_of(raw)
    linked = data.freeze(raw, tmp_path / "linked", data.FreezeRule(link="hard"))
    for row in rows_of(linked.root):
        same = (linked.root / row["path"]).samefile(raw / row["source"])
        assert same == (row["normalised"] == "")
        assert not (linked.root / row["path"]).is_symlink()
    copied = data.freeze(raw, tmp_path / "copied")
    assert tree_of(linked.root) == tree_of(copied.root)
    assert tree_of(raw) == before
    inodes = {p.stat().st_ino for p in raw.rglob("*.jpg")}
    assert not inodes & {p.stat().st_ino for p in copied.root.rglob("*.jpg")}


# --- rules that make no sense ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ({"fractions": (0.7, 0.2, 0.2)}, r"--fractions \(0.7, 0.2, 0.2\)"),
        ({"fractions": (0.0, 0.5, 0.5)}, "train above 0"),
        ({"fractions": (1.2, -0.1, -0.1)}, "three shares"),
        ({"fractions": (float("nan"), 0.5, 0.5)}, "three shares"),
        ({"long_tail": (5, 9)}, "--long-tail 5:9"),
        ({"long_tail": (5, 0)}, "--long-tail 5:0"),
        ({"link": "soft"}, "--link soft"),
        ({"group_by": "("}, "is no regular expression"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(raw, tmp_path, rule, says):
    with pytest.raises(ConfigError, match=says):
        data.freeze(raw, tmp_path / "out", data.FreezeRule(**rule))
    assert not list(tmp_path.iterdir())


# --- made plain --------------------------------------------------------------------------------


def odd_pictures(folder: Path) -> dict[str, Path]:
    """One file of each kind that trips some reader."""
    base = scene()
    grey = np.asarray(base.convert("L"))
    palette = base.quantize(16)
    palette.info["transparency"] = 3
    frames = [scene(seed=n) for n in range(3)]
    colours = Image.merge("RGBA", (*base.split(), Image.new("L", base.size, 200)))
    wide = Image.fromarray(grey.astype(np.uint16) * 257)
    made = {
        "cmyk.jpg": (base.convert("CMYK"), "JPEG", {"quality": 95}),
        "grey16.png": (wide, "PNG", {}),
        "palette.png": (palette, "PNG", {"transparency": 3}),
        "rgba.png": (colours, "PNG", {}),
        "la.png": (colours.convert("LA"), "PNG", {}),
        "anim.gif": (frames[0], "GIF", {"save_all": True, "append_images": frames[1:]}),
        "anim.png": (frames[0], "PNG", {"save_all": True, "append_images": frames[1:]}),
        "bit.png": (base.convert("1"), "PNG", {}),
        "photo.webp": (base, "WEBP", {"quality": 95}),
        "photo.tif": (base, "TIFF", {}),
        "photo.bmp": (base, "BMP", {}),
    }
    return {name: save(folder / name, *how[:2], **how[2]) for name, how in made.items()}


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> tuple[Path, Path]:
    """Odd pictures in two classes, and what became of them."""
    folder = tmp_path_factory.mktemp("plain")
    raw = folder / "raw"
    odd_pictures(raw / "A")
    for orientation in range(2, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        turned = scene(48, 32, seed=orientation)
        save(raw / "A" / f"turn{orientation}.jpg", turned, "JPEG", quality=95, exif=exif)
    save(raw / "A" / "turn6.png", scene(48, 32), "PNG", exif=exif)
    save(raw / "B" / "is a jpeg.png", scene(), "JPEG", quality=95)
    save(raw / "B" / "is a png.jpg", scene(seed=2), "PNG")
    save(raw / "B" / "is a png.jpeg", scene(seed=4), "PNG")
    save(raw / "B" / "no suffix", scene(seed=5), "JPEG")
    save(raw / "B" / "grey.jpg", scene(seed=6).convert("L"), "JPEG")
    save(raw / "B" / "grey.png", scene(seed=7).convert("L"), "PNG")
    save(raw / "B" / "progressive.JPG", scene(seed=8), "JPEG", progressive=True)
    return raw, data.freeze(raw, folder / "out").root


@pytest.mark.parametrize("orientation", range(2, 9))
def test_turned_photos_come_out_upright(plain, orientation):
    raw, out = plain
    row = row_of(out, f"A/turn{orientation}.jpg")
    with Image.open(raw / row["source"]) as image:
        wanted = np.asarray(ImageOps.exif_transpose(image), dtype=int)
    found = images.decode((out / row["path"]).read_bytes()).astype(int)
    assert found.shape == wanted.shape
    assert abs(found - wanted).max() <= 8  # JPEG of quality 95; measured worst case 7
    assert (row["height"], row["width"]) == wanted.shape[:2]
    assert row["width"] == (32 if orientation >= 5 else 48)
    assert row["original_orientation"] == orientation
    assert row["normalised"] == f"EXIF orientation {orientation}"
    with Image.open(out / row["path"]) as image:
        assert image.getexif().get(0x0112, 1) == 1


@pytest.mark.parametrize(
    ("name", "reason", "mode", "suffix"),
    [
        ("cmyk.jpg", "mode CMYK", "CMYK", ".jpg"),
        ("grey16.png", "mode I;16", "I;16", ".png"),
        ("palette.png", "mode P", "P", ".png"),
        ("rgba.png", "mode RGBA", "RGBA", ".png"),
        ("la.png", "mode LA", "LA", ".png"),
        ("anim.gif", "format GIF", "P", ".png"),
        ("anim.png", "animation", "RGB", ".png"),
        ("bit.png", "mode 1", "1", ".png"),
        ("photo.webp", "format WEBP", "RGB", ".jpg"),
        ("photo.tif", "format TIFF", "RGB", ".png"),
        ("photo.bmp", "format BMP", "RGB", ".png"),
        ("turn6.png", "EXIF orientation 8", "RGB", ".png"),
    ],
)
def test_odd_photos_become_plain(plain, name, reason, mode, suffix):
    raw, out = plain
    row = row_of(out, f"A/{name}")
    assert (row["normalised"], row["original_mode"]) == (reason, mode)
    stored = (out / row["path"]).read_bytes()
    assert row["path"].endswith(suffix)
    assert row["sha256"] == hashlib.sha256(stored).hexdigest()
    assert row["original_sha256"] == hashlib.sha256((raw / row["source"]).read_bytes()).hexdigest()
    with Image.open(io.BytesIO(stored)) as image:
        assert image.mode == "RGB"
        assert image.size == (row["width"], row["height"])
        assert not getattr(image, "is_animated", False)
        found = np.asarray(image, dtype=int)
    with Image.open(raw / row["source"]) as image:
        upright = ImageOps.exif_transpose(image)
        if mode == "I;16":
            wanted = np.repeat((np.asarray(upright, dtype=int) >> 8)[..., None], 3, axis=2)
        else:
            over = upright.convert("RGBA")
            white = Image.new("RGBA", over.size, "white")
            wanted = np.asarray(Image.alpha_composite(white, over).convert("RGB"), dtype=int)
    assert abs(found - wanted).max() <= (8 if suffix == ".jpg" else 0)


@pytest.mark.parametrize(
    ("source", "ends"),
    [
        ("is a jpeg.png", "/is a jpeg.jpg"),
        ("is a png.jpg", "/is a png.png"),
        ("is a png.jpeg", "/is a png~2.png"),
        ("no suffix", "/no suffix.jpg"),
        ("grey.jpg", "/grey.jpg"),
        ("grey.png", "/grey.png"),
        ("progressive.JPG", "/progressive.JPG"),
    ],
)
def test_plain_photos_keep_their_bytes_whatever_they_are_called(plain, source, ends):
    raw, out = plain
    row = row_of(out, f"B/{source}")
    original = (raw / row["source"]).read_bytes()
    assert (out / row["path"]).read_bytes() == original
    assert row["sha256"] == row["original_sha256"] == hashlib.sha256(original).hexdigest()
    assert row["normalised"] == ""
    same_stem = {"/is a png.png", "/is a png~2.png"}
    number = row["path"][row["path"].rindex("/") :]
    assert number == ends or {number, ends} <= same_stem


def test_names_that_meet_after_a_change_of_suffix_are_numbered(tmp_path):
    raw = tmp_path / "raw"
    for number, name in enumerate(["x.bmp", "x.tif", "x.png", "X.PNG"]):
        kind = {"x.bmp": "BMP", "x.tif": "TIFF"}.get(name, "PNG")
        save(raw / "A" / name, scene(seed=number), kind)
    rule = data.FreezeRule(fractions=(1.0, 0.0, 0.0))
    rows = rows_of(data.freeze(raw, tmp_path / "out", rule).root)
    assert len({row["path"].casefold() for row in rows}) == 4


def test_order_of_decoding_is_kept_when_photos_take_unlike_long(tmp_path):
    raw = tmp_path / "raw"
    sizes = random.Random(0).sample([8, 8, 8, 900, 8, 700, 8, 8], 8)
    for number, side in enumerate(sizes):
        save(raw / "A" / f"{number}.png", scene(side, side, number), "PNG", compress_level=1)
    rows = rows_of(data.freeze(raw, tmp_path / "out").root)
    for row in rows:
        side = sizes[int(row["source"][2])]
        assert (row["width"], row["height"]) == (side, side)
