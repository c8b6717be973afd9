"""``carscale data dedupe``: lists, pages, new versions, and what a run adds."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from frozen_trees import rows_of, tree_of, with_copy

from carscale import data, files, tables
from carscale.types import Predictions


@pytest.fixture
def demo(drawn_demo):
    return drawn_demo(0)[1]


def sources(told, root):
    by_path = {row["path"]: row["source"] for row in rows_of(root)}
    return {frozenset(by_path[photo["path"]] for photo in one["photos"]) for one in told["groups"]}


@pytest.mark.parametrize("words", [("--no-near",), ()])
def test_the_groups_are_those_of_the_demos_truth(carscale, drawn_demo, words):
    raw, root = drawn_demo(0)
    truth = json.loads((raw / "truth.json").read_text())
    code, stdout, _ = carscale("data", "dedupe", root, *words, "--json")
    assert code == 0
    told = json.loads(stdout)
    kinds = ["exact_duplicates", "duplicates_across_classes"]
    kinds += [] if words else ["near_duplicates", "near_duplicates_other_label"]
    wanted = {frozenset(pair) for kind in kinds for pair in truth[kind]}
    found = sources(told, root)
    assert all(any(pair <= group for group in found) for pair in wanted)
    assert len(found - wanted) <= (0 if words else 8)  # some drawn cars are equal to the pixel
    assert told["counts"]["groups"] == len(told["groups"])
    ranks = [(not one["is_leak"], not one["is_conflict"]) for one in told["groups"]]
    assert ranks == sorted(ranks) or words
    leaks = [one for one in told["groups"] if one["is_leak"]]
    assert all(len({photo["split"] for photo in one["photos"]}) > 1 for one in leaks)
    assert bool(leaks) != bool(words)


def test_the_table_has_a_row_a_photo_and_says_what_comes_next(carscale, demo):
    code, stdout, stderr = carscale("data", "dedupe", demo)
    assert code == 0
    told = json.loads(carscale("data", "dedupe", demo, "--json")[1])
    for group in told["groups"]:
        for photo in group["photos"]:
            assert photo["path"] in stdout
    counts = told["counts"]
    assert f"{counts['groups']} groups, {counts['leaks']} across splits" in stdout
    assert f"next: carscale data dedupe {demo} --apply NEW_FOLDER\n" in stderr


def test_a_version_without_duplicates(carscale, demo, tmp_path):
    before = tree_of(demo)
    out = tmp_path / "new"
    code, stdout, stderr = carscale("data", "dedupe", demo, "--apply", out, "--json")
    assert code == 0
    told = json.loads(stdout)
    assert tree_of(demo) == before
    left_out = {entry["path"]: entry["reason"] for entry in told["applied"]["left_out"]}
    listed = [json.loads(line) for line in (out / data.DEDUPE_LIST).read_text().splitlines()]
    assert {line["path"]: line["reason"] for line in listed} == left_out
    assert all(path.startswith("train/") for path in left_out)
    old, new = rows_of(demo), rows_of(out)
    assert {row["key"] for row in old} - {row["key"] for row in new} == {
        line["key"] for line in listed
    }
    for split in ("val", "test"):
        assert data.read_card(out)["hashes"][split] == data.read_card(demo)["hashes"][split]
    card = data.read_card(out)
    assert card["parent"]["card"] == data.read_card(demo)["lock"]["card.json"]
    assert card["deduped"]["num_left_out"] == len(left_out)
    data.verify(out, mode="full")
    again = json.loads(carscale("data", "dedupe", out, "--json")[1])
    assert again["counts"]["leaks"] == 0
    rest = {frozenset(photo["path"] for photo in one["photos"]) for one in again["groups"]}
    review = told["applied"]["for_review"]
    in_train = {
        frozenset(photo["path"] for photo in one["photos"])
        for one in again["groups"]
        if all(photo["split"] == "train" for photo in one["photos"])
    }
    assert len(in_train) == len(review) > 0  # two classes: left in, for a person
    assert rest - in_train == {
        frozenset(photo["path"] for photo in one["photos"])
        for one in told["groups"]
        if all(photo["split"] != "train" for photo in one["photos"])
    }
    assert "say which label is right on the page of: carscale data dedupe" in stderr


def test_the_same_folder_gives_the_same_bytes_and_links_share_them(carscale, demo, tmp_path):
    words = ("data", "dedupe", demo, "--apply")
    assert carscale(*words, tmp_path / "a")[0] == 0
    assert carscale(*words, tmp_path / "b", "--link", "hard")[0] == 0
    assert tree_of(tmp_path / "a") == tree_of(tmp_path / "b")
    path = rows_of(tmp_path / "b")[0]["path"]
    assert (tmp_path / "b" / path).samefile(demo / path)


def test_a_train_photo_that_the_test_has_goes_whatever_its_class(carscale, tiny, tmp_path):
    splits = data.read_splits(tiny)
    held = str(splits.test.paths_N[0])
    other = next(car.name for car in splits.classes if car.name not in held)
    leaky, out = tmp_path / "leaky", tmp_path / "out"
    path = with_copy(tiny, leaky, of=held, split="train", class_name=other)
    code, stdout, _ = carscale("data", "dedupe", leaky, "--apply", out)
    assert code == 0
    assert "leak, two classes" in stdout
    assert stdout.splitlines()[-1] == str(out)
    (line,) = (json.loads(text) for text in (out / data.DEDUPE_LIST).read_text().splitlines())
    assert (line["path"], line["reason"]) == (path, f"same bytes as {held}")
    assert data.read_card(out)["hashes"] == data.read_card(tiny)["hashes"]


def test_photos_of_val_and_test_stay_and_are_told(carscale, tiny, tmp_path):
    held = str(data.read_splits(tiny).test.paths_N[0])
    leaky, out = tmp_path / "leaky", tmp_path / "out"
    with_copy(tiny, leaky, of=held, split="val")
    code, _, stderr = carscale("data", "dedupe", leaky, "--apply", out)
    assert code == 0
    assert "1 groups lie in two of val and the tests, which stay as they are" in stderr
    assert "nothing was left out" in stderr
    assert data.read_card(out)["hashes"] == data.read_card(leaky)["hashes"]


def test_where_there_is_nothing_it_says_so(carscale, tiny):
    code, stdout, stderr = carscale("data", "dedupe", tiny)
    assert code == 0
    assert (
        stdout
        == "56 photos, exact and near duplicates: 0 groups, 0 across splits, 0 in two classes\n"
    )
    assert "next:" not in stderr


def test_wrong_input_is_refused_and_nothing_is_written(carscale, demo, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("x")
    before = tree_of(tmp_path)
    cases = {
        ("data", "dedupe", tmp_path / "none"): "holds no frozen data",
        ("data", "dedupe", demo, "--apply", tmp_path / "full"): "holds no frozen data, and other",
        ("data", "dedupe", demo, "--apply", demo): "lies inside the source",
        ("data", "dedupe", demo, "--out", tmp_path / "full"): "holds other files than a page",
        ("data", "dedupe", demo, "--run", tmp_path / "none"): "no such run folder",
        ("data", "dedupe", demo, "--apply", tmp_path / "x", "--link", "soft"): "--link soft",
    }
    for words, message in cases.items():
        code, _, stderr = carscale(*words)
        assert (code, message in stderr) == (code or 2, True), (words, stderr)
        assert code in (1, 2)
    assert tree_of(tmp_path) == before


def test_a_pack_is_listed_and_not_applied(carscale, demo, tmp_path):
    pack = tmp_path / "pack"
    assert carscale("data", "pack", demo, pack, "--max-px", 128)[0] == 0
    code, _, stderr = carscale("data", "dedupe", pack, "--out", tmp_path / "page")
    assert code == 0
    assert f"{pack} is a pack: answer, and leave out, in the frozen folder it was made of" in stderr
    assert "--apply" not in stderr
    assert len(list((tmp_path / "page" / "thumbs").iterdir())) > 10
    code, _, stderr = carscale("data", "check", pack, "--no-quality")
    assert code == 1
    assert "this is a pack: leave them out of the frozen folder" in stderr
    assert "--apply" not in stderr
    code, _, stderr = carscale("data", "dedupe", pack, "--apply", tmp_path / "out")
    assert code == 2
    assert "is a pack; photos are left out in a frozen folder" in stderr


# --- with a run


def embedded(root: Path, run: Path, names=("train", "val", "test"), **changes) -> Path:
    """Write a run folder with embeddings that tell every photo apart but one pair."""
    splits = data.read_splits(root)
    (run / "predictions").mkdir(parents=True)
    (run / "config.yaml").write_text("{}\n")
    rng = np.random.default_rng(0)
    first = rng.normal(size=64)
    for name in names:
        split = data.named_split(splits, name)
        rows_ND = rng.normal(size=(len(split), 64))
        if name == "train":
            rows_ND[0] = first
        if name == "val":
            rows_ND[1] = first + rng.normal(0, 0.01, 64)
        about = {"split_hash": split.hash, "checkpoint": "best_1", **changes}
        zeros = np.zeros(len(split), np.int64)
        told = Predictions(
            ids_N=split.ids_N,
            keys_N=split.keys_N,
            paths_N=split.paths_N,
            labels_N=split.labels_N,
            prediction_N=zeros,
            top5_NT=zeros[:, None],
            top5_prob_NT=zeros[:, None].astype(np.float32),
            prob_label_N=zeros.astype(np.float32),
            prob_prediction_N=zeros.astype(np.float32),
            loss_N=zeros.astype(np.float32),
            margin_N=zeros.astype(np.float32),
            probs_NK=None,
            embeddings_ND=rows_ND.astype(np.float16),
            about=about,
        )
        path = run / "predictions" / f"{name}.embeddings.parquet"
        files.write_atomic(path, tables.embeddings_bytes(told))
    return run


def test_a_run_adds_pairs_by_embedding_that_are_never_dropped(carscale, demo, tmp_path):
    run = embedded(demo, tmp_path / "run")
    out = tmp_path / "out"
    words = ("data", "dedupe", demo, "--run", run, "--json", "--apply", out)
    code, stdout, _ = carscale(*words)
    assert code == 0
    told = json.loads(stdout)
    splits = data.read_splits(demo)
    wanted = [str(splits.train.paths_N[0]), str(splits.val.paths_N[1])]
    (group,) = (one for one in told["groups"] if one["kind"] == "by embedding")
    assert [photo["path"] for photo in group["photos"]] == wanted
    assert group["is_leak"]
    assert group["pairs"][0]["cosine"] > 0.99
    assert 0 <= group["pairs"][0]["agreement"] <= 1
    assert told["embedding_rule"] == data.EMBEDDING_RULE
    assert wanted[0] in {row["path"] for row in rows_of(out)}
    assert "by embedding" in carscale("data", "dedupe", demo, "--run", run)[1]


def test_a_pair_by_embedding_that_a_person_parted_is_not_listed_again(carscale, demo, tmp_path):
    rows = rows_of(demo)
    one, other = rows[0], next(row for row in rows if row["split"] == "val")
    other = rows[other["id"] + 1]
    cells = [[row["id"], row["path"], row["class"]] for row in (one, other)]
    columns = ["id", "path", "label", "decision", "new_label"]
    columns += [f"other_{name}" for name in columns[:3]]
    with (tmp_path / "answers.csv").open("w", newline="") as file:
        csv.writer(file).writerows([columns, [*cells[0], "different", "", *cells[1]]])
    parted = tmp_path / "parted"
    assert carscale("data", "relabel", demo, tmp_path / "answers.csv", parted)[0] == 0
    run = embedded(parted, tmp_path / "run")
    words = ("--run", run, "--json")
    (pair,) = (
        {photo["path"] for photo in group["photos"]}
        for group in json.loads(carscale("data", "dedupe", demo, *words)[1])["groups"]
        if group["kind"] == "by embedding"
    )
    assert pair == {one["path"], other["path"]}
    told = json.loads(carscale("data", "dedupe", parted, *words)[1])
    assert "by embedding" not in {group["kind"] for group in told["groups"]}


def test_missing_embeddings_are_named_with_what_makes_them(carscale, demo, tmp_path):
    run = embedded(demo, tmp_path / "val-only", names=("val",), split_hash="x")
    code, _, stderr = carscale("data", "dedupe", demo, "--run", run)
    assert code == 2
    assert "the run keeps no embeddings of train" in stderr
    assert f"carscale evaluate {run} --split train --embeddings" in stderr
    run = embedded(demo, tmp_path / "train-only", names=("train",))
    code, _, stderr = carscale("data", "dedupe", demo, "--run", run)
    assert code == 0
    assert f"val was not compared by embedding; make them with: carscale evaluate {run}" in stderr
    assert "test was not compared by embedding" in stderr


def test_embeddings_of_other_photos_are_refused(carscale, demo, tiny, tmp_path):
    fewer = embedded(tiny, tmp_path / "fewer")
    as_many = embedded(demo, tmp_path / "as many", split_hash="of another version")
    for run in (fewer, as_many):
        code, _, stderr = carscale("data", "dedupe", demo, "--run", run)
        assert code == 2
        assert "photos of another train than the" in stderr
