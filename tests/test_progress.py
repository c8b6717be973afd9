"""Bars where nobody looks: few lines, none of them empty."""

import io
import re
import sys

import pytest

from carscale import progress


class Clock:
    """Seconds that only a test moves."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def lines_of(capsys) -> list[str]:
    return capsys.readouterr().err.splitlines()


def test_lines_come_after_2_s_and_then_ever_more_seldom(capsys):
    clock, shown_at = Clock(), []
    with progress.bar("work", 4000, unit="photos", clock=clock) as advance:
        for second in range(1, 401):
            clock.now = 100.0 + second
            advance(10)
            shown_at += [second] * len(lines_of(capsys))
    assert shown_at == [2, 12, 32, 62, 102, 152, 212, 272, 332, 392]
    assert lines_of(capsys) == ["work  4000/4000 photos  100%  10 photos/s  in 0:06:40"]


def test_a_line_says_count_share_speed_time_left_and_text(capsys):
    clock = Clock()
    with progress.bar("train", 200, start=100, unit="steps", clock=clock) as advance:
        clock.now += 20
        advance(10, text="epoch 1.1  loss 0.5")
        assert lines_of(capsys) == [
            "train  110/200 steps  55%  0.50 steps/s  0:03:00 left  epoch 1.1  loss 0.5"
        ]


def test_a_total_may_come_late_or_never(capsys):
    clock = Clock()
    with progress.bar("decode", None, unit="photos", clock=clock) as advance:
        clock.now += 2
        advance(4)
        assert lines_of(capsys) == ["decode  4 photos  2.00 photos/s"]
        clock.now += 10
        advance(44, total=96)
        assert lines_of(capsys) == ["decode  48/96 photos  50%  4.00 photos/s  0:00:12 left"]


def test_a_short_bar_is_one_line(capsys):
    clock = Clock()
    with progress.bar("predict val", 8, unit="photos", clock=clock) as advance:
        for _ in range(8):
            clock.now += 0.2
            advance()
        assert lines_of(capsys) == []
    assert lines_of(capsys) == ["predict val  8/8 photos  100%  5.00 photos/s  in 0:00:02"]


def test_a_block_that_fails_leaves_how_far_it_came(capsys):
    def fail():
        with progress.bar("work", 5, clock=Clock()) as advance:
            advance(3)
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        fail()
    assert lines_of(capsys) == ["work  3/5  60%  in 0:00:00"]


def test_other_processes_and_empty_bars_are_quiet(capsys):
    with progress.bar("work", 5, show=False) as advance:
        advance(3, text="x", total=6)
    assert lines_of(capsys) == []
    with progress.bar("work", 0, clock=Clock()):
        pass
    assert lines_of(capsys) == ["work  0  in 0:00:00"]
    with progress.bar("export", None, clock=Clock()):  # of what nothing is counted
        pass
    assert lines_of(capsys) == ["export  in 0:00:00"]


def test_a_terminal_gets_a_drawn_bar_and_no_lines(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen, clock = Terminal(), Clock()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with progress.bar("work", 50, start=20, unit="photos", clock=clock) as advance:
        clock.now += 1000
        advance(5, text="epoch 1")
    assert "\x1b[" in screen.getvalue()
    assert "25/50" in screen.getvalue()
    assert not re.search(r"^work  25/50 photos", screen.getvalue(), re.M)


def test_a_stage_that_is_full_ends_before_other_bars_begin(capsys):
    with progress.stages(compare="pairs") as advance:
        for _ in range(2):
            advance("search", 3)
        for _ in range(2):
            advance("compare", 2)
        with progress.bar("predict", 1, unit="photos") as inner:
            inner()
        advance("write", 1)
    titles = [re.sub(r"  \d.*", "", line) for line in lines_of(capsys)]
    assert titles == ["search", "compare", "predict", "write"]
