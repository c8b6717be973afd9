"""Which synthetic photos are planned: how many, of which parents, the same in every version."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from carscale import data, synth
from carscale.errors import ConfigError
from carscale.synth import SynthRule, uniform_classes


@pytest.fixture(scope="module")
def train(tiny):
    return data.read_splits(tiny).train


def test_rare_classes_are_filled_up_to_the_median(train):
    counts = train.counts_K
    wanted = synth.wanted_photos(train, SynthRule("viewpoint"))
    median = np.median(counts)
    for label, count in enumerate(counts.tolist()):
        lacking = max(0, int(np.ceil(median - count)))
        assert wanted.get(label, 0) == min(lacking, 3 * count)
    assert wanted


def test_a_number_a_class_and_a_ratio(train):
    name = train.classes[0].name
    rule = SynthRule("degrade", (name,), per_class=100, max_ratio=0.5)
    assert synth.wanted_photos(train, rule) == {0: int(0.5 * train.counts_K[0])}


def test_a_kind_that_is_none_is_refused():
    with pytest.raises(ConfigError, match="kind 'unifrom': must be one of rare, uniform"):
        SynthRule("degrade", kind="unifrom").check()


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        (SynthRule("degrade", ("Lada Niva",)), "--classes Lada Niva: no class of"),
        (SynthRule("viewpoint", max_ratio=0.01), "--max-ratio 0.01 leaves no photo to any class"),
    ],
)
def test_what_can_not_be_wanted(train, rule, told):
    with pytest.raises(ConfigError, match=told):
        synth.wanted_photos(train, rule)


def test_a_class_that_is_not_rare_or_has_no_photo_says_what_to_type(train):
    largest = train.classes[int(train.counts_K.argmax())].name
    with pytest.raises(
        ConfigError, match=r"none of the classes asked for has fewer.*\n.*--per-class 20"
    ):
        synth.wanted_photos(train, SynthRule("degrade", (largest,)))
    none_of_it = replace(train, labels_N=np.maximum(1, train.labels_N))
    first = SynthRule("degrade", (train.classes[0].name, largest), per_class=5)
    with pytest.raises(ConfigError, match=r"has no train photo.*\n.*carscale data merge"):
        synth.wanted_photos(none_of_it, first)


def appearance(rng, num, spread):
    """What photos measure whose logarithms differ by a spread."""
    return np.array([110, 50, 0.8, 60]) * np.exp(spread * rng.standard_normal((num, 4)))


def test_classes_of_one_kind_are_those_whose_photos_hardly_differ():
    rng = np.random.default_rng(0)
    spreads = [(40, 0.3), (12, 0.06), (8, 0.05), (7, 0.0), (30, 0.25)]
    labels = np.repeat(np.arange(5), [num for num, _ in spreads])
    measured = np.concatenate([appearance(rng, num, spread) for num, spread in spreads])
    measured[:3, 0] = np.nan
    assert uniform_classes(labels, measured) == [1, 2]  # of class 3 there are too few to say
    mixed = rng.permutation(len(labels))
    assert uniform_classes(labels[mixed], measured[mixed]) == [1, 2]
    assert uniform_classes(labels[:0], measured[:0]) == []


def test_their_variance_is_a_quarter_of_the_variance_within_all_classes():
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 40, 600)
    spread = rng.uniform(0.1, 0.5, 40)[labels, None]
    measured = np.exp(3 + spread * rng.standard_normal((600, 4)))
    measured[:, 3] = 7.0  # grey photos: it can't differ
    logs = np.log1p(measured[:, :3])
    groups = {label: logs[labels == label] for label in range(40)}
    within = sum(len(rows) * rows.var(axis=0) for rows in groups.values()) / (600 - 40)
    wanted = [
        label
        for label, rows in groups.items()
        if len(rows) >= 8 and (rows.var(axis=0, ddof=1) / within).mean() <= 0.25
    ]
    assert uniform_classes(labels, measured) == wanted
    assert 3 < len(wanted) < 37
    assert uniform_classes(labels, np.ones((600, 4))) == []


def test_few_classes_are_taken_for_one_kind_by_chance():
    rng = np.random.default_rng(1)
    labels = np.repeat(np.arange(2000), 8)
    assert len(uniform_classes(labels, appearance(rng, len(labels), 0.3))) <= 2


def test_classes_of_one_kind_get_as_many_photos_as_they_have(train):
    rule = SynthRule("degrade")
    made = np.zeros(len(train), bool)
    made[np.flatnonzero(train.labels_N == 2)[0]] = True
    count = int(train.counts_K[2])
    assert count > 2
    assert synth.wanted_photos(train, rule, made, [2]) == {2: count - 2}  # real, but the one made
    assert synth.wanted_photos(train, replace(rule, per_class=1), made, [2]) == {2: 1}
    with pytest.raises(ConfigError, match=r"has them all of one kind.*\n.*--classes rare"):
        synth.wanted_photos(train, rule, made)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"method": "paint"}, "--method paint: must be one of background, viewpoint"),
        ({"per_class": 0}, "--per-class 0: must be 1 or more"),
        ({"max_ratio": float("nan")}, "--max-ratio nan: must be above 0"),
    ],
)
def test_a_rule_that_makes_no_sense(words, told):
    with pytest.raises(ConfigError, match=told):
        replace(SynthRule("degrade"), **words).check()


def test_parents_take_turns_and_filters_have_some_to_spare(train):
    rule = SynthRule("viewpoint", per_class=6)
    planned = synth.plan_photos(train, rule, {0: 6})
    assert len(planned) == 9
    assert {int(train.labels_N[photo.row]) for photo in planned} == {0}
    turns = Counter(photo.row for photo in planned)
    assert max(turns.values()) - min(turns.values()) <= 1
    assert len({str(photo.parameters) for photo in planned}) == 9
    some = synth.plan_photos(train, rule, {0: 6}, usable=[planned[0].row])
    assert [(one.row, one.number) for one in some] == [(planned[0].row, n) for n in range(9)]


def test_a_photos_parameters_depend_on_its_parent_alone(train):
    """Another version of the data has other rows and more photos, and makes the same ones."""
    rule = SynthRule("degrade", per_class=4)
    rows = np.flatnonzero(train.labels_N == 0)[:2]
    fewer = replace(
        train,
        ids_N=train.ids_N[rows], keys_N=train.keys_N[rows], paths_N=train.paths_N[rows],
        labels_N=train.labels_N[rows], sizes_N2=train.sizes_N2[rows],
    )  # fmt: skip

    def by_key(split, planned):
        return {(split.keys_N[one.row], one.number): one.parameters for one in planned}

    whole = by_key(train, synth.plan_photos(train, rule, {0: 40}))
    part = by_key(fewer, synth.plan_photos(fewer, rule, {0: 4}))
    assert part.items() <= whole.items()


def test_a_ground_is_of_another_class_and_its_car_is_covered(train):
    masks = {}
    for row in range(len(train)):
        masks[row] = np.zeros((60, 90), bool)
        masks[row][20 : 40 + row % 8, 20:70] = True
    rule = SynthRule("background", per_class=5)
    planned = synth.plan_photos(train, rule, {0: 5}, list(masks))
    placed = synth.choose_grounds(train, rule, planned, masks)
    assert placed
    for photo in placed:
        assert train.labels_N[photo.ground] != train.labels_N[photo.row]
        assert photo.parameters.keys() == {"scale", "left", "top"}
    one = synth.plan_photos(train, rule, {0: 20}, list(masks)[:1])
    grounds = [photo.ground for photo in synth.choose_grounds(train, rule, one, masks)]
    assert len(grounds) > 2
    assert len(set(grounds)) == len(grounds)  # the same car twice on one would be the same photo
    equal = dict.fromkeys(masks, next(iter(masks.values())))
    times = Counter(photo.ground for photo in synth.choose_grounds(train, rule, planned, equal))
    assert max(times.values()) == 1  # where many are as good, each is taken before one again
    alone = {row: mask for row, mask in masks.items() if train.labels_N[row] == 0}
    assert synth.choose_grounds(train, rule, planned, alone) == []


def test_a_class_with_synthetic_photos_gets_fewer(train):
    is_made = (train.labels_N == 0) & (np.arange(len(train)) % 2 == 0)
    real, made = int((~is_made & (train.labels_N == 0)).sum()), int(is_made.sum())
    rule = SynthRule("degrade", (train.classes[0].name,), per_class=1000, max_ratio=2.0)
    assert synth.wanted_photos(train, rule, is_made) == {0: 2 * real - made}
