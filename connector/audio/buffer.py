"""The clocked side of the receive path: a buffer as deep as the network is uneven, emptied by the 20 ms tick.

Its *delay* is how long after its quickest possible arrival the next sample is handed on. It is steered towards a
target by leaving out or putting in pitch periods, in silence first; past the cap whole packets are left out.
"""

import numpy as np

from connector.audio.figures import ReceiveFigures
from connector.audio.frames import RATE_HZ, TAP_SAMPLES, TICK_SAMPLES, TICK_SECONDS, Samples
from connector.audio.line import SampleLine
from connector.audio.order import Order
from connector.audio.render import Renderer
from connector.audio.timescale import MAX_LAG, MIN_LAG, SPAN, best_lag
from connector.audio.variation import CAP_S, WINDOW_S, DelayVariation

_TOLERANCE_S = 0.010
"""Half a tick either way is not worth a correction."""
_FAR_S = 0.080
"""So far above the target, speech is hurried at once, tick by tick."""
_PATIENCE_TICKS = 50
"""A second: for so long a high delay waits for a pause in the speech before speech itself is hurried."""
_SETTLE_TICKS = 5
_SPEECH_EVERY = 3
"""At most one pitch period per 60 ms of speech, as NetEQ does."""
_LIKE = 0.7
_DESPERATE_TICKS = 25
"""Half a second without two like periods, then any will do."""
_QUIET_RMS = 100.0
"""-50 dBFS: between words."""


