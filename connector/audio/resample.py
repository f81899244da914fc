"""48 kHz to 8 kHz and back for the telephone codecs: one polyphase low-pass filter, with its state kept between calls.

The filter is a Kaiser-windowed sinc (Oppenheim/Schafer, Discrete-Time Signal Processing, §7.5). G.711 itself has about
38 dB signal-to-noise, so 60 dB in the stop band is ample; a pass band to 3.25 kHz and a stop band from 4 kHz then take
240 taps, which delay by 2.5 ms.
"""

import numpy as np
from numpy.typing import NDArray

from connector.audio.frames import RATE_HZ, Samples

NARROW_HZ = 8_000
FACTOR = RATE_HZ // NARROW_HZ
_TAPS_PER_PHASE = 40
_TAPS = FACTOR * _TAPS_PER_PHASE
_CUTOFF_HZ = 3_640
_KAISER_BETA = 5.65
"""60 dB: 0.1102 (A - 8.7)."""
_INT16 = np.iinfo(np.int16)


def _prototype() -> NDArray[np.float32]:
    at = np.arange(_TAPS) - (_TAPS - 1) / 2
    taps = np.sinc(2 * _CUTOFF_HZ / RATE_HZ * at) * np.kaiser(_TAPS, _KAISER_BETA)
    # Each phase on its own passes a constant exactly, or a steady level would come out with an 8 kHz ripple.
    phases = taps.reshape(_TAPS_PER_PHASE, FACTOR)
    return np.asarray(phases / phases.sum(axis=0), dtype=np.float32)


_PHASES = _prototype()
"""Shape (40, 6): column p makes output sample 6 m + p from the 40 narrow-band samples up to m."""
_DOWN = (_PHASES.reshape(-1) / FACTOR).astype(np.float32)
_UP = np.ascontiguousarray(_PHASES[::-1])


def _to_int16(samples: NDArray[np.float32]) -> Samples:
    return np.clip(np.rint(samples), _INT16.min, _INT16.max).astype(np.int16)


class Downsampler:
    """48 kHz to 8 kHz."""

    def __init__(self) -> None:
        self._past: NDArray[np.float32] = np.zeros(_TAPS - FACTOR, dtype=np.float32)

    def process(self, samples: Samples) -> Samples:
        """Samples at 8 kHz, a sixth as many; `samples` must be a multiple of 6 long."""
        line = np.concatenate((self._past, samples), dtype=np.float32)
        self._past = line[len(line) - len(self._past) :]
        windows = np.lib.stride_tricks.sliding_window_view(line, _TAPS)[::FACTOR]
        return _to_int16(windows @ _DOWN)


class Upsampler:
    """8 kHz to 48 kHz."""

    def __init__(self) -> None:
        self._past: NDArray[np.float32] = np.zeros(_TAPS_PER_PHASE - 1, dtype=np.float32)

    def process(self, samples: Samples) -> Samples:
        """Samples at 48 kHz, six times as many."""
        line = np.concatenate((self._past, samples), dtype=np.float32)
        self._past = line[len(line) - len(self._past) :]
        windows = np.lib.stride_tricks.sliding_window_view(line, _TAPS_PER_PHASE)
        return _to_int16((windows @ _UP).reshape(-1))
