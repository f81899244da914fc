import pytest

from connector.audio.arrivals import FIRST_GUESS_S, LONGEST_S, Arrivals

FRAME = 480
SECONDS = 0.01


def fed(lateness: list[float], start: float = 50.0) -> Arrivals:
    """Arrivals of one frame per 10 ms, each later than its time by so much."""
    arrivals = Arrivals()
    for place, late in enumerate(lateness):
        arrivals.note(start + (place + 1) * SECONDS + late, (place + 1) * FRAME, FRAME)
    return arrivals


def test_the_first_frames_are_given_a_guess() -> None:
    """Before anything is known, 5 ms of lateness are allowed for."""
    arrivals = fed([0.0])
    assert arrivals.latest == pytest.approx(50.0 + FIRST_GUESS_S)
    assert not arrivals.settled
    assert arrivals.last == pytest.approx(50.01)
    assert arrivals.frame == FRAME


def test_a_bunch_at_the_start_does_not_count() -> None:
    """A track's first frames that come late together, while its decoder starts, ask for no prefill."""
    bunched = [0.05 - place * SECONDS for place in range(5)]
    arrivals = fed(bunched + [0.0] * 10)
    assert arrivals.latest == pytest.approx(50.0 + FIRST_GUESS_S)
    assert arrivals.pauses == 0


def test_punctual_frames_need_no_prefill() -> None:
    """After two seconds of punctual frames nothing is allowed for any more."""
    arrivals = fed([0.0] * 250)
    assert arrivals.settled
    assert arrivals.spread == pytest.approx(0.0, abs=1e-6)
    assert arrivals.latest == pytest.approx(50.0)


def test_regular_lateness_is_allowed_for() -> None:
    """Frames that come 8 ms late every half second set the mark."""
    arrivals = fed([0.008 if place % 50 == 10 else 0.001 for place in range(500)])
    assert arrivals.spread == pytest.approx(0.007, abs=1e-6)
    assert arrivals.latest == pytest.approx(50.008)


def test_what_is_usual_is_what_nine_of_ten_keep() -> None:
    """One late frame in twenty moves only the latest, three in ten the usual too; a pause begins both anew."""
    rare = fed([0.003 if place % 20 == 10 else 0.001 for place in range(1_000)])
    assert rare.usual == pytest.approx(50.001, abs=0.0003)
    assert rare.latest == pytest.approx(50.003)
    often = fed([0.003 if place % 10 < 3 else 0.001 for place in range(1_000)])
    assert often.usual == pytest.approx(50.003, abs=0.0003)
    paused = fed([0.0] * 300 + [1.0])
    assert paused.usual == pytest.approx(51.0, abs=0.0001)


def test_one_hiccup_in_ten_seconds_does_not_count() -> None:
    """A single late frame is worth no longer delay."""
    arrivals = fed([0.04 if place == 300 else 0.0 for place in range(600)])
    assert arrivals.spread == pytest.approx(0.0, abs=1e-6)


def test_lateness_is_forgotten_after_ten_seconds() -> None:
    """When a busy spell is over, the mark comes down again."""
    arrivals = fed([0.01 * (place % 7 == 0) for place in range(500)] + [0.0] * 1_150)
    assert arrivals.spread == pytest.approx(0.0, abs=1e-6)


def test_the_mark_never_asks_for_more_than_60_ms() -> None:
    """However late frames come, no longer prefill is asked for."""
    arrivals = fed([0.09 * (place % 30 == 0) for place in range(600)])
    assert arrivals.spread == pytest.approx(LONGEST_S)


def test_a_source_that_stops_is_not_late() -> None:
    """A pause of a second begins the measuring anew."""
    arrivals = fed([0.0] * 300 + [1.0] * 10)
    assert arrivals.pauses == 1
    assert arrivals.latest == pytest.approx(51.0 + FIRST_GUESS_S)
    assert not arrivals.settled
