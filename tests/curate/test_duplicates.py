"""Groups, leaks and what may go: against naive loops, on small made-up sets."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carscale import curate, data


def photos(rows):
    """Photos of ``(split, class, content, width)``."""
    splits, classes, content, widths = (list(part) for part in zip(*rows, strict=True))
    return data.PhotoRows(
        paths_N=np.array(
            [f"{s}/{c}/{n:02d}.jpg" for n, (s, c, _, _) in enumerate(rows)], dtype=object
        ),
        splits_N=np.array(splits, dtype=object),
        classes_N=np.array(classes, dtype=object),
        content_N=np.array(content, dtype=object),
        originals_N=np.array(content, dtype=object),
        sizes_N2=np.array([[width, 10] for width in widths]),
        bytes_N=np.arange(len(rows)),
        keys_N=np.array([f"k{n}" for n in range(len(rows))], dtype=object),
        groups_N=np.full(len(rows), "", dtype=object),
    )


def near(*pairs):
    rows = np.array(sorted(pair[:2] for pair in pairs), np.int64).reshape(-1, 2)
    values = {pair[:2]: pair[2] if len(pair) > 2 else 0.97 for pair in pairs}
    return data.NearPairs(rows, np.array([values[tuple(row)] for row in rows.tolist()], np.float32))


def test_leaks_come_first_then_labels_then_the_rest():
    held = photos(
        [
            ("train", "a", "1", 10),
            ("train", "a", "1", 10),
            ("train", "a", "2", 10),
            ("train", "b", "3", 10),
            ("train", "b", "4", 10),
            ("test", "b", "5", 10),
            ("val", "a", "6", 10),
        ]
    )
    groups = data.duplicate_groups(held, near((2, 3), (4, 5, 0.98)))
    assert [(group.concern, group.rows, group.kind) for group in groups] == [
        ("leak", (4, 5), "near"),
        ("label", (2, 3), "near"),
        ("duplicate", (0, 1), "exact"),
    ]
    assert groups[0].agreement == pytest.approx(0.98)
    assert groups[2].agreement == 1
    assert groups[0].as_dict()["pairs"][0]["paths"] == ["train/b/04.jpg", "test/b/05.jpg"]
    assert [group.rows for group in data.duplicate_groups(held)] == [(0, 1)]


def test_a_group_is_named_by_its_weakest_link_and_twins_are_linked_once():
    held = photos([("train", "a", name, 10) for name in "11123"])
    (group,) = data.duplicate_groups(held, near((0, 3, 0.97), (0, 4, 0.98), (3, 4, 0.99)))
    assert group.rows == (0, 1, 2, 3, 4)
    assert (group.kind, group.agreement) == ("near", pytest.approx(0.97))
    assert [link.kind for link in group.links] == ["exact", "exact", "near", "near", "near"]


def test_the_same_original_is_the_same_photo_whatever_it_was_frozen_to():
    held = photos([("train", "a", "x", 10), ("val", "a", "y", 10), ("test", "a", "z", 10)])
    held.originals_N[1] = "x"  # made plain of the bytes that row 0 kept
    (group,) = data.duplicate_groups(held)
    assert (group.rows, group.kind, group.is_leak) == ((0, 1), "exact", True)


def test_between_train_and_partial_nothing_leaks_and_a_make_contradicts_no_class():
    held = photos([("train", "Audi A4", "1", 10), ("partial", "Audi", "1", 90)])
    (group,) = data.duplicate_groups(held)
    assert (group.concern, group.is_leak, group.is_conflict) == ("duplicate", False, False)
    drops = curate.choose_drops(held, [group])
    assert drops.reasons == {1: "same bytes as train/Audi A4/00.jpg"}  # the known class stays


def test_what_goes_and_what_stays():
    held = photos(
        [
            ("train", "a", "1", 10),  # 0: the test has it
            ("test", "b", "1", 10),
            ("train", "a", "2", 10),  # 2: smaller than 3
            ("train", "a", "3", 20),
            ("train", "a", "4", 10),  # 4, 5: two classes
            ("train", "b", "4", 10),
            ("val", "a", "5", 10),  # 6, 7: held out on both sides
            ("test", "a", "5", 10),
            ("train", "a", "6", 10),  # 8, 9: near 6
            ("train", "a", "7", 10),
        ]
    )
    groups = data.duplicate_groups(held, near((2, 3, 0.99), (6, 9, 0.981), (6, 8, 0.97), (8, 9)))
    drops = curate.choose_drops(held, groups)
    assert drops.reasons == {
        0: "same bytes as test/b/01.jpg",
        2: "nearly the same as train/a/03.jpg (99% of the details agree)",
        8: "nearly the same as val/a/06.jpg (97% of the details agree)",
        9: "nearly the same as val/a/06.jpg (98% of the details agree)",
    }
    assert [group.rows for group in drops.for_review] == [(4, 5)]
    assert [group.rows for group in drops.held_out] == [(6, 7, 8, 9)]


def test_pairs_by_embedding_are_listed_and_never_dropped():
    held = photos([("train", "a", "1", 10), ("train", "a", "2", 10), ("val", "a", "3", 10)])
    alike = data.EmbeddingPairs(np.array([[0, 1]]), np.array([0.95], np.float32))
    (group,) = data.embedding_groups(held, alike, np.array([2, 0]), np.array([0.7]))
    assert (group.rows, group.kind, group.is_leak) == ((0, 2), "by embedding", True)
    told = group.as_dict()["pairs"][0]
    assert (told["cosine"], told["agreement"]) == (0.95, 0.7)
    assert curate.choose_drops(held, [group]).reasons == {}


rows_of_photos = st.lists(
    st.tuples(
        st.sampled_from(["train", "val", "test"]),
        st.sampled_from("ab"),
        st.sampled_from("1234567890"),
        st.integers(1, 5),
    ),
    min_size=2,
    max_size=14,
)


@settings(max_examples=150, deadline=None)
@given(rows=rows_of_photos, draw=st.data())
def test_groups_and_drops_keep_their_promises(rows, draw):
    held = photos(rows)
    count = len(rows)
    first = {name: n for n, (_, _, name, _) in reversed(list(enumerate(rows)))}
    number = st.sampled_from(sorted(first.values()))  # of the same bytes the first is compared
    pairs = draw.draw(
        st.sets(st.tuples(number, number).filter(lambda pair: pair[0] < pair[1]), max_size=4)
    )
    groups = data.duplicate_groups(held, near(*pairs))
    # naive: sets that near groups and equal bytes join
    sets = [{n for n in range(count) if rows[n][2] == name} for name in first]
    for group in data.near_groups(near(*pairs)):
        met = [one for one in sets if one & set(group.tolist())]
        sets = [one for one in sets if one not in met] + [set().union(*met)]
    assert sorted(map(sorted, (s for s in sets if len(s) > 1))) == sorted(
        list(group.rows) for group in groups
    )
    drops = curate.choose_drops(held, groups)
    kept = [n for n in range(count) if n not in drops.reasons]
    assert all(rows[n][0] == "train" for n in drops.reasons)
    review = {row for group in drops.for_review for row in group.rows}
    for group in groups:
        assert any(row in kept for row in group.rows)
        in_train = [row for row in group.rows if row in kept and rows[row][0] == "train"]
        if any(rows[row][0] != "train" for row in group.rows):
            assert not in_train
        elif not review & set(group.rows):
            assert len(in_train) == 1
            assert rows[in_train[0]][3] == max(rows[row][3] for row in group.rows)


def test_a_person_s_answer_ends_a_conflict_and_no_leak():
    held = photos([("train", "a", "1", 10), ("train", "b", "1", 10), ("test", "c", "2", 10)])
    pairs = near((0, 2))
    (group,) = data.duplicate_groups(held, pairs, settled_P2=np.array([[0, 1]]))
    assert (group.is_leak, group.is_conflict) == (True, True)  # 0 and 2, 1 and 2 are open
    every = np.array([[0, 1], [2, 0], [1, 2]])
    (group,) = data.duplicate_groups(held, pairs, settled_P2=every)
    assert (group.is_leak, group.is_conflict) == (True, False)
    assert list(data.open_pairs(held, group.rows, every[:1])) == [(0, 2), (1, 2)]


def test_a_large_group_is_named_by_two_photos_that_tell_why():
    held = photos([("train", "a", "1", 10)] * 3 + [("train", "b", "1", 10), ("val", "b", "1", 10)])
    (group,) = data.duplicate_groups(held)
    assert group.example(group.classes) == "train/a/00.jpg = train/b/03.jpg and 3 more"
    assert group.example(group.splits) == "train/a/00.jpg = val/b/04.jpg and 3 more"
    (pair,) = data.duplicate_groups(photos([("train", "a", n, 10) for n in "12"]), near((0, 1)))
    assert pair.example(pair.classes) == "train/a/00.jpg ~ train/a/01.jpg"


def test_an_answer_is_about_all_copies_of_a_photo_in_its_class():
    held = photos([("train", name, "1", 10) for name in "aaabb"])
    (group,) = data.duplicate_groups(held, settled_P2=np.array([[1, 4]]))
    assert not group.is_conflict
    held = photos([("train", name, "1", 10) for name in "aaabc"])
    (group,) = data.duplicate_groups(held, settled_P2=np.array([[0, 3]]))
    open_pairs = data.open_pairs(held, group.rows, np.array([[0, 3]]))
    assert (group.is_conflict, list(open_pairs)) == (True, [(0, 4), (1, 4), (2, 4), (3, 4)])
    held = photos([("train", "a", "1", 10), ("val", "b", "2", 10), ("train", "b", "1", 10)])
    pairs = np.array([[0, 1], [0, 2], [2, 1]])
    assert data.is_parted(held, np.array([[2, 1]]), pairs).tolist() == [True, False, True]


def test_where_both_labels_are_right_one_photo_of_each_class_stays():
    held = photos(
        [
            ("train", "a", "1", 10),
            ("train", "b", "1", 10),
            ("train", "a", "1", 30),
            ("train", "b", "1", 20),
            ("partial", "make", "1", 90),
        ]
    )
    open_one = curate.choose_drops(held, data.duplicate_groups(held))
    assert (open_one.reasons, len(open_one.for_review)) == ({}, 1)
    drops = curate.choose_drops(held, data.duplicate_groups(held, settled_P2=np.array([[0, 1]])))
    assert drops.for_review == ()
    assert drops.reasons == {
        0: "same bytes as train/a/02.jpg",
        1: "same bytes as train/b/03.jpg",
        4: "same bytes as train/a/02.jpg",
    }


def test_a_flood_of_copies_with_an_answer_costs_no_pair_each():
    held = photos([("train", "ab"[n % 2], "1", 10) for n in range(20_000)])
    start = time.perf_counter()
    for pair, is_open in (([0, 2], True), ([0, 1], False)):
        (group,) = data.duplicate_groups(held, settled_P2=np.array([pair]))
        assert group.is_conflict == is_open
    assert time.perf_counter() - start < 2  # 100 million pairs take a minute and 10 GB


def test_a_chain_of_near_duplicates_is_no_group_of_all():
    held = photos([("train", "a", str(n), 10) for n in range(60)])
    groups = data.duplicate_groups(held, near(*((n, n + 1) for n in range(59))))
    assert max(len(group.rows) for group in groups) <= 3
    assert len(groups[:2]) == 2
    assert groups[-1].rows == list(groups)[-1].rows


def test_many_copies_of_one_photo_take_no_quadratic_time():
    start = time.monotonic()
    held = photos([("train", "a", "1", 10)] * 100_000)
    (group,) = data.duplicate_groups(held)
    assert len(group.links) == 99_999
    assert len(curate.choose_drops(held, [group]).reasons) == 99_999
    assert time.monotonic() - start < 20  # 1 s where this was written; quadratic: minutes
