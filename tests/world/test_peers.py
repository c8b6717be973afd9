"""Ranks that fall silent, leave, come back or never come, by a clock of the test's."""

import signal
import socket

import pytest

from carscale.errors import LostRankError
from carscale.world.peers import FIRST_LINE_S, Peers, interface_towards


class Store(dict):
    """A store of integers and bytes, as torch's; ``is_cut`` makes it fail as torch's does."""

    is_cut = False

    def add(self, key, number):
        if self.is_cut:
            raise RuntimeError("Connection reset by peer")
        self[key] = str(int(self.get(key, b"0")) + number).encode()
        return int(self[key])

    def set(self, key, value):
        self[key] = value.encode()

    def multi_get(self, keys):
        return [self[key] for key in keys]

    def get(self, key, default=None):
        return super().get(key, default)


@pytest.fixture
def world():
    """Three ranks that share a store and a clock; ``pass_s`` lets those named exchange."""
    now, store = [0.0], Store()
    asked = [0, 0, 0]
    peers = [
        Peers(
            rank,
            3,
            ("10.0.0.1", 29500),
            timeout_s=600,
            asked=lambda rank=rank: asked[rank],
            hear=lambda number, rank=rank: asked.__setitem__(rank, number),
            connect=lambda _: store,
            clock=lambda: now[0],
        )
        for rank in range(3)
    ]

    def pass_s(seconds, *beating):
        for _ in range(int(seconds)):
            now[0] += 1
            for rank in beating:
                peers[rank].exchange()

    return peers, store, asked, pass_s


def test_ranks_that_beat_are_not_named(world):
    peers, _, _, pass_s = world
    pass_s(700, 0, 1, 2)
    assert [peer.look() for peer in peers] == [[], [], []]


def test_a_silent_rank_is_named_ever_more_seldom_and_ends_the_others(world):
    peers, _, _, pass_s = world
    pass_s(3, 0, 1, 2)
    said = []
    for _ in range(590):
        pass_s(1, 0, 2)
        said += peers[0].look()
    host = socket.gethostname()
    assert [line.split(" s;")[0] for line in said] == [
        f"waiting for rank 1 ({host}), silent for {seconds}"
        for seconds in (15, 30, 60, 120, 240, 480)
    ]
    pass_s(15, 0, 2)
    for rank in (0, 2):
        with pytest.raises(LostRankError, match=rf"rank 1 \({host}\) was silent for 10 minutes"):
            peers[rank].look()


def test_a_rank_that_never_came_is_named(world):
    peers, _, _, pass_s = world
    pass_s(600, 0, 1)
    with pytest.raises(LostRankError, match="rank 2 did not come for 10 minutes"):
        peers[0].look()


def test_a_rank_that_comes_back_is_heard_again(world):
    peers, _, _, pass_s = world
    pass_s(3, 0, 1, 2)
    pass_s(FIRST_LINE_S + 1, 0, 2)
    assert len(peers[0].look()) == 1
    pass_s(590, 0, 1, 2)
    assert peers[0].look() == []
    pass_s(FIRST_LINE_S + 1, 0, 2)
    assert len(peers[0].look()) == 1  # and is named anew when it goes


def test_a_store_that_does_not_answer_is_rank_0s(world):
    peers, store, _, pass_s = world
    pass_s(3, 0, 1, 2)
    store.is_cut = True
    pass_s(600, 1, 2)
    with pytest.raises(LostRankError, match=r"rank 0 \(.*\) was silent .*\n.*10.0.0.1:29500"):
        peers[1].look()


def test_a_rank_that_beats_and_hangs_is_named_by_its_step(world):
    peers, _, _, pass_s = world
    for step in range(1, 6):
        for peer in peers:
            peer.reached(step)
        pass_s(3, 0, 1, 2)
    for rank in (0, 2):  # their photos are there; they wait for rank 1
        peers[rank].reached(6)
    pass_s(590, 0, 1, 2)
    assert [peer.look() for peer in peers] == [[], [], []]
    pass_s(15, 0, 1, 2)
    with pytest.raises(LostRankError, match=r"rank 1 \(.*\) has stood at step 5 for 10 minutes"):
        peers[0].look()


def test_a_rank_that_is_slow_but_goes_on_is_not_named(world):
    peers, _, _, pass_s = world
    for step in range(1, 4):
        for rank in (0, 2):
            peers[rank].reached(step)
        pass_s(500, 0, 1, 2)
        assert peers[0].look() == []
        peers[1].reached(step)
        pass_s(3, 0, 1, 2)
    pass_s(700, 0, 1, 2)  # all at the same step: they score, or rank 0 saves
    assert [peer.look() for peer in peers] == [[], [], []]


def test_a_rank_that_left_behind_the_others_is_not_named(world):
    peers, _, _, pass_s = world
    for peer in peers:
        peer.reached(1)
    pass_s(3, 0, 1, 2)
    peers[0].reached(2)
    peers[1].leave()
    peers[2].reached(2)
    pass_s(700, 0, 2)
    assert peers[0].look() == []


def test_a_rank_that_left_is_not_missed(world):
    peers, _, _, pass_s = world
    pass_s(3, 0, 1, 2)
    peers[1].leave()
    pass_s(700, 0, 2)
    assert peers[0].look() == []


def test_a_rank_that_left_one_world_is_missed_in_the_next(world):
    peers, store, _, pass_s = world
    pass_s(3, 0, 1, 2)
    for rank in range(3):
        peers[rank].leave()
        peers[rank] = Peers(
            rank,
            3,
            ("10.0.0.1", 29500),
            timeout_s=600,
            opening=1,
            connect=lambda _: store,
            clock=peers[rank]._clock,
        )
    pass_s(3, 0, 1, 2)
    pass_s(601, 0, 2)
    with pytest.raises(LostRankError, match=r"rank 1 \(.*\) was silent"):
        peers[0].look()


def test_what_one_rank_was_asked_the_others_hear(world):
    _, _, asked, pass_s = world
    pass_s(2, 0, 1, 2)
    asked[1] = signal.SIGTERM
    pass_s(2, 0, 1, 2)
    assert asked == [signal.SIGTERM] * 3


def test_the_interface_is_the_one_that_reaches_the_address():
    assert interface_towards("127.0.0.1") == "lo"
    assert interface_towards("no such host") is None
