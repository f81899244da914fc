"""What the bench sends, and how it finds it again. Pure numpy: 48 kHz mono int16.

*Dense speech* is the committed clips without their pauses, so that any silence in it is a gap. The *ruler* is dense
speech, then silence, with a short chirp each second on top of both. A matched filter finds the chirps, so an arrival is
known to a fraction of a millisecond, also after Opus and a jitter buffer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.recording import RATE_HZ, Recording

Samples = NDArray[np.int16]

CHIRP_SAMPLES = RATE_HZ // 50
CHIRP_EVERY = RATE_HZ
CHIRP_FIRST = RATE_HZ // 2
LONGEST_DELAY_S = 0.95
MATCH = 0.5
"""Least correlation coefficient of an arrived chirp with the sent one."""

WINDOW = RATE_HZ // 100
QUIET_DBFS = -55.0
"""Near-silence: below any 10 ms of the dense speech, above what codecs make of nothing."""
KEPT_PAUSE_WINDOWS = 2
SPEECH_RMS = 2_000.0


def window_levels(samples: Samples) -> NDArray[np.float64]:
    """The level of each whole 10 ms, dBFS (RMS)."""
    whole = samples[: len(samples) // WINDOW * WINDOW].reshape(-1, WINDOW).astype(np.float64)
    rms = np.sqrt(np.mean(whole**2, axis=1))
    return np.asarray(20 * np.log10(np.maximum(rms, 1e-3) / 32_768))


def dense(clips: Sequence[Samples], seconds: float) -> Samples:
    """The clips one after another at one level, their pauses cut to 20 ms, repeated to fill `seconds`."""
    speech = np.concatenate([clip / np.sqrt(np.mean(clip.astype(np.float64) ** 2)) for clip in clips]) * SPEECH_RMS
    levels = window_levels(speech.astype(np.int16))
    keep, quiet = [], 0
    for index, level in enumerate(levels):
        quiet = quiet + 1 if level < QUIET_DBFS + 10 else 0
        if quiet <= KEPT_PAUSE_WINDOWS:
            keep.append(speech[index * WINDOW : (index + 1) * WINDOW])
    once = np.clip(np.concatenate(keep), -32_768, 32_767).astype(np.int16)
    return np.resize(once, round(seconds * RATE_HZ))


def chirp() -> NDArray[np.float64]:
    """20 ms from 500 to 5,000 Hz under a Hann window, peak 1."""
    time = np.arange(CHIRP_SAMPLES) / RATE_HZ
    sweep = (5_000 - 500) / time[-1]
    return np.asarray(np.hanning(CHIRP_SAMPLES) * np.sin(2 * np.pi * (500 * time + sweep * time**2 / 2)))


def ruler(speech: Samples, seconds: float) -> Samples:
    """Half of `seconds` quiet speech, half silence, with a chirp each second on top of both."""
    out = np.zeros(round(seconds * RATE_HZ))
    half = len(out) // 2
    out[:half] = speech[:half] * 0.3
    for start in chirp_positions(len(out)):
        out[start : start + CHIRP_SAMPLES] += 16_000 * chirp()
    return out.astype(np.int16)


def chirp_positions(length: int) -> range:
    """The first samples of the chirps in a ruler of `length` samples."""
    return range(CHIRP_FIRST, length - CHIRP_SAMPLES, CHIRP_EVERY)


def find(samples: Samples, pattern: NDArray[np.float64]) -> tuple[int, float]:
    """Where `pattern` matches best, and the correlation coefficient there."""
    if len(samples) < len(pattern):
        return 0, 0.0
    signal = samples.astype(np.float64)
    size = len(signal) + len(pattern)
    product = np.fft.irfft(np.fft.rfft(signal, size) * np.conj(np.fft.rfft(pattern, size)), size)
    scores = product[: len(signal) - len(pattern) + 1]
    energy = np.cumsum(np.concatenate([[0.0], signal**2]))
    energy = energy[len(pattern) :] - energy[: -len(pattern)]
    scores = scores / np.sqrt(np.maximum(energy, 1e3 * len(pattern)) * np.sum(pattern**2))
    best = int(np.argmax(scores))
    return best, float(scores[best])


def delay_of(heard: Recording, pattern: NDArray[np.float64], sent_at: float) -> float | None:
    """How long after `sent_at` (monotonic seconds) `pattern` arrived, in seconds; None when it is not found."""
    first = heard.index_at(sent_at - 0.03)
    last = heard.index_at(sent_at + LONGEST_DELAY_S) + len(pattern)
    at, score = find(heard.samples[first:last], pattern)
    return heard.time_of(first + at) - sent_at if score >= MATCH else None


@dataclass(frozen=True)
class Delays:
    """Delays of the chirps of a ruler, in ms; those over speech and those out of silence."""

    speech: list[float]
    silence: list[float]
    missed: int


def ruler_delays(heard: Recording, sent_at: Callable[[int], float | None], length: int, rounds: int) -> Delays:
    """Find every chirp of a ruler of `length` samples that was played in a loop.

    Args:
        heard: What arrived.
        sent_at: When the sample at an index (counted on over the rounds) was sent; None when it never was.
        length: Samples of one round.
        rounds: How many rounds to look at.
    """
    delays, pattern = Delays([], [], 0), chirp()
    missed = 0
    for start in (turn * length + position for turn in range(rounds) for position in chirp_positions(length)):
        when = sent_at(start)
        if when is None:
            continue
        delay = delay_of(heard, pattern, when)
        if delay is None:
            missed += 1
        elif start % length < length // 2:
            delays.speech.append(1000 * delay)
        else:
            delays.silence.append(1000 * delay)
    return Delays(delays.speech, delays.silence, missed)


def gaps(samples: Samples, *, longer_than_ms: int = 60) -> tuple[int, float]:
    """Audible gaps in dense speech: stretches of near-silence longer than `longer_than_ms`.

    Returns:
        How many, and the share of near-silent 10 ms windows in per cent.
    """
    quiet = window_levels(samples) < QUIET_DBFS
    edges = np.flatnonzero(np.diff(np.concatenate([[False], quiet, [False]]).astype(np.int8)))
    lengths = edges[1::2] - edges[::2]
    return int(np.sum(lengths * 10 > longer_than_ms)), 100 * float(np.mean(quiet)) if len(quiet) else 0.0
