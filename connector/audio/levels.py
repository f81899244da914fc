"""Levels: how loud a stretch of sound is, whether somebody speaks, and where speech was torn.

dBFS here is RMS against a full-scale sine (AES17, IEC 61606): a sine whose peaks stand at -6 dBFS reads -6.0, noise
reads what its power says. Digital silence reads `FLOOR_DBFS`. Everything works on a stream, chunk by chunk, or on a
whole WAV.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from connector.audio.frames import RATE_HZ, SAMPLES_PER_MS, Samples

FLOOR_DBFS = -120.0
WINDOW_MS = 10
WINDOW_SAMPLES = WINDOW_MS * SAMPLES_PER_MS
"""Levels are judged in windows of 10 ms: shorter than any phoneme, about a period of a low voice."""
NEAR_SILENCE_DBFS = -60.0
"""Below this a listener hears nothing of a voice: 35 dB under its usual level (-26 dBov, ITU-T P.56) even when soft."""
SPEECH_DBFS = -45.0
"""Above this somebody speaks: 20 dB under the usual level, above a quiet room's noise."""
GAP_MS = 60
"""A gap up to this length is not noticed as one (design, vocabulary: audible gap)."""
LONGEST_GAP_MS = 1000
"""Longer near-silence is a pause of the speaker, not a gap, when there is no reference to tell."""

_FULL_SINE_POWER = 32_768.0**2 / 2
_BESIDE_WINDOWS = 3
"""Speech must be heard within 30 ms on either side of a gap: a voice that ends by itself decays for longer than
that."""


def gain_from_db(db: float) -> float:
    """The factor on amplitude of a gain in dB; exactly 1.0 for 0."""
    return float(10 ** (db / 20))


def dbfs(samples: Samples | NDArray[np.float32]) -> float:
    """The RMS level of samples in int16 units, in dBFS; `FLOOR_DBFS` for silence or no samples."""
    if not len(samples):
        return FLOOR_DBFS
    wide = samples.astype(np.float32)
    return _power_dbfs(float(np.dot(wide, wide)) / len(wide))


def window_levels(samples: Samples, window: int = WINDOW_SAMPLES) -> NDArray[np.float32]:
    """The level of each whole window, in dBFS.

    Args:
        samples: 48 kHz mono int16 of any length; a rest shorter than a window is left out.
        window: Window length in samples.
    """
    count = len(samples) // window
    wide = samples[: count * window].astype(np.float32).reshape(count, window)
    power = np.einsum("ij,ij->i", wide, wide) / window
    levels: NDArray[np.float32] = np.maximum(FLOOR_DBFS, 10 * np.log10(np.maximum(power, 1e-9) / _FULL_SINE_POWER))
    return levels


def tick_levels(samples: Samples) -> list[float]:
    """The level of each window of a short sound, in dBFS: as `window_levels`, sooner done; the rest is a window, too.

    Args:
        samples: 48 kHz mono int16 of any length.
    """
    wide = samples.astype(np.float32)
    pieces = [wide[begin : begin + WINDOW_SAMPLES] for begin in range(0, len(wide), WINDOW_SAMPLES)]
    return [_power_dbfs(float(piece.dot(piece)) / len(piece)) for piece in pieces]


def _power_dbfs(power: float) -> float:
    return max(FLOOR_DBFS, 10 * math.log10(max(power, 1e-9) / _FULL_SINE_POWER))


class LevelMeter:
    """A short-term level: up at once, down by half the power every 60 ms, as a peak-programme meter reads.

    Attributes:
        dbfs: The level, in dBFS.
    """

    _HALF_LIFE_S = 0.06

    def __init__(self) -> None:
        self._power = 0.0
        self.dbfs = FLOOR_DBFS

    def add(self, samples: Samples, span_s: float | None = None) -> float:
        """Take the next samples.

        Args:
            samples: 48 kHz mono int16.
            span_s: Seconds that they stand for, when only a part of the sound is measured; their own length by default.

        Returns:
            The level now, in dBFS.
        """
        wide = samples.astype(np.float32)
        power = float(wide.dot(wide)) / max(1, len(wide))
        span = len(samples) / RATE_HZ if span_s is None else span_s
        self._power = max(power, self._power * 0.5 ** (span / self._HALF_LIFE_S))
        self.dbfs = _power_dbfs(self._power)
        return self.dbfs

    def rest(self) -> None:
        """Nothing is heard any more."""
        self._power = 0.0
        self.dbfs = FLOOR_DBFS


