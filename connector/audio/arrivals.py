"""When the frames of one track arrive, measured against the count of their samples.

A frame's *delay* is its arrival time minus the media time at its end (samples so far / 48,000): a constant plus the
frame's lateness. From it the ring learns by when a given sample can be relied on, and how long a prefill that takes.
"""

from collections import deque

from connector.audio.frames import RATE_HZ

BUCKET_S = 0.625
BUCKETS = 16
"""Ten seconds of memory: long enough to meet an engine's regular hiccups, short enough to forget a busy spell."""
FIRST_GUESS_S = 0.005
"""Lateness allowed for before anything is known; media.md §3 measured p99 between 1 ms (1 room) and 11 ms (20
rooms)."""
LONGEST_S = 0.060
"""Lateness that a prefill is ready to cover; the longest interval measured with 20 rooms was 59 ms (media.md §3)."""
PAUSE_S = 0.100
"""A frame later than this tells of a source that stopped, not of one that is late; the measuring begins anew."""
_USUAL_SHARE = 0.9
"""Share of the frames that come by the usual delay."""
_USUAL_STEP_S = 0.0001
"""How far one frame moves the usual delay: it falls by 1 ms a second and rises nine times as fast."""
_SETTLED_BUCKETS = 3
_BUNCH_FRAMES = 8
"""The first frames of a track come late and in a bunch, while its decoder starts; the measuring begins anew with the
eighth."""


class Arrivals:
    """Lateness statistics of one track. `note` belongs to the writing thread; the rest may be read from anywhere.

    Attributes:
        latest: Sample n can be relied on at `latest` + n / 48,000 (monotonic seconds). It is the second largest of the
            delays' maxima per bucket: one hiccup in ten seconds is not worth a longer delay for all that follows.
        usual: As `latest`, for nine frames of ten: a running quantile by stochastic approximation (Robbins and Monro
            1951). On an idle machine it stands 1 to 3 ms before `latest`.
        spread: Seconds between the earliest and the latest delay, at most 60 ms: how long a prefill must be.
        last: Arrival of the newest frame, None before the first.
        frame: Length of the newest frame in samples.
        settled: Whether enough is known (about two seconds) to correct anything by it.
        pauses: How often the source stopped and began again.
    """

    __slots__ = (
        "_bucket_end",
        "_high",
        "_highs",
        "_low",
        "_lows",
        "_noted",
        "frame",
        "last",
        "latest",
        "pauses",
        "settled",
        "spread",
        "usual",
    )

    def __init__(self) -> None:
        self._highs: deque[float] = deque(maxlen=BUCKETS)
        self._lows: deque[float] = deque(maxlen=BUCKETS)
        self._high = self._low = 0.0
        self._bucket_end = 0.0
        self._noted = 0
        self.latest = self.usual = 0.0
        self.spread = FIRST_GUESS_S
        self.last: float | None = None
        self.frame = 0
        self.settled = False
        self.pauses = 0

    def note(self, now: float, written: int, frame: int) -> None:
        """Take note of one frame.

        Args:
            now: Its arrival, in monotonic seconds.
            written: Samples of the track so far, this frame included.
            frame: Its length in samples.
        """
        delay = now - written / RATE_HZ
        self._noted += 1
        if self.last is None or self._noted == _BUNCH_FRAMES:
            self._restart(now, delay)
        elif delay > self.latest + PAUSE_S:
            self.pauses += 1
            self._restart(now, delay)
        self.last = now
        self.frame = frame
        self._high = max(self._high, delay)
        self._low = min(self._low, delay)
        self.usual += _USUAL_STEP_S * (_USUAL_SHARE if delay > self.usual else _USUAL_SHARE - 1)
        if now >= self._bucket_end:
            self._turn(now, delay)

    def _restart(self, now: float, delay: float) -> None:
        self._highs.clear()
        self._lows.clear()
        self._high = self._low = delay
        self._bucket_end = now + BUCKET_S
        self.settled = False
        self.spread = FIRST_GUESS_S
        self.latest = delay + FIRST_GUESS_S
        self.usual = delay

    def _turn(self, now: float, delay: float) -> None:
        """Close a bucket, and draw the conclusions."""
        self._highs.append(self._high)
        self._lows.append(self._low)
        self._high = self._low = delay
        self._bucket_end = now + BUCKET_S
        earliest = min(self._lows)
        if len(self._highs) == 1:
            late = self._highs[0] + FIRST_GUESS_S - earliest
        else:
            late = sorted(self._highs)[-2] - earliest
        self.spread = min(late, LONGEST_S)
        self.latest = earliest + self.spread
        self.settled = len(self._highs) >= _SETTLED_BUCKETS
