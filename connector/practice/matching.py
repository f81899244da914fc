"""Finding a known piece of speech in a recording that went through codecs, jitter buffers and other people's voices.

The piece is cut into short windows, each is looked for by normalised cross-correlation, and the windows must agree on
a lag. Short windows survive the time stretching of a jitter buffer; the agreement tells the piece from other speech.
Measured with the committed clips through Opus twice (mono, 32 kbit/s): the right voice alone 0.85-0.90 in every window,
under a second voice 0.2-0.8, another voice or the same one in another pitch 0.08-0.20 with lags all over the place
(one window in a hundred above 0.3). So a window that stands out anchors the lag, and its neighbours need less when they
are found close to where the anchors say.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from connector.audio.frames import RATE_HZ, Samples
from connector.practice.recorder import Recording
from connector.practice.sound import level_dbfs

_DECIMATION = 4
_RATE_HZ = RATE_HZ // _DECIMATION
"""12 kHz: all of a telephone voice, a quarter of the work."""
_PRE_EMPHASIS = 0.7
"""Takes weight from the fundamental, whose periods resemble each other; of 0, 0.7 and 0.95 the best."""
_WINDOW = round(0.24 * _RATE_HZ)
_HOP = _WINDOW // 2
_QUIET_RATIO = 0.1
"""Windows 20 dB below the loudest one say too little to be looked for."""
_ANCHOR = 0.3
"""Correlation from which a window is an anchor; see the figures above."""
_NEAR = 0.2
_NEAR_S = 0.02
"""A window beside anchors counts from 0.2 on, within 20 ms of the lag between them: by chance one in twenty does."""
_LEAST_ANCHORS = 2
_AGREE_S = 0.08
"""How far a window's lag may stand from the median: what a jitter buffer stretches within one utterance."""
_AUDIBLE_RMS = 32_768 * 10 ** (-66 / 20)
"""Below -66 dBFS a recording holds nothing to be found."""
GAP_S = 0.06
"""An audible gap is more than 60 ms of near-silence inside speech (design, vocabulary)."""
_FRAME_S = 0.01
_SPEECH_BELOW_LEVEL_DB = 15.0
_SILENCE_BELOW_LEVEL_DB = 35.0

Wide = NDArray[np.float64]


@dataclass(frozen=True)
class Match:
    """How much of a piece was found in a recording.

    Attributes:
        share: Of the windows of the piece that hold speech, the part that was found, 0 to 1: to say that it is there.
        certain: The part that are anchors, found without the help of others: to say that it is not there.
        lag_s: By how much the recording is later than expected, in seconds: the median of the anchors.
        windows: How many windows were looked for.
    """

    share: float
    certain: float
    lag_s: float
    windows: int


_NOTHING = Match(0.0, 0.0, 0.0, 0)


def find(piece: Samples, at: float, recording: Recording, *, earliest_s: float = -0.2, latest_s: float = 1.5) -> Match:
    """Look for `piece`, spoken at the monotonic time `at`, in `recording`.

    Args:
        piece: 48 kHz mono int16.
        at: When its first sample was spoken.
        recording: Where to look.
        earliest_s: The smallest lag that is looked at.
        latest_s: The largest one.

    Returns:
        What was found; a share of 0 for a piece without speech or shorter than a window (0.24 s).
    """
    if len(piece) < _WINDOW * _DECIMATION:
        return _NOTHING
    wanted = _prepare(piece)
    heard = _prepare(recording.cut(at + earliest_s, at + latest_s + len(piece) / RATE_HZ))
    starts = _speech_windows(wanted)
    spread = round((latest_s - earliest_s) * _RATE_HZ)
    curves = [_correlation(wanted[i : i + _WINDOW], heard[i : i + _WINDOW + spread]) for i in starts]
    lags = np.array([int(np.argmax(curve)) for curve in curves])
    anchors = np.array([curve.max() >= _ANCHOR for curve in curves], dtype=bool)
    if not anchors.any():
        return replace(_NOTHING, windows=len(starts))
    median = float(np.median(lags[anchors]))
    anchors &= np.abs(lags - median) <= _AGREE_S * _RATE_HZ
    found = int(anchors.sum())
    if found >= _LEAST_ANCHORS:
        path = np.interp(starts, np.array(starts)[anchors], lags[anchors])
        found += sum(_near(curves[i], path[i]) for i in range(len(starts)) if not anchors[i])
    certain = int(anchors.sum()) / len(starts)
    return Match(found / len(starts), certain, median / _RATE_HZ + earliest_s, len(starts))


