"""A short line of samples: appended at the end as they are decoded, taken from the front as they are played."""

import numpy as np

from connector.audio.frames import SAMPLES_PER_MS, Samples
from connector.audio.timescale import MAX_LAG, lengthened, shortened

_SEAM = 5 * SAMPLES_PER_MS // 2
"""2.5 ms: a cross-fade too short to be heard as one, long enough not to click."""


class SampleLine:
    """48 kHz samples between decoder and play-out. Its users keep it short.

    Attributes:
        played: The last 15 ms that were taken.
    """

    def __init__(self) -> None:
        self._samples: Samples = np.zeros(0, dtype=np.int16)
        self.played: Samples = np.zeros(MAX_LAG, dtype=np.int16)

    def __len__(self) -> int:
        return len(self._samples)

    def append(self, samples: Samples) -> None:
        """Put samples at the end."""
        self._samples = np.concatenate((self._samples, samples)) if len(self._samples) else samples

    def peek(self, count: int) -> Samples:
        """The first samples, at most `count`, without taking them."""
        return self._samples[:count]

    def take(self, count: int) -> Samples:
        """Take samples from the front, at most `count`."""
        taken, self._samples = self._samples[:count], self._samples[count:]
        if len(taken) >= MAX_LAG:
            self.played = taken[-MAX_LAG:]
        elif len(taken):
            self.played = np.concatenate((self.played, taken))[-MAX_LAG:]
        return taken

    def shorten(self, lag: int) -> None:
        """Lose `lag` samples at the front by a cross-fade over as many; at least 2 `lag` must be there."""
        self._samples = shortened(self._samples, lag)

    def lengthen(self, lag: int) -> None:
        """Win `lag` samples at the front by a cross-fade from what was played; at least `lag` must be there."""
        self._samples = lengthened(self.played, self._samples, lag)

    def skip(self, count: int) -> None:
        """Lose `count` samples at the front by a short cross-fade, or all there are."""
        rest = self._samples[count:]
        seam = min(_SEAM, len(rest))
        self._samples = np.concatenate(
            (shortened(np.concatenate((self._samples[:seam], rest[:seam])), seam), rest[seam:])
        )
