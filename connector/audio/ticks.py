"""When to tick: pure arithmetic of a 20 ms clock that is woken late, in bursts, or not at all for a while.

The clock drives, never the inputs: ticks stand on a lattice, and as many are due as its points have passed. Too many
at once are not made up for but skipped, and the lattice stays. The phase lock moves the whole lattice by tiny steps,
so that a tick comes shortly behind the frames that it takes.

Frames come every 10 ms, ticks every 20: each session has two places to choose from. `TickGrid` brings the sessions of a
process to the same one, so that their ticks share a wake-up.
"""

import math
from bisect import bisect_left
from dataclasses import dataclass, field

from connector.audio.frames import TICK_SECONDS
from connector.base.catalog import TICK_LATE_S

MAX_CATCH_UP = 5
"""Ticks made up for in one go: 100 ms, what the far end's jitter buffer takes as a burst; beyond it they only add
delay."""
MAX_NUDGE_S = 0.0003
"""The phase lock's largest step per tick (media.md §7): 1.5 % of a tick, far below what any jitter buffer notices."""
LATE_S = 0.010
"""A tick later than this is counted."""
EARLY_S = 0.0005
"""A wake-up this much too early counts as on time: timers are not exact, and waking again costs more."""
FURTHEST_S = 0.007
"""The way to the place where the others are may be so long; to the nearest it is 5 ms at most."""
_GAIN = 0.1
"""Share of the phase error that is corrected per tick, so that the jitter of single frames averages out."""


@dataclass(slots=True)
class TickFigures:
    """Counters of a schedule.

    Attributes:
        ticks: Ticks given out.
        late: Of these, more than 10 ms behind their time.
        caught_up: Of these, the second and further ones of a wake-up.
        skipped: Ticks never given out, because too many were due.
        resets: How often that happened.
        worst_late_ms: The latest tick so far, in ms.
        late_s: Lateness of all ticks together, in seconds.
        lateness: Ticks by lateness: as many as came at most each of `TICK_LATE_S` late, and the rest; not cumulative.
    """

    ticks: int = 0
    late: int = 0
    caught_up: int = 0
    skipped: int = 0
    resets: int = 0
    worst_late_ms: float = 0.0
    late_s: float = 0.0
    lateness: list[int] = field(default_factory=lambda: [0] * (len(TICK_LATE_S) + 1))


class TickGrid:
    """Where the ticks of a process's sessions are, modulo 20 ms. It only advises: any place is right for a session.

    Args:
        at: Where the first session's ticks are to be, in monotonic seconds.
    """

    def __init__(self, at: float) -> None:
        self._at = at

    def start(self, now: float) -> float:
        """A time up to 20 ms before `now` at which a new session's lattice may begin."""
        return now - (now - self._at) % TICK_SECONDS

    def choose(self, at: float, shift_s: float) -> float:
        """Choose between the two places that a phase lock can go to.

        Args:
            at: When the session's next tick is due.
            shift_s: What the phase lock asks for, within ±5 ms.

        Returns:
            The same, or 10 ms more or less where that leads to the others' place and is at most `FURTHEST_S`.
        """
        apart = (at + shift_s - self._at + TICK_SECONDS / 4) % TICK_SECONDS
        other = shift_s - math.copysign(TICK_SECONDS / 2, shift_s)
        if apart >= TICK_SECONDS / 2 and abs(other) <= FURTHEST_S:
            shift_s = other
        self._at = at + shift_s
        return shift_s


class TickSchedule:
    """Says when to wake and how many ticks to run.

    Args:
        start: Monotonic seconds; the first tick is due 20 ms later.
        max_catch_up: Ticks that one wake-up may run, at least 1.

    Attributes:
        next_at: When the next tick is due, in monotonic seconds.
        figures: The counters.
    """

    def __init__(self, start: float, *, max_catch_up: int = MAX_CATCH_UP) -> None:
        if max_catch_up < 1:
            raise ValueError(f"max_catch_up is {max_catch_up}: at least one tick must be allowed")
        # A count on an origin, not a running sum: rounding must not add up over a long call.
        self._origin = start
        self._count = 1
        self._max_catch_up = max_catch_up
        self._shift = 0.0
        self.figures = TickFigures()

    @property
    def next_at(self) -> float:
        """When the next tick is due, in monotonic seconds."""
        return self._origin + self._count * TICK_SECONDS

    def due(self, now: float, early_s: float = EARLY_S) -> int:
        """Take the ticks that are due.

        Args:
            now: Monotonic seconds.
            early_s: How long before its time the next tick may run; less than 20 ms.

        Returns:
            How many to run now, 0 to `max_catch_up`. Given out plus skipped ticks are always the whole 20 ms passed
            since the start (0.5 ms early counts as passed, and so does a tick that runs `early_s` early), the phase
            lock's steps apart.
        """
        late = now - self.next_at
        if late < -early_s:
            return 0
        passed = int((late + EARLY_S) / TICK_SECONDS) + 1
        ticks = min(passed, self._max_catch_up)
        self._count_figures(ticks, passed, late)
        self._count += passed
        self._origin += self._shift
        self._shift = 0.0
        return ticks

    def nudge(self, shift_s: float) -> None:
        """Ask the phase lock to move the ticks.

        Args:
            shift_s: Seconds by which ticks should come later (negative: earlier). A tenth of it, at most 0.3 ms, is
                applied
                with the next tick; a second call before that replaces the first.
        """
        self._shift = max(-MAX_NUDGE_S, min(MAX_NUDGE_S, shift_s * _GAIN))

    def _count_figures(self, ticks: int, passed: int, late: float) -> None:
        figures = self.figures
        # The ticks that run are the newest of those passed; each stands 20 ms behind the one before.
        late -= (passed - ticks) * TICK_SECONDS
        figures.ticks += ticks
        figures.caught_up += ticks - 1
        if late > LATE_S:
            figures.late += min(ticks, int((late - LATE_S) / TICK_SECONDS) + 1)
        figures.worst_late_ms = max(figures.worst_late_ms, late * 1000)
        for _ in range(ticks):
            figures.lateness[bisect_left(TICK_LATE_S, late)] += 1
            figures.late_s += max(0.0, late)
            late -= TICK_SECONDS
        if passed > ticks:
            figures.skipped += passed - ticks
            figures.resets += 1
