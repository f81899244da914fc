"""The stream of one heard track: the tap, or the SDK's public stream where the tap does not fit."""

import asyncio
from typing import Protocol

import numpy as np
from livekit import rtc

from connector.audio.frames import RATE_HZ, FrameSink
from connector.room.tap import TapStream

_FRAME_MS = 10
_CAPACITY = 20
"""At most 200 ms wait in the public stream; older frames are dropped."""


class TrackStream(Protocol):
    """An open stream.

    Attributes:
        frames: Frames delivered so far.
    """

    frames: int

    def close(self) -> asyncio.Task[None] | None:
        """End the stream; nothing is delivered any more. Idempotent.

        Returns:
            The task that tidies up behind it, if that takes time.
        """


class PublicStream:
    """A track's frames through `rtc.AudioStream`: twice the cost of the tap, but nothing private in it."""

    def __init__(self, track: rtc.Track, sink: FrameSink) -> None:
        """Open the stream on a subscribed audio track; the sink is called on the event loop."""
        self.frames = 0
        self._stream = rtc.AudioStream(
            track, sample_rate=RATE_HZ, num_channels=1, frame_size_ms=_FRAME_MS, capacity=_CAPACITY
        )
        self._reader = asyncio.create_task(self._read(sink), name="audio-stream-reader")
        self._closing: asyncio.Task[None] | None = None

    def close(self) -> asyncio.Task[None]:
        """End the stream; the task ends when the SDK's part of it is gone too."""
        if self._closing is None:
            self._reader.cancel()
            self._closing = asyncio.create_task(self._end(), name="audio-stream-close")
        return self._closing

    async def _end(self) -> None:
        await asyncio.wait({self._reader})
        await self._stream.aclose()

    async def _read(self, sink: FrameSink) -> None:
        async for event in self._stream:
            self.frames += 1
            sink(np.frombuffer(event.frame.data, np.int16))


def open_tap(track: rtc.Track, sink: FrameSink) -> TrackStream:
    """Open a tap on a subscribed audio track."""
    return TapStream(track, sink)


def open_public(track: rtc.Track, sink: FrameSink) -> TrackStream:
    """Open a public stream on a subscribed audio track."""
    return PublicStream(track, sink)
