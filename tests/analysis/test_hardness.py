from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from carscale.analysis import TrainSide
from carscale.analysis.hardness import count_forgotten, map_hardness


def side(prob_EM, right_EM):
    num = np.shape(prob_EM)[1]
    return TrainSide(
        ids_M=np.arange(num) * 2,
        paths_M=np.array([f"p{i}" for i in range(num)], dtype=object),
        labels_M=np.zeros(num, dtype=np.int64),
        dynamics=(np.asarray(prob_EM, dtype=np.float32), np.asarray(right_EM, dtype=bool)),
    )


@given(
    st.integers(1, 6).flatmap(
        lambda n: st.lists(
            st.lists(st.sampled_from([None, False, True]), min_size=n, max_size=n),
            min_size=1,
            max_size=8,
        )
    )
)
def test_forgetting_is_what_a_loop_over_epochs_counts(shown):
    right_EM = np.array([[one is True for one in row] for row in shown])
    was_shown_EM = np.array([[one is not None for one in row] for row in shown])
    wanted = []
    for column in zip(*shown, strict=True):
        seen = [one for one in column if one is not None]
        events = sum(a and not b for a, b in pairwise(seen))
        wanted.append(events if any(seen) else -1)
    assert count_forgotten(right_EM, was_shown_EM).tolist() == wanted


def test_regions_are_easy_ambiguous_and_hard():
    prob_EM = [[0.9, 0.1, 0.05, 0.95, 0.9, 0.4], [0.9, 0.9, 0.05, 0.95, 0.9, 0.45]]
    found = map_hardness(side(prob_EM, np.array(prob_EM) > 0.5))
    assert found.region_M.tolist()[1] == "ambiguous"
    assert found.region_M.tolist()[2] == "hard"
    assert found.region_M.tolist()[3] == "easy"
    assert (found.region_M == "ambiguous").sum() == 2
    assert found.confidence_M[:3].round(3).tolist() == [0.9, 0.5, 0.05]
    assert found.correctness_M.tolist() == [1, 0.5, 0, 1, 1, 0]
    assert found.variability_M.round(3).tolist() == [0, 0.4, 0, 0, 0, 0.025]
    assert found.num_epochs == 2


def test_what_never_changed_is_not_ambiguous():
    found = map_hardness(side([[0.9, 0.2, 0.7]], [[True, False, True]]))  # a single epoch
    assert found.region_M.tolist() == ["easy", "hard", "easy"]


def test_samples_that_were_never_shown_are_left_out():
    prob_EM = [[0.9, np.nan, np.nan], [np.nan, np.nan, 0.2]]
    found = map_hardness(side(prob_EM, np.zeros((2, 3))))
    assert found.ids_M.tolist() == [0, 4]
    assert found.confidence_M.round(3).tolist() == [0.9, 0.2]


def test_without_dynamics_there_is_no_map():
    train = TrainSide(np.arange(2), np.array(["a", "b"]), np.zeros(2, dtype=np.int64))
    assert map_hardness(train) is None
