"""What WebRTC itself knows of a room leg's packets: loss, jitter, round trip, concealment. Read every five seconds.

A read costs half a millisecond and asks only the native library, never the server.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from typing import Protocol

from livekit import rtc
from livekit.rtc._proto import stats_pb2

from connector.base.measures import Deltas
from connector.room.figures import RoomFigures

EVERY_S = 5.0
_LIMIT_S = 0.8


class Reporting(Protocol):
    """What is used of `rtc.Room`."""

    async def get_rtc_stats(self) -> rtc.RtcStats:
        """The statistics of its connections. Raises `RuntimeError` while there is none."""


class RtpReports:
    """Adds up the reports of one room leg, whatever streams come and go.

    Args:
        figures: Where to count.
    """

    def __init__(self, figures: RoomFigures) -> None:
        self._figures = figures
        self._growth = Deltas()
        self._streams: set[str] = set()

    async def run(self, room: Callable[[], Reporting | None]) -> None:
        """Read again and again.

        Args:
            room: The room, while it is connected.
        """
        while True:
            await asyncio.sleep(EVERY_S)
            now = room()
            if now is not None:
                await self.read(now)

    async def read(self, room: Reporting) -> None:
        """Read once; when that fails, the last reports stand."""
        with contextlib.suppress(RuntimeError, TimeoutError):
            async with asyncio.timeout(_LIMIT_S):
                stats = await room.get_rtc_stats()
            self.take([*stats.publisher_stats, *stats.subscriber_stats])

    def take(self, reports: Iterable[stats_pb2.RtcStats]) -> None:
        """Take the reports of every stream that there is now."""
        figures, there = self._figures, set[str]()
        jitters: list[float] = []
        for report in reports:
            found = _counters(report)
            if found is None:
                continue
            stream, counters = found
            there.add(stream)
            self._growth.look(stream, counters)
            kind = report.WhichOneof("stats")
            if kind == "inbound_rtp":  # of audio: the others gave no counters
                jitters.append(1000 * report.inbound_rtp.received.jitter)
            elif kind == "remote_inbound_rtp":
                figures.jitter_out_ms = 1000 * report.remote_inbound_rtp.received.jitter
                figures.rtt_ms = 1000 * report.remote_inbound_rtp.remote_inbound.round_trip_time
        figures.jitter_ms = max(jitters, default=None)
        for stream in self._streams - there:
            self._growth.end(stream, {})
        self._streams = there
        for name, more in self._growth.take().items():
            setattr(figures, name, getattr(figures, name) + int(more))


def _counters(report: stats_pb2.RtcStats) -> tuple[str, dict[str, float]] | None:
    """A stream of audio and what it has counted so far, by the names in `RoomFigures`."""
    match report.WhichOneof("stats"):
        case "inbound_rtp" if report.inbound_rtp.stream.kind == "audio":
            received, inbound = report.inbound_rtp.received, report.inbound_rtp.inbound
            return f"in-{report.inbound_rtp.stream.ssrc}", {
                "packets_in": received.packets_received,
                "lost_in": received.packets_lost,
                "decoded_samples": inbound.total_samples_received,
                "concealed_samples": max(0, inbound.concealed_samples - inbound.silent_concealed_samples),
            }
        case "outbound_rtp" if report.outbound_rtp.stream.kind == "audio":
            return f"out-{report.outbound_rtp.stream.ssrc}", {"packets_out": report.outbound_rtp.sent.packets_sent}
        case "remote_inbound_rtp" if report.remote_inbound_rtp.stream.kind == "audio":
            lost = report.remote_inbound_rtp.received.packets_lost
            return f"far-{report.remote_inbound_rtp.stream.ssrc}", {"lost_out": lost}
        case _:
            return None
