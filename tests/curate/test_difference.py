"""What changed between two frozen folders: each kind of change, sets with none in common."""

import csv
import json
import shutil
from pathlib import Path

import pytest
from frozen_trees import rows_of
from hypothesis import given
from hypothesis import strategies as st
from photos import draw_classes, draw_photo

from carscale import curate, data, tables
from carscale.curate.difference import _changes
from carscale.errors import DataError

KINDS = ("added", "removed", "relabelled", "moved")


@pytest.fixture(scope="module")
def versions(tiny, tmp_path_factory) -> tuple[Path, Path]:
    """A base, and a version with two photos relabelled and one left out."""
    folder = tmp_path_factory.mktemp("versions")
    rows = [row for row in rows_of(tiny) if row["split"] == "train"][:3]
    wrong = next(row["class"] for row in rows_of(tiny) if row["class"] != rows[0]["class"])
    with (folder / "decisions.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "path", "label", "decision", "new_label"])
        for row, decision in zip(rows, ("wrong", "wrong", "wrong"), strict=True):
            new = wrong if row is not rows[2] else ""
            writer.writerow([row["id"], row["path"], row["class"], decision, new])
    made = data.relabel(tiny, folder / "decisions.csv", folder / "next")
    assert made.num_relabelled == 2
    return tiny, made.root


def test_relabelled_and_removed_photos_are_found(versions):
    found = curate.find_difference(*versions)
    before, after = ({row["key"]: row for row in rows_of(root)} for root in versions)
    both = before.keys() & after.keys()
    assert found.counts() == {
        "added": len(after.keys() - before.keys()),
        "removed": len(before.keys() - after.keys()),
        "relabelled": sum(before[key]["class"] != after[key]["class"] for key in both),
        "moved": sum(before[key]["split"] != after[key]["split"] for key in both),
    }
    assert found.counts() == {"added": 0, "removed": 1, "relabelled": 2, "moved": 0}
    assert found.lineage == "B of A"
    assert {row["split"]: row["is_equal"] for row in found.splits} == {
        "train": False,
        "val": True,
        "test": True,
    }
    assert found.is_class_list_equal
    assert "B names A as its parent." in found.sentences()
    assert "compared on val, test" in " ".join(found.sentences())
    relabelled = {row["class"]: row for row in found.by_class()}
    (gone,) = before.keys() - after.keys()
    assert relabelled[before[gone]["class"]]["removed"] == 1
    assert sum(row["relabelled_in"] for row in relabelled.values()) == 2
    assert sum(row["relabelled_out"] for row in relabelled.values()) == 2


def test_the_other_way_round_swaps_what_came_and_went(versions):
    a, b = versions
    there, back = curate.find_difference(a, b), curate.find_difference(b, a)
    assert back.lineage == "A of B"
    assert back.counts() == there.counts() | {"added": 1, "removed": 0}


def test_other_splits_are_moves(tiny, tmp_path):
    raw = draw_classes(tmp_path / "raw", [24, 16, 10, 6])
    other = data.freeze(raw, tmp_path / "other", data.FreezeRule(seed=5)).root
    found = curate.find_difference(tiny, other)
    before, after = ({row["key"]: row["split"] for row in rows_of(root)} for root in (tiny, other))
    assert found.num_shared == len(before) == len(after)
    assert found.counts()["moved"] == sum(before[key] != after[key] for key in before) > 0
    assert found.counts()["added"] == found.counts()["removed"] == 0
    assert found.lineage == ""
    assert "Neither names the other" in found.sentences()[0]


def test_new_photos_count_by_source_and_class(tiny, tmp_path):
    for number in range(5):
        draw_photo(tmp_path / "more" / "Make1 Model" / f"{number}.jpg", 1, 900 + number)
        draw_photo(tmp_path / "more" / "Fiat Panda 2003" / f"{number}.jpg", 3, 950 + number)
    made = curate.merge_source(
        tiny,
        curate.Origin(str(tmp_path / "more")),
        tmp_path / "merged",
        targets_of=lambda names: {
            name: curate.ClassTarget("match" if "Make1" in name else "new", name) for name in names
        },
    )
    found = curate.find_difference(tiny, made.root)
    assert found.by_source() == [
        {"source": "more", "added": 10, "removed": 0, "relabelled": 0, "moved": 0}
    ]
    assert {row["class"]: row["added"] for row in found.by_class()} == {
        "Make1 Model": 5,
        "Fiat Panda 2003": 5,
    }
    assert found.new_classes == ("Fiat Panda 2003",)
    assert found.gone_classes == ()
    assert "1 new (Fiat Panda 2003)" in found.sentences()[-1]


def test_strangers_share_nothing(tiny, drawn_demo):
    found = curate.find_difference(tiny, drawn_demo(0)[1])
    assert found.num_shared == 0
    assert "A and B are different data sets" in found.sentences()[0]
    assert "share 0 of A's 56" in found.sentences()[0]
    assert "can't be compared" in " ".join(found.sentences())
    assert len(found.new_classes) == 6


def test_a_pack_is_its_parent(tiny, tmp_path):
    packed = data.pack(tiny, tmp_path / "pack", data.PackRule(max_px=512)).root
    found = curate.find_difference(tiny, packed)
    assert found.lineage == "B of A"
    assert not found.changes
    assert all(row["is_equal"] for row in found.splits)


ROWS = st.dictionaries(
    st.sampled_from("abcdefgh"),
    st.fixed_dictionaries(
        {
            "class": st.sampled_from(["x", "y"]),
            "split": st.sampled_from(["train", "val"]),
            "origin": st.sampled_from(["", "shop"]),
            "path": st.just("p"),
        }
    ),
)


@given(ROWS, ROWS)
def test_changes_are_those_of_a_loop_over_keys(rows_a, rows_b):
    found = {change.key: change.kinds() for change in _changes(rows_a, rows_b)}
    wanted = {}
    for key in "abcdefgh":
        one, other = rows_a.get(key), rows_b.get(key)
        if one is None and other is None:
            continue
        if one is None or other is None:
            wanted[key] = ("added" if one is None else "removed",)
            continue
        kinds = ("relabelled",) if one["class"] != other["class"] else ()
        kinds += ("moved",) if one["split"] != other["split"] else ()
        if kinds:
            wanted[key] = kinds
    assert found == wanted


def test_the_command_prints_tables_and_json(carscale, versions):
    a, b = versions
    code, out, _ = carscale("data", "diff", a, b)
    assert code == 0
    assert "relabelled in" in out
    assert "B names A as its parent." in out
    code, out, err = carscale("data", "diff", a, b, "--json")
    told = json.loads(out)
    assert (code, err) == (0, "")
    assert told["counts"] == {"added": 0, "removed": 1, "relabelled": 2, "moved": 0}
    assert len(told["changes"]) == 3
    assert told["classes"] == {"is_equal": True, "new": [], "gone": [], "merges": []}
    json.loads(out, parse_constant=pytest.fail)


def test_what_is_no_frozen_folder_is_refused(carscale, tiny, tmp_path):
    code, out, err = carscale("data", "diff", tiny, tmp_path)
    assert (code, out) == (2, "")
    assert "holds no frozen data" in err
    with pytest.raises(DataError, match="no frozen data"):
        curate.find_difference(tmp_path, tiny)


def test_manifests_of_before_take_the_source_of_the_card(tiny, tmp_path):
    old = tmp_path / "old"
    shutil.copytree(tiny, old)
    columns = tables.read_manifest(tiny / "manifest.parquet")
    kept = [name for name in columns if name not in tables.ADDED_COLUMNS]
    content = tables.table_bytes({name: columns[name] for name in kept})
    (old / "manifest.parquet").write_bytes(content)
    raw = draw_classes(tmp_path / "raw", [6, 6])
    other = data.freeze(raw, tmp_path / "other").root
    sources = {row["source"] for row in curate.find_difference(other, old).by_source()}
    assert sources == {"raw"}
