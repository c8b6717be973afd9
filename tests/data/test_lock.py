"""The lock: what breaks it, what does not, and how much is hashed."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from photos import draw_classes, draw_photo

from carscale import config, data
from carscale.data.frozen import cache, lock
from carscale.errors import DataError

NUM_PHOTOS = 17


@pytest.fixture
def frozen(tmp_path, monkeypatch) -> Path:
    """A frozen folder of 17 photos that was checked once, with a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = data.freeze(draw_classes(tmp_path / "raw", [10, 7]), tmp_path / "frozen").root
    assert data.verify(root) == NUM_PHOTOS
    return root


def photos(root: Path) -> list[Path]:
    return sorted(root.glob("t*/*/*.jpg"))


def name_of(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()


def assert_says(root: Path, *texts: str) -> None:
    """Both modes refuse the folder and name what differs; so does loading it."""
    for mode in ("fast", "full", "fast"):
        with pytest.raises(DataError) as caught:
            data.verify(root, mode=mode)
        for text in (str(root), *texts):
            assert text in str(caught.value)
    with pytest.raises(DataError):
        data.load(config.Data(root=str(root)))


def test_nothing_is_hashed_when_nothing_changed(frozen):
    assert data.verify(frozen) == 0
    assert data.verify(frozen, mode="fast") == 0
    assert data.verify(frozen, mode="full") == NUM_PHOTOS
    assert data.verify(frozen) == 0
    assert len(data.load(config.Data(root=str(frozen))).train) == 12


def test_an_added_photo_is_named(frozen):
    new = frozen / "train" / "Make0 Model" / "new.jpg"
    draw_photo(new, 0, 99)
    assert_says(frozen, "1 added", "added: train/Make0 Model/new.jpg", "restore them")
    new.unlink()
    assert data.verify(frozen) == 0


@pytest.mark.parametrize("where", ["train/new.jpg", "val/Unknown/new.jpg", "train/a/b/c/new.txt"])
def test_an_added_file_is_named_wherever_it_lies(frozen, where):
    draw_photo(frozen / where, 0, 99) if where.endswith("jpg") else None
    (frozen / where).parent.mkdir(parents=True, exist_ok=True)
    (frozen / where).touch()
    assert_says(frozen, f"added: {where}")


def test_added_links_are_named(frozen):
    (frozen / "train" / "gone.jpg").symlink_to("nowhere")
    (frozen / "train" / "loop").symlink_to(frozen, target_is_directory=True)
    assert_says(frozen, "2 added", "train/gone.jpg", "train/loop")


def test_hidden_files_of_a_desktop_do_not_matter(frozen):
    (frozen / "train" / "Make0 Model" / ".DS_Store").write_text("x")
    (frozen / "train" / ".directory").write_text("x")
    assert data.verify(frozen) == 0


def test_a_removed_photo_is_named(frozen):
    gone = photos(frozen)[3]
    gone.unlink()
    assert_says(frozen, "1 removed", f"removed: {name_of(frozen, gone)}")


def test_a_removed_split_is_counted(frozen):
    shutil.rmtree(frozen / "train")
    assert_says(frozen, "12 removed", " and 9 more")


def test_a_file_in_place_of_a_split_is_no_crash(frozen):
    shutil.rmtree(frozen / "train")
    (frozen / "train").write_text("x")
    assert_says(frozen, "train: is a file, wanted a folder")


def test_a_changed_byte_is_found_when_size_and_time_are_as_before(frozen):
    victim = photos(frozen)[5]
    stat = victim.stat()
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    victim.write_bytes(content)
    os.utime(victim, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert victim.stat().st_size == stat.st_size
    assert victim.stat().st_mtime_ns == stat.st_mtime_ns
    assert_says(frozen, "1 changed", f"changed: {name_of(frozen, victim)}")


def test_a_swapped_file_is_found_when_size_and_time_are_as_before(frozen):
    victim = photos(frozen)[5]
    stat = victim.stat()
    other = victim.with_name(".other")
    other.write_bytes(bytes(stat.st_size))
    os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    other.replace(victim)  # another inode
    assert_says(frozen, f"changed: {name_of(frozen, victim)}")


def test_a_truncated_photo_is_named(frozen):
    victim = photos(frozen)[0]
    os.truncate(victim, 40)
    assert_says(frozen, "1 changed", f"changed: {name_of(frozen, victim)}")


def test_a_photo_that_became_a_broken_link_is_named(frozen):
    victim = photos(frozen)[0]
    victim.unlink()
    victim.symlink_to("nowhere")
    assert_says(frozen, f"changed: {name_of(frozen, victim)}")


def test_a_renamed_photo_is_one_removed_and_one_added(frozen):
    old = photos(frozen)[2]
    new = old.with_name("other.jpg")
    old.rename(new)
    assert_says(
        frozen,
        "1 added, 1 removed",
        f"added: {name_of(frozen, new)}",
        f"removed: {name_of(frozen, old)}",
    )


def test_a_photo_moved_to_another_split_is_named(frozen):
    old = photos(frozen / ".")[0]
    new = frozen / "val" / "Make0 Model" / "moved.jpg"
    old.rename(new)
    assert_says(frozen, "added: val/Make0 Model/moved.jpg", name_of(frozen, old))


@pytest.mark.parametrize("name", ["manifest.parquet", "classes.json", "quarantine.jsonl"])
@pytest.mark.parametrize("change", ["edit", "remove"])
def test_an_edited_list_is_named(frozen, name, change):
    path = frozen / name
    if change == "edit":
        path.write_bytes(path.read_bytes() + b"\n")
    else:
        path.unlink()
    assert_says(frozen, f"{name} does not match the lock", "freeze anew")


@pytest.mark.parametrize("key", ["seed", "hashes", "counts", "lock", "notes"])
def test_an_edited_card_is_named(frozen, key):
    path = frozen / "card.json"
    card = json.loads(path.read_text())
    if key == "seed":
        card["seed"] = 5
    elif key == "lock":
        card["lock"]["card.json"] = "0" * 64
    else:
        del card[key][next(iter(card[key]))]
    path.write_text(json.dumps(card))
    says = {"hashes": "card.json: hashes.classes: is missing", "notes": "card.json"}
    assert_says(frozen, says.get(key, "card.json does not match the lock"))


def test_a_card_without_a_lock_is_named(frozen):
    path = frozen / "card.json"
    card = json.loads(path.read_text())
    del card["lock"]
    path.write_text(json.dumps(card))
    assert_says(frozen, "card.json: lock: is missing")


def test_a_reformatted_card_is_still_the_card(frozen):
    path = frozen / "card.json"
    path.write_text(json.dumps(json.loads(path.read_text()), indent=4))
    assert data.verify(frozen) == 0


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "holds no frozen data"),
        ("{", "card.json: can't be read"),
        ("[]", "format None, this carscale reads 2"),
        ('{"format": 99}', "format 99, this carscale reads 2"),
    ],
)
def test_a_card_that_is_none_is_refused(frozen, content, says):
    path = frozen / "card.json"
    path.unlink()
    if content is not None:
        path.write_text(content)
    assert_says(frozen, says)
    with pytest.raises(DataError, match=says):
        data.read_splits(frozen)


