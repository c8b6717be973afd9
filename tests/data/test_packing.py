"""Packs: the folder's rows, bytes kept or shrunk, the lock, ``datasets``, whole or not at all."""

import hashlib
import io
import json
import multiprocessing
import os
import pickle
import resource
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import datasets
import numpy as np
import pytest
from photos import draw_classes, draw_photo
from PIL import Image
from ranks import run_process

from carscale import config, data, images, tables
from carscale.data.versions import arrow_files, pack
from carscale.errors import ConfigError, DataError, DiskError

MAX_PX = 52
"""Photos of ``tiny`` are 48 to 64 wide: some are kept, some shrink."""
CHANGED = ["sha256", "num_bytes", "width", "height", "normalised"]
SPLITS = ("train", "val", "test")


def rows_of(root: Path, schema=tables.MANIFEST_SCHEMA) -> list[dict]:
    columns = tables.read_columns(root / "manifest.parquet", schema.names)
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def tree_of(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def splits_of(root: Path) -> list:
    splits = data.read_splits(root)
    return [splits.train, splits.val, splits.test]


def bytes_of(root: Path) -> list[bytes]:
    """Every photo, by id."""
    photos = {
        int(split.ids_N[row]): split.read_bytes(row)
        for split in splits_of(root)
        for row in range(len(split))
    }
    return [photos[number] for number in range(len(photos))]


@pytest.fixture(scope="module")
def packed(tiny, tmp_path_factory) -> Path:
    """``tiny`` in shards of a few photos."""
    out = tmp_path_factory.mktemp("packed") / "pack"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pack, "SHARD_BYTES", 12_000)
        patch.setattr(arrow_files, "BATCH_BYTES", 4_000)
        return data.pack(tiny, out, data.PackRule(MAX_PX)).root


# --- what is in it ------------------------------------------------------------------------------


def test_rows_are_the_folders_but_for_what_shrinking_changes(tiny, packed):
    before, after = rows_of(tiny), rows_of(packed)
    assert len(before) == len(after) == 56
    for old, new in zip(before, after, strict=True):
        assert {k: v for k, v in old.items() if k not in CHANGED} == {
            k: v for k, v in new.items() if k not in CHANGED
        }
    for old, new in zip(splits_of(tiny), splits_of(packed), strict=True):
        assert (old.name, old.classes, len(old)) == (new.name, new.classes, len(new))
        for name in ("ids_N", "keys_N", "paths_N", "labels_N"):
            np.testing.assert_array_equal(getattr(old, name), getattr(new, name))


def test_small_photos_stay_byte_for_byte_and_large_ones_shrink(tiny, packed):
    num_shrunk = 0
    for old, new, content in zip(rows_of(tiny), rows_of(packed), bytes_of(packed), strict=True):
        original = (tiny / old["path"]).read_bytes()
        assert new["num_bytes"] == len(content)
        assert new["sha256"] == hashlib.sha256(content).hexdigest()
        if max(old["width"], old["height"]) <= MAX_PX:
            assert content == original
            assert new == old
            continue
        num_shrunk += 1
        scale = MAX_PX / old["width"]
        assert new["normalised"] == f"shrunk from {old['width']}x{old['height']}"
        with Image.open(io.BytesIO(content)) as image, Image.open(io.BytesIO(original)) as whole:
            assert (image.format, image.size) == ("JPEG", (new["width"], new["height"]))
            assert image.size == (52, pytest.approx(old["height"] * scale, abs=0.5))
            naive = whole.resize(image.size, Image.Resampling.LANCZOS)
            error = (np.asarray(image).astype(float) - np.asarray(naive)) ** 2
        assert 10 * np.log10(255**2 / error.mean()) > 40  # the worst measured is 40.4
    assert 20 < num_shrunk < 50


def test_the_card_says_where_it_comes_from(tiny, packed):
    parent = json.loads((tiny / "card.json").read_text())
    card = json.loads((packed / "card.json").read_text())
    rows = rows_of(packed)
    assert card["format"] == "pack-2"
    hashes = parent["hashes"]
    assert card["parent"] == {"name": tiny.name, "hashes": hashes}
    assert card["hashes"]["classes"] == hashes["classes"]
    for split in SPLITS:
        lines = sorted(f"{r['sha256']} {r['class']}\n" for r in rows if r["split"] == split)
        assert card["hashes"][split] == hashlib.sha256("".join(lines).encode()).hexdigest()
        assert card["hashes"][split] != hashes[split]
        assert card["counts"][split] == parent["counts"][split]
    assert card["counts"]["shrunk"] == sum(bool(row["normalised"]) for row in rows)
    assert card["pack"] == {
        "max_px": MAX_PX,
        "quality": 95,
        "num_bytes": sum(row["num_bytes"] for row in rows),
        "parent_num_bytes": sum(row["num_bytes"] for row in rows_of(tiny)),
    }
    for shard in card["shards"]:
        content = (packed / shard["path"]).read_bytes()
        assert shard["num_bytes"] == len(content)
        assert shard["sha256"] == hashlib.sha256(content).hexdigest()
    assert len(card["shards"]) > 5
    assert {(packed / shard["path"]) for shard in card["shards"]} == set(packed.rglob("*.arrow"))


