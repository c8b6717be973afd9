"""Frozen folders of a stranger, their locks made to match: names and links that lead out."""

import json
import os
import shutil
from pathlib import Path

import pytest
from strangers import no_longer_than, relock, said_of

from carscale import data, tables
from carscale.data.versions import version
from carscale.errors import CarscaleError, DataError

LIMIT_S = 5


@pytest.fixture
def frozen(tiny, tmp_path) -> Path:
    """A copy of a small frozen folder, in a folder of its own, that may be spoilt."""
    shutil.copytree(tiny, tmp_path / "in" / "frozen")
    return tmp_path / "in" / "frozen"


@pytest.fixture
def packed(tiny, tmp_path) -> Path:
    """A pack of it."""
    (tmp_path / "in").mkdir()
    return data.pack(tiny, tmp_path / "in" / "pack", data.PackRule(32)).root


def with_manifest(root: Path, change) -> None:
    """Write a manifest with changed rows."""
    columns = tables.read_manifest(root / "manifest.parquet")
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    change(rows)
    values = {name: [row[name] for row in rows] for name in columns}
    content = tables.table_bytes(values, tables.MANIFEST_SCHEMA)
    (root / "manifest.parquet").write_bytes(content)
    relock(root)


def read_all(root: Path) -> None:
    """Read every photo."""
    for split in data.read_splits(root).every:
        for row in range(len(split)):
            split.read_bytes(row)


def everything(root: Path, out: Path) -> list:
    """Return all that makes a new folder of a frozen one, or reads it."""
    review = out.parent / "review.csv"
    first = next(iter(sorted((root / "train").rglob("*.jpg"))), root)
    review.write_text(
        f"id,path,label,decision,new_label\n0,{first.relative_to(root)},{first.parent.name},wrong,\n"
    )
    return [
        lambda: data.verify(root, mode="full"),
        lambda: data.read_splits(root),
        lambda: data.photo_stats(root),
        lambda: read_all(root),
        lambda: data.relabel(root, review, out, any_split=True),
        lambda: data.drop_photos(root, out, {0: "no car"}, entry={}),
        lambda: data.pack(root, out),
        lambda: data.freeze(root, out),
    ]


def check_nothing_leaves(root: Path, tmp_path: Path, says: str) -> None:
    """Use a folder in every way: one error in words each, and no file beside the output."""
    before = sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*") if root not in p.parents)
    said = []
    for use in everything(root, tmp_path / "out" / "new"):
        with no_longer_than(LIMIT_S):
            said.append(said_of(use))
        shutil.rmtree(tmp_path / "out" / "new", ignore_errors=True)
        after = {p.relative_to(tmp_path) for p in tmp_path.rglob("*") if root not in p.parents}
        assert after - {Path("out"), Path("out/review.csv")} <= set(before)
    assert any(says in one for one in said), said
    assert all(one == "" or str(root) in one for one in said)


@pytest.fixture
def out(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    "names",
    [
        ["../accelerate"],
        ["/tmp/accelerate"],
        [".."],
        ["test_a/../../x"],
        ["test_a/b"],
        ["train"],
        ["test_a", "test_a"],
        ["simplejpeg.py"],
        ["test_x\0"],
        [3],
        "test_a",
    ],
)
def test_names_of_splits_are_checked_when_the_card_is_read(frozen, out, names):
    card = json.loads((frozen / "card.json").read_text())
    hashes = card["hashes"] | {name: "0" * 64 for name in names if isinstance(name, str)}
    relock(frozen, extra_splits=names, hashes=hashes)
    check_nothing_leaves(frozen, out, "card.json: extra_splits")


@pytest.mark.parametrize("name", ["../../secret", "/etc/hostname", "/dev/zero", "a/../../../x", ""])
def test_names_in_the_lock_are_checked_when_the_card_is_read(frozen, out, name):
    card = json.loads((frozen / "card.json").read_text())
    relock(frozen, lock=card["lock"] | {name: "0" * 64})
    check_nothing_leaves(frozen, out, "card.json: lock names")


@pytest.mark.parametrize("name", ["../../secret", "/dev/zero", "train/../../../x", "", "."])
def test_shards_lie_in_their_pack(packed, out, name):
    card = json.loads((packed / "card.json").read_text())
    card["shards"][0]["path"] = name
    relock(packed, shards=card["shards"])
    check_nothing_leaves(packed, out, "card.json: shards names")


@pytest.mark.parametrize("folder", ["../x", "a/b", "/tmp", "..", ""])
def test_folders_of_makes_and_classes_are_plain_names(frozen, out, folder):
    relock(frozen, makes=[{"name": "Audi", "folder": folder, "classes": []}])
    check_nothing_leaves(frozen, out, "card.json: makes names")
    listed = json.loads((frozen / "classes.json").read_text())
    listed["classes"][0]["folder"] = folder
    (frozen / "classes.json").write_text(json.dumps(listed))
    relock(frozen, makes=[])
    with pytest.raises(DataError, match="of a class is no plain name"):
        data.read_splits(frozen)


