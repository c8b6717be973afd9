"""Merge from the command line, then train on it, and look at a test of another origin."""

import json
from pathlib import Path

import jobs
import pytest
from command_line import carscale
from frozen_trees import rows_of, tree_of
from photos import draw_photo

from carscale import data, files, tables
from carscale.workflows.errors import analyse_run


@pytest.fixture(scope="module")
def place(tmp_path_factory, tiny) -> Path:
    """A source with other names, and its map."""
    place = tmp_path_factory.mktemp("merge")
    for name, label in (("make0_model", 0), ("MAKE1 MODEL", 1), ("Other Car", 3)):
        for n in range(8):
            draw_photo(place / "web" / name / f"{n}.jpg", label, 100 + n, (90 + n, 50))
    carscale("data", "map", tiny, place / "web", "--out", place / "map.yaml", code=0)
    return place


def test_a_source_is_mapped_and_merged(tiny, place, tmp_path):
    before = tree_of(tiny)
    words = ("data", "merge", tiny, place / "web", tmp_path / "more", "--map", place / "map.yaml")
    made = carscale(
        *words, "--near-train", "keep", "--licence", "CC BY 4.0", "--name", "web-2026", code=0
    )
    assert made.stdout.strip() == str(tmp_path / "more")
    assert "joined: " in made.stderr
    assert f"next: carscale data diff {tiny} {tmp_path / 'more'}" in made.stderr
    assert tree_of(tiny) == before
    card = data.read_card(tmp_path / "more")
    assert card["merged"]["source"] == "web-2026"
    assert card["counts"]["train"] > data.read_card(tiny)["counts"]["train"]
    assert {row["class"] for row in rows_of(tmp_path / "more")} >= {"Make0 Model", "Other Car"}
    checked = json.loads(carscale("data", "check", tmp_path / "more", "--json", code=0).stdout)
    assert len(checked["classes"]) == 5
    again = carscale(*words, code=2)
    assert "--force" in again.stderr


def test_an_undecided_map_and_wrong_words_are_refused(tiny, place, tmp_path):
    text = (place / "map.yaml").read_text().replace("to: Make0 Model", "ambiguous: [Make0 Model]")
    (tmp_path / "map.yaml").write_text(text)
    words = ("data", "merge", tiny, place / "web", tmp_path / "more", "--map")
    answer = carscale(*words, tmp_path / "map.yaml", code=2)
    assert "is ambiguous; choose, e.g. to: one of 'Make0 Model', or new: NAME" in answer.stderr
    answer = carscale(*words, place / "map.yaml", "--as", "val", code=2)
    assert "--as val: must be train, or a test of its own" in answer.stderr
    assert not list(tmp_path.glob(".*.merging"))
    assert not (tmp_path / "more").exists()


def test_a_test_of_another_origin_is_evaluated_sorted_and_shown(tiny, place, tmp_path, quick):
    words = ("data", "merge", tiny, place / "web", tmp_path / "more", "--map", place / "map.yaml")
    carscale(*words, "--as", "test_web", code=0)
    num_web = data.read_card(tmp_path / "more")["counts"]["test_web"]
    told = carscale("data", "check", tmp_path / "more", code=0)
    assert f"beside these: {num_web} in test_web" in told.stdout
    jobs.train(tmp_path / "more", tmp_path / "run", ("train.num_epochs=1",))
    told = carscale("evaluate", tmp_path / "run", "--split", "test_web", "--json", code=0)
    assert json.loads(told.stdout)["num_samples"] == num_web > 0
    look = files.read_lines(tmp_path / "run" / "test_evaluations.jsonl")[-1]
    assert look["split"] == "test_web"
    errors = json.loads(
        carscale("errors", tmp_path / "run", "--split", "test_web", "--json", code=0).stdout
    )
    assert errors["split"] == "test_web"
    page = Path(carscale("report", tmp_path / "run", code=0).stdout.strip())
    assert "test_web" in page.read_text()
    answer = carscale("evaluate", tmp_path / "run", "--split", "test_x", code=2)
    assert "has no such split; it has train, val, test, test_web" in answer.stderr
    answer = carscale("evaluate", tmp_path / "run", "--split", "partial", code=2)
    assert "--split partial: must be train, val or test" in answer.stderr


def test_errors_know_where_each_photo_is_from(tiny, tmp_path):
    lines = [
        f"{tiny / row['path']},{row['class']},{'web' if n % 2 else 'shop'}"
        for n, row in enumerate(rows_of(tiny))
    ]
    (tmp_path / "cars.csv").write_text("\n".join(["path,label,source", *lines]))
    carscale(
        "data",
        "freeze",
        tmp_path / "cars.csv",
        tmp_path / "cars",
        "--follow-links",
        "--split-folders",
        "together",
        code=0,
    )
    jobs.train(tmp_path / "cars", tmp_path / "run", ("train.num_epochs=1",))
    found = analyse_run(tmp_path / "run", "val")
    ids = found.evidence.predictions.ids_N
    origins = tables.read_manifest(tmp_path / "cars" / "manifest.parquet", ["origin"])["origin"]
    assert found.evidence.attributes["source"].tolist() == origins[ids].tolist()
    assert set(origins) == {"web", "shop"}
    jobs.train(tiny, tmp_path / "plain", ("train.num_epochs=1",))
    assert "source" not in analyse_run(tmp_path / "plain", "val").evidence.attributes
