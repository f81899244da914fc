"""The gain-riding limiter behind the sum: what would not fit is turned down, never bent.

Peak-driven: each millisecond's peak says which gain it can bear; the gain falls to that within the same tick (it sees
the whole tick, so mostly before the peak comes; no delay is added), is held while the peaks may come back, then rises
slowly. While nothing reaches the ceiling the gain is exactly one and the samples pass bit by bit. A plain saturation
(tanh) would bend everything, hard clipping two steady tones costs -18 dB of distortion (media.md §5).
"""

import numpy as np
from numpy.typing import NDArray

from connector.audio.frames import TICK_SAMPLES, Samples, peak

CEILING = 29_204
"""-1 dBFS: what stays below passes untouched, and nothing goes out above it."""
HOLD_TICKS = 8
"""Ticks that the gain stays down after a peak asked for it: 160 ms, so that neither the waveform of the lowest voice
nor the beat of tones over 6 Hz apart modulates the gain."""
RELEASE_PER_TICK = 0.05
"""Share of the remaining distance to one that the gain rises per tick: a time constant of 0.4 s, slow enough not to
pump between syllables (Giannoulis et al., "Digital dynamic range compressor design", JAES 2012, give 0.1 to 1 s)."""

_BLOCK = 48
_BLOCKS = TICK_SAMPLES // _BLOCK
_REST_GAIN = 0.9997
"""From here (0.003 dB) the gain is one."""
_STEEPEST = 0.07
"""How far the gain falls per millisecond where it can see the peak coming: about 10 ms for 12 dB, below the ear's
notice."""
_RAMP: NDArray[np.float32] = ((np.arange(_BLOCK) + 1) / _BLOCK).astype(np.float32)
_STEPS: NDArray[np.float32] = np.arange(_BLOCKS + 1, dtype=np.float32) * np.float32(_STEEPEST)


class Limiter:
    """Turns the wide sum of a tick into int16.

    Attributes:
        gain: The gain that the last tick ended with, 0 to 1.
        limited_ticks: Ticks in which a peak asked for less gain than there was.
    """

    def __init__(self) -> None:
        self.gain = 1.0
        self.limited_ticks = 0
        self._needs = [1.0] * HOLD_TICKS

    @property
    def resting(self) -> bool:
        """Whether the gain is one and nothing holds it elsewhere: a tick below the ceiling passes untouched."""
        return self.gain == 1.0

    def process(self, wide: NDArray[np.float32]) -> Samples:
        """Limit one tick.

        Args:
            wide: 960 finite samples float32 in units of int16, of any size; not changed.

        Returns:
            960 samples int16, new, none above `CEILING`. Exactly `wide` (rounded) while `resting` and below it.
        """
        highest = peak(wide)
        need = CEILING / highest if highest > CEILING else 1.0
        if need == 1.0 and self.resting:
            self._remember(1.0)
            return np.rint(wide).astype(np.int16)
        released = self._release(need)
        if need >= self.gain:
            gains = np.linspace(self.gain, released, _BLOCKS + 1, dtype=np.float32)
        else:
            self.limited_ticks += 1
            gains = self._attack(wide)
        self.gain = float(gains[-1]) if gains[-1] < _REST_GAIN else 1.0
        shape = (gains[:-1, None] + (gains[1:] - gains[:-1])[:, None] * _RAMP).reshape(TICK_SAMPLES)
        return np.rint(np.clip(wide * shape, -CEILING, CEILING)).astype(np.int16)

    def rest(self) -> None:
        """A tick in which nothing was heard: the gain recovers."""
        if not self.resting:
            gain = self._release(1.0)
            self.gain = gain if gain < _REST_GAIN else 1.0

    def _remember(self, need: float) -> None:
        self._needs.append(need)
        del self._needs[0]

    def _release(self, need: float) -> float:
        """The gain at the tick's end if nothing pulls it down: held below the recent needs, else a little higher."""
        held = min(self._needs)
        self._remember(need)
        return min(held, need, self.gain + (1.0 - self.gain) * RELEASE_PER_TICK)

    def _attack(self, wide: NDArray[np.float32]) -> NDArray[np.float32]:
        """Gains at the block boundaries that bring every block below the ceiling, as gently as there is time for.

        The first block starts at the gain of the tick before. A peak in that very millisecond is not seen in time; the
        clip behind this takes it.
        """
        peaks = np.abs(wide).reshape(_BLOCKS, _BLOCK).max(axis=1)
        needs = np.minimum(CEILING / np.maximum(peaks, CEILING), self.gain).astype(np.float32)
        gains = np.empty(_BLOCKS + 1, dtype=np.float32)
        gains[0] = self.gain
        gains[1:] = np.minimum.accumulate(needs)
        gains[1:-1] = np.minimum(gains[1:-1], gains[2:])
        # From the end backwards: a boundary may stand above the next one by at most _STEEPEST.
        gains[1:] = np.minimum.accumulate((gains - _STEPS[::-1])[:0:-1])[::-1] + _STEPS[::-1][1:]
        return gains
