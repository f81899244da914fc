"""The reply's time in the room goes on through pauses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.audio.frames import TICK_SAMPLES, TICK_SECONDS
from connector.audio.timeline import FILL_S, ReplyTimeline


class Room:
    """A timeline with a clock, and the count of what was pushed."""

    def __init__(self) -> None:
        self.timeline = ReplyTimeline()
        self.now = 100.0
        self.pushed = 0

    def tick(self, *, speaks: bool) -> int:
        """One tick, with or without a packet of the agent; returns the pieces of silence pushed."""
        if speaks:
            self.timeline.pushed(TICK_SAMPLES, self.now)
            self.pushed += 1
        due = self.timeline.due(self.now)
        assert all(len(piece) == TICK_SAMPLES and not piece.any() for piece in due)
        self.pushed += len(due)
        self.now += TICK_SECONDS
        return len(due)


def test_before_the_first_word_nothing_is_pushed() -> None:
    """A track without a past cannot fall behind."""
    room = Room()
    assert [room.tick(speaks=False) for _ in range(50)] == [0] * 50


def test_a_flowing_reply_gets_no_silence() -> None:
    """While the agent speaks nothing is put between its words."""
    room = Room()
    assert [room.tick(speaks=True) for _ in range(50)] == [0] * 50


@given(st.lists(st.tuples(st.integers(1, 100), st.integers(1, 400)), min_size=1, max_size=6))
def test_pushed_audio_keeps_step_with_time(turns: list[tuple[int, int]]) -> None:
    """However speech and pauses follow each other, a pause costs the reply at most one tick of its time."""
    room = Room()
    for pauses, (spoken, pause) in enumerate(turns, 1):
        for speaks in (*[True] * spoken, *[False] * pause):
            room.tick(speaks=speaks)
            elapsed = round((room.now - 100) / TICK_SECONDS)
            assert -pauses <= room.pushed - elapsed <= 1


def test_a_long_pause_costs_nothing_in_the_end() -> None:
    """Ten seconds after the last word the filling ends, until the agent speaks again."""
    room = Room()
    room.tick(speaks=True)
    filled = [room.tick(speaks=False) for _ in range(1000)]
    assert sum(filled) * TICK_SECONDS == pytest.approx(FILL_S, abs=3 * TICK_SECONDS)
    assert filled[-400:] == [0] * 400
    room.tick(speaks=True)
    assert sum(room.tick(speaks=False) for _ in range(10)) >= 8


def test_a_stall_is_made_up_for_within_a_bound() -> None:
    """After ticks that came late the missing silence is pushed at once, at most 100 ms, the rest is given up."""
    room = Room()
    room.tick(speaks=True)
    room.now += 0.07
    assert 3 <= room.tick(speaks=False) <= 5
    room.now += 2.0
    assert room.tick(speaks=False) == 5
    assert room.tick(speaks=False) == 1
