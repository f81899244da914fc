"""Silence between what the agent says, kept up at almost no cost.

Pushing nothing at all would be cheaper, but a listener's jitter buffer reads the RTP timestamps: they only advance by
what was pushed. A reply after a pause of 0.3 to 2 s then looks like packets that are that late, and NetEQ answers with
as much delay for all that follows (measured at a participant: 50 ms became 380 to 670 ms). So the source has a queue,
which the native side empties by its own clock, and while the agent rests it is refilled with silence in pieces of
100 ms: ten calls a second instead of fifty or a hundred. What of it is left when the agent speaks again is dropped.

After `REST_S` even that ends. The native side then goes on with silence of its own, one tenth of a second late; NetEQ
has forgotten that two seconds later.
"""

import asyncio
from typing import Protocol

from connector.audio.frames import RATE_HZ, TICK_SAMPLES

QUEUE_MS = 160
"""Of the source: a piece of silence, the 20 ms ahead of it, and 40 ms for a late timer."""
PIECE_SAMPLES = RATE_HZ // 10
_PIECE_S = PIECE_SAMPLES / RATE_HZ
_DRY_AFTER_S = 0.04
"""So long after the last push the source has run dry, and whatever comes next is late anyway."""
REST_S = 20.0


class SilentLine(Protocol):
    """Takes silence into the native source."""

    def silence(self, samples: int) -> bool:
        """Publish 960 or 4800 samples of silence; returns at once."""

    def clear(self) -> None:
        """Drop what the source has not played yet."""


class Rest:
    """Refills the source with silence from when the agent pauses until it speaks again. Lives on the event loop.

    Args:
        line: Into the source.
    """

    def __init__(self, line: SilentLine) -> None:
        self._line = line
        self._timer: asyncio.TimerHandle | None = None
        self._pieces = 0

    def speak(self) -> None:
        """A frame is about to be pushed."""
        if self._pieces:
            self._pieces = 0
            self._line.clear()
        self._arm(_DRY_AFTER_S)

    def begin(self) -> None:
        """Nothing more is pushed for now; a frame may still be on its way."""
        if self._pieces or self._timer is None:
            return
        self._line.silence(TICK_SAMPLES)
        self._refill()

    def close(self) -> None:
        """End it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, wait_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(wait_s, self._on_timer)

    def _on_timer(self) -> None:
        if self._pieces:
            self._refill()
        else:
            self.begin()

    def _refill(self) -> None:
        at = asyncio.get_running_loop().time() if self._timer is None or not self._pieces else self._timer.when()
        self._pieces += 1
        self._line.silence(PIECE_SAMPLES)
        if self._timer is not None:
            self._timer.cancel()
        if self._pieces * _PIECE_S < REST_S:
            self._timer = asyncio.get_running_loop().call_at(at + _PIECE_S, self._on_timer)