class ClockedBuffer:
    """Serves one tick of audio at a time.

    Args:
        order: Packets by number.
        renderer: Makes them audio.
        line: Where the renderer puts it.
        variation: What the network does.
        figures: Where to count.
    """

    def __init__(
        self,
        order: Order,
        renderer: Renderer,
        line: SampleLine,
        variation: DelayVariation,
        figures: ReceiveFigures,
    ) -> None:
        self._order = order
        self._renderer = renderer
        self._line = line
        self._variation = variation
        self._figures = figures
        self._waiting = False
        self._high_ticks = 0
        self._low_ticks = 0

    def delay(self, now: float) -> float:
        """How long after its quickest possible arrival the next sample would be handed on, in seconds."""
        return now - self._variation.due(self._renderer.cursor - len(self._line))

    def begin(self) -> None:
        """Take over from cut-through, or go on with another stream."""
        self._waiting = not self._renderer.started
        self._high_ticks = self._low_ticks = 0

    def tick(self, now: float, target: float) -> Samples:
        """Audio for one tick.

        Args:
            now: Monotonic seconds.
            target: The delay to aim at, in seconds.

        Returns:
            960 samples, or fewer when there is nothing to play; a multiple of 480.
        """
        self._waiting = self._waiting or self._renderer.exhausted
        self._keep_cap(now, target)
        while len(self._line) < TICK_SAMPLES and self._render(now, target):
            pass
        if not self._waiting:
            if len(self._line) < TICK_SAMPLES:
                self._run_dry()
            if not self._renderer.concealed:
                self._steer(now, target)
        return self._line.take(min(len(self._line) // TAP_SAMPLES * TAP_SAMPLES, TICK_SAMPLES))

    def drain(self) -> None:
        """Make audio of what is held, as far as the cap allows: the stream ends here."""
        while self._order.head() is not None and len(self._line) < CAP_S * RATE_HZ:
            self._play()

    def _play(self) -> None:
        missing = self._order.missing
        self._renderer.play(self._order.pop(), missing=missing)

    def _keep_cap(self, now: float, target: float) -> None:
        """Nothing older than the cap is played: leave out the oldest, down to the target."""
        head = self._order.head()
        position = self._renderer.cursor - len(self._line)
        if self._waiting:
            position = position if head is None else head.start
        if now - self._variation.due(position) <= CAP_S + TICK_SECONDS or (head is None and not len(self._line)):
            return
        before = len(self._line)
        self._line.skip(round((self.delay(now) - target) * RATE_HZ))
        self._figures.skipped_samples += before - len(self._line)
        while head is not None and self._variation.due(head.start + head.samples) <= now - target:
            self._order.drop()
            head = self._order.head()

    def _is_due(self, position: int, now: float, target: float) -> bool:
        """Whether audio may be played at a position: its time has come, or can never have been right."""
        wait = self._variation.due(position) + target - now
        return wait < _TOLERANCE_S or wait > CAP_S + WINDOW_S

    def _render(self, now: float, target: float) -> bool:
        """Make the next piece of audio; False when there is nothing to make it from yet."""
        head = self._order.head()
        if head is None:
            return False
        gap, missing, spare = head.start - self._renderer.cursor, self._order.missing, self._renderer.spare(head)
        if self._waiting:
            if not self._is_due(head.start - (spare if missing else 0), now, target):
                return False
            self._waiting = False
            if self._renderer.started and not missing:
                self._renderer.forgive()
        elif gap > 0 and (gap > spare if missing else not self._is_due(head.start, now, target)):
            before = self._renderer.concealed
            self._renderer.conceal(min(TICK_SAMPLES, gap - spare if missing else gap))
            self._waiting = self._renderer.concealed == before
            return not self._waiting
        elif gap < 0 and self.delay(now) - gap / RATE_HZ <= target:
            self._renderer.forgive()
        self._play()
        return True

    def _run_dry(self) -> None:
        """Nothing has come in time: make something up, until it is clear that the stream has stopped."""
        self._figures.underruns += self._renderer.concealed == 0
        self._renderer.conceal(TICK_SAMPLES - len(self._line))

    def _steer(self, now: float, target: float) -> None:
        """Bring the delay nearer to the target, unheard.

        Packets end anywhere within a tick, so one is needed up to a tick before its first sample is played. What the
        line holds beyond whole ticks is therefore of no use to the packets: it can be left out without giving them
        less time, which moves in whole ticks.
        """
        delay, useless = self.delay(now), len(self._line) % TICK_SAMPLES
        wait = delay - useless / RATE_HZ
        if wait < target - _TOLERANCE_S:
            self._high_ticks = 0
            self._low_ticks += 1
            self._linger()
            return
        self._low_ticks = 0
        excess = delay - target
        self._high_ticks = self._high_ticks + 1 if excess > _TOLERANCE_S else 0
        if self._high_ticks >= _SETTLE_TICKS or excess > _FAR_S:
            self._hurry(excess, MAX_LAG if wait - TICK_SECONDS >= target - _TOLERANCE_S else useless)

    def _hurry(self, excess: float, most: int) -> None:
        """Leave a little out: whatever is there in silence, a pitch period in speech."""
        while len(self._line) < TICK_SAMPLES + MAX_LAG and self._goes_on():
            self._play()
        room = min(len(self._line) - TICK_SAMPLES, most, MAX_LAG, round(excess * RATE_HZ))
        if room < MIN_LAG or len(self._line) < SPAN:
            return
        front = self._line.peek(SPAN)
        if _is_quiet(front):
            lag = room
        elif excess > _FAR_S or (self._high_ticks >= _PATIENCE_TICKS and self._high_ticks % _SPEECH_EVERY == 0):
            lag, likeness = best_lag(front)
            if lag > room or (likeness < _LIKE and self._high_ticks < _PATIENCE_TICKS + _DESPERATE_TICKS):
                return
        else:
            return
        self._line.shorten(lag)
        self._figures.skipped_samples += lag

    def _goes_on(self) -> bool:
        head = self._order.head()
        return head is not None and head.start == self._renderer.cursor

    def _linger(self) -> None:
        """Put a little in: a longer silence, or a pitch period twice."""
        front = self._line.peek(SPAN - MAX_LAG)
        if len(front) < SPAN - MAX_LAG:
            return
        lag = MAX_LAG
        if not _is_quiet(front):
            lag, likeness = best_lag(np.concatenate((self._line.played, front))[::-1])
            if likeness < _LIKE and self._low_ticks % _SETTLE_TICKS:
                return
        if lag <= len(self._line):
            self._line.lengthen(lag)
            self._figures.stretched_samples += lag


def _is_quiet(samples: Samples) -> bool:
    wide = samples.astype(np.float32)
    return float(wide @ wide) < _QUIET_RMS**2 * len(wide)
