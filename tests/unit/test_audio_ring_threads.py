"""The ring under two real threads (the other tests move its clock and its frames by hand)."""

import sys
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from connector.audio.frames import Samples
from connector.audio.ring import CAPACITY, FADE_SAMPLES, TrackRing

FRAME = 480
TICK = 0.02
START = 100.0
TICKS = 400
COUNTED = 16_384


def is_counted(piece: Samples) -> bool:
    """Whether each sample is the successor of the one before, in the counting pattern."""
    steps = np.diff(piece.astype(np.int32))
    return bool(np.all((steps == 1) | (steps == 1 - COUNTED)))


def good_ticks(ring: TrackRing, wanted: int) -> int:
    """Read until so many whole ticks were heard, at most for a minute; each must be in one piece."""
    deadline = time.monotonic() + 60
    good, now = 0, START + 1_000
    while good < wanted and time.monotonic() < deadline:
        now += TICK
        underruns = ring.figures.underruns
        out = ring.read(now)
        if out is None or ring.figures.underruns > underruns:
            continue
        assert is_counted(out[FADE_SAMPLES:])
        good += 1
    return good


@pytest.fixture
def busy_threads() -> Iterator[None]:
    """Threads take turns every 0.1 ms instead of every 5 ms, so that they meet in more places."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("busy_threads")
@pytest.mark.parametrize("throttled", [True, False])
def test_a_thread_that_writes_and_one_that_reads_never_garble(*, throttled: bool) -> None:
    """Under full contention every tick is one unbroken piece of what was written, even when the reader is lapped."""
    # The ring's clock stands still, so it never learns enough to stretch anything.
    ring = TrackRing(lambda: START)
    done = threading.Event()
    pattern = (np.arange(4 * COUNTED) % COUNTED).astype(np.int16)

    def produce() -> None:
        written = 0
        while not done.is_set():
            if throttled and ring.waiting > CAPACITY // 4:
                continue
            at = written % COUNTED
            ring.write(pattern[at : at + FRAME])
            written += FRAME

    producer = threading.Thread(target=produce)
    producer.start()
    try:
        assert good_ticks(ring, TICKS) == TICKS
    finally:
        done.set()
        producer.join()
