import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st
from tables_of import classes_of, plain_classes

from carscale.analysis.confusions import find_confusions

ANSWERS = st.integers(1, 8).flatmap(
    lambda k: st.tuples(
        st.just(k), st.lists(st.tuples(st.integers(0, k - 1), st.integers(0, k - 1)), max_size=80)
    )
)


def whole(found, num_classes):
    counts_KK = np.zeros((num_classes, num_classes), dtype=np.int64)
    counts_KK[found.true_C, found.predicted_C] = found.count_C
    return counts_KK


@given(ANSWERS)
def test_cells_are_scikit_learns_matrix_and_pairs_add_up(case):
    num_classes, answers = case
    labels, guess = np.array(answers, dtype=np.int64).reshape(-1, 2).T
    found = find_confusions(labels, guess, plain_classes(num_classes))
    counts_KK = whole(found, num_classes)
    if num_classes > 1 and len(labels):  # scikit-learn warns of one class
        wanted = sklearn.metrics.confusion_matrix(labels, guess, labels=range(num_classes))
        assert np.array_equal(counts_KK, wanted)
    assert sum(pair.total for pair in found.pairs) == (labels != guess).sum()
    for pair in found.pairs:
        assert pair.first_as_second == counts_KK[pair.first, pair.second]
        assert pair.second_as_first == counts_KK[pair.second, pair.first]
        assert pair.first_as_second >= pair.second_as_first
        assert (pair.first_support, pair.second_support) == (
            counts_KK[pair.first].sum(), counts_KK[pair.second].sum(),
        )  # fmt: skip
    totals = [pair.total for pair in found.pairs]
    assert totals == sorted(totals, reverse=True)
    assert sorted(found.order_K.tolist()) == list(range(num_classes))
    assert found.blocks == ()


def test_chance_shares_out_all_mistakes_by_how_common_classes_are():
    rng = np.random.default_rng(0)
    labels = rng.choice(6, size=900, p=[0.3, 0.3, 0.1, 0.1, 0.1, 0.1])
    guess = np.where(rng.random(900) < 0.5, labels, rng.integers(6, size=900))
    found = find_confusions(labels, guess, plain_classes(6))
    assert len(found.pairs) == 15  # all of them, so that nothing is missing in the sum
    assert sum(pair.chance for pair in found.pairs) == pytest.approx((labels != guess).sum())
    support = np.bincount(labels)
    missed = np.bincount(labels[labels != guess])
    pair = next(pair for pair in found.pairs if {pair.first, pair.second} == {0, 3})
    wanted = missed[0] * (support[3] + 0.5) / (900 - support[0] + 2.5)  # half a photo each
    wanted += missed[3] * (support[0] + 0.5) / (900 - support[3] + 2.5)
    assert pair.chance == pytest.approx(wanted)


def test_a_mistake_for_a_class_that_the_split_lacks_is_no_wonder():
    labels = np.repeat([0, 1, 2], 40)
    guess = labels.copy()
    guess[:3] = 3, 3, 1
    pairs = find_confusions(labels, guess, plain_classes(4)).pairs
    (rare,) = [pair for pair in pairs if {pair.first, pair.second} == {0, 3}]
    assert rare.chance > 0
    assert rare.p > 0.001
    alone = find_confusions(np.zeros(9, int), np.ones(9, int), plain_classes(2)).pairs
    assert alone[0].chance == pytest.approx(9)
    assert alone[0].p > 0.5


def test_blind_mistakes_are_no_look_alikes():
    rng = np.random.default_rng(1)
    labels = rng.integers(20, size=4000)
    guess = np.where(rng.random(4000) < 0.7, labels, rng.integers(20, size=4000))
    found = find_confusions(labels, guess, plain_classes(20))
    assert min(pair.p for pair in found.pairs) > 0.05


def test_a_planted_pair_stands_out_and_its_direction_is_named():
    labels = np.repeat(np.arange(10), 50)
    guess = labels.copy()
    rng = np.random.default_rng(2)
    blind = rng.choice(500, 40, replace=False)
    guess[blind] = rng.integers(10, size=40)
    guess[100:120], guess[150:165] = 3, 2  # 2 and 3 for each other
    guess[350:365] = 8  # 7 for 8, never back
    guess[400:450] = np.where(guess[400:450] == 7, 8, guess[400:450])
    best, second = find_confusions(labels, guess, plain_classes(10)).pairs[:2]
    assert {best.first, best.second} == {2, 3}
    assert best.kind == "two-way"
    assert best.p < 1e-3
    assert (second.first, second.second, second.kind) == (7, 8, "one-way")


def test_directions_are_judged_by_rate_not_by_count():
    labels = np.repeat([0, 1], [300, 30])
    guess = labels.copy()
    guess[:40], guess[300:304] = 1, 0  # 13 % both ways
    (pair,) = find_confusions(labels, guess, plain_classes(2)).pairs
    assert pair.kind == "two-way"


def test_classes_stand_by_make_and_then_by_similarity():
    classes = classes_of(
        "BMW M3 Coupe 2010", "audi A4 Sedan 2010", "audi A6 Sedan 2010", "BMW X5 SUV 2010",
        "audi TT Coupe 2010", "audi A4 Sedan 2012",
    )  # fmt: skip
    labels = np.repeat(np.arange(6), 20)
    guess = labels.copy()
    guess[20:30] = 5  # the two A4
    guess[40:45] = 4  # A6 and TT
    found = find_confusions(labels, guess, classes)
    assert found.blocks == (("audi", 0, 4), ("BMW", 4, 6))
    place = np.argsort(found.order_K)
    assert abs(place[1] - place[5]) == 1
    assert abs(place[2] - place[4]) == 1


def test_one_class_and_no_samples_are_fine():
    none = np.empty(0, dtype=np.int64)
    assert find_confusions(none, none, plain_classes(1)).pairs == ()
    zeros = np.zeros(5, dtype=np.int64)
    found = find_confusions(zeros, zeros, plain_classes(1))
    assert found.count_C.tolist() == [5]


def test_two_thousand_classes_with_makes_stay_quick_and_complete():
    rng = np.random.default_rng(3)
    classes = classes_of(*(f"M{k % 40} x{k} Sedan 2010" for k in range(2000)))
    labels = rng.integers(2000, size=100_000)
    guess = np.where(rng.random(100_000) < 0.8, labels, rng.integers(2000, size=100_000))
    found = find_confusions(labels, guess, classes)
    assert found.count_C.sum() == 100_000
    assert len(found.blocks) == 40
    assert sorted(found.order_K.tolist()) == list(range(2000))
