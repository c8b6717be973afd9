"""A source joins a frozen folder: what stays, what joins, what a kill or a full disk leaves."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from datasets import load_from_disk
from frozen_trees import refused_of, rows_of, save, scene, tree_of
from PIL import Image

from carscale import curate, data, images, locks, tables
from carscale.curate import ClassTarget, MergeRule, Origin
from carscale.data.frozen.layout import class_list_hash
from carscale.errors import ConfigError, DataError, DiskError, RunError

GOALS = {
    "audi_a4": ClassTarget("match", "Audi A4 2012"),
    "bmw-m3": ClassTarget("match", "BMW M3 2010"),
    "Kia Rio": ClassTarget("new", "Kia Rio"),
    "audi": ClassTarget("make", "Audi"),
}


def draw(root: Path, counts: dict[str, int], first: int) -> Path:
    """Class folders of photos of which none resembles another."""
    for name, count in counts.items():
        for number in range(count):
            first += 1
            picture = scene(96, 64, seed=first)
            save(root / name / f"{number:02d}.jpg", picture, "JPEG", quality=90)
    return root


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("base")
    counts = {"Audi A4 2012": 20, "Audi S4 2012": 8, "BMW M3 2010": 10}
    return data.freeze(draw(place / "raw", counts, 0), place / "cars").root


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("source") / "web"
    return draw(place, {"audi_a4": 6, "bmw-m3": 4, "Kia Rio": 5, "audi": 3}, 1000)


def merge(base, source, out, *, rule=None, targets=GOALS, follow_links=False, **more):
    return curate.merge_source(
        base,
        Origin(str(source), licence="CC0", reading=data.Reading(follow_links=follow_links)),
        out,
        targets_of=lambda _: targets,
        rule=rule,
        **more,
    )


def told(root: Path) -> dict[str, str]:
    lines = (root / curate.MERGE_LIST).read_text().splitlines()
    return {line["path"]: line["reason"] for line in map(json.loads, lines)}


def test_photos_join_train_and_all_else_stays(base, source, tmp_path):
    before = tree_of(base), tree_of(source)
    made = merge(base, source, tmp_path / "new", rule=MergeRule(make_only="keep"))
    assert (tree_of(base), tree_of(source)) == before
    assert made.counts == {"joined": {"train": 15, "partial": 3}, "left_out": {}}
    assert data.verify(made.root, mode="full") == 38 + 18
    old, new = data.read_card(base), data.read_card(made.root)
    assert {name: new["hashes"][name] for name in ("val", "test")} == {
        name: old["hashes"][name] for name in ("val", "test")
    }
    tree = tree_of(made.root)
    for path, content in before[0].items():
        if path.startswith(("train/", "val/", "test/")):
            assert tree[path] == content
    assert new["parent"]["card"] == old["lock"]["card.json"]
    assert new["merged"]["source"] == "web"

    rows = {row["key"]: row for row in rows_of(made.root)}
    for row in rows_of(base):
        assert {**rows[row["key"]], "id": 0} == {**row, "id": 0}
    columns = tables.read_manifest(made.root / "manifest.parquet")
    is_new = columns["origin"] == "web"
    assert is_new.sum() == 18
    assert set(columns["licence"][is_new]) == {"CC0"}
    assert set(columns["origin"][~is_new]) == {"raw"}
    joined = dict(zip(columns["source"], columns["class"], strict=True))
    assert joined["audi_a4/00.jpg"] == "Audi A4 2012"
    assert joined["Kia Rio/00.jpg"] == "Kia Rio"
    was = dict(zip(columns["source"], columns["original_class"], strict=True))
    assert was["bmw-m3/03.jpg"] == "bmw-m3"

    splits = data.read_splits(made.root)
    names = [car.name for car in splits.classes]
    assert names == ["Audi A4 2012", "Audi S4 2012", "BMW M3 2010", "Kia Rio"]
    counts = dict(zip(names, splits.train.counts_K.tolist(), strict=True))
    in_train = dict(zip(names, data.read_splits(base).train.counts_K.tolist(), strict=False))
    assert counts == {
        "Audi A4 2012": in_train["Audi A4 2012"] + 6,
        "Audi S4 2012": in_train["Audi S4 2012"],
        "BMW M3 2010": in_train["BMW M3 2010"] + 4,
        "Kia Rio": 5,
    }
    partial = splits.extra["partial"]
    assert partial.labels_N.tolist() == [4, 4, 4]
    assert partial.class_sets == ((0, 1),)
    assert any("new classes" in line for line in made.warnings)


def test_a_test_of_its_own_leaves_train_alone(base, source, tmp_path):
    targets = GOALS | {"audi": ClassTarget("skip")}
    made = merge(
        base, source, tmp_path / "new", rule=MergeRule(as_split="test_web"), targets=targets
    )
    old, new = data.read_card(base), data.read_card(made.root)
    assert {name: new["hashes"][name] for name in old["hashes"]} == old["hashes"]
    splits = data.read_splits(made.root)
    assert len(splits.extra["test_web"]) == 10
    assert (made.root / "test_web" / "BMW M3 2010").is_dir()
    assert told(made.root)["web/Kia Rio/00.jpg"] == "the base has no class Kia Rio"
    assert told(made.root)["web/audi/00.jpg"] == "the map skips its class"
    assert data.verify(made.root) == 38 + 10
    again = merge(made.root, source, tmp_path / "third", targets=GOALS)  # all are there already
    assert again.counts["joined"] == {"train": 5}  # but the new class
    assert again.counts["left_out"] == {"exact duplicate": 10, "make only": 3}
    assert list(data.read_splits(again.root).extra) == ["test_web"]


def test_a_merged_folder_can_be_relabelled_packed_and_merged_again(base, source, tmp_path):
    made = merge(base, source, tmp_path / "new", rule=MergeRule(make_only="keep"))
    row = next(row for row in rows_of(made.root) if row["source"] == "Kia Rio/00.jpg")
    (tmp_path / "review.csv").write_text(
        "id,path,label,decision,new_label\n"
        f"{row['id']},{row['path']},{row['class']},wrong,BMW M3 2010\n"
    )
    relabelled = data.relabel(made.root, tmp_path / "review.csv", tmp_path / "relabelled")
    splits = data.read_splits(relabelled.root)
    assert len(splits.extra["partial"]) == 3
    assert data.verify(relabelled.root) == 56
    packed = data.pack(relabelled.root, tmp_path / "packed")
    assert data.verify(packed.root)
    splits = data.read_splits(packed.root)
    rows = {row["path"]: row["sha256"] for row in rows_of(relabelled.root)}
    partial = splits.extra["partial"]
    for n, path in enumerate(partial.paths_N):
        assert hashlib.sha256(partial.read_bytes(n)).hexdigest() == rows[path]
    opened = load_from_disk(str(packed.root))
    assert opened["partial"]["label"] == [-1, -1, -1]
    more = draw(tmp_path / "more", {"Seat": 2}, 5000)
    last = merge(
        relabelled.root,
        more,
        tmp_path / "last",
        targets={"Seat": ClassTarget("new", "Audi Seat 2000")},
    )
    sets = data.read_splits(last.root).extra["partial"].class_sets
    names = [car.name for car in data.read_splits(last.root).classes]
    assert [names[k] for k in sets[0]] == ["Audi A4 2012", "Audi S4 2012", "Audi Seat 2000"]


def test_a_make_has_one_name_and_its_classes_however_it_is_written(tmp_path):
    raw = draw(tmp_path / "raw", {"vw golf": 8, "Volkswagen Polo 2012": 8, "Kia Rio 2010": 8}, 0)
    root = data.freeze(raw, tmp_path / "cars").root
    rule = MergeRule(make_only="keep")
    for number, name in enumerate(("Volkswagen", "VOLKSWAGEN", "VW", "Kia")):
        more = draw(tmp_path / f"more{number}", {"some": 2}, 3000 + 10 * number)
        out = tmp_path / f"cars-{number}"
        root = merge(root, more, out, rule=rule, targets={"some": ClassTarget("make", name)}).root
    splits = data.read_splits(root)
    assert [make["name"] for make in splits.card["makes"]] == ["Kia", "Volkswagen"]
    sets = [[splits.classes[k].name for k in one] for one in splits.extra["partial"].class_sets]
    assert sets == [["Kia Rio 2010"], ["Volkswagen Polo 2012", "vw golf"]]
    assert splits.extra["partial"].labels_N.tolist() == [3, 3, *[4] * 6]
    assert data.verify(root) == 24 + 8


def test_a_photo_of_a_make_joins_train_once_its_class_is_told(base, source, tmp_path):
    made = merge(base, source, tmp_path / "new", rule=MergeRule(make_only="keep"))
    row = next(row for row in rows_of(made.root) if row["split"] == "partial")
    (tmp_path / "review.csv").write_text(
        "id,path,label,decision,new_label\n"
        f"{row['id']},{row['path']},{row['class']},wrong,Audi S4 2012\n"
    )
    data.relabel(made.root, tmp_path / "review.csv", tmp_path / "relabelled")
    splits = data.read_splits(tmp_path / "relabelled")
    assert len(splits.extra["partial"]) == 2
    assert [key for key in splits.train.keys_N if key == row["key"]] == [row["key"]]
    at = splits.train.keys_N.tolist().index(row["key"])
    assert splits.classes[splits.train.labels_N[at]].name == "Audi S4 2012"
    assert data.verify(tmp_path / "relabelled") == 56


def test_a_base_that_was_changed_is_refused(base, source, tmp_path):
    shutil.copytree(base, tmp_path / "cars")
    path = data.read_splits(tmp_path / "cars").val.paths_N[0]
    with (tmp_path / "cars" / path).open("ab") as file:
        file.write(b"x")
    with pytest.raises(DataError, match="changed"):
        merge(tmp_path / "cars", source, tmp_path / "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cars"]


def test_what_both_refused_is_listed(source, tmp_path):
    raw = draw(tmp_path / "raw", {"Audi A4 2012": 6, "BMW M3 2010": 6}, 0)
    for folder in (raw / "BMW M3 2010", tmp_path / "more" / "bmw-m3"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "none.jpg").write_bytes(b"none")
    draw(tmp_path / "more", {"bmw-m3": 2}, 7000)
    base = data.freeze(raw, tmp_path / "cars").root
    made = merge(base, tmp_path / "more", tmp_path / "new")
    assert sorted(refused_of(made.root)) == ["BMW M3 2010/none.jpg", "more/bmw-m3/none.jpg"]
    assert made.card["counts"]["quarantined"] == 2


@pytest.mark.parametrize("lost", ["records", "part of a record", "photo", "half a photo", "line"])
def test_decoding_goes_on_behind_what_is_whole(source, tmp_path, lost):
    with data.open_source(source) as found:
        whole = data.decode_files(found.files, tmp_path / "whole", spec=source, plan="one")
        data.decode_files(found.files, tmp_path / "part", spec=source, plan="one")
        stats, journal = tmp_path / "part" / "stats.bin", tmp_path / "part" / "journal.jsonl"
        last = tmp_path / "part" / "0" / str(len(found.files) - 1)
        if "record" in lost:
            num_lost = 2 * images.STATS_DTYPE.itemsize if lost == "records" else 7
            os.truncate(stats, stats.stat().st_size - num_lost)
        elif lost == "photo":
            last.unlink()
        elif lost == "half a photo":
            os.truncate(last, last.stat().st_size // 2)
        else:
            os.truncate(journal, journal.stat().st_size - 9)
        again = data.decode_files(found.files, tmp_path / "part", spec=source, plan="one")
    assert [one.sha256 for one in again.samples] == [one.sha256 for one in whole.samples]
    np.testing.assert_array_equal(again.stats_N, whole.stats_N)
    for one in again.samples:
        assert hashlib.sha256(one.staged.read_bytes()).hexdigest() == one.sha256


def test_decoding_by_another_plan_or_source_begins_anew(base, source, tmp_path):
    with data.open_source(source) as found:
        data.decode_files(found.files, tmp_path / "staging", spec=source, plan="one")
        again = data.decode_files(found.files[3:], tmp_path / "staging", spec=source, plan="one")
    hashes = [hashlib.sha256(file.read_bytes()).hexdigest() for file in found.files[3:]]
    assert [one.original_sha256 for one in again.samples] == hashes
    kept = tmp_path / "staging" / "0" / "0"
    before = kept.stat().st_mtime_ns
    data.decode_files(found.files[3:], tmp_path / "staging", spec=source, plan="one")
    assert kept.stat().st_mtime_ns == before
    data.decode_files(found.files[3:], tmp_path / "staging", spec=source, plan="two")
    assert kept.stat().st_mtime_ns != before


def test_the_card_tells_of_this_version_alone(base, source, tmp_path):
    made = merge(base, source, tmp_path / "new")
    classes = data.read_splits(made.root).classes
    assert made.card["hashes"]["classes"] == class_list_hash(classes)
    assert made.card["hashes"]["classes"] != data.read_card(base)["hashes"]["classes"]
    left = data.drop_photos(made.root, tmp_path / "less", {0: "dark"}, entry={})
    assert "merged" not in left.card
    again = merge(left.root, source, tmp_path / "third", rule=MergeRule(max_per_class=1))
    assert "deduped" not in again.card
    assert "merged" in again.card


def test_the_same_merge_gives_the_same_bytes(base, source, tmp_path):
    shutil.make_archive(str(tmp_path / "web"), "zip", source)
    one = merge(base, source, tmp_path / "one", rule=MergeRule(max_per_class=3))
    two = merge(base, source, tmp_path / "two", rule=MergeRule(max_per_class=3), link="hard")
    assert tree_of(one.root) == tree_of(two.root)
    zipped = merge(base, tmp_path / "web.zip", tmp_path / "three", rule=MergeRule(max_per_class=3))
    assert rows_of(zipped.root) == rows_of(one.root)


SLOW_MERGE = """
import sys, time
from carscale import curate, data
from carscale.data.photos import decode
decode_photo = decode.decode_photo
decode.decode_photo = lambda *given: (time.sleep(0.05), decode_photo(*given))[1]
sys.path[:0] = {tests!r}
from test_merging import GOALS
base, source, out = sys.argv[1:]
from pathlib import Path
curate.merge_source(
    Path(base), curate.Origin(source, licence="CC0"), Path(out), targets_of=lambda _: GOALS,
    advance=lambda what, total: print(what, flush=True),
)
"""


def test_killed_it_goes_on_and_ends_with_the_same_bytes(base, source, tmp_path):
    whole = merge(base, source, tmp_path / "whole")
    script = SLOW_MERGE.format(tests=[str(Path(__file__).parents[n]) for n in (0, 1)])
    command = [sys.executable, "-c", script, str(base), str(source), str(tmp_path / "out")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    for _ in range(7):
        assert process.stdout.readline() == "decode\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    staging = tmp_path / ".out.merging"
    assert not (tmp_path / "out").exists()
    num_done = len((staging / "decoded" / "journal.jsonl").read_bytes().splitlines())
    assert num_done >= 7
    stamps = {
        path: path.stat().st_mtime_ns
        for path in (staging / "decoded" / "0").iterdir()
        if int(path.name) < num_done
    }
    assert stamps
    kept = {}

    def watch(what: str, total: int) -> None:
        kept.update({path: path.stat().st_mtime_ns for path in stamps if path.exists()})

    again = merge(base, source, tmp_path / "out", advance=watch)
    assert kept == stamps  # what was decoded is not decoded anew
    assert tree_of(again.root) == tree_of(whole.root)
    assert not staging.exists()


def test_a_torn_journal_is_cut_to_what_is_whole(base, source, tmp_path):
    whole = merge(base, source, tmp_path / "whole")
    with data.open_source(source) as found:
        staging = tmp_path / ".out.merging" / "decoded"
        parent = data.read_card(base)["lock"]["card.json"]
        plan = json.dumps([parent, asdict(Origin(str(source), licence="CC0"))])
        data.decode_files(found.files, staging, spec=source, plan=plan)
    journal = staging / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:9]) + lines[9][:20])
    with (staging / "stats.bin").open("r+b") as file:
        file.truncate(images.STATS_DTYPE.itemsize * 8 + 100)
    (staging / "0" / "7").write_bytes(b"short")
    again = merge(base, source, tmp_path / "out")
    assert tree_of(again.root) == tree_of(whole.root)


def test_a_photo_that_changed_after_a_kill_is_decoded_anew(base, source, tmp_path):
    own = tmp_path / "web"
    shutil.copytree(source, own)
    with data.open_source(own) as found:
        data.decode_files(found.files, tmp_path / "staged", spec=source, plan="x")
    save(own / "audi_a4" / "00.jpg", scene(96, 64, seed=9999), "JPEG", quality=90)
    with data.open_source(own) as found:
        again = data.decode_files(found.files, tmp_path / "staged", spec=source, plan="x")
    wanted = hashlib.sha256((own / "audi_a4" / "00.jpg").read_bytes()).hexdigest()
    hashes = {sample.file.relative: sample.original_sha256 for sample in again.samples}
    assert hashes["audi_a4/00.jpg"] == wanted


def test_a_full_disk_is_one_error_and_changes_nothing(base, source, tmp_path, monkeypatch):
    before = tree_of(base)
    full = OSError(28, "No space left on device")

    def refuse(*_: object) -> None:
        raise full

    monkeypatch.setattr("carscale.data.versions.version.shutil.copyfileobj", refuse)
    with pytest.raises(DiskError, match="No space left on device") as error:
        merge(base, source, tmp_path / "out")
    assert "nothing was changed there" in str(error.value)
    assert ".out.merging" in str(error.value)
    monkeypatch.undo()
    assert not (tmp_path / "out").exists()
    assert tree_of(base) == before
    made = merge(base, source, tmp_path / "out")
    assert data.verify(made.root)


def test_two_merges_into_one_folder_do_not_meet(base, source, tmp_path):
    staging = tmp_path / ".out.merging"
    staging.mkdir()
    with locks.hold_lock(staging), pytest.raises(RunError, match="merging in this folder"):
        merge(base, source, tmp_path / "out")


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"link": "soft"}, ConfigError, "--link soft"),
        ({"rule": MergeRule(as_split="val")}, ConfigError, "--as val"),
    ],
)
def test_wrong_words_are_refused(base, source, tmp_path, change, error, says):
    with pytest.raises(error, match=says):
        merge(base, source, tmp_path / "out", **change)
    assert list(tmp_path.iterdir()) == []


def test_what_can_not_be_merged_says_so_and_leaves_no_trace(base, source, tmp_path):
    before = tree_of(base)
    (tmp_path / "no_photos" / "audi_a4").mkdir(parents=True)
    (tmp_path / "no_photos" / "audi_a4" / "x.jpg").write_text("no photo")
    out = tmp_path / "out"
    with pytest.raises(DataError, match="none of 1 files is a photo"):
        merge(base, tmp_path / "no_photos", out)
    with pytest.raises(DataError, match="no such folder"):
        merge(base, tmp_path / "nowhere", out)
    packed = data.pack(base, tmp_path / "packed").root
    with pytest.raises(DataError, match="is a pack; photos are added in a frozen folder"):
        merge(packed, source, out)
    with pytest.raises(DataError, match="lies inside the source"):
        merge(base, source, source / "out")
    assert not out.exists()
    assert tree_of(base) == before
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".merging")]


def test_a_merge_into_a_place_that_is_taken_wants_force(base, source, tmp_path):
    made = merge(base, source, tmp_path / "out")
    with pytest.raises(DataError, match="--force"):
        merge(base, source, tmp_path / "out")
    again = merge(base, source, tmp_path / "out", force=True)
    assert tree_of(again.root) == tree_of(made.root)


def test_a_frozen_folder_is_a_source_with_its_class_names(base, tmp_path):
    raw = draw(tmp_path / "raw", {"vw/golf": 6, "dev-car": 6}, 3000)
    other = data.freeze(raw, tmp_path / "other").root
    targets = {"vw/golf": ClassTarget("new", "VW Golf"), "dev-car": ClassTarget("skip")}
    made = merge(base, other, tmp_path / "out", targets=targets)
    assert made.counts == {"joined": {"train": 6}, "left_out": {"map": 6}}


def test_every_odd_photo_is_merged_or_listed(base, odd, tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "odd").symlink_to(odd)
    odd = tmp_path / "src"
    with data.open_source(odd, follow_links=True) as found:
        files = [file.relative for file in found.files]
        refused = [path for path, _ in found.refused]
        targets = {
            data.as_text(file.class_name): ClassTarget("new", "Odd One") for file in found.files
        }
    made = merge(base, odd, tmp_path / "out", targets=targets, follow_links=True)
    merged = {row["source"] for row in rows_of(made.root)}
    listed = {path.split("/", 1)[1] for path in {**told(made.root), **refused_of(made.root)}}
    missing = [data.as_text(path) for path in files + refused]
    assert [path for path in missing if path not in merged | listed] == []
    assert len(merged & set(map(data.as_text, files))) + len(listed) == len(set(missing))
    assert all(reason for reason in {**told(made.root), **refused_of(made.root)}.values())


@pytest.mark.slow
def test_planted_duplicates_of_real_photos_are_found(frozen_stanford, tmp_path):
    base = frozen_stanford
    rng = np.random.default_rng(7)
    rows = rows_of(base)
    chosen = rng.choice(len(rows), 300, replace=False)
    for n, row in enumerate(rows[i] for i in chosen):
        with Image.open(base / row["path"]) as photo:
            photo = photo.convert("RGB")
            width, height = photo.size
            if n < 100:
                target = tmp_path / "src" / "c" / f"exact_{n}.jpg"
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(base / row["path"], target)
                continue
            if n < 200:
                kind = "resized"
                photo = photo.resize((round(width * 0.7), round(height * 0.7)))
            else:
                kind = "cropped"
                side = round(0.9 * width), round(0.9 * height)
                left, top = (
                    int(rng.integers(0, full - part + 1))
                    for full, part in zip(photo.size, side, strict=True)
                )
                photo = photo.crop((left, top, left + side[0], top + side[1]))
            save(tmp_path / "src" / "c" / f"{kind}_{n}.jpg", photo, "JPEG", quality=75)
    targets = {"c": ClassTarget("new", "New One")}
    began = time.monotonic()
    made = merge(base, tmp_path / "src", tmp_path / "out", targets=targets, link="hard")
    print(f"merged in {time.monotonic() - began:.0f} s")
    found = [Path(path).name.split("_")[0] for path in told(made.root)]
    assert found.count("exact") == 100
    assert found.count("resized") >= 98
    assert found.count("cropped") >= 90