def _near(curve: Wide, lag: float) -> bool:
    """Whether a window is found close to a lag."""
    reach = round(_NEAR_S * _RATE_HZ)
    close = curve[max(0, round(lag) - reach) : round(lag) + reach + 1]
    return bool(close.max(initial=0.0) >= _NEAR)


def _prepare(samples: Samples) -> Wide:
    taps = np.sinc(np.arange(-48, 49) / _DECIMATION * 0.9) * np.kaiser(97, 6.0)
    slow = np.convolve(samples.astype(np.float64), taps / taps.sum(), mode="same")[::_DECIMATION]
    return slow - _PRE_EMPHASIS * np.concatenate([[0.0], slow[:-1]])


def _speech_windows(wanted: Wide) -> list[int]:
    starts = list(range(0, len(wanted) - _WINDOW + 1, _HOP))
    powers = [float(np.mean(np.square(wanted[i : i + _WINDOW]))) for i in starts]
    floor = max([*powers, 0.0]) * _QUIET_RATIO**2
    return [start for start, power in zip(starts, powers, strict=True) if power > max(floor, 1.0)]


def _correlation(window: Wide, heard: Wide) -> Wide:
    """The normalised correlation of a window with a longer stretch, at every lag; 0 where that is silent."""
    size = 1 << (len(heard) + len(window)).bit_length()
    spectrum = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(window, size))
    products = np.fft.irfft(spectrum, size)[: len(heard) - len(window) + 1]
    sums = np.concatenate([[0.0], np.cumsum(np.square(heard))])
    energy = sums[len(window) :] - sums[: -len(window)]
    least = len(window) * _AUDIBLE_RMS**2
    both = np.sqrt(np.maximum(energy, least) * np.sum(np.square(window)))
    curve: Wide = np.where(energy > least, products / both, 0.0)
    return curve


def level_change_db(piece: Samples, at: float, recording: Recording, lag_s: float) -> float:
    """By how many dB a piece is louder in the recording than it was spoken, nobody else speaking meanwhile."""
    begin = at + lag_s
    return level_dbfs(recording.cut(begin, begin + len(piece) / RATE_HZ)) - level_dbfs(piece)


def gaps(piece: Samples, at: float, recording: Recording, lag_s: float) -> list[tuple[float, float]]:
    """Audible gaps: stretches over 60 ms that are near-silent in the recording although the piece holds speech there.

    Returns:
        Begin and length of each, in seconds on the recording's clock.
    """
    level = level_dbfs(piece)
    begin = at + lag_s
    heard = recording.cut(begin, begin + len(piece) / RATE_HZ)
    missing = (_frame_levels(piece) > level - _SPEECH_BELOW_LEVEL_DB) & (
        _frame_levels(heard) < level - _SILENCE_BELOW_LEVEL_DB
    )
    return [
        (begin + first * _FRAME_S, count * _FRAME_S)
        for first, count in runs(missing)
        if count * _FRAME_S > GAP_S + _FRAME_S / 2
    ]


def sound_spans(
    recording: Recording, *, join_s: float = 0.4, least_s: float = 0.3, floor_dbfs: float = -60.0
) -> list[tuple[float, float]]:
    """Begin and end (monotonic) of each stretch of sound; shorter pauses than `join_s` belong to it."""
    sound = _frame_levels(recording.samples) > floor_dbfs
    spans: list[tuple[float, float]] = []
    for first, count in runs(sound):
        begin = recording.start + first * _FRAME_S
        end = begin + count * _FRAME_S
        if spans and begin - spans[-1][1] <= join_s:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((begin, end))
    return [(begin, end) for begin, end in spans if end - begin >= least_s]


def runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First index and length of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return [(int(first), int(last - first)) for first, last in zip(edges[::2], edges[1::2], strict=True)]


def _frame_levels(samples: Samples) -> Wide:
    size = round(_FRAME_S * RATE_HZ)
    frames = samples[: len(samples) // size * size].reshape(-1, size)
    power = np.mean(np.square(frames, dtype=np.float64), axis=1)
    levels: Wide = 10 * np.log10(np.maximum(power, 1e-3) / 32_768**2)
    return levels
