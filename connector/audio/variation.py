"""How unevenly packets arrive, and how long a buffer must hold them for that not to be heard.

A packet's *transit* is its arrival minus its timestamp: a constant unknown offset plus its delay. The quickest packet
of the last five seconds stands for no delay, so clock drift and changes of route are followed without being measured.
"""

from bisect import bisect_left, insort
from collections import deque

from connector.audio.frames import RATE_HZ, TICK_SECONDS

WINDOW_S = 5.0
_PERCENTILE = 0.97
"""Window and percentile as tried in `facts/aiortc.md` §5."""
_MAX_SEEN = 512
"""Five seconds of 10 ms packets."""
MIN_FRAMES = 2
MAX_FRAMES = 8
CAP_S = MAX_FRAMES * TICK_SECONDS
"""The longest delay: nothing older is played."""
_LEAP_S = 1.0
"""A packet so much later than the quickest belongs to timestamps that went on elsewhere."""


class DelayVariation:
    """Sliding statistics of one stream's transits.

    Attributes:
        quickest: The smallest transit seen, in seconds: audio with timestamp t is due at `quickest` + t / 48,000.
    """

    def __init__(self) -> None:
        self._seen: deque[tuple[float, float]] = deque()
        self._sorted: list[float] = []
        self.quickest = 0.0

    def restart(self) -> None:
        """Forget everything: the next packet stands for no delay."""
        self._seen.clear()
        self._sorted.clear()

    def leaps(self, start: int, now: float) -> bool:
        """Whether a timestamp cannot belong with those before: far too early, or late beyond reason."""
        return bool(self._sorted) and not -CAP_S <= now - start / RATE_HZ - self._sorted[0] <= _LEAP_S

    def add(self, start: int, now: float) -> float:
        """Take note of one packet.

        Args:
            start: Its timestamp in 48 kHz samples.
            now: Its arrival in monotonic seconds.

        Returns:
            Seconds that it came later than the quickest one would have.
        """
        transit = now - start / RATE_HZ
        while self._seen and (self._seen[0][0] < now - WINDOW_S or len(self._seen) >= _MAX_SEEN):
            self._sorted.pop(bisect_left(self._sorted, self._seen.popleft()[1]))
        self._seen.append((now, transit))
        insort(self._sorted, transit)
        self.quickest = self._sorted[0]
        return transit - self.quickest

    def due(self, position: int) -> float:
        """When audio at a position is there at the earliest, in monotonic seconds."""
        return self.quickest + position / RATE_HZ

    def target(self, packet_samples: int) -> float:
        """How long after `due` to play, in seconds, so that 97 % of the packets are there.

        Args:
            packet_samples: Length of a packet. One more packet, or tick, is waited for, so that what is lost can be
                restored from the one behind it.
        """
        wait = max(packet_samples / RATE_HZ, TICK_SECONDS)
        shortest = wait + (MIN_FRAMES - 1) * TICK_SECONDS
        if not self._sorted:
            return min(shortest, CAP_S)
        spread = self._sorted[int(_PERCENTILE * (len(self._sorted) - 1))] - self._sorted[0]
        return min(max(spread + wait, shortest), CAP_S)
