"""Recordings that know when they began, so that what different processes recorded can be laid on one time axis.

Times are `time.monotonic()` seconds, which all processes of a machine share on Linux. A `Recorder` is filled as audio
comes; a `Recording` is what comes out, and can be saved as a WAV beside a small JSON with its start.
"""

import json
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from connector.audio.frames import RATE_HZ, Samples
from connector.base.errors import UsageError
from connector.practice.sound import read_wav, write_wav

_RESYNC_S = 0.08
"""A delivery this much after the end of the recording so far is placed at its time, with silence before it: more than
any scheduling delay of an unbroken stream, less than a pause between words."""
_RECENT = 25
_MOST_BEGINS = 3_000
"""Deliveries that a stretch is placed by: the newest half minute of them and more."""
MAX_SECONDS = 600.0
"""Longest recording kept in memory: 58 MB."""


@dataclass(frozen=True)
class Recording:
    """Audio with its place in time.

    Attributes:
        samples: 48 kHz mono int16.
        start: Monotonic time of the first sample, in seconds.
    """

    samples: Samples
    start: float

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return len(self.samples) / RATE_HZ

    @property
    def end(self) -> float:
        """Monotonic time just after the last sample."""
        return self.start + self.seconds

    def cut(self, begin: float, end: float) -> Samples:
        """The samples between two monotonic times; silence stands for what was not recorded."""
        first, last = round((begin - self.start) * RATE_HZ), round((end - self.start) * RATE_HZ)
        out = np.zeros(max(0, last - first), dtype=np.int16)
        inside = self.samples[max(0, first) : max(0, last)]
        offset = max(0, -first)
        out[offset : offset + len(inside)] = inside
        return out

    def save(self, path: Path) -> None:
        """Write a WAV at `path` and its start beside it as JSON."""
        write_wav(path, self.samples)
        path.with_suffix(".json").write_text(json.dumps({"start": self.start, "seconds": self.seconds}) + "\n")

    @classmethod
    def load(cls, path: Path) -> "Recording":
        """Read back what `save` wrote.

        Raises:
            UsageError: One of the two files is missing or no such file.
        """
        try:
            start = float(json.loads(path.with_suffix(".json").read_text())["start"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(f"reading the start of {path}: {error}") from None
        return cls(read_wav(path), start)


class Recorder:
    """Collects audio as it comes, on one time axis.

    An unbroken stream is laid end to end and placed where most of its deliveries say, so that one that came early or
    late does not move it; after a pause the next samples begin anew at their own time. What lies beyond `max_seconds`
    from the beginning is counted in `dropped_samples` and not kept.
    """

    def __init__(self, max_seconds: float = MAX_SECONDS) -> None:
        self._stretches: list[_Stretch] = []
        self._limit = round(max_seconds * RATE_HZ)
        self.dropped_samples = 0

    def write(self, samples: Samples, at: float) -> None:
        """Append a copy of `samples`, whose first one belongs to the monotonic time `at`."""
        stretch = self._stretches[-1] if self._stretches else None
        if stretch is None or at - stretch.end > _RESYNC_S:
            stretch = _Stretch(at)
            self._stretches.append(stretch)
        first = round((stretch.first_at - self._stretches[0].first_at) * RATE_HZ) + stretch.length
        kept = max(0, min(len(samples), self._limit - first))
        self.dropped_samples += len(samples) - kept
        if kept:
            stretch.add(samples[:kept].copy(), at)
        elif not stretch.length and len(self._stretches) > 1:
            self._stretches.pop()

    def recording(self) -> Recording | None:
        """What was collected so far, or None when nothing was written."""
        if not self._stretches:
            return None
        start = self._stretches[0].begin
        parts: list[Samples] = []
        length = 0
        for stretch in self._stretches:
            gap = max(0, round((stretch.begin - start) * RATE_HZ) - length)
            parts += [np.zeros(gap, dtype=np.int16), stretch.samples()]
            length += gap + stretch.length
        return Recording(np.concatenate(parts)[: self._limit], start)


class _Stretch:
    """Audio without a pause in it."""

    def __init__(self, at: float) -> None:
        self.length = 0
        self.first_at = at
        self._blocks: list[Samples] = []
        self._begins: deque[float] = deque([at], maxlen=_MOST_BEGINS)
        self._recent: deque[float] = deque([at], maxlen=_RECENT)

    @property
    def begin(self) -> float:
        """When it began, by the median of what its deliveries say."""
        return median(self._begins)

    @property
    def end(self) -> float:
        """The time just after its last sample, by its newest deliveries: a stream may slip slowly."""
        return median(self._recent) + self.length / RATE_HZ

    def add(self, block: Samples, at: float) -> None:
        """Append a block that belongs to the time `at`."""
        if self.length:
            self._begins.append(at - self.length / RATE_HZ)
            self._recent.append(at - self.length / RATE_HZ)
        self._blocks.append(block)
        self.length += len(block)

    def samples(self) -> Samples:
        """All of it; the blocks are joined for good, so that asking often stays cheap."""
        if len(self._blocks) != 1:
            self._blocks = [np.concatenate([np.zeros(0, dtype=np.int16), *self._blocks])]
        return self._blocks[0]
