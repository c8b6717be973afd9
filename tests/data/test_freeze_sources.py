"""What is frozen and what is not: splits that are there already, files that are no photos."""

import os
import shutil
import tarfile
from collections import Counter
from pathlib import Path

import pytest
from frozen_trees import refused_of, rows_of
from photos import draw_classes, draw_photo
from PIL import Image
from strangers import icon, no_longer_than, no_more_memory_than, png

from carscale import data
from carscale.errors import DataError

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
        assert split == wanted[source.split("/")[0]]
    assert len(found) == 16
    assert {car.name for car in data.read_splits(frozen.root).classes} == {
        "Make0 Model",
        "Make1 Model",
    }
    assert refused_of(frozen.root) == {
        "extra": "lies in no split folder",
        "lost.jpg": "lies in no split folder",
        "train/Make1 Model/000.jpg": "leak: the same photo is in test: Test/Make1 Model/twin.jpg",
    }
    assert frozen.card["notes"]["empty_classes"] == ["train/Nothing"]


def test_given_splits_are_kept_when_one_is_empty(tmp_path):
    raw = draw_split_source(tmp_path / "raw")
    (raw / "dev").mkdir()
    frozen = data.freeze(raw, tmp_path / "out", data.FreezeRule(keep_splits=True))
    assert frozen.card["counts"]["train"] == 10


def test_classes_that_given_splits_keep_out_of_train_are_named(tmp_path):
    raw = draw_split_source(tmp_path / "raw")
    draw_photo(raw / "Test" / "Only Here" / "1.jpg", 2, 300)
    for number in range(2):
        draw_photo(raw / "valid" / "Only There" / f"{number}.jpg", 3, 400 + number)
    draw_photo(raw / "train" / "Lone Car" / "1.jpg", 4, 500)
    frozen = data.freeze(raw, tmp_path / "out", data.FreezeRule(keep_splits=True))
    assert frozen.warnings == [
        "classes of one photo, in train only: Lone Car",
        "2 classes without a photo in train, never to be learned: Only Here; Only There",
    ]
    assert frozen.card["notes"]["classes_of_one_photo"] == ["Lone Car", "Only Here"]
    splits = data.read_splits(frozen.root)
    assert [car.name for car in splits.classes if car.name.startswith("Only")] == [
        "Only Here",
        "Only There",
    ]


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


def test_links_that_lead_elsewhere_are_followed_on_demand(tmp_path):
    raw = draw_classes(tmp_path / "raw", [4])
    elsewhere = draw_classes(tmp_path / "elsewhere", [0, 5])
    (raw / "Linked").symlink_to(elsewhere / "Make1 Model", target_is_directory=True)
    (raw / "Make0 Model" / "one.jpg").symlink_to(elsewhere / "Make1 Model" / "000.jpg")
    (raw / "Again").symlink_to("Make0 Model", target_is_directory=True)
    inside = data.freeze(raw, tmp_path / "inside")
    assert Counter(row["class"] for row in rows_of(inside.root)) == {"Again": 4, "Make0 Model": 4}
    says = "leads out of the source; to take it all the same: --follow-links"
    assert refused_of(inside.root) == dict.fromkeys(
        ("Linked", "Make0 Model/one.jpg", "Again/one.jpg"), says
    )
    (raw / "Again").unlink()
    frozen = data.freeze(raw, tmp_path / "out", follow_links=True)
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


def test_a_frozen_folder_is_not_frozen_again(tiny, tmp_path):
    with pytest.raises(DataError, match="is frozen already") as error:
        data.freeze(tiny, tmp_path / "again")
    assert "carscale data map BASE" in str(error.value)


def test_what_a_stranger_puts_among_photos_is_refused_photo_by_photo(tmp_path):
    """One photo each goes to quarantine with a reason; the others are frozen."""
    raw = draw_classes(tmp_path / "raw", [6])
    folder = raw / "Make0 Model"
    (folder / "long.png").write_bytes(png(100_000_000, 1))
    (folder / "long.ico").write_bytes(icon(png(100_000_000, 1)))
    (folder / "script.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n")
    with (folder / "large.jpg").open("wb") as file:
        file.truncate(1 << 40)
    (folder / "zero.jpg").symlink_to("/dev/zero")
    os.mkfifo(folder / "pipe.jpg")
    deep = raw.joinpath(*["d"] * 600)
    deep.mkdir(parents=True)
    with no_longer_than(30), no_more_memory_than():
        frozen = data.freeze(raw, tmp_path / "out")
    refused = refused_of(frozen.root)
    name = "Make0 Model/"
    assert refused[name + "long.png"].startswith("100000000 x 1 pixels; at most 65500 a side")
    assert refused[name + "long.ico"] == refused[name + "long.png"]
    assert refused[name + "script.jpg"].startswith("no image: a PostScript file")
    assert "at most 536870912 are read" in refused[name + "large.jpg"]
    assert refused[name + "zero.jpg"] == refused[name + "pipe.jpg"] == "no regular file"
    assert [why for why in refused.values() if "64 folders deep" in why]
    assert frozen.card["counts"]["quarantined"] == len(refused) == 7
    assert frozen.card["counts"]["train"] > 0


def test_a_shard_that_is_a_link_out_of_its_folder_is_refused(tmp_path):
    raw = draw_classes(tmp_path / "raw", [3])
    with tarfile.open(tmp_path / "secret.tar", "w") as archive:
        archive.add(raw, ".")
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards" / "a.tar").symlink_to(tmp_path / "secret.tar")
    with pytest.raises(DataError, match=r"a\.tar: leads out of the source"):
        data.freeze(tmp_path / "shards", tmp_path / "out")


def test_links_out_of_split_folders_are_refused(tmp_path):
    raw = draw_classes(tmp_path / "raw" / "train", [4, 4]).parent
    elsewhere = draw_classes(tmp_path / "elsewhere", [3])
    (raw / "val").symlink_to(elsewhere, target_is_directory=True)
    (raw / "test").mkdir()
    (raw / "test" / "Make0 Model").symlink_to(raw / "train" / "Make0 Model")
    (raw / "test" / "Other").symlink_to(elsewhere / "Make0 Model")
    rule = data.FreezeRule(keep_splits=True)
    refused = refused_of(data.freeze(raw, tmp_path / "out", rule).root)
    assert {path for path, why in refused.items() if "--follow-links" in why} == {
        "val",
        "test/Other",
    }
    whole = data.freeze(raw, tmp_path / "all", rule, follow_links=True)
    reasons = refused_of(whole.root).values()
    assert len(reasons) == 4
    assert all(why.startswith("leak: the same photo is in test: test/") for why in reasons)
