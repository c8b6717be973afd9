"""Which photos of a source join, rule by rule, and that each has its reason."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carscale import images
from carscale.curate import BasePhotos, ClassTarget, MergeRule, SourcePhotos, decide
from carscale.errors import ConfigError

RNG = np.random.default_rng(0)
SIDE = images.SIGNATURE_PX


def looks(count: int) -> np.ndarray:
    """Photos of which none resembles another."""
    small = RNG.integers(0, 256, (count, 8, 8)).astype(np.float64)
    return np.kron(small, np.ones((SIDE // 8, SIDE // 8))).astype(np.uint8)


def noisy(photos: np.ndarray) -> np.ndarray:
    return np.clip(photos + RNG.normal(0, 1, photos.shape), 0, 255).astype(np.uint8)


def as_photo(signature_SS: np.ndarray) -> bytes:
    """A grey copy as a photo of its own."""
    return images.encode_png(signature_SS.repeat(4, 0).repeat(4, 1)[..., None].repeat(3, axis=2))


BASE_LOOKS = looks(6)
BASE = BasePhotos(
    paths_N=np.array(["train/a/0", "train/a/1", "train/b/2", "val/a/3", "test/b/4", "train/b/5"]),
    splits_N=np.array(["train", "train", "train", "val", "test", "train"]),
    classes_N=np.array(["a", "a", "b", "a", "b", "b"]),
    content_N=np.array([f"c{n}" for n in range(6)]),
    originals_N=np.array([f"o{n}" for n in range(6)]),
    keys_N=np.array([f"c{n}-0" for n in range(6)]),
    cars_N=np.array([f"c{n}-0" for n in range(6)]),
    groups_N=np.array(["g", "", "", "", "", "g"]),
    hashes_N=images.perceptual_hashes(BASE_LOOKS),
    signatures_NSS=BASE_LOOKS,
    read=lambda row: as_photo(BASE_LOOKS[row]),
)
GOALS = {
    "A": ClassTarget("match", "a"),
    "B": ClassTarget("match", "b"),
    "N": ClassTarget("new", "n"),
    "M": ClassTarget("make", "Toyota"),
    "S": ClassTarget("skip"),
}


def incoming(
    classes: list[str], photos: np.ndarray, content: list[str] | None = None
) -> SourcePhotos:
    names = content or [f"s{n}" for n in range(len(classes))]
    return SourcePhotos(
        paths_M=[f"{name}/{n}.jpg" for n, name in enumerate(classes)],
        classes_M=classes,
        content_M=names,
        originals_M=[f"x{name}" for name in names],
        hashes_M=images.perceptual_hashes(photos),
        signatures_MSS=photos,
        read=lambda row: as_photo(photos[row]),
        parents_M=[()] * len(classes),
    )


def test_a_photo_goes_where_the_map_says():
    found = decide(BASE, incoming(["A", "B", "N", "M", "S"], looks(5)), GOALS, MergeRule())
    assert [(one.split, one.class_name) for one in found] == [
        ("train", "a"), ("train", "b"), ("train", "n"), ("", ""), ("", ""),
    ]  # fmt: skip
    assert found[3].reason == "only its make is known: Toyota"
    assert found[4].reason == "the map skips its class"


def test_photos_of_a_make_are_kept_when_asked():
    found = decide(BASE, incoming(["M"], looks(1)), GOALS, MergeRule(make_only="keep"))
    assert (found[0].split, found[0].class_name) == ("partial", "Toyota")


def test_a_test_of_its_own_takes_known_classes_only():
    rule = MergeRule(as_split="test_web", make_only="keep")
    found = decide(BASE, incoming(["A", "N", "M"], looks(3)), GOALS, rule)
    assert [one.split for one in found] == ["test_web", "", ""]
    assert found[1].reason == "the base has no class n"


@pytest.mark.parametrize("column", ["content_M", "originals_M"])
def test_the_same_bytes_as_in_the_base_stay_out(column):
    source = incoming(["A", "A"], looks(2))
    getattr(source, column)[1] = "c4" if column == "content_M" else "o4"
    found = decide(BASE, source, GOALS, MergeRule())
    assert [one.split for one in found] == ["train", ""]
    told = "same bytes as test/b/4, which is no a: one of both labels is wrong"
    assert found[1].reason == told


def test_near_duplicates_stay_out_and_those_of_train_may_be_kept():
    source = incoming(["A"] * 4, np.concatenate([noisy(BASE_LOOKS[[0, 3, 4]]), looks(1)]))
    found = decide(BASE, source, GOALS, MergeRule())
    assert [one.split for one in found] == ["", "", "", "train"]
    assert found[0].reason.startswith("nearly the same as train/a/0 (")
    kept = decide(BASE, source, GOALS, MergeRule(near_train="keep"))
    assert [one.split for one in kept] == ["train", "", "", "train"]
    as_test = decide(BASE, source, GOALS, MergeRule(near_train="keep", as_split="test_x"))
    assert [one.split for one in as_test] == ["", "", "", "test_x"]


@pytest.mark.parametrize("order", [[0, 1, 2, 0, 4, 5], [3, 1, 2, 0, 4, 0], [0, 1, 2, 0, 4, 0]])
def test_a_photo_near_train_and_val_counts_as_near_val(order):
    base = BasePhotos(
        **{
            **vars(BASE),
            "hashes_N": images.perceptual_hashes(BASE_LOOKS[order]),
            "signatures_NSS": BASE_LOOKS[order],
            "read": lambda row: as_photo(BASE_LOOKS[order][row]),
        }
    )
    source = incoming(["A"], noisy(BASE_LOOKS[[0]]))
    found = decide(base, source, GOALS, MergeRule(near_train="keep"))
    assert "val/a/3" in found[0].reason


def test_a_photo_that_train_and_val_share_is_one_of_val():
    base = BasePhotos(
        **{
            **vars(BASE),
            "content_N": np.array(["c0", "c1", "c2", "c0", "c4", "c5"]),
            "hashes_N": images.perceptual_hashes(BASE_LOOKS[[0, 1, 2, 0, 4, 5]]),
            "signatures_NSS": BASE_LOOKS[[0, 1, 2, 0, 4, 5]],
        }
    )
    source = incoming(["A"], noisy(BASE_LOOKS[[0]]))
    (found,) = decide(base, source, GOALS, MergeRule(near_train="keep"))
    assert "val/a/3" in found.reason


def test_twins_within_the_source_join_once_and_torn_ones_never():
    photos = looks(3)[[0, 0, 1, 1, 2]]
    source = incoming(["A", "A", "A", "B", "B"], photos, ["t", "t", "u", "u", "v"])
    found = decide(BASE, source, GOALS, MergeRule())
    assert [one.split for one in found] == ["train", "", "", "", "train"]
    assert found[1].reason == "same bytes as A/0.jpg there"
    assert found[2].reason == found[3].reason == "the source has the same bytes in a and b"


def test_a_twin_of_which_the_class_is_known_beats_one_with_a_make():
    photos = looks(1)[[0, 0]]
    source = incoming(["M", "A"], photos, ["t", "t"])
    found = decide(BASE, source, GOALS, MergeRule(make_only="keep"))
    assert [(one.split, one.class_name) for one in found] == [("", ""), ("train", "a")]
    assert found[0].reason == "same bytes as A/1.jpg there"


def test_near_twins_within_the_source_join_in_one_group():
    photos = looks(2)
    source = incoming(["A", "A", "A"], np.concatenate([photos, noisy(photos[[0]])]))
    found = decide(BASE, source, GOALS, MergeRule())
    assert [one.split for one in found] == ["train"] * 3
    assert found[0].group == found[2].group != ""
    assert found[1].group == ""


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.sampled_from("ABNMS"), min_size=1, max_size=40),
    st.integers(1, 6) | st.none(),
    st.sampled_from([0.5, 1.0, 2.5]) | st.none(),
    st.integers(0, 3),
)
def test_caps_hold_and_leave_out_no_more_than_they_must(classes, most, ratio, seed):
    source = incoming(classes, looks(len(classes)))
    rule = MergeRule(max_per_class=most, max_ratio=ratio, seed=seed)
    found = decide(BASE, source, GOALS, rule)
    assert found == decide(BASE, source, GOALS, rule)
    wanted = Counter(GOALS[name].name for name in classes if name in "ABN")
    joined = Counter(one.class_name for one in found if one.split)
    for name, count in wanted.items():
        caps = [count]
        caps += [most] if most is not None else []
        in_train = {"a": 2, "b": 2}.get(name)
        caps += [int(ratio * in_train)] if ratio is not None and in_train else []
        assert joined[name] == min(caps)
    assert all(one.reason or one.split for one in found)


def test_a_source_class_has_a_cap_of_its_own():
    targets = GOALS | {"A": ClassTarget("match", "a", max_photos=2)}
    found = decide(BASE, incoming(["A"] * 5 + ["B"] * 5, looks(10)), targets, MergeRule())
    assert Counter(one.class_name for one in found if one.split) == {"a": 2, "b": 5}
    assert {one.cause for one in found if not one.split} == {"cap"}


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (MergeRule(as_split="val"), "--as val"),
        (MergeRule(as_split="test_a/b"), "--as test_a/b"),
        (MergeRule(max_per_class=0), "--max-per-class 0"),
        (MergeRule(max_ratio=float("nan")), "--max-ratio nan"),
        (MergeRule(max_ratio=float("inf")), "--max-ratio inf"),
        (MergeRule(make_only="yes"), "--make-only yes"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(rule, says):
    with pytest.raises(ConfigError, match=says):
        rule.check()


def test_a_synthetic_photo_may_be_like_the_one_that_shows_its_car():
    """But not that one again, nor like any other, nor like one that is held out."""
    source = incoming(["A"] * 4, noisy(BASE_LOOKS[[0, 5, 2, 3]]))
    of_first = replace(source, parents_M=[("c0-0",)] * 4)  # rows 0 and 5 of the base are one group
    found = decide(BASE, of_first, GOALS, MergeRule(max_parent=1.0))
    assert [one.split for one in found] == ["train", "train", "", ""]
    siblings = replace(BASE, cars_N=np.array(["c0-0", "x", "c0-0", "x", "x", "x"]))
    found = decide(siblings, of_first, GOALS, MergeRule(max_parent=1.0))
    assert [one.split for one in found] == ["train", "train", "train", ""]
    again = decide(BASE, of_first, GOALS, MergeRule())
    assert [one.split for one in again] == [""] * 4
    assert again[0].reason.startswith("nearly the same as train/a/0 (")


def test_a_judge_is_asked_of_what_is_left_before_the_caps():
    asked = []

    def judge(rows):
        asked.append(dict(rows))
        return {min(rows): ("class", "no car")}

    source = incoming(["S", "A", "A", "A"], looks(4))
    rule = MergeRule(max_per_class=2)
    found = decide(BASE, source, GOALS, rule, judge=judge)
    assert asked == [{1: "a", 2: "a", 3: "a"}]
    assert (found[1].cause, found[1].reason) == ("class", "no car")
    assert [one.split for one in found] == ["", "", "train", "train"]


@pytest.mark.parametrize("keys", [("c3-0",), ("c0-0", "c4-0")])
def test_a_photo_made_of_one_that_is_held_out_stays_out(keys):
    source = replace(incoming(["A", "A"], looks(2)), parents_M=[keys, ("c0-0",)])
    found = decide(BASE, source, GOALS, MergeRule())
    assert [one.split for one in found] == ["", "train"]
    assert found[0].cause == "parent held out"
    assert found[0].reason.endswith(", which is held out")
