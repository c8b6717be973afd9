"""One set of photos as every kind of source: the same splits; wrong sources, one clear error."""

import csv
import json
import os
import shutil
import tarfile
from pathlib import Path

import datasets
import pytest
from frozen_trees import refused_of, rows_of, tree_of
from hypothesis import given
from hypothesis import strategies as st
from photos import draw_classes, draw_photo

from carscale import data, tables
from carscale.data.sources.labels import class_of
from carscale.data.sources.open_source import local_paths, open_source
from carscale.data.sources.rows import BadRowError, FreeNames, locate
from carscale.errors import ConfigError, DataError, QuestionError

HASHES = ("train", "val", "test", "classes")


@pytest.fixture(autouse=True)
def own_hub_cache(tmp_path, monkeypatch):
    """Keep what ``datasets`` prepares out of the home folder."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> Path:
    """Class folders, one nested, with twins in one class and across two, and what is no photo."""
    root = draw_classes(tmp_path_factory.mktemp("sources") / "cars", [14, 9, 5])
    for number in range(4):
        draw_photo(root / "Nested" / "A4" / f"n{number}.jpg", 3, number)
    shutil.copyfile(root / "Make0 Model/001.jpg", root / "Make0 Model/twin.jpg")
    shutil.copyfile(root / "Make0 Model/002.jpg", root / "Make1 Model/torn.jpg")
    (root / "Make1 Model" / "notes.png").write_text("no image")
    return root


def labelled(root: Path) -> list[tuple[str, str]]:
    """Return relative paths and classes, as a naive person would list them."""
    paths = sorted(path for path in root.rglob("*") if path.is_file())
    return [(p.relative_to(root).as_posix(), p.parent.relative_to(root).as_posix()) for p in paths]


def write_csv(path: Path, rows: list[tuple], header=("path", "label"), delimiter=",") -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter).writerows([header, *rows])
    return path


def add_text(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    import io

    info = tarfile.TarInfo(name)
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))


def as_table(root: Path, place: Path, suffix: str) -> Path:
    """Write the table into a copy of the folder, or beside it with absolute paths."""
    rows = labelled(root)
    copy = place / "copy"
    shutil.copytree(root, copy)
    if suffix == ".parquet":
        table = {"path": [r[0] for r in rows], "label": [r[1] for r in rows]}
        datasets.Dataset.from_dict(table).to_parquet(copy / "cars.parquet")
        return copy / "cars.parquet"
    delimiter = "\t" if suffix == ".tsv" else ","
    return write_csv(copy / f"cars{suffix}", rows, delimiter=delimiter)


def as_archive(root: Path, place: Path, kind: str) -> Path:
    return Path(shutil.make_archive(str(place / "packed"), kind, root_dir=root))


def as_shards(root: Path, place: Path) -> str:
    """Deal samples to three shards, labels in all three forms."""
    (place / "shards").mkdir()
    for number in range(3):
        with tarfile.open(place / "shards" / f"cars-{number:06d}.tar", "w") as archive:
            for index, (path, name) in enumerate(labelled(root)[number::3]):
                archive.add(root / path, path)
                kind = ("cls", "json", "txt")[index % 3]
                text = json.dumps({"label": name}) if kind == "json" else f"{name}\n"
                add_text(archive, f"{path.rpartition('.')[0]}.{kind}", text.encode())
    return str(place / "shards" / "cars-{000000..000002}.tar")


def as_dataset(root: Path) -> datasets.Dataset:
    """Embed photos; classes are known in another order than that of the rows."""
    rows = labelled(root)
    names = sorted({name for _, name in rows}, reverse=True)
    features = datasets.Features(
        image=datasets.Image(decode=False), label=datasets.ClassLabel(names=names)
    )
    return datasets.Dataset.from_dict(
        {
            "image": [{"path": path, "bytes": (root / path).read_bytes()} for path, _ in rows],
            "label": [names.index(name) for _, name in rows],
        },
        features=features,
    )


def made(kind: str, root: Path, place: Path) -> str | Path:
    if kind in (".csv", ".tsv", ".parquet"):
        return as_table(root, place, kind)
    if kind in ("zip", "tar", "gztar", "xztar", "bztar"):
        return as_archive(root, place, kind)
    if kind == "shards":
        return as_shards(root, place)
    if kind == "folder of shards":
        return Path(as_shards(root, place)).parent
    dataset = as_dataset(root)
    if kind == "saved":
        dataset.save_to_disk(place / "saved")
        return place / "saved"
    (place / "hub").mkdir(exist_ok=True)
    dataset.to_parquet(place / "hub" / "train-0.parquet")
    return f"hf://{place}/hub" if kind == "hf" else place / "hub" / "train-0.parquet"


KINDS = [".csv", ".tsv", ".parquet", "zip", "tar", "gztar", "xztar", "bztar", "shards"]
KINDS += ["folder of shards", "saved", "hf", "parquet of photos"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_photos_give_the_same_frozen_folder(folders, tmp_path, kind):
    wanted = data.freeze(folders, tmp_path / "wanted")
    source = made(kind, folders, tmp_path)
    frozen = data.freeze(source, tmp_path / "out")
    assert {k: frozen.card["hashes"][k] for k in HASHES} == {
        k: wanted.card["hashes"][k] for k in HASHES
    }
    assert rows_of(frozen.root) == rows_of(wanted.root)
    assert frozen.card["counts"] == wanted.card["counts"]
    assert frozen.card["notes"] == wanted.card["notes"]
    assert refused_of(frozen.root) == {"Make1 Model/notes.png": "no image"}
    left_out = {"card.json", "quarantine.jsonl", "manifest.parquet"}  # these name the source
    trees = [tree_of(root) for root in (frozen.root, wanted.root)]
    assert len({json.dumps({k: v for k, v in t.items() if k not in left_out}) for t in trees}) == 1
    again = data.freeze(source, tmp_path / "again")
    assert tree_of(again.root) == tree_of(frozen.root)
    assert data.verify(frozen.root, mode="full") == len(labelled(folders)) - 1
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("kind", ["folder", *KINDS])
def test_an_open_source_is_in_order_and_reads_the_same_bytes(folders, tmp_path, kind):
    source = folders if kind == "folder" else made(kind, folders, tmp_path)
    with open_source(source) as found:
        assert [(f.relative, f.class_name) for f in found.files] == sorted(labelled(folders))
        for file in found.files:
            assert file.read_bytes() == (folders / file.relative).read_bytes()
            assert file.path is None or file.path.is_file()
        has_files = kind in ("folder", ".csv", ".tsv", ".parquet")
        assert all((file.path is not None) == has_files for file in found.files)
        assert "/" not in found.name
        assert found.name in str(source)


def test_hard_links_are_made_where_there_are_files(folders, tmp_path):
    table = as_table(folders, tmp_path, ".csv")
    rule = data.FreezeRule(link="hard")
    linked = data.freeze(table, tmp_path / "linked", rule)
    for row in rows_of(linked.root):
        assert (linked.root / row["path"]).samefile(table.parent / row["source"])
    copied = data.freeze(as_archive(folders, tmp_path, "zip"), tmp_path / "copied", rule)
    assert "--link hard: photos that are no files of their own were copied" in copied.warnings


# --- splits that the source has ----------------------------------------------------------------

SPLIT_OF = {"train": "train", "valid": "val", "test": "test"}


def split_folders(root: Path) -> Path:
    """Write top folders train, valid and test with the same file names in each."""
    for seed, top in enumerate(SPLIT_OF):
        for label in range(2):
            for number in range(5 - seed):
                path = root / top / f"Make{label} Model" / f"{number}.jpg"
                draw_photo(path, label, 100 * seed + number)
    return root


def split_source(kind: str, root: Path, place: Path) -> str | Path:
    rows = [(path, name.split("/")[1], path.split("/")[0]) for path, name in labelled(root)]
    if kind == "csv":
        return write_csv(root / "cars.csv", rows, ("file_name", "class", "Split"))
    if kind in ("zip", "gztar"):
        return as_archive(root, place, kind)
    if kind == "shards":
        for top in SPLIT_OF:
            with tarfile.open(place / f"cars_{top}_00.tar", "w") as archive:
                for path, name, split in rows:
                    if split == top:
                        archive.add(root / path, path)
                        add_text(archive, path.replace(".jpg", ".cls"), name.encode())
        return str(place / "cars_*.tar")
    parts = {}
    for top in SPLIT_OF:
        parts[top] = as_dataset(root / top)
    datasets.DatasetDict(parts).save_to_disk(place / "saved")
    return place / "saved"


@pytest.mark.parametrize("kind", ["folder", "csv", "zip", "gztar", "shards", "saved"])
def test_splits_of_every_source_are_kept(tmp_path, kind):
    root = split_folders(tmp_path / "cars")
    source = root if kind == "folder" else split_source(kind, root, tmp_path)
    frozen = data.freeze(source, tmp_path / "out", data.FreezeRule(keep_splits=True))
    rows = rows_of(frozen.root)
    assert len(rows) == 24
    for row in rows:
        top, name, _ = row["source"].split("/")
        assert (row["split"], row["class"]) == (SPLIT_OF[top], name)
    assert frozen.card["counts"]["quarantined"] == 0


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_split_folders_are_refused_when_splits_are_drawn(tmp_path, kind):
    root = split_folders(tmp_path / "cars")
    source = root if kind == "folder" else split_source(kind, root, tmp_path)
    with pytest.raises(DataError, match=r"is split already .*\n.*--keep-splits"):
        data.freeze(source, tmp_path / "out")


@pytest.mark.parametrize(("kind", "by"), [("csv", "of its column Split"), ("saved", "")])
def test_given_splits_are_drawn_anew_only_where_someone_says_so(tmp_path, kind, by):
    source = split_source(kind, split_folders(tmp_path / "cars"), tmp_path)
    with pytest.raises(QuestionError, match=r"is split already.*: test, train") as asked:
        data.freeze(source, tmp_path / "out")
    assert set(asked.value.answers.values()) == {"--keep-splits", "--split-folders together"}
    frozen = data.freeze(source, tmp_path / "out", data.FreezeRule(split_folders="together"))
    assert "are put together and drawn anew; keep them: --keep-splits" in frozen.warnings[0]
    assert by in frozen.warnings[0]
    splits = {row["source"]: row["split"] for row in rows_of(frozen.root)}
    assert any(SPLIT_OF[source.split("/")[0]] != split for source, split in splits.items())


def test_splits_that_the_source_lacks_can_not_be_kept(folders, tmp_path):
    rule = data.FreezeRule(keep_splits=True)
    for kind, says in [
        (".csv", "--keep-splits wants a column split"),
        ("zip", "--keep-splits wants a folder train"),
        ("shards", "none of 3 samples can be used; the first: cars-000000.tar: its name says none"),
        ("parquet of photos", "--keep-splits wants splits, or a column split"),
    ]:
        place = tmp_path / kind
        place.mkdir()
        with pytest.raises(DataError, match=says):
            data.freeze(made(kind, folders, place), tmp_path / "out", rule)
    assert not (tmp_path / "out").exists()


def test_unknown_splits_are_refused_row_by_row(tmp_path):
    root = split_folders(tmp_path / "cars")
    rows = [(path, name, path.split("/")[0]) for path, name in labelled(root)]
    rows = [(path, name, "holdout" if split == "test" else split) for path, name, split in rows]
    table = write_csv(root / "cars.csv", rows, ("path", "label", "split"))
    frozen = data.freeze(table, tmp_path / "out", data.FreezeRule(keep_splits=True))
    assert frozen.card["counts"]["quarantined"] == 6
    reasons = refused_of(frozen.root).values()
    assert all("split 'holdout' is none of train, val, test" in reason for reason in reasons)
    nothing = write_csv(
        root / "val.csv", [r for r in rows if r[2] != "train"], ("path", "label", "split")
    )
    with pytest.raises(DataError, match="--keep-splits wants rows whose split is train"):
        data.freeze(nothing, tmp_path / "none", data.FreezeRule(keep_splits=True))


# --- sources that are none ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("nowhere", "nowhere: no such folder$"),
        ("nowhere.csv", "nowhere.csv: no such file$"),
        ("nowhere.tar.gz", "nowhere.tar.gz: no such file$"),
        ("cars.rar", r"cars.rar: no such folder, and no file of a known kind\n  known are: .csv"),
        ("s3://bucket/cars", r"can't be read from there\n.*hf://owner/name"),
        ("https://host/cars.zip", "can't be read from there"),
        ("cars-{00..03}.tar", r"cars-01.tar: no such file\n  the pattern was: .*\{00..03\}"),
        ("shard?.tar", "no such file"),
        ("*.rar", "cars.rar: is no tar"),
        ("cars-{0..99999999}.tar", "names 100000000 files"),
        ("{0..999}{0..999}.tar", "names 1000000 files"),
        ("hf://./nowhere", "no such path, and no name on the hub"),
        ("hf://a/b/c/d", "no such path, and no name on the hub"),
    ],
)
def test_a_wrong_source_is_one_clear_error(tmp_path, monkeypatch, spec, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cars.rar").write_text("x")
    with tarfile.open("cars-00.tar", "w"):
        pass
    with pytest.raises(DataError, match=says):
        data.freeze(spec, tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} == {"cars.rar", "cars-00.tar"}


def test_columns_of_a_source_without_any_are_refused(folders, tmp_path):
    for source in (folders, as_archive(folders, tmp_path, "zip")):
        with pytest.raises(ConfigError, match=r"--label-column make: .* has class folders"):
            data.freeze(source, tmp_path / "out", label_column="make")


def test_out_may_not_hold_the_source(folders, tmp_path):
    out = data.freeze(folders, tmp_path / "out").root
    archive = as_archive(folders, out, "tar")
    for spec in (archive, str(out / "packed*.tar")):
        with pytest.raises(DataError, match="lies inside it"):
            data.freeze(spec, out, force=True)
    rows = [(os.fspath(out / row["path"]), row["class"]) for row in rows_of(out)]
    table = write_csv(tmp_path / "own.csv", rows)
    before = tree_of(out)
    with pytest.raises(DataError, match=r"the source takes .* from it"):
        data.freeze(table, out, data.FreezeRule(split_folders="together"), force=True)
    assert tree_of(out) == before


def test_local_paths_are_those_of_this_machine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "set").mkdir()
    assert local_paths("set") == [Path("set")]
    assert local_paths("hf://./set") == [Path("set")]
    assert local_paths("hf://set:train") == [Path("set")]
    assert local_paths("hf://owner/name:train") == []


# --- what rows say -----------------------------------------------------------------------------


@pytest.mark.parametrize("label", [" Audi A4\t", "audi/a4", "Ä % $ * 日本", "0", "a-1", "1.5"])
def test_labels_are_class_names(label):
    assert class_of(label) == label.strip()


@pytest.mark.parametrize(
    ("label", "says"),
    [
        (None, "no label"),
        ("  ", "no label"),
        (float("nan"), "no label"),
        (-1, "label -1 stands for no class"),
        ("-1", "label -1 stands for no class"),
        (-1.0, "label -1 stands for no class"),
        ([1, 2], "label is a list"),
        ({"a": 1}, "label is a dict"),
        (b"x", "label is a bytes"),
        ("a\nb", "text of 3 letters"),
        ("x" * 201, "text of 201 letters"),
        ("\ud800", "no valid Unicode"),
    ],
)
def test_labels_that_name_no_class_are_refused(label, says):
    with pytest.raises(BadRowError, match=says):
        class_of(label)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no path"),
        ("..\\x.jpg", "backslash"),
        ("C:\\x.jpg", "names a drive"),
        ("c:/x.jpg", "names a drive"),
        ("https://host/x.jpg", "an address"),
        ("a\0.jpg", "NUL"),
    ],
)
def test_paths_of_other_systems_are_refused(text, says):
    with pytest.raises(BadRowError, match=says):
        locate(Path("photos"), text)


def test_paths_are_found_from_their_folder(tmp_path):
    assert locate(tmp_path, "a/./b/../1.jpg") == (tmp_path / "a/1.jpg", "a/1.jpg")
    assert locate(tmp_path, f"{tmp_path}/a/1.jpg") == (tmp_path / "a/1.jpg", "a/1.jpg")
    assert locate(tmp_path, "a/../../../b/1.jpg") == (tmp_path / "../../b/1.jpg", "b/1.jpg")
    assert locate(tmp_path, "/else/1.jpg") == (Path("/else/1.jpg"), "else/1.jpg")


def test_free_names_never_meet():
    names = FreeNames()
    wanted = [
        "a/1.jpg",
        "a/1~2.jpg",
        "a/1.jpg",
        "a/1~2.jpg",
        "a/1.jpg",
        "x",
        "x",
        "d.x/.h",
        "d.x/.h",
    ]
    taken = [names.take(name) for name in wanted]
    assert taken[:5] == ["a/1.jpg", "a/1~2.jpg", "a/1~3.jpg", "a/1~2~2.jpg", "a/1~4.jpg"]
    assert taken[5:] == ["x", "x~2", "d.x/.h", "d.x/.h~2"]
    assert len({names.take("many.jpg") for _ in range(20000)}) == 20000


@given(st.lists(st.sampled_from(["a", "a~2", "a~2~2", "a~3", "x.y", "x~2.y"])))
def test_free_names_differ_whatever_comes(given_names):
    names = FreeNames()
    taken = [names.take(name) for name in given_names]
    assert len(set(taken)) == len(taken)
    for name, free in zip(given_names, taken, strict=True):
        assert free == name or name in taken[: taken.index(free)]


@pytest.mark.parametrize("kind", [".csv", ".parquet"])
def test_a_column_source_says_where_a_photo_is_from(folders, tmp_path, kind):
    paths = sorted(p.relative_to(folders).as_posix() for p in folders.rglob("*.jpg"))
    rows = [
        {
            "path": f"{folders}/{path}",
            "label": path.split("/")[0],
            "Source": ["web", "", "shop"][n % 3],
        }
        for n, path in enumerate(paths)
    ]
    table = tmp_path / f"cars{kind}"
    if kind == ".csv":
        with table.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        table.write_bytes(tables.table_bytes(columns))
    root = data.freeze(table, tmp_path / "out", follow_links=True).root
    columns = tables.read_manifest(root / "manifest.parquet", ["source", "origin"])
    found = {
        source.rsplit("/", 2)[-2] + "/" + source.rsplit("/", 1)[-1]: origin
        for source, origin in zip(columns["source"], columns["origin"], strict=True)
    }
    wanted = {
        "/".join(row["path"].rsplit("/", 2)[-2:]): row["Source"] or table.name for row in rows
    }
    assert found.items() <= wanted.items()
    assert set(found.values()) == {"web", "shop", table.name}
