"""What a person says of two photos that look the same: a new version, and no second question."""

import csv
import io
import json
import shutil

import numpy as np
import pytest
from frozen_trees import rows_of, save, tree_of, with_copy
from PIL import Image

from carscale import curate, data
from carscale.data.frozen.answers import ANSWERS_LIST, Answer, read_answers
from carscale.errors import DataError, RunError
from carscale.report import write_gallery
from carscale.report.data import gather
from carscale.workflows import errors

HEADER = ["id", "path", "label", "decision", "new_label", "other_id", "other_path", "other_label"]


def patches(seed):
    """A picture with many details, so that a copy of it is told from all others."""
    pixels = np.random.default_rng(seed).integers(0, 256, (12, 18, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((180, 120), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Classes a, b, c with a near pair, an exact pair, and one that lies in train and in val."""
    place = tmp_path_factory.mktemp("pairs")
    for label, name in enumerate("abc"):
        for number in range(4):
            picture = patches(10 * label + number)
            save(place / "raw" / name / f"{name}{number}.jpg", picture, "JPEG", quality=90)
    save(place / "raw" / "b" / "near.jpg", patches(0), "JPEG", quality=60)
    shutil.copy(place / "raw" / "a" / "a1.jpg", place / "raw" / "b" / "exact.jpg")
    rule = data.FreezeRule(fractions=(1, 0, 0), near_duplicates="ignore")
    frozen = data.freeze(place / "raw", place / "frozen", rule).root
    with_copy(frozen, place / "cars", of="train/c/c0.jpg", split="val", class_name="a")
    return place / "cars"


NEAR = ("train/a/a0.jpg", "train/b/near.jpg")
EXACT = ("train/a/a1.jpg", "train/b/exact.jpg")
LEAK = ("train/c/c0.jpg", "val/a/copy-c0.jpg")


@pytest.fixture
def csv_file(tmp_path):
    return tmp_path / "answers.csv"


def by_path(root):
    return {row["path"]: row for row in rows_of(root)}


def line_of(root, pair, decision, new_label=""):
    one, other = (by_path(root)[path] for path in pair)
    cells = [one["id"], one["path"], one["class"], decision, new_label]
    return [*cells, other["id"], other["path"], other["class"]]


def review(path, *lines):
    sink = io.StringIO(newline="")
    csv.writer(sink).writerows([HEADER, *lines])
    path.write_bytes(sink.getvalue().encode())
    return path


def keys_of(root, pair):
    return tuple(by_path(root)[path]["key"] for path in pair)


def classes_of(root, keys):
    found = {row["key"]: row["class"] for row in rows_of(root)}
    return [found.get(key) for key in keys]


def conflicts(root):
    """Pairs and groups that a person is asked about, as sets of paths."""
    return [set(group.paths) for group in curate.find_duplicates(root).groups if group.is_conflict]


@pytest.fixture
def parted(root, csv_file, tmp_path):
    """A version where all three pairs are right as they are."""
    lines = [line_of(root, pair, "different") for pair in (NEAR, EXACT, LEAK)]
    return data.relabel(root, review(csv_file, *lines), tmp_path / "parted").root


@pytest.mark.parametrize(
    ("new_label", "num_moved"), [("a", 1), ("b", 1), ("c", 2)], ids=["first", "second", "third"]
)
@pytest.mark.parametrize("pair", [NEAR, EXACT], ids=["near", "exact"])
def test_the_same_photo_gets_one_class(root, csv_file, tmp_path, pair, new_label, num_moved):
    assert conflicts(root) == [set(LEAK), set(NEAR), set(EXACT)]
    before = tree_of(root)
    made = data.relabel(
        root, review(csv_file, line_of(root, pair, "same", new_label)), tmp_path / "new"
    )
    assert (made.num_relabelled, made.num_unchanged) == (num_moved, 2 - num_moved)
    assert (made.num_left_out, made.num_answers) == (0, 1)
    keys = keys_of(root, pair)
    assert classes_of(made.root, keys) == [new_label] * 2
    assert read_answers(made.root) == [Answer(*keys, is_same=True)]
    assert len(conflicts(made.root)) == 2
    assert tree_of(root) == before
    data.verify(made.root, mode="full")


def test_two_cars_are_neither_a_group_nor_left_out(root, csv_file, tmp_path):
    made = data.relabel(root, review(csv_file, line_of(root, NEAR, "different")), tmp_path / "new")
    assert (made.num_relabelled, made.num_left_out, made.num_answers) == (0, 0, 1)
    assert rows_of(made.root) == rows_of(root)
    found = curate.find_duplicates(made.root)
    assert not any(set(NEAR) <= set(group.paths) for group in found.groups)
    assert len(found.groups) == 2
    applied = curate.drop_duplicates(found, tmp_path / "deduped")
    assert set(NEAR) <= by_path(applied.root).keys()


def test_the_same_bytes_in_two_classes_that_are_right_stay_a_leak_alone(parted, tmp_path):
    found = curate.find_duplicates(parted)
    told = {group.paths: (group.is_leak, group.is_conflict) for group in found.groups}
    assert told == {LEAK: (True, False), EXACT: (False, False)}
    applied = curate.drop_duplicates(found, tmp_path / "deduped")
    assert applied.drops.reasons == {by_path(parted)[LEAK[0]]["id"]: f"same bytes as {LEAK[1]}"}
    assert applied.drops.for_review == ()


@pytest.mark.parametrize(("pair", "gone"), [(LEAK, LEAK[:1]), (LEAK[::-1], LEAK[:1]), (NEAR, NEAR)])
def test_of_a_pair_that_is_left_out_val_stays(root, csv_file, tmp_path, pair, gone):
    review(csv_file, line_of(root, pair, "leave out"))
    made = data.relabel(root, csv_file, tmp_path / "new")
    assert by_path(root).keys() - by_path(made.root).keys() == set(gone)
    assert (made.num_left_out, made.num_answers) == (len(gone), 0)
    assert not (made.root / ANSWERS_LIST).exists()


def test_nothing_asks_again(root, parted, tmp_path):
    def asked(folder):
        measured = data.photo_stats(folder)
        evidence = errors._conflicts(folder, measured, lambda text: lambda: None)
        page = write_gallery(tmp_path / f"page-{folder.name}", curate.find_duplicates(folder))
        return [
            len(curate.audit_data(folder).conflicts),
            len(evidence),
            int(gather._pairs(folder, measured, lambda *of: lambda: None).is_conflict_G.sum()),
            page.read_text().count("<fieldset"),
        ]

    assert asked(root) == [3] * 4
    assert asked(parted) == [0] * 4


def test_answers_go_along_into_every_later_version(parted, csv_file, tmp_path):
    wanted = read_answers(parted)
    assert len(wanted) == 3
    row = by_path(parted)["train/b/b1.jpg"]
    review(csv_file, [row["id"], row["path"], row["class"], "wrong", "c", "", "", ""])
    again = data.relabel(parted, csv_file, tmp_path / "again").root
    deduped = curate.drop_duplicates(curate.find_duplicates(again), tmp_path / "deduped").root
    save(tmp_path / "web" / "a" / "new.jpg", patches(99), "JPEG")
    merged = curate.merge_source(
        deduped,
        curate.Origin(str(tmp_path / "web")),
        tmp_path / "merged",
        targets_of=lambda _: {"a": curate.ClassTarget("match", "a")},
    )
    assert merged.counts["joined"] == {"train": 1}
    packed = data.pack(merged.root, tmp_path / "pack").root
    for version in (again, deduped, merged.root, packed, data.pack(packed, tmp_path / "two").root):
        assert read_answers(version) == wanted
        data.verify(version, mode="full")
        assert conflicts(version) == []


def test_the_last_answer_on_a_pair_counts(parted, csv_file, tmp_path):
    row = by_path(parted)[NEAR[0]]
    review(csv_file, [row["id"], row["path"], row["class"], "wrong", "c", "", "", ""])
    moved = data.relabel(parted, csv_file, tmp_path / "moved").root  # the second comes first now
    again = review(csv_file, line_of(moved, ("train/c/a0.jpg", NEAR[1]), "same", "b"))
    made = data.relabel(moved, again, tmp_path / "new")
    keys = keys_of(parted, NEAR)
    said = [one for one in read_answers(made.root) if {one.one, one.other} == set(keys)]
    assert [one.is_same for one in said] == [True]
    assert len(read_answers(made.root)) == 3
    before, after = (curate.find_duplicates(one).groups for one in (parted, made.root))
    assert len(after) == len(before) + 1  # a pair again, in one class


def test_the_same_answers_give_the_same_bytes_in_any_order(root, csv_file, tmp_path):
    lines = [line_of(root, pair, "different") for pair in (NEAR, EXACT)]
    one = data.relabel(root, review(csv_file, *lines), tmp_path / "one").root
    swapped = [line_of(root, pair[::-1], " Different ") for pair in (EXACT, NEAR, NEAR)]
    two = data.relabel(root, review(csv_file, *swapped), tmp_path / "two").root
    assert (one / ANSWERS_LIST).read_bytes() == (two / ANSWERS_LIST).read_bytes()


WRONG = [
    ({"other_id": "x"}, "line 2: id 'x' is no number"),
    ({"id": ""}, "line 2: id '' is no number"),
    ({"other_id": ""}, "line 2: id '' is no number"),
    ({"other_id": 900}, "no photo has id 900: is this of another data set"),
    ({"other_path": "train/b/other.jpg"}, "is train/b/near.jpg, not train/b/other.jpg"),
    ({"path": "train/b/other.jpg"}, "is train/a/a0.jpg, not train/b/other.jpg"),
    ({"other_label": "c"}, "train/b/near.jpg is labelled 'b' now, not 'c'"),
    ({"decision": "same"}, "are the same: give their class as new_label"),
    ({"decision": "same", "new_label": "bb"}, "no class is called 'bb'; did you mean 'b'?"),
    ({"decision": "wrong"}, "decision 'wrong' of a pair must be same, different, leave out"),
]


@pytest.mark.parametrize(("changes", "said"), WRONG)
def test_a_line_that_does_not_fit_is_named(root, csv_file, tmp_path, changes, said):
    cells = dict(zip(HEADER, line_of(root, NEAR, "different"), strict=True)) | changes
    with pytest.raises(DataError) as error:
        data.relabel(root, review(csv_file, list(cells.values())), tmp_path / "new")
    assert said in str(error.value)
    assert "1 line can't be used; nothing was changed" in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["answers.csv"]


def test_a_photo_is_no_pair_with_itself(root, csv_file, tmp_path):
    review(csv_file, line_of(root, NEAR[:1] * 2, "different"))
    with pytest.raises(DataError, match=r"line 2: photo \d+ is no pair with itself"):
        data.relabel(root, csv_file, tmp_path / "new")


@pytest.mark.parametrize(
    ("first", "second", "what"),
    [
        (("different",), ("same", "a"), "photos .* have another answer"),
        (("different",), ("leave out",), "photos .* have another answer"),
        (("leave out",), ("different",), "photos .* have another answer"),
        (("same", "a"), ("same", "b"), "photo .* has another decision"),
    ],
)
def test_two_answers_on_one_pair_must_agree(root, csv_file, tmp_path, first, second, what):
    lines = [line_of(root, NEAR, *first), line_of(root, NEAR[::-1], *second)]
    with pytest.raises(DataError, match=rf"line 3: {what} above"):
        data.relabel(root, review(csv_file, *lines), tmp_path / "new")


def test_two_answers_on_one_photo_must_agree(root, csv_file, tmp_path):
    crossed = (NEAR[0], EXACT[1])
    lines = [line_of(root, NEAR, "same", "b"), line_of(root, crossed, "same", "a")]
    with pytest.raises(DataError, match=r"line 3: photo \d+ has another decision above"):
        data.relabel(root, review(csv_file, *lines), tmp_path / "new")


def test_val_moves_only_when_asked(root, csv_file, tmp_path):
    review(csv_file, line_of(root, LEAK, "same", "c"))
    with pytest.raises(DataError, match=r"changes 1 photos of val or test \(first: val/a/copy"):
        data.relabel(root, csv_file, tmp_path / "new")
    made = data.relabel(root, csv_file, tmp_path / "new", any_split=True)
    assert classes_of(made.root, keys_of(root, LEAK)) == ["c", "c"]
    review(csv_file, line_of(root, LEAK, "same", "a"))
    assert data.relabel(root, csv_file, tmp_path / "train").num_relabelled == 1


def test_a_changed_list_is_caught(parted):
    lines = (parted / ANSWERS_LIST).read_text()
    (parted / ANSWERS_LIST).write_text(lines.replace("false", "true", 1))
    with pytest.raises(DataError, match=r"answers\.jsonl does not match the lock in card\.json"):
        data.verify(parted)
    (parted / ANSWERS_LIST).unlink()
    with pytest.raises(DataError, match=r"answers\.jsonl does not match"):
        data.verify(parted)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ({"one": "k", "other": "l", "is_same": "no"}, "line 4: is_same: is a text, wanted true"),
        ({"one": "k", "is_same": False}, "line 4: other: is missing"),
        ({"one": 1, "other": "l", "is_same": False}, "line 4: one: is a whole number"),
    ],
)
def test_a_line_that_is_no_answer_is_named_by_its_number(parted, line, said):
    with (parted / ANSWERS_LIST).open("a") as file:
        file.write(json.dumps(line) + "\n")
    with pytest.raises(RunError) as error:
        curate.find_duplicates(parted)
    assert f"{parted / ANSWERS_LIST}: {said}" in str(error.value)
