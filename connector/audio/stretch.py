"""One tick played a little slower or faster, so that a ring can win or lose a few samples without a click.

A tick of 960 samples is made from 952 or 968 of the track by a fractional delay that grows evenly over the tick (a
16-tap Kaiser-windowed sinc, beta 8, errors below -75 dB up to 16 kHz; Laakso et al., "Splitting the unit delay", IEEE
SP Magazine 1996). It begins and ends on whole samples, so the ticks before and after are plain copies and nothing is
filtered while nothing is corrected. 0.83 % of speed is 14 cents: not noticed in speech, where voices move by far more
within one vowel.
"""

import numpy as np
from numpy.typing import NDArray

from connector.audio.frames import TICK_SAMPLES, Samples

STEP = 8
"""Samples won or lost per tick."""
BEFORE = 7
"""Samples that the filter needs before the first one to play."""
AFTER = 8
"""Samples that it needs behind the last one, when it hurries; a slowed tick fits into the 960 of a plain one."""
_KAISER_BETA = 8.0

_Table = tuple[NDArray[np.intp], NDArray[np.float32]]


def _table(consumed: int) -> _Table:
    """Where each output sample looks, and with which weights, to make a tick from `consumed` samples."""
    positions = np.arange(TICK_SAMPLES) * consumed / TICK_SAMPLES
    whole = np.floor(positions).astype(np.intp)
    offsets = np.arange(-BEFORE, AFTER + 1)
    distance = offsets[None, :] - (positions - whole)[:, None]
    window = np.i0(_KAISER_BETA * np.sqrt(np.maximum(0.0, 1 - (distance / AFTER) ** 2))) / np.i0(_KAISER_BETA)
    weights = np.sinc(distance) * window
    weights /= weights.sum(axis=1, keepdims=True)
    return whole[:, None] + (offsets + BEFORE)[None, :], weights.astype(np.float32)


_SLOWED = _table(TICK_SAMPLES - STEP)
_HURRIED = _table(TICK_SAMPLES + STEP)


def needed(*, hurry: bool) -> int:
    """Samples to hand to `stretched`, the `BEFORE` ones included."""
    return BEFORE + (TICK_SAMPLES + STEP + AFTER if hurry else TICK_SAMPLES)


def stretched(samples: Samples, *, hurry: bool) -> Samples:
    """Make one tick from 968 (`hurry`) or 952 samples.

    Args:
        samples: `needed` samples of the track, int16, beginning `BEFORE` before the first one to play.
        hurry: Whether to play faster.

    Returns:
        960 samples int16, new.
    """
    where, weights = _HURRIED if hurry else _SLOWED
    wide = np.einsum("ij,ij->i", samples.astype(np.float32)[where], weights)
    out: Samples = np.clip(np.rint(wide), -32_768, 32_767).astype(np.int16)
    return out
