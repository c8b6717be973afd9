"""Signals: the first asks, the second ends, a launcher's echo of the first does nothing."""

import os
import signal
import time

import pytest

from carscale.errors import Stopped
from carscale.world import stopping
from carscale.world.stopping import Listener, listening


def until(condition, seconds=5.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def signalled(number):
    os.kill(os.getpid(), number)
    time.sleep(5)


def agrees_to_stop():
    os.kill(os.getpid(), signal.SIGTERM)
    until(lambda: stopping.LISTENER[-1].asked)
    raise Stopped(signal.SIGTERM)


@pytest.fixture
def exits(monkeypatch):
    """Exit codes with which the process would have ended."""
    codes = []
    monkeypatch.setattr(os, "_exit", codes.append)
    return codes


@pytest.mark.parametrize("number", stopping.SIGNALS)
def test_outside_of_training_a_signal_stops_what_runs(number):
    with pytest.raises(Stopped) as stop, listening():
        signalled(number)
    assert stop.value.number == number


def test_what_was_before_is_back_afterwards():
    before = [signal.getsignal(number) for number in stopping.SIGNALS]
    with listening():
        assert signal.getsignal(signal.SIGTERM) != before[0]
    assert [signal.getsignal(number) for number in stopping.SIGNALS] == before
    assert signal.set_wakeup_fd(-1) == -1
    assert not stopping.LISTENER


def test_in_training_the_first_signal_asks_and_its_echo_does_nothing(exits):
    with listening(), stopping.LISTENER[-1].deferred():
        os.kill(os.getpid(), signal.SIGINT)
        until(lambda: stopping.LISTENER[-1].asked == signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)  # torchrun passes on what the terminal sent
        time.sleep(0.2)
        assert stopping.LISTENER[-1].asked == signal.SIGINT
    assert exits == []


def test_a_second_signal_ends_at_once(exits, monkeypatch):
    monkeypatch.setattr(stopping, "SAME_REQUEST_S", 0.1)
    with listening(), stopping.LISTENER[-1].deferred():
        os.kill(os.getpid(), signal.SIGTERM)
        until(lambda: stopping.LISTENER[-1].asked)
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGINT)
        until(lambda: exits)
    assert exits == [130]


def test_a_second_signal_does_not_tear_what_ends_already(exits, monkeypatch):
    monkeypatch.setattr(stopping, "SAME_REQUEST_S", 0.0)
    with listening():
        with pytest.raises(Stopped), stopping.LISTENER[-1].deferred():
            agrees_to_stop()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.2)
    assert exits == []


def test_a_process_that_was_asked_and_does_not_end_is_ended(exits, monkeypatch):
    monkeypatch.setattr(stopping, "GRACE_S", 0.1)
    monkeypatch.setattr(stopping, "TICK_S", 0.05)
    with listening():
        with pytest.raises(Stopped):
            signalled(signal.SIGTERM)
        until(lambda: exits)
    assert exits[0] == 143


def test_only_a_launched_process_misses_its_launcher(monkeypatch):
    monkeypatch.delenv("ACCELERATE_DYNAMO_BACKEND", raising=False)
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    assert Listener()._launcher == 0  # nohup python recipe.py &
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    assert Listener()._launcher == os.getppid()
