"""The track that feeds the WebRTC sender with packets that are encoded already."""

import asyncio
from collections import deque
from fractions import Fraction
from typing import Any

from aiortc import MediaStreamTrack
from av.packet import Packet

from connector.audio.frames import RATE_HZ

QUEUE_PACKETS = 10
"""200 ms: the sender takes each packet within one turn of the event loop, so more means that it is stuck."""
_TIME_BASE = Fraction(1, RATE_HZ)


class PacketTrack(MediaStreamTrack):
    """An audio track of encoded packets with a bounded queue: the oldest packet goes when it is full.

    An exception out of `recv` would end the library's sender for ever, so it never raises; it waits when there is
    nothing to send.

    Attributes:
        taken: Packets that the sender took.
        taken_bytes: Their payload bytes.
        dropped: Packets that went because the sender did not take them in time.
        early: Packets given before `open`.
        refused: Packets given without payload.
    """

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._queue: deque[tuple[bytes, int]] = deque(maxlen=QUEUE_PACKETS)
        self._ready = asyncio.Event()
        self._open = False
        self.taken = 0
        self.taken_bytes = 0
        self.dropped = 0
        self.early = 0
        self.refused = 0

    def open(self) -> None:
        """From now on packets are queued; what came before the connection stood would only be late."""
        self._open = True

    @property
    def full(self) -> bool:
        """Whether the next packet would push one out."""
        return len(self._queue) == QUEUE_PACKETS

    def push(self, payload: bytes, timestamp: int) -> None:
        """Queue a packet; never blocks or raises.

        Args:
            payload: An RTP payload; without one nothing is sent (the far side's decoder might take it as its end).
            timestamp: In units of 1/48000 s whatever the codec, never going back; the library converts to the codec's
                clock (8 kHz for G.711) and adds its random origin.
        """
        if not payload:
            self.refused += 1
        elif not self._open:
            self.early += 1
        else:
            self.dropped += self.full
            self._queue.append((payload, timestamp))
            self._ready.set()

    async def recv(self) -> "Packet[Any]":
        """The next packet, for the library's sender."""
        while not self._queue:
            self._ready.clear()
            await self._ready.wait()
        payload, timestamp = self._queue.popleft()
        self.taken += 1
        self.taken_bytes += len(payload)
        packet = Packet(payload)
        packet.pts = timestamp
        packet.time_base = _TIME_BASE
        return packet