class SpeechDetector:
    """Says whether somebody speaks, by level above a noise floor that follows the quietest of the last seconds.

    The floor falls at once and rises by 3 dB a second, so that a sentence does not lift it by much and a fan that was
    switched on is ignored after some seconds. Speech starts with the first 10 ms above the threshold and ends when
    nothing was above it for `hangover_ms` (250 ms bridges the closures of stops and short pauses between words).

    Attributes:
        speaking: Whether somebody speaks.
        floor_dbfs: The noise floor.
    """

    _RISE_DB = 3.0 * WINDOW_MS / 1000
    _ABOVE_FLOOR_DB = 12.0
    _LOWEST_FLOOR_DBFS = SPEECH_DBFS - 12.0
    _HIGHEST_FLOOR_DBFS = -35.0

    def __init__(self, hangover_ms: int = 250) -> None:
        self._hangover = hangover_ms // WINDOW_MS
        self._since = self._hangover + 1
        self._windows = _Windows()
        self.floor_dbfs = self._LOWEST_FLOOR_DBFS

    @property
    def speaking(self) -> bool:
        """Whether somebody speaks."""
        return self._since <= self._hangover

    def add(self, samples: Samples) -> bool:
        """Take the next samples (48 kHz mono int16, any length); returns whether somebody speaks now."""
        return self.add_levels(self._windows.add(samples))

    def add_levels(self, levels: Iterable[float]) -> bool:
        """Take the levels of the next windows of 10 ms instead, in dBFS; returns whether somebody speaks now."""
        for level in levels:
            lowest = max(level, self._LOWEST_FLOOR_DBFS)
            self.floor_dbfs = min(lowest, self.floor_dbfs + self._RISE_DB, self._HIGHEST_FLOOR_DBFS)
            self._since = 0 if level > self.floor_dbfs + self._ABOVE_FLOOR_DB else self._since + 1
        return self.speaking


@dataclass(frozen=True, slots=True)
class Gap:
    """One audible gap.

    Attributes:
        start_s: Where it begins, in seconds from the start of the stream.
        length_ms: How long it is.
    """

    start_s: float
    length_ms: int


class GapCounter:
    """Counts audible gaps in a stream: over 60 ms of near-silence with speech close by on both sides.

    Without knowing what was said it cannot tell a gap from a speaker who stops within 30 ms and goes on as suddenly;
    where the original is at hand, use `audible_gaps` with it.

    Attributes:
        count: Gaps so far.
        longest_ms: The longest of them.
        total_ms: All of them together.
        newest: The newest of them, None before the first.
    """

    def __init__(self) -> None:
        self._windows = _Windows()
        self._position = 0
        self._silent = 0
        self._since_speech = _BESIDE_WINDOWS + 1
        self._open: Gap | None = None
        self._since_gap = 0
        self.count = 0
        self.longest_ms = 0
        self.total_ms = 0
        self.newest: Gap | None = None

    def add(self, samples: Samples) -> None:
        """Take the next samples: 48 kHz mono int16 of any length."""
        self.add_levels(self._windows.add(samples))

    def add_levels(self, levels: Iterable[float]) -> None:
        """Take the levels of the next windows of 10 ms instead, in dBFS."""
        for level in levels:
            self._window(level)
            self._position += 1

    def _window(self, level: float) -> None:
        if level < NEAR_SILENCE_DBFS:
            self._silent += 1
            return
        if self._silent:
            self._close_silence()
        if level > SPEECH_DBFS:
            self._since_speech = 0
            self._count_open()
            return
        self._since_speech += 1
        self._since_gap += 1
        if self._since_gap > _BESIDE_WINDOWS:
            self._open = None

    def _close_silence(self) -> None:
        """Near-silence has ended; it is a gap if speech stood before it, and follows soon."""
        length = self._silent * WINDOW_MS
        if GAP_MS < length <= LONGEST_GAP_MS and self._since_speech <= _BESIDE_WINDOWS:
            self._open = Gap((self._position - self._silent) * WINDOW_MS / 1000, length)
            self._since_gap = 0
        elif length > GAP_MS:
            self._open = None
            self._since_speech = _BESIDE_WINDOWS + 1
        self._silent = 0

    def _count_open(self) -> None:
        if self._open is None:
            return
        self.newest, self._open = self._open, None
        self.count += 1
        self.longest_ms = max(self.longest_ms, self.newest.length_ms)
        self.total_ms += self.newest.length_ms


def audible_gaps(heard: Samples, reference: Samples | None = None) -> list[Gap]:
    """Find the audible gaps of a recording.

    Args:
        heard: 48 kHz mono int16.
        reference: What was said, aligned with `heard`: a gap is then exactly where `heard` is near-silent for over
            60 ms although this is not. Without it, as `GapCounter`.
    """
    if reference is None:
        counter, gaps = GapCounter(), []
        for begin in range(0, len(heard), WINDOW_SAMPLES):
            before = counter.count
            counter.add(heard[begin : begin + WINDOW_SAMPLES])
            if counter.count > before and counter.newest is not None:
                gaps.append(counter.newest)
        return gaps
    length = min(len(heard), len(reference))
    silent = window_levels(heard[:length]) < NEAR_SILENCE_DBFS
    missing = np.concatenate(([False], silent & (window_levels(reference[:length]) > SPEECH_DBFS), [False]))
    begins, ends = np.flatnonzero(~missing[:-1] & missing[1:]), np.flatnonzero(missing[:-1] & ~missing[1:])
    spans = zip(begins.tolist(), ends.tolist(), strict=True)
    return [Gap(b * WINDOW_MS / 1000, (e - b) * WINDOW_MS) for b, e in spans if (e - b) * WINDOW_MS > GAP_MS]


class _Windows:
    """Cuts a stream into windows and gives their levels."""

    def __init__(self) -> None:
        self._rest: Samples = np.zeros(0, dtype=np.int16)

    def add(self, samples: Samples) -> list[float]:
        whole = np.concatenate((self._rest, samples)) if len(self._rest) else samples
        used = len(whole) - len(whole) % WINDOW_SAMPLES
        self._rest = whole[used:].copy()
        levels: list[float] = window_levels(whole[:used]).tolist()
        return levels