def test_png_grey_and_long_photos(tmp_path):
    raw = draw_classes(tmp_path / "raw", [3, 3])
    noise = np.random.default_rng(0).integers(0, 256, (40, 90, 3), dtype=np.uint8)
    folder = raw / "Make0 Model"
    Image.fromarray(noise).save(folder / "large.png")
    Image.fromarray(noise[:20, :30]).save(folder / "small.png")
    Image.fromarray(noise[..., 0]).save(folder / "grey.jpg")
    Image.new("RGB", (4000, 2), "red").save(folder / "long.jpg")
    root = data.freeze(raw, tmp_path / "frozen").root
    out = data.pack(root, tmp_path / "pack", data.PackRule(32, quality=80)).root
    found = {}
    for row, content in zip(rows_of(out), bytes_of(out), strict=True):
        with Image.open(io.BytesIO(content)) as image:
            found[Path(row["path"]).name] = (image.format, image.mode, image.size)
            assert image.size == (row["width"], row["height"])
        images.read_photo(content)
    assert found["large.png"] == ("JPEG", "RGB", (32, 14))
    assert found["small.png"] == ("PNG", "RGB", (30, 20))
    assert found["grey.jpg"] == ("JPEG", "L", (32, 14))
    assert found["long.jpg"] == ("JPEG", "RGB", (32, 1))


def test_a_pack_of_a_pack_is_smaller_still(packed, tmp_path):
    again = data.pack(packed, tmp_path / "again", data.PackRule(20))
    assert again.card["parent"]["name"] == "pack"
    assert again.card["counts"]["shrunk"] == 56
    assert data.verify(again.root, mode="full") == 3
    assert max(max(row["width"], row["height"]) for row in rows_of(again.root)) == 20
    reasons = {row["normalised"] for row in rows_of(again.root)}
    assert any(reason.startswith("shrunk from 64x") and "; " in reason for reason in reasons)


def test_nothing_to_shrink_is_said(tiny, tmp_path):
    made = data.pack(tiny, tmp_path / "pack")
    assert made.warnings == ["no photo has a side above 512 px: all stay as they are"]
    assert made.card["hashes"] == data.read_splits(tiny).card["hashes"]


def test_photos_that_take_more_bytes_than_before_are_said(tiny, tmp_path):
    made = data.pack(tiny, tmp_path / "pack", data.PackRule(63, quality=100))
    assert made.card["pack"]["num_bytes"] > made.card["pack"]["parent_num_bytes"]
    assert "less than quality 100; a lower --quality" in made.warnings[0]
    made = data.pack(tiny, tmp_path / "smaller", data.PackRule(40, quality=90))
    assert made.card["pack"]["num_bytes"] < made.card["pack"]["parent_num_bytes"]
    assert made.warnings == []


def test_odd_photos_are_packed(odd, tmp_path):
    for number, path in enumerate(sorted(odd.iterdir())[::3]):
        target = tmp_path / "raw" / f"class {number % 3}" / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    root = data.freeze(tmp_path / "raw", tmp_path / "frozen").root
    out = data.pack(root, tmp_path / "pack", data.PackRule(48)).root
    assert len(rows_of(out)) > 100
    for old, new, content in zip(rows_of(root), rows_of(out), bytes_of(out), strict=True):
        photo = images.read_photo(content)
        assert photo.normalised == ""
        assert (photo.width, photo.height) == (new["width"], new["height"])
        if max(old["width"], old["height"]) <= 48:
            assert content == (root / old["path"]).read_bytes()
        else:
            assert max(photo.width, photo.height) == 48
    assert (out / "quarantine.jsonl").read_bytes() == (root / "quarantine.jsonl").read_bytes()


# --- shards -------------------------------------------------------------------------------------


