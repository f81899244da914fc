"""Recordings with the time of arrival of every frame: the bench's ruler.

The time of a sample is the arrival of its packet or frame plus its offset in it, on CLOCK_MONOTONIC, which all
processes of one machine share. So packetisation itself counts nothing, at either end.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 48_000


@dataclass(frozen=True)
class Recording:
    """Audio as it arrived.

    Attributes:
        times: Arrival of each frame, ns of CLOCK_MONOTONIC, int64.
        starts: Index of each frame's first sample, int64, ascending.
        samples: All frames one after another, 48 kHz mono int16.
    """

    times: NDArray[np.int64]
    starts: NDArray[np.int64]
    samples: NDArray[np.int16]

    def time_of(self, index: int) -> float:
        """When the sample at `index` arrived, monotonic seconds."""
        frame = int(np.searchsorted(self.starts, index, side="right")) - 1
        return float(self.times[frame]) / 1e9 + (index - int(self.starts[frame])) / RATE_HZ

    def index_at(self, when: float) -> int:
        """The first sample of the first frame that arrived at `when` (monotonic seconds) or later."""
        frame = int(np.searchsorted(self.times, int(when * 1e9)))
        return int(self.starts[frame]) if frame < len(self.starts) else len(self.samples)

    def between(self, start: float, end: float) -> NDArray[np.int16]:
        """The samples that arrived between two times, monotonic seconds."""
        return self.samples[self.index_at(start) : self.index_at(end)]

    def played(self, start: float, end: float) -> NDArray[np.int16]:
        """What a listener without any jitter buffer hears: each frame when it arrives or when the one before is over.

        Args:
            start: Monotonic seconds.
            end: Frames that arrived until then count.

        Returns:
            The frames, with zeros wherever nothing was there to play.
        """
        parts: list[NDArray[np.int16]] = []
        cursor = start
        ends = np.append(self.starts[1:], len(self.samples))
        for time_ns, first, last in zip(self.times, self.starts, ends, strict=True):
            arrived = float(time_ns) / 1e9
            if not start <= arrived < end:
                continue
            if arrived > cursor:
                parts.append(np.zeros(round((arrived - cursor) * RATE_HZ), np.int16))
                cursor = arrived
            parts.append(self.samples[first:last])
            cursor += (last - first) / RATE_HZ
        parts.append(np.zeros(max(0, round((end - cursor) * RATE_HZ)), np.int16))
        return np.concatenate(parts)

    def save(self, path: Path) -> None:
        """Write to an `.npz` file."""
        np.savez(path, times=self.times, starts=self.starts, samples=self.samples)

    @classmethod
    def load(cls, path: Path) -> "Recording":
        """Read what `save` wrote."""
        with np.load(path) as stored:
            return cls(stored["times"], stored["starts"], stored["samples"])


@dataclass
class FrameLog:
    """Collects frames while they arrive; cheap enough for the 20 ms path."""

    times: list[int] = field(default_factory=list)
    frames: list[NDArray[np.int16]] = field(default_factory=list)

    def add(self, now_ns: int, samples: NDArray[np.int16]) -> None:
        """Keep a copy of one frame."""
        self.times.append(now_ns)
        self.frames.append(samples.copy())

    def recording(self) -> Recording:
        """Everything so far."""
        lengths = np.array([0, *(len(frame) for frame in self.frames)], dtype=np.int64)
        samples = np.concatenate([*self.frames, np.empty(0, np.int16)])
        return Recording(np.array(self.times, dtype=np.int64), np.cumsum(lengths)[:-1], samples)

    def save(self, path: Path) -> None:
        """Write the recording to an `.npz` file."""
        self.recording().save(path)
