"""The one audio format inside the connector, and the shapes that pass between its parts.

Everything is 48 kHz mono int16 at the edges (`design`: one rate inside, only the edges convert). A *tick* is 20 ms.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 48_000
TICK_MS = 20
TICK_SECONDS = TICK_MS / 1000
TICK_SAMPLES = RATE_HZ * TICK_MS // 1000
"""Samples per tick: 960."""
TAP_SAMPLES = TICK_SAMPLES // 2
"""Samples per frame as the room's native library delivers and accepts them: 10 ms, 480 samples."""
SAMPLES_PER_MS = RATE_HZ // 1000

Samples: TypeAlias = NDArray[np.int16]
"""One-dimensional 48 kHz mono int16."""

_NO_SOUND = bytes(2 * TICK_SAMPLES)


def peak(samples: NDArray[np.int16] | NDArray[np.float32]) -> int | float:
    """The largest absolute value of finite samples, at least one; by `argmax`, a quarter of the time of `max`."""
    return max(samples.item(samples.argmax()), -samples.item(samples.argmin()))


def is_silent(samples: Samples) -> bool:
    """Whether all samples are zero; a comparison of bytes takes a tenth of the time of `any`."""
    return samples.tobytes() == (_NO_SOUND if len(samples) == TICK_SAMPLES else bytes(2 * len(samples)))


FrameSink: TypeAlias = Callable[[Samples], None]
"""Takes audio as it arrives. May be called from a native thread; the array is only valid during the call."""


class AudioInputs(Protocol):
    """Where a leg delivers what it hears: one input per track, opened and closed by the leg."""

    def open(self, key: str, gain_db: float) -> FrameSink:
        """Start an input; `key` is unique per publication. Opening a key again replaces the old input."""

    def set_gain(self, key: str, gain_db: float) -> None:
        """Change the gain of an open input, in dB; an unknown key is ignored."""

    def close(self, key: str) -> None:
        """End an input; later calls of its sink change nothing. An unknown key is ignored."""


@dataclass(frozen=True, slots=True)
class MediaPacket:
    """One received RTP packet, without its transport: what the receive path needs of it.

    Attributes:
        sequence_number: 16-bit RTP sequence number.
        timestamp: 32-bit RTP timestamp (48 kHz for Opus, 8 kHz for G.711).
        ssrc: 32-bit synchronisation source.
        payload: The payload without header, extensions and padding; empty for a padding-only packet.
        marker: RTP marker bit (start of a talk spurt).
    """

    sequence_number: int
    timestamp: int
    ssrc: int
    payload: bytes
    marker: bool = False