def test_shards_are_few_whatever_their_size(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(pack, "SHARD_BYTES", 1)
    monkeypatch.setattr(pack, "MAX_SHARDS", 4)
    monkeypatch.setattr(arrow_files, "BATCH_BYTES", 1)
    out = data.pack(tiny, tmp_path / "pack").root
    assert 3 < len(data.read_splits(out).card["shards"]) <= 4 + 3
    assert bytes_of(out) == [(tiny / row["path"]).read_bytes() for row in rows_of(tiny)]


def test_a_split_without_photos_is_one_shard_without_rows(tmp_path):
    root = data.freeze(draw_classes(tmp_path / "raw", [1, 1]), tmp_path / "frozen").root
    out = data.pack(root, tmp_path / "pack").root
    assert [len(split) for split in splits_of(out)] == [2, 0, 0]
    assert data.verify(out, mode="full") == 3
    assert {k: len(part) for k, part in datasets.load_from_disk(str(out)).items()} == {
        "train": 2,
        "val": 0,
        "test": 0,
    }


def test_a_bounded_number_of_photos_is_in_flight(tiny, tmp_path, monkeypatch):
    read, written, most = [], [], []
    pack_photo = pack._pack_photo

    def counted(*args):
        read.append(1)
        most.append(len(read) - len(written))
        return pack_photo(*args)

    monkeypatch.setattr(pack, "_pack_photo", counted)
    monkeypatch.setattr(pack, "AHEAD", 3)
    data.pack(tiny, tmp_path / "pack", advance=written.append)
    assert written == [56] * 56
    assert max(most) <= 3 + 2


# --- reading ------------------------------------------------------------------------------------


def test_random_and_parallel_reads_equal_reads_in_order(packed):
    split = data.read_splits(packed).train
    in_order = [split.read_bytes(row) for row in range(len(split))]
    rows = np.random.default_rng(0).integers(0, len(split), 2000)
    fresh = data.read_splits(packed).train  # nothing is open yet
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(fresh.read_bytes, rows))
    assert all(content == in_order[row] for row, content in zip(rows, found, strict=True))


def test_a_split_pickles_small_and_reads_in_other_processes(packed):
    split = data.read_splits(packed).val
    before = pickle.dumps(split)
    wanted = [split.read_bytes(row) for row in range(len(split))]
    assert len(pickle.dumps(split)) == len(before)  # nothing that was opened
    assert pickle.loads(before).read_bytes(1) == wanted[1]
    with multiprocessing.get_context("forkserver").Pool(2) as pool:
        assert pool.map(split.read_bytes, range(len(split))) == wanted


def test_a_photo_is_named_by_pack_id_and_path(packed):
    split = data.read_splits(packed).val
    assert split.where(2) == f"{packed}#{split.ids_N[2]} ({split.paths_N[2]})"


