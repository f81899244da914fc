"""Recordings that know when they began, so that what different processes recorded can be laid on one time axis.

Times are `time.monotonic()` seconds, which all processes of a machine share on Linux. A `Recorder` is filled as audio
comes; a `Recording` is what comes out, and can be saved as a WAV beside a small JSON with its start.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from connector.audio.frames import RATE_HZ, Samples
from connector.base.errors import UsageError
from connector.practice.sound import read_wav, write_wav

_RESYNC_S = 0.08
"""A delivery this much after the end of the recording so far is placed at its time, with silence before it: more than
any scheduling delay of an unbroken stream, less than a pause between words."""
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
    """Collects audio as it comes, on one time axis, without bound on pauses but with one on length.

    An unbroken stream is laid end to end, whatever the jitter of its delivery; after a pause the next samples are
    placed at the time they came. What lies beyond `max_seconds` is counted in `dropped_samples` and not kept.
    """

    def __init__(self, max_seconds: float = MAX_SECONDS) -> None:
        self._blocks: list[Samples] = []
        self._length = 0
        self._limit = round(max_seconds * RATE_HZ)
        self._start: float | None = None
        self.dropped_samples = 0

    def write(self, samples: Samples, at: float) -> None:
        """Append a copy of `samples`, whose first one belongs to the monotonic time `at`."""
        if self._start is None:
            self._start = at
        behind = at - (self._start + self._length / RATE_HZ)
        if behind > _RESYNC_S:
            self._keep(np.zeros(min(round(behind * RATE_HZ), self._limit - self._length), dtype=np.int16))
        self._keep(samples.copy())

    def _keep(self, block: Samples) -> None:
        room = self._limit - self._length
        self.dropped_samples += max(0, len(block) - room)
        block = block[:room]
        if len(block):
            self._blocks.append(block)
            self._length += len(block)

    def recording(self) -> Recording | None:
        """What was collected so far, or None when nothing was."""
        if self._start is None:
            return None
        if len(self._blocks) > 1:
            self._blocks = [np.concatenate(self._blocks)]
        samples = self._blocks[0] if self._blocks else np.zeros(0, dtype=np.int16)
        return Recording(samples, self._start)