@pytest.mark.parametrize(
    "path",
    ["../secret.jpg", "/etc/hostname", "/dev/zero", "train/x/../../../a.jpg", "train/x"],
)
def test_paths_of_the_manifest_stay_in_it(frozen, out, path):
    with_manifest(frozen, lambda rows: rows[0].update(path=path))
    check_nothing_leaves(frozen, out, "is not SPLIT/CLASS/FILE")
    with pytest.raises(DataError, match="is not SPLIT/CLASS/FILE"):
        version.manifest_rows(frozen)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda rows: rows[0].update(split="other", path="other/a/1.jpg"),
            "is no split of its card",
        ),
        (lambda rows: rows[0].update(id=10**12), "ids are not the numbers"),
        (lambda rows: rows[1].update(id=0), "ids are not the numbers"),
        (lambda rows: rows[0].update(path="train/nobody/1.jpg"), "lacks the class of folder"),
    ],
)
def test_rows_of_the_manifest_fit_the_card(frozen, change, says):
    with_manifest(frozen, change)
    with pytest.raises(DataError, match=says):
        data.read_splits(frozen)


@pytest.mark.parametrize("column", ["path", "split", "id", "width"])
def test_columns_of_the_manifest_have_their_types(frozen, column):
    columns = {n: v.tolist() for n, v in tables.read_manifest(frozen / "manifest.parquet").items()}
    columns[column] = [[b"\xff"]] * len(columns["id"])
    (frozen / "manifest.parquet").write_bytes(tables.table_bytes(columns))
    relock(frozen)
    with pytest.raises(DataError, match=rf"column {column} holds list.*, wanted"):
        data.read_splits(frozen)


@pytest.mark.parametrize(
    "name", ["card.json", "classes.json", "manifest.parquet", "quarantine.jsonl"]
)
@pytest.mark.parametrize("kind", ["link", "fifo", "zero"])
def test_lists_that_are_no_files_are_refused_at_once(frozen, out, name, kind):
    real = out / "real"
    (frozen / name).rename(real)
    if kind == "fifo":
        os.mkfifo(frozen / name)
    else:
        (frozen / name).symlink_to(real if kind == "link" else "/dev/zero")
    check_nothing_leaves(frozen, out, name)


@pytest.mark.parametrize("kind", ["link", "fifo", "zero", "folder link", "split link"])
def test_photos_that_are_no_files_are_not_read(frozen, out, kind):
    photo = sorted((frozen / "train").rglob("*.jpg"))[0]
    secret = out / "secret"
    target = {"folder link": photo.parent, "split link": frozen / "train"}.get(kind, photo)
    target.rename(secret)
    if kind == "fifo":
        os.mkfifo(target)
    else:
        target.symlink_to("/dev/zero" if kind == "zero" else secret)
    splits = data.read_splits(frozen)
    row = splits.train.paths_N.tolist().index(photo.relative_to(frozen).as_posix())
    with no_longer_than(LIMIT_S), pytest.raises(CarscaleError, match=r"is a (link|FIFO)"):
        splits.train.read_bytes(row)
    with no_longer_than(LIMIT_S), pytest.raises(CarscaleError):
        data.verify(frozen)
    made = splits.train.paths_N[row]
    rows = [one for one in version.manifest_rows(frozen) if one["path"] == made]
    for link in ("copy", "hard"):
        place = out / f"made-{link}"
        place.mkdir()
        options = {"root": frozen, "splits": ("train", "val", "test"), "link": link}
        with no_longer_than(LIMIT_S), pytest.raises(CarscaleError, match=r"is a (link|FIFO)"):
            version.place_rows(rows, place, **options, advance=lambda total: None)


@pytest.mark.parametrize("name", ["shard", "offset", "num_bytes"])
@pytest.mark.parametrize("value", [-1, 2**31 - 1])
def test_a_pack_places_photos_in_its_shards(packed, name, value):
    path = packed / "manifest.parquet"
    columns = tables.read_manifest(path, tables.PACK_SCHEMA.names)
    columns = {key: values.tolist() for key, values in columns.items()}
    columns[name][0] = value
    path.write_bytes(tables.table_bytes(columns, tables.PACK_SCHEMA))
    relock(packed)
    with no_longer_than(LIMIT_S), pytest.raises((DataError, OSError), match=r"outside|too early"):
        data.read_splits(packed).train.read_bytes(0)


def test_a_shard_that_is_a_link_is_not_read(packed, tmp_path):
    card = json.loads((packed / "card.json").read_text())
    shard = packed / card["shards"][0]["path"]
    shard.rename(tmp_path / "secret")
    shard.symlink_to(tmp_path / "secret")
    with pytest.raises(DataError, match="is a link"):
        data.read_splits(packed).train.read_bytes(0)
    with pytest.raises(DataError, match="is a link"):
        data.verify(packed)


@pytest.mark.parametrize(
    "changes",
    [
        {"lock": []},
        {"lock": {"manifest.parquet": 3}},
        {"hashes": {"train": "0"}},
        {"hashes": None},
        {"counts": {"train": "many"}},
        {"notes": {"empty_classes": 3, "label_conflicts": []}},
        {"makes": [{"name": "a"}]},
        {"makes": {"a": 1}},
        {"parent": "me"},
        {"format": {"a": []}},
        {"format": None},
    ],
)
def test_an_odd_card_is_an_error_in_words(frozen, changes):
    card = json.loads((frozen / "card.json").read_text()) | changes
    (frozen / "card.json").write_text(json.dumps(card))
    for use in (data.read_card, data.read_splits, data.verify):
        with pytest.raises(DataError, match=r"card\.json"):
            use(frozen)


def test_reasons_are_texts(frozen):
    for line in ("3", '{"path": 3, "reason": "x"}', '{"path": "x"}', "[" * 100_000):
        (frozen / "quarantine.jsonl").write_text(line + "\n")
        with pytest.raises(CarscaleError, match=r"quarantine.jsonl: line 1"):
            data.read_reasons(frozen, "quarantine.jsonl")
    assert data.read_reasons(frozen, "merge.jsonl") == []