@pytest.mark.parametrize(("stored", "command"), [(1, "freeze SOURCE"), ("pack-1", "pack FOLDER")])
def test_what_an_older_version_made_is_to_be_made_again(frozen, raw, tmp_path, stored, command):
    path = frozen / "card.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": stored}))
    again = f"make it again with: carscale data {command} {frozen} --force"
    assert_says(frozen, f"made by an older version of carscale (format {stored};", again)
    for use in (data.read_splits, lambda root: data.freeze(root, tmp_path / "new")):
        with pytest.raises(DataError):
            use(frozen)
    data.freeze(raw, frozen, force=True)  # as it says
    assert data.verify(frozen, mode="full") == 33


def test_a_folder_that_is_none_is_refused(tmp_path):
    with pytest.raises(DataError, match="holds no frozen data"):
        data.verify(tmp_path / "nowhere")
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="holds no frozen data"):
        data.verify(tmp_path / "file")


def test_a_classes_file_that_lacks_a_class_is_refused(frozen):
    path = frozen / "classes.json"
    listed = json.loads(path.read_text())
    path.write_text(json.dumps({"classes": listed["classes"][1:]}))
    with pytest.raises(DataError, match="lacks the class of folder 'Make0 Model'"):
        data.read_splits(frozen)
    path.write_text(json.dumps({"classes": [{"nme": "x"}]}))
    with pytest.raises(DataError, match=r"classes.json: classes\[0\].name: is missing"):
        data.read_splits(frozen)


def test_a_copy_keeps_the_lock(frozen, tmp_path):
    copy = tmp_path / "elsewhere" / "copy"
    shutil.copytree(frozen, copy, copy_function=shutil.copyfile)  # new times, new inodes
    assert data.verify(copy) == NUM_PHOTOS
    assert data.verify(copy) == 0
    assert data.verify(frozen) == 0


def test_a_moved_folder_keeps_the_lock(frozen, tmp_path):
    moved = frozen.rename(tmp_path / "moved")
    assert data.verify(moved) == NUM_PHOTOS
    assert data.verify(moved) == 0


def test_one_photo_is_hashed_when_one_was_touched(frozen):
    os.utime(photos(frozen)[0])
    assert data.verify(frozen) == 1
    assert data.verify(frozen) == 0


def test_a_deleted_cache_costs_a_full_check(frozen, tmp_path):
    shutil.rmtree(tmp_path / "cache")
    assert data.verify(frozen) == NUM_PHOTOS
    assert data.verify(frozen) == 0


@pytest.mark.parametrize(
    "content", ["empty", "text", "zip head", "cut", "other", "flipped", "array"]
)
def test_a_broken_cache_does_no_harm(frozen, content):
    kept = cache.cache_file(frozen, "stat")
    good = kept.read_bytes()
    if content == "other":
        np.savez(kept, stats=np.zeros((2, 4), dtype=np.int64), version=np.array("x"))
    elif content == "array":
        with kept.open("wb") as file:
            np.save(file, np.zeros(3))
    else:
        flipped = bytearray(good)
        flipped[60:90] = bytes(30)
        made = {"empty": b"", "text": b"hello", "zip head": b"PK\x03\x04", "cut": good[:200]}
        kept.write_bytes({**made, "flipped": bytes(flipped)}[content])
    assert data.verify(frozen) == NUM_PHOTOS
    assert data.verify(frozen) == 0


def test_a_cache_that_cannot_be_written_does_no_harm(frozen, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert data.verify(frozen) == NUM_PHOTOS
    assert data.verify(frozen) == NUM_PHOTOS
    assert (tmp_path / "file").read_text() == "x"


def test_a_full_disk_under_the_cache_does_no_harm(frozen, tmp_path, monkeypatch):
    shutil.rmtree(tmp_path / "cache")

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(lock.np, "savez", full)
    assert data.verify(frozen) == NUM_PHOTOS


def test_only_the_first_process_of_a_node_checks(frozen, monkeypatch):
    photos(frozen)[0].unlink()
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert len(data.load(config.Data(root=str(frozen))).train) == 12
    monkeypatch.setenv("LOCAL_RANK", "0")
    with pytest.raises(DataError, match="1 removed"):
        data.load(config.Data(root=str(frozen)))