def test_files_are_closed_with_the_split(packed):
    def num_open() -> int:
        links = [path for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
        return sum(os.path.realpath(link).endswith(".arrow") for link in links)

    before = num_open()
    splits = data.read_splits(packed)
    assert num_open() == before
    splits.val.read_bytes(0)
    assert num_open() == before + 1
    del splits
    assert num_open() == before


def test_a_shard_that_is_gone_or_cut_is_an_os_error(packed, tmp_path):
    root = shutil.copytree(packed, tmp_path / "pack")
    split = data.read_splits(root).val
    shard = (
        root / data.read_splits(root).card["shards"][split.store.shard_N[split.ids_N[0]]]["path"]
    )
    os.truncate(shard, 1000)
    with pytest.raises(OSError, match=r"data-00000\.arrow: ends \d+ bytes too early"):
        [split.read_bytes(row) for row in range(len(split))]
    shard.unlink()
    with pytest.raises(FileNotFoundError, match="data-00000"):
        data.read_splits(root).val.read_bytes(0)


def test_photos_are_read_by_path_from_packs_and_folders(tiny, packed):
    from_pack, from_folder = data.photo_reader(packed), data.photo_reader(tiny)
    for row, content in zip(rows_of(packed), bytes_of(packed), strict=True):
        assert from_pack(row["path"]) == content
        assert from_folder(row["path"]) == (tiny / row["path"]).read_bytes()
    assert data.photo_reader(tiny / "train")(rows_of(tiny)[0]["path"][6:])  # any folder
    for read in (from_pack, from_folder):
        with pytest.raises(FileNotFoundError, match="none"):
            read("train/none.jpg")


# --- datasets -----------------------------------------------------------------------------------


def test_datasets_opens_a_pack_with_the_same_splits_and_labels(tiny, packed, tmp_path):
    opened = datasets.load_from_disk(str(packed))
    folder = datasets.load_dataset(
        "imagefolder", data_dir=str(tiny), drop_labels=False, cache_dir=str(tmp_path)
    )
    assert list(opened) == list(SPLITS)
    for split in splits_of(packed):
        part = opened[split.name]
        assert list(part.features) == ["id", "image", "label"]
        hf_name = "validation" if split.name == "val" else split.name
        assert part.features["label"] == folder[hf_name].features["label"]
        assert part["id"][:] == split.ids_N.tolist()
        assert part["label"][:] == split.labels_N.tolist()
        for row, size in enumerate(split.sizes_N2.tolist()):
            assert part[row]["image"].size == tuple(size)
        stored = part.cast_column("image", datasets.Image(decode=False))
        for row in range(len(split)):
            wanted = {"bytes": split.read_bytes(row), "path": split.paths_N[row]}
            assert stored[row]["image"] == wanted
    shard = data.read_splits(packed).card["shards"][0]["path"]
    assert datasets.Dataset.from_file(str(packed / shard)).features == opened["train"].features


def test_what_datasets_writes_beside_the_shards_does_not_break_the_lock(packed, tmp_path):
    root = shutil.copytree(packed, tmp_path / "pack")
    part = datasets.load_from_disk(str(root))["train"]
    assert part.map(lambda row: {"double": 2 * row["id"]})["double"][:3] == [0, 2, 4]
    assert list(root.glob("train/cache-*.arrow"))
    data.verify(root, mode="full")


# --- the lock -----------------------------------------------------------------------------------


@pytest.fixture
def locked(packed, tmp_path, monkeypatch) -> Path:
    """A pack that was checked once, with a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = shutil.copytree(packed, tmp_path / "pack")
    assert data.verify(root) == len(list(root.rglob("*.arrow")))
    return root


def assert_says(root: Path, *texts: str) -> None:
    for mode in ("fast", "full", "fast"):
        with pytest.raises(DataError) as caught:
            data.load(config.Data(root=str(root), verify=mode))
        for text in (str(root), *texts):
            assert text in str(caught.value)


def test_no_shard_is_hashed_when_nothing_changed(locked):
    num_shards = len(list(locked.rglob("*.arrow")))
    assert data.verify(locked) == 0
    assert data.verify(locked, mode="full") == num_shards
    os.utime(locked / "val" / "data-00000.arrow")
    assert data.verify(locked) == 1
    assert len(data.load(config.Data(root=str(locked))).train) == len(splits_of(locked)[0])


def test_a_flipped_byte_in_a_shard_is_found_when_size_and_time_are_as_before(locked):
    victim = locked / "train" / "data-00001.arrow"
    stat = victim.stat()
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    victim.write_bytes(content)
    os.utime(victim, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert_says(locked, "the shards do not match their lock: 1 changed", "train/data-00001.arrow")
    assert_says(locked, "pack a new version with: carscale data pack SOURCE NEW_FOLDER")


def test_a_cut_or_removed_shard_is_named(locked):
    os.truncate(locked / "train" / "data-00000.arrow", 100)
    (locked / "test" / "data-00000.arrow").unlink()
    assert_says(locked, "1 removed, 1 changed", "removed: test/data-00000.arrow")
    assert_says(locked, "changed: train/data-00000.arrow")


@pytest.mark.parametrize(
    "name", ["manifest.parquet", "classes.json", "dataset_dict.json", "val/state.json", "card.json"]
)
def test_a_changed_list_is_named(locked, name):
    text = (locked / name).read_bytes()
    (locked / name).write_bytes(text[:-2] + b" " + text[-2:])
    if name == "card.json":
        card = json.loads(text)
        (locked / name).write_text(json.dumps(card | {"pack": {"max_px": 4000}}))
    assert_says(locked, f"{name} does not match the lock in card.json")


def test_another_format_is_refused(locked):
    card = json.loads((locked / "card.json").read_text())
    (locked / "card.json").write_text(json.dumps(card | {"format": "pack-3"}))
    with pytest.raises(DataError, match="format pack-3, this carscale reads 2 and pack-2"):
        data.read_splits(locked)


# --- the same bytes, whole or not at all --------------------------------------------------------


def test_bytes_are_equal_when_packed_twice_in_two_processes(tiny, tmp_path):
    code = (
        "import sys; from pathlib import Path; from carscale import data;"
        "data.pack(Path(sys.argv[1]), Path(sys.argv[2]), data.PackRule(52))"
    )
    for number in (1, 2):
        out = tmp_path / f"{number}" / f"pack{number}"
        env = {**os.environ, "PYTHONHASHSEED": str(number)}
        subprocess.run([sys.executable, "-c", code, tiny, out], env=env, check=True)
    assert tree_of(tmp_path / "1" / "pack1") == tree_of(tmp_path / "2" / "pack2")
    assert len(tree_of(tmp_path / "1" / "pack1")) == 14


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (data.PackRule(15), "--max-px 15: must be 16 to 16384"),
        (data.PackRule(16385), "--max-px 16385"),
        (data.PackRule(64, quality=0), "--quality 0: must be 1 to 100"),
        (data.PackRule(64, quality=101), "--quality 101"),
    ],
)
def test_a_rule_out_of_range_is_refused(tiny, tmp_path, rule, says):
    with pytest.raises(ConfigError, match=says):
        data.pack(tiny, tmp_path / "pack", rule)
    assert not list(tmp_path.iterdir())


def test_a_pack_at_out_stays_without_force(tiny, tmp_path):
    out = data.pack(tiny, tmp_path / "pack", data.PackRule(52)).root
    before = tree_of(out)
    with pytest.raises(DataError, match="is there already"):
        data.pack(tiny, out, data.PackRule(32))
    assert tree_of(out) == before
    data.pack(tiny, out, data.PackRule(32), force=True)
    assert data.read_splits(out).card["pack"]["max_px"] == 32
    assert data.verify(out, mode="full") == 3
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("x")
    with pytest.raises(DataError, match="holds no frozen data"):
        data.pack(tiny, tmp_path / "other", force=True)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["other", "pack"]


def test_wrong_folders_are_refused(tiny, tmp_path):
    with pytest.raises(DataError, match="lies inside"):
        data.pack(tiny, tiny / "pack")
    with pytest.raises(DataError, match="holds no frozen data"):
        data.pack(tmp_path, tmp_path.parent / "pack")
    with pytest.raises(DataError, match="holds no frozen data"):
        data.pack(tmp_path / "none", tmp_path / "pack")


@pytest.fixture
def frozen(tmp_path) -> Path:
    return data.freeze(draw_classes(tmp_path / "raw", [12, 8]), tmp_path / "frozen").root


def test_a_folder_that_does_not_match_its_lock_is_refused(frozen, tmp_path):
    draw_photo(frozen / "train" / "Make0 Model" / "new.jpg", 0, 99)
    with pytest.raises(DataError, match="do not match their lock: 1 added"):
        data.pack(frozen, tmp_path / "pack")
    assert not (tmp_path / "pack").exists()


def test_a_photo_that_changes_meanwhile_is_named(frozen, tmp_path, monkeypatch):
    path = next(frozen.glob("train/*/*.jpg"))
    monkeypatch.setattr(pack, "verify", lambda root: path.write_bytes(b"x"))
    with pytest.raises(DataError, match=f"{path.name}: is not what was frozen"):
        data.pack(frozen, tmp_path / "pack")
    monkeypatch.setattr(pack, "verify", lambda root: path.unlink())
    with pytest.raises(DataError, match=f"{path.name}: can't be read"):
        data.pack(frozen, tmp_path / "pack")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["frozen", "raw"]


def _pack_and_die(root: Path, out: Path, force: bool) -> None:
    """Be killed when half of the photos are packed."""
    seen = []

    def advance(total: int) -> None:
        seen.append(total)
        if len(seen) == total // 2:
            os.kill(os.getpid(), signal.SIGKILL)

    data.pack(root, out, data.PackRule(52), force=force, advance=advance)


def test_nothing_is_at_out_when_killed(frozen, tmp_path):
    out = tmp_path / "pack"
    assert run_process(_pack_and_die, frozen, out, False) == -signal.SIGKILL
    assert not out.exists()
    data.pack(frozen, out, data.PackRule(40))  # what the killed one left is in nobody's way
    before = tree_of(out)
    assert run_process(_pack_and_die, frozen, out, True) == -signal.SIGKILL
    assert tree_of(out) == before
    assert data.verify(frozen, mode="full") == 20


def _pack_on_a_full_disk(root: Path, out: Path) -> None:
    """Let no file grow beyond 20 kB."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    with pytest.raises(
        DiskError, match=r"can't be written: File too large; it needs at least .*\n.*\n.*nothing"
    ):
        data.pack(root, out, force=True)


def test_a_full_disk_is_one_error_and_changes_nothing(frozen, tmp_path):
    out = data.pack(frozen, tmp_path / "pack").root
    before = tree_of(tmp_path)
    assert run_process(_pack_on_a_full_disk, frozen, out) == 0
    assert tree_of(tmp_path) == before
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
