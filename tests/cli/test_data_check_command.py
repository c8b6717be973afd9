"""``carscale data check``: leaks fail, quality and sources are told, JSON has it all."""

import json
import shutil

import cv2
import pytest
from frozen_trees import tree_of, with_copy
from photos import draw_photo

from carscale import data
from carscale.data.frozen.cache import cache_file
from carscale.types import Split


@pytest.fixture
def demo(drawn_demo):
    return drawn_demo(0)[1]


@pytest.mark.slow
def test_the_flags_are_those_of_the_demos_truth(carscale, drawn_demo):
    raw, root = drawn_demo(0)
    truth = json.loads((raw / "truth.json").read_text())
    code, stdout, _ = carscale("data", "check", root, "--no-near", "--json")
    assert code == 0
    told = json.loads(stdout)
    by_path = dict(zip(*(data_columns(root)), strict=True))
    for name in ("dark", "blurred"):
        flag = told["quality"]["flags"][name]
        assert {by_path[path] for path in flag["paths"]} == set(truth[name])
        assert flag["rule"] == data.QUALITY_RULES[name]
    assert told["quality"]["red_blue"]["sources"][0]["verdict"] == "fine"
    assert told["quality"]["unreadable"] == {}
    assert told["leaks"] == []
    (conflict,) = told["label_conflicts"]
    assert {by_path[photo["path"]] for photo in conflict["photos"]} == set(
        truth["duplicates_across_classes"][0]
    )
    assert told["looked_for_near_duplicates"] is False


def data_columns(root):
    from carscale import tables

    columns = tables.read_columns(root / "manifest.parquet", ["path", "source"])
    return columns["path"].tolist(), columns["source"].tolist()


def test_the_table_tells_the_same_in_words(carscale, drawn_demo):
    raw, root = drawn_demo(0)
    truth = json.loads((raw / "truth.json").read_text())
    code, stdout, _ = carscale("data", "check", root, "--no-near")
    assert code == 0
    assert f"dark: {len(truth['dark'])}: " in stdout
    assert "alike, in two classes: 1: " in stdout
    assert "exact duplicates: " in stdout
    assert "red and blue" not in stdout


def test_without_quality_and_near_duplicates_no_photo_is_opened(carscale, demo, monkeypatch):
    monkeypatch.setattr(data, "photo_stats", lambda *words: pytest.fail("looked"))
    code, stdout, stderr = carscale("data", "check", demo, "--no-quality", "--no-near")
    assert (code, stderr) == (0, "")
    assert "dark" not in stdout
    assert "the lock matches" in stdout
    told = json.loads(carscale("data", "check", demo, "--no-quality", "--no-near", "--json")[1])
    assert told["quality"] is None


def test_a_photo_in_two_splits_fails_like_a_broken_lock(carscale, tiny, tmp_path):
    first = str(data.read_splits(tiny).train.paths_N[0])
    out = tmp_path / "leaky"
    path = with_copy(tiny, out, of=first, split="test")
    code, stdout, stderr = carscale("data", "check", out, "--no-quality")
    assert code == 1
    assert "the lock matches" in stdout
    assert "1 times the same photo in more than one split" in stderr
    assert f"(first: {first} = {path})" in stderr
    assert f"carscale data dedupe {out} --apply NEW_FOLDER" in stderr
    code, stdout, _ = carscale("data", "check", out, "--json")
    assert code == 1
    (leak,) = json.loads(stdout)["leaks"]
    assert [photo["path"] for photo in leak["photos"]] == [first, path]
    assert (leak["kind"], leak["is_leak"], leak["agreement"]) == ("exact", True, 1.0)


def test_near_duplicates_across_splits_fail_unless_nobody_looks(carscale, demo):
    assert carscale("data", "check", demo, "--no-near")[0] == 0
    code, stdout, stderr = carscale("data", "check", demo)
    assert code == 1
    assert "times nearly the same photo in more than one split (first: train/" in stderr
    assert "near duplicates in one: carscale data freeze SOURCE NEW_FOLDER" in stderr
    assert f"carscale data dedupe {demo} --apply NEW_FOLDER" in stderr
    assert f"list them with: carscale data dedupe {demo}\n" in stdout


def test_what_the_error_says_to_type_mends_it(carscale, drawn_demo, tmp_path):
    raw, demo = drawn_demo(0)
    before = tree_of(demo)
    fixed, frozen = tmp_path / "fixed", tmp_path / "frozen"
    assert carscale("data", "dedupe", demo, "--apply", fixed)[0] == 0
    assert carscale("data", "check", fixed, "--full")[0] == 0
    assert carscale("data", "freeze", raw, frozen)[0] == 0
    assert carscale("data", "check", frozen)[0] == 0
    assert tree_of(demo) == before


def test_a_source_whose_channels_are_exchanged_is_named(carscale, drawn_demo, tmp_path):
    raw, _ = drawn_demo(0)
    swapped = tmp_path / "web cars"
    shutil.copytree(raw, swapped)
    for path in swapped.rglob("*.jpg"):
        pixels = cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        if pixels is not None:
            cv2.imwrite(str(path), pixels[..., ::-1])
    root = data.freeze(swapped, tmp_path / "out").root
    code, stdout, _ = carscale("data", "check", root)
    assert code == 0
    assert "red and blue look swapped in source web cars: " in stdout
    told = json.loads(carscale("data", "check", root, "--json")[1])
    (sign,) = told["quality"]["red_blue"]["sources"]
    assert (sign["origin"], sign["verdict"]) == ("web cars", "swapped")


def test_thin_classes_and_photos_that_can_not_be_read_are_told(carscale, tmp_path, monkeypatch):
    for number in range(30):
        draw_photo(tmp_path / "raw" / "Car A" / f"{number}.jpg", 0, number)
    for number in range(3):
        draw_photo(tmp_path / "raw" / "Car B" / f"{number}.jpg", 1, number)
    root = data.freeze(tmp_path / "raw", tmp_path / "out").root
    told = json.loads(carscale("data", "check", root, "--json")[1])
    assert told["near_empty_classes"] == [{"name": "Car B", "train": 1, "val": 1, "test": 1}]
    assert "near-empty classes: 1: Car B (1 + 1 + 1); fewer" in carscale("data", "check", root)[1]
    cache_file(root, "photo_stats").unlink()
    read = Split.read_bytes

    def torn(split, row):
        if (split.name, row) == ("train", 0):
            raise OSError("disk error")
        return read(split, row)

    monkeypatch.setattr(Split, "read_bytes", torn)
    code, stdout, _ = carscale("data", "check", root)
    assert code == 0
    assert "unreadable: 1: train/Car A/" in stdout
    assert "(disk error)" in stdout


def test_a_pack_is_checked_too(carscale, demo, tmp_path):
    pack = tmp_path / "pack"
    assert carscale("data", "pack", demo, pack, "--max-px", 128)[0] == 0
    told = json.loads(carscale("data", "check", pack, "--json")[1])
    assert told["quality"]["flags"]["dark"]["paths"]
    assert carscale("data", "check", pack, "--near")[0] == 1
