"""Playing speech faster or slower without touching its pitch: whole pitch periods are taken out or put in.

Two neighbouring periods of a voice look alike, so one can be cross-faded into the other and go, or come twice, unheard:
the way of NetEQ's accelerate and preemptive expand (WebRTC, modules/audio_coding/neteq), a form of WSOLA (Verhelst and
Roelands, ICASSP 1993). Where nothing is said any piece may go.
"""

import numpy as np
from numpy.typing import NDArray

from connector.audio.frames import SAMPLES_PER_MS, Samples

MIN_LAG = 5 * SAMPLES_PER_MS // 2
"""2.5 ms: a voice of 400 Hz; higher ones are met by two of their periods."""
MAX_LAG = 15 * SAMPLES_PER_MS
"""15 ms: a voice of 67 Hz. Both as in NetEQ."""
_COARSE = 6
"""The search runs at 8 kHz first, which is enough for the pitch of a voice."""
_COMPARED = 10 * SAMPLES_PER_MS
SPAN = MAX_LAG + _COMPARED
"""Samples that `best_lag` needs: 25 ms."""


def _likeness(line: NDArray[np.float32], lags: NDArray[np.intp], compared: int) -> NDArray[np.float32]:
    """Normalised correlation of the start of `line` with itself from each lag on; 0 where there is no sound."""
    windows = np.lib.stride_tricks.sliding_window_view(line, compared)[lags]
    start = line[:compared]
    energy = np.sqrt((windows * windows).sum(axis=1) * float(start @ start))
    found: NDArray[np.float32] = np.where(energy > 0, windows @ start / np.maximum(energy, 1), 0)
    return found


def best_lag(samples: Samples) -> tuple[int, float]:
    """After how many samples the sound at the start repeats itself best.

    Args:
        samples: At least `SPAN` samples.

    Returns:
        The lag, 2.5 to 15 ms in samples, and the likeness there, -1 to 1.
    """
    line = samples[:SPAN].astype(np.float32)
    coarse_line = line[: SPAN // _COARSE * _COARSE].reshape(-1, _COARSE).mean(axis=1)
    coarse_lags = np.arange(MIN_LAG // _COARSE, MAX_LAG // _COARSE + 1)
    coarse = int(coarse_lags[_likeness(coarse_line, coarse_lags, _COMPARED // _COARSE).argmax()]) * _COARSE
    lags = np.arange(max(MIN_LAG, coarse - _COARSE + 1), min(MAX_LAG, coarse + _COARSE - 1) + 1)
    likeness = _likeness(line, lags, _COMPARED)
    best = int(likeness.argmax())
    return int(lags[best]), float(likeness[best])


def _faded(leaving: Samples, coming: Samples) -> Samples:
    weight = (np.arange(len(leaving)) + 0.5) / len(leaving)
    out: Samples = np.rint(leaving * (1 - weight) + coming * weight).astype(np.int16)
    return out


def shortened(samples: Samples, lag: int) -> Samples:
    """`samples` without `lag` of them: its first two stretches of that length become one.

    Args:
        samples: At least 2 `lag` samples.
        lag: How many to lose.
    """
    return np.concatenate((_faded(samples[:lag], samples[lag : 2 * lag]), samples[2 * lag :]))


def lengthened(before: Samples, samples: Samples, lag: int) -> Samples:
    """`samples` with `lag` more: its first stretch of that length comes twice.

    Args:
        before: What was played last, at least `lag` samples.
        samples: What comes next, at least `lag` samples.
        lag: How many to win.
    """
    return np.concatenate((_faded(samples[:lag], before[len(before) - lag :]), samples))
