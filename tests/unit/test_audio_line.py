import numpy as np

from connector.audio.frames import Samples
from connector.audio.line import SampleLine
from connector.audio.timescale import MAX_LAG


def ramp(count: int, start: int = 0) -> Samples:
    return np.arange(start, start + count, dtype=np.int16)


def test_samples_leave_in_the_order_they_came() -> None:
    """What is appended in pieces is taken in other pieces, nothing lost, at most what is there."""
    line = SampleLine()
    for start in (0, 100, 200):
        line.append(ramp(100, start))
    assert len(line) == 300
    assert line.peek(150).tolist() == list(range(150))
    assert np.concatenate([line.take(120), line.take(500)]).tolist() == list(range(300))
    assert len(line) == len(line.take(10)) == 0


def test_what_was_played_last_is_remembered() -> None:
    """The last 15 ms that were taken are at hand, however small the pieces."""
    line = SampleLine()
    line.append(ramp(2000))
    for _ in range(20):
        line.take(100)
    assert line.played.tolist() == list(range(2000 - MAX_LAG, 2000))


def test_the_front_is_shortened_and_lengthened_by_exactly_the_lag() -> None:
    """A lag less or more, the far end untouched, no step where it is joined."""
    line = SampleLine()
    line.append(ramp(960))
    line.take(MAX_LAG)
    line.append(ramp(2000, 960))
    line.lengthen(200)
    assert len(line) == 960 - MAX_LAG + 2000 + 200
    line.shorten(200)
    assert len(line) == 960 - MAX_LAG + 2000
    rest = line.take(5000)
    assert rest[-1000:].tolist() == list(range(1960, 2960))
    assert np.abs(np.diff(rest.astype(int))).max() <= 3


def test_skipping_leaves_out_whatever_is_asked_for() -> None:
    """Some, or more than there is, is left out; what stays is joined to the start by a short cross-fade."""
    line = SampleLine()
    line.append(ramp(1000))
    line.skip(400)
    assert len(line) == 600
    rest = line.take(600)
    assert rest[0] < 10
    assert rest[120:].tolist() == list(range(520, 1000))
    line.append(ramp(100))
    line.skip(2000)
    assert len(line) == 0
    line.skip(10)
    assert len(line) == 0
