"""What the long scenarios conclude from what people heard."""

from pathlib import Path

import numpy as np
import pytest

from bench.live.heard import Heard, first_audible, last_audible, levels_of, load, overlap, save, spans_of

LOUD, QUIET = -15.0, -90.0


def heard(levels: list[float], *, begin: float = 100.0, participant: str = "PA_1") -> Heard:
    """Windows of 10 ms without a pause between them."""
    return Heard(
        "TR_" + participant,
        participant,
        np.array([begin + 0.01 * place for place in range(len(levels))]),
        np.array(levels),
    )


@pytest.mark.parametrize(("windows", "found"), [(0, []), (1, []), (6, []), (7, [0.07]), (50, [0.5])])
def test_a_silence_of_more_than_60_ms_is_a_gap(windows: int, found: list[float]) -> None:
    """Six quiet windows are none, seven are one, of their length."""
    track = heard([LOUD] * 20 + [QUIET] * windows + [LOUD] * 20)
    assert track.gaps(99.9, 100.0 + 0.01 * (40 + windows)) == pytest.approx(found)


def test_a_track_that_stops_or_never_was_is_a_gap() -> None:
    """When nothing comes any more, or nothing came at all, the rest of the time is a gap."""
    track = heard([LOUD] * 100)
    assert track.gaps(100.0, 103.0) == pytest.approx([2.01])
    assert track.gaps(200.0, 203.0) == [3.0]


def test_windows_that_come_late_are_no_gap() -> None:
    """A stall of 0.3 s in their delivery, with all of them there afterwards, is not heard."""
    times = np.concatenate([100 + 0.01 * np.arange(50), 100.8 + 0.001 * np.arange(50)])
    assert Heard("TR", "PA", times, np.full(100, LOUD)).gaps(100.0, 100.9) == []


def test_the_first_and_the_last_sound() -> None:
    """They are found across tracks, from a time on or before it; one participant may be left out."""
    tracks = [heard([QUIET, LOUD, LOUD]), heard([QUIET, LOUD], begin=105, participant="PA_2")]
    assert first_audible(tracks, 0) == pytest.approx(100.01)
    assert first_audible(tracks, 0, but="PA_1") == pytest.approx(105.01)
    assert first_audible(tracks, 106) is None
    assert last_audible(tracks) == pytest.approx(105.01)
    assert last_audible(tracks, 104) == pytest.approx(100.02)


@pytest.mark.parametrize(("begin", "shared"), [(100.5, 0.49), (100.99, 0.0), (101.5, 0.0)])
def test_two_agents_at_once(begin: float, shared: float) -> None:
    """The time for which two participants are audible at once is found; one after the other is none."""
    tracks = [heard([LOUD] * 100), heard([LOUD] * 100, begin=begin, participant="PA_2")]
    assert overlap(tracks) == pytest.approx(shared, abs=1e-6)


def test_two_tracks_of_one_participant_are_one_agent() -> None:
    """A track that is published anew is no second agent; neither is nobody."""
    assert overlap([heard([LOUD] * 100), heard([LOUD] * 100)]) == 0
    assert overlap([]) == 0


def test_spans_end_at_gaps() -> None:
    """Sound on both sides of a gap makes two spans."""
    track = heard([LOUD] * 10 + [QUIET] * 10 + [LOUD] * 5)
    assert [pytest.approx(span) for span in spans_of(track.audible_at)] == [(100.0, 100.09), (100.2, 100.24)]


def test_levels() -> None:
    """A full-scale square wave has 0 dBFS, silence is far below everything, what fills no window is left out."""
    samples = np.concatenate([np.full(480, 32_767), np.zeros(480), np.full(100, 32_767)]).astype(np.int16)
    assert levels_of(samples, 480) == [pytest.approx(0, abs=0.01), pytest.approx(-150, abs=1)]


def test_what_was_heard_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Tracks keep their names, times and levels, one without a window too; so does nothing."""
    tracks = [heard([LOUD, QUIET]), heard([], participant="PA_2"), heard([LOUD], begin=7, participant="PA_3")]
    save(tmp_path / "heard.npz", tracks)
    read = load(tmp_path / "heard.npz")
    assert [(track.sid, track.participant) for track in read] == [(track.sid, track.participant) for track in tracks]
    assert [list(track.times) for track in read] == [list(track.times) for track in tracks]
    assert [list(track.levels) for track in read] == [list(track.levels) for track in tracks]
    save(tmp_path / "nothing.npz", [])
    assert load(tmp_path / "nothing.npz") == []
