"""Three other sets join Stanford Cars, one after the other, by names alone."""

import csv
import json

import pytest
from frozen_trees import rows_of

from carscale import curate, data

MERGED = {"renamed40": 40, "makes9": 9, "new7": 7}


@pytest.mark.slow
def test_three_sources_join_and_val_and_test_stay(stanford, frozen_stanford, tmp_path):
    shared = stanford.parent
    before = data.read_card(frozen_stanford)["hashes"]
    root = frozen_stanford
    joined = {}
    for name, num_classes in MERGED.items():
        source = shared / name
        if not source.is_dir():
            pytest.skip(f"../shared/cars/{name} is not on this machine")
        base_names = [car.name for car in data.read_splits(root).classes]

        def targets_of(names, base_names=base_names, num_classes=num_classes):
            assert len(names) == num_classes
            proposals = curate.propose_map(base_names, names)
            kinds = {"match": "match", "new": "new", "make": "make", "ambiguous": "skip"}
            return {
                one.source: curate.ClassTarget(kinds[one.outcome], one.target or "")
                for one in proposals
            }

        made = curate.merge_source(
            root,
            curate.Origin(str(source)),
            tmp_path / name,
            targets_of=targets_of,
            rule=curate.MergeRule(make_only="keep"),
            link="hard",
        )
        after = data.read_card(made.root)["hashes"]
        assert (after["val"], after["test"]) == (before["val"], before["test"])
        joined[name] = made.counts["joined"]
        listed = len((made.root / curate.MERGE_LIST).read_text().splitlines())
        with data.open_source(source) as found:
            num_files = len(found.files) + len(found.refused)
        in_quarantine = made.counts["left_out"].get("no photo", 0)
        assert sum(joined[name].values()) + listed + in_quarantine == num_files
        root = made.root
    assert data.verify(root)
    assert joined["renamed40"]["train"] >= 500
    assert joined["makes9"]["partial"] >= 250
    names = {car.name for car in data.read_splits(root).classes}
    assert {"Alfa Romeo", "Honda CR-V", "Toyota Tacoma"} <= names
    _check_truth(shared, rows_of(tmp_path / "renamed40"))


def _check_truth(shared, rows):
    """Each photo of renamed40 lies in the class that the truth names."""
    with (shared / "renamed40.truth.tsv").open(encoding="utf-8") as file:
        truth = {row[0]: row[1] for row in csv.reader(file, delimiter="\t")}
    folders = {row["source"].rsplit("/", 1)[0]: row["class"] for row in rows}
    wrong = {
        folder: (folders[folder], wanted)
        for folder, wanted in truth.items()
        if folder in folders and folders[folder] != wanted
    }
    assert wrong == {}, json.dumps(wrong)
