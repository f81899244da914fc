"""The ring of one heard track: frames in from a native thread, 20 ms out on the tick.

The reader wants to stand as close behind the writer as the track's own lateness allows (`arrivals`). It starts when
that point is reached, plays exact copies while it stands there, moves by tiny stretches of the sound (`stretch`), or
by a jump where nothing is heard, when it does not, gives up the oldest samples past the cap, and fills again when it
starves. Every seam between two pieces of sound is cross-faded, so none of this clicks.

Single producer, single consumer, no lock: the producer owns `_written`, the consumer `_read`; both only ever count
up. The producer never waits and overwrites what is 400 ms old; the consumer checks after copying that this has not
happened to it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from connector.audio import stretch
from connector.audio.arrivals import Arrivals
from connector.audio.frames import RATE_HZ, SAMPLES_PER_MS, TICK_SAMPLES, TICK_SECONDS, Samples, peak

CAPACITY = 400 * SAMPLES_PER_MS
"""Samples kept: the longest prefill, the cap and a stall of the reader (60 + 20 + 30 + 200 ms), with room to spare."""
CAP_SAMPLES = 30 * SAMPLES_PER_MS
"""What may wait beyond the prefill before the oldest is dropped (media.md §3)."""
FADE_SAMPLES = 5 * SAMPLES_PER_MS
"""Length of every cross-fade: a quarter of a tick, a period of the lowest voices."""

_STALL_SAMPLES = 200 * SAMPLES_PER_MS
_LOOKS = 25
_AGREEING = 3
"""Three looks of half a second must agree before a correction begins: longer than the phase lock needs to settle."""
_YOUNG_TICKS = 250
"""In its first five seconds a reader stands where a guess has put it: one look is enough to come closer."""
_LEAST_SAMPLES = 2 * SAMPLES_PER_MS
"""Corrections below this are not worth the trouble."""
_SAFE_S = 0.0004
"""A sample that is usually there by now less this can be relied on: where playing starts, and what must be kept."""
_SPARE_S = 0.0006
"""What is usually there for this long is spare. Between the two nothing moves."""
_QUIET = 33
"""Peak below which a jump is not heard: -60 dBFS."""
_UP: NDArray[np.float32] = np.sin((np.arange(FADE_SAMPLES) + 0.5) * (np.pi / 2 / FADE_SAMPLES)).astype(np.float32) ** 2
_DOWN: NDArray[np.float32] = np.float32(1.0) - _UP


@dataclass(slots=True)
class RingFigures:
    """Counters of one ring.

    Attributes:
        written_samples: Samples that came in.
        ticks: Ticks that were heard.
        underruns: Times that a started ring had no full tick to give.
        drops: Times that the oldest samples were given up, past the cap.
        dropped_samples: How many samples that took.
        slowed_ticks: Ticks played slower to gain distance from the writer.
        hurried_ticks: Ticks played faster to lose some.
        jumps: Corrections made at once, where nothing was heard.
        torn: Ticks lost because the writer overtook the reader while it copied.
        pauses: Times that the source stopped for over 100 ms and came back.
    """

    written_samples: int = 0
    ticks: int = 0
    underruns: int = 0
    drops: int = 0
    dropped_samples: int = 0
    slowed_ticks: int = 0
    hurried_ticks: int = 0
    jumps: int = 0
    torn: int = 0
    pauses: int = 0


class TrackRing:
    """One heard track.

    Args:
        clock: Monotonic seconds, the same clock as the `now` of `read`; called in the writing thread.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        # Everything is stored twice, CAPACITY apart, so that any stretch of it can be read in one piece.
        self._buffer: Samples = np.zeros(2 * CAPACITY, dtype=np.int16)
        self._written = 0
        self._read = 0
        self._closed = False
        self._playing = False
        self._seam = True
        self._tail: Samples = np.zeros(FADE_SAMPLES, dtype=np.int16)
        self._last_read = float("-inf")
        self._stall = 0
        self._correction = 0
        self._lean = 0
        self._agreed = 0
        self._looks = 0
        self._spare = self._short = CAPACITY
        self._figures = RingFigures()
        self.arrivals = Arrivals()

    def write(self, samples: Samples) -> None:
        """Take a frame: 1-D int16 of any length, copied. For the one writing thread; never blocks."""
        length = len(samples)
        if self._closed or not length:
            return
        written = self._written + length
        if length > CAPACITY:
            samples = samples[-CAPACITY:]
        at = (written - len(samples)) % CAPACITY
        first = min(len(samples), CAPACITY - at)
        for place in (at, at + CAPACITY):
            self._buffer[place : place + first] = samples[:first]
        if first < len(samples):
            rest = samples[first:]
            self._buffer[: len(rest)] = rest
            self._buffer[CAPACITY : CAPACITY + len(rest)] = rest
        self._written = written
        self.arrivals.note(self._clock(), written, length)

    def read(self, now: float) -> Samples | None:
        """Take the next 20 ms.

        Args:
            now: Monotonic seconds of this wake-up; the same for all ticks that catch up in one.

        Returns:
            960 samples int16, a new array; None when there is nothing to hear.
        """
        self._note_stall(now)
        written = self._written
        if not self._playing:
            if not self._may_start(now, written):
                return None
            self._playing = True
            self._correction = self._agreed = 0
            self._begin_looks()
        available = written - self._read
        if available < TICK_SAMPLES:
            return self._starve(available)
        excess = available - TICK_SAMPLES - self._cap - self._stall
        if excess > 0:
            self._skip(excess)
            self._figures.drops += 1
            self._figures.dropped_samples += excess
        return self._play(now, written)

    def close(self) -> None:
        """Take no more frames; a later `write` changes nothing."""
        self._closed = True

    def fade_out(self) -> Samples | None:
        """What to play when the track is taken away in the middle of a sound: 960 samples, None if it was silent."""
        return self._fade() if self._tail.any() else None

    @property
    def waiting(self) -> int:
        """Samples written and not read yet."""
        return self._written - self._read

    @property
    def figures(self) -> RingFigures:
        """The counters as they stand."""
        self._figures.written_samples = self._written
        self._figures.pauses = self.arrivals.pauses
        return self._figures

    @property
    def phase(self) -> float:
        """When frames have arrived at the latest: this time, in monotonic seconds, give or take whole frames."""
        return self.arrivals.latest + self._written / RATE_HZ

    @property
    def lateness(self) -> float:
        """Seconds from when most frames have arrived until they have at the latest."""
        return self.arrivals.latest - self.arrivals.usual

    @property
    def ready(self) -> bool:
        """Whether it plays, and has a tick to give."""
        return self._playing and self.waiting >= TICK_SAMPLES

    @property
    def _cap(self) -> int:
        """Samples that may be left behind a tick: what lateness and long frames ask for, and 30 ms more."""
        frame = self.arrivals.frame
        prefill = int(self.arrivals.spread * RATE_HZ) + frame - math.gcd(frame, TICK_SAMPLES)
        return min(prefill, _STALL_SAMPLES // 2) + CAP_SAMPLES

    def _note_stall(self, now: float) -> None:
        """While late ticks are being made up for, what piled up meanwhile is not too much."""
        since = now - self._last_read
        if since > TICK_SECONDS / 2:
            self._last_read = now
            self._stall = min(max(0, round((since - TICK_SECONDS) * RATE_HZ)), _STALL_SAMPLES) if self._playing else 0
        else:
            self._stall = max(0, self._stall - TICK_SAMPLES)

    def _safe_end(self, at: float, written: int) -> int:
        """How far can be read by `at`, and 960 more by each tick after it, even if frames are late.

        For frames that divide a tick this is the last boundary that has arrived. Others come too seldom for one tick
        or the next; the greatest common divisor says by how much at worst.
        """
        arrivals = self.arrivals
        grain = math.gcd(arrivals.frame, TICK_SAMPLES)
        behind = arrivals.frame - grain if arrivals.frame else 0
        return written - behind + grain * int(((at - arrivals.latest) * RATE_HZ - written) // grain)

    def _may_start(self, now: float, written: int) -> bool:
        """Whether a tick is there and the following ones can be relied on."""
        safe = self._safe_end(now - _SAFE_S, written)
        if min(safe, written) < self._read + TICK_SAMPLES:
            return False
        if not self._figures.ticks:
            # Nothing was heard yet: what came before the best place to stand is only delay.
            self._read = min(safe, written) - TICK_SAMPLES
        return True

    def _window(self, begin: int, length: int) -> Samples:
        at = begin % CAPACITY
        return self._buffer[at : at + length]

    def _skip(self, samples: int) -> None:
        self._read += samples
        self._seam = True
        self._correction = self._agreed = 0
        self._begin_looks()

    def _play(self, now: float, written: int) -> Samples:
        if not self._correction:
            self._look(now, written)
        if self._correction:
            self._jump_if_quiet(written)
        begin = self._read
        hurry = self._correction > 0
        if self._correction and written - begin + stretch.BEFORE >= stretch.needed(hurry=hurry):
            out = stretch.stretched(self._window(begin - stretch.BEFORE, stretch.needed(hurry=hurry)), hurry=hurry)
            self._read += self._count_step(hurry=hurry)
        else:
            # A hurried tick looks a little ahead; where that is not there yet, the reader stands close enough.
            self._correction = 0
            out = self._window(begin, TICK_SAMPLES).copy()
            self._read += TICK_SAMPLES
        if self._written - begin + stretch.BEFORE > CAPACITY:
            self._figures.torn += 1
            return self._starve(0)
        if self._seam:
            self._join(out)
        self._tail[:] = out[-FADE_SAMPLES:]
        self._figures.ticks += 1
        return out

    def _count_step(self, *, hurry: bool) -> int:
        """Count a stretched tick; returns the samples that it used up."""
        if hurry:
            self._figures.hurried_ticks += 1
            self._correction -= 1
            return TICK_SAMPLES + stretch.STEP
        self._figures.slowed_ticks += 1
        self._correction += 1
        return TICK_SAMPLES - stretch.STEP

    def _join(self, out: Samples) -> None:
        """Cross-fade from the mirror image of what was played last: it goes on where that ended."""
        out[:FADE_SAMPLES] = np.rint(out[:FADE_SAMPLES] * _UP + self._tail[::-1] * _DOWN)
        self._seam = False

    def _starve(self, available: int) -> Samples:
        """Play what is left with a fade at its end, and fill again."""
        self._figures.underruns += 1
        if available < FADE_SAMPLES:
            return self._fade()
        out = np.zeros(TICK_SAMPLES, dtype=np.int16)
        out[:available] = self._window(self._read, available)
        self._read += available
        end = out[available - FADE_SAMPLES : available]
        end[:] = np.rint(end * _DOWN)
        self._rest()
        return out

    def _fade(self) -> Samples:
        """A tick that leads from what was played last to silence."""
        out = np.zeros(TICK_SAMPLES, dtype=np.int16)
        out[:FADE_SAMPLES] = np.rint(self._tail[::-1] * _DOWN)
        self._rest()
        return out

    def _rest(self) -> None:
        self._tail[:] = 0
        self._playing = False
        self._seam = True

    def _look(self, now: float, written: int) -> None:
        """Watch where the reader could stand, then begin to move it there.

        Ticks come late, never early: of what is seen, the least counts.
        """
        end = self._read + TICK_SAMPLES
        self._spare = min(self._spare, self._safe_end(now - _SPARE_S, written) - end)
        self._short = min(self._short, self._safe_end(now - _SAFE_S, written) - end)
        self._looks += 1
        if self._looks < _LOOKS:
            return
        room = self._spare if self._spare >= _LEAST_SAMPLES else min(0, self._short)
        lean = (room >= _LEAST_SAMPLES) - (room <= -_LEAST_SAMPLES)
        self._agreed = self._agreed + 1 if lean == self._lean else 1
        self._lean = lean
        agreeing = 1 if lean > 0 and self._figures.ticks < _YOUNG_TICKS else _AGREEING
        if lean and self._agreed >= agreeing and self.arrivals.settled:
            self._correction = lean * (abs(room) // stretch.STEP)
            self._agreed = 0
        self._begin_looks()

    def _begin_looks(self) -> None:
        self._looks = 0
        self._spare = self._short = CAPACITY

    def _jump_if_quiet(self, written: int) -> None:
        """Make the whole correction at once if nothing can be heard between here and there."""
        distance = self._correction * stretch.STEP
        begin = self._read + min(0, distance)
        length = abs(distance) + TICK_SAMPLES
        if begin < 0 or begin + length > written or written - begin > CAPACITY // 2:
            return
        between = self._window(begin, length)
        if peak(between) < _QUIET:
            self._skip(distance)
            self._figures.jumps += 1
