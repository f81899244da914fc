"""WebRTC's own reports of a room leg, added up."""

from livekit import rtc
from livekit.rtc._proto.stats_pb2 import RtcStats

from connector.room.figures import RoomFigures
from connector.room.reports import RtpReports


def heard(ssrc: int, packets: int, lost: int = 0, jitter: float = 0.002, kind: str = "audio") -> RtcStats:
    report = RtcStats()
    report.inbound_rtp.stream.ssrc = ssrc
    report.inbound_rtp.stream.kind = kind
    report.inbound_rtp.received.packets_received = packets
    report.inbound_rtp.received.packets_lost = lost
    report.inbound_rtp.received.jitter = jitter
    report.inbound_rtp.inbound.total_samples_received = packets * 960
    report.inbound_rtp.inbound.concealed_samples = 500
    report.inbound_rtp.inbound.silent_concealed_samples = 200
    return report


def spoken(packets: int) -> RtcStats:
    report = RtcStats()
    report.outbound_rtp.stream.kind = "audio"
    report.outbound_rtp.sent.packets_sent = packets
    return report


def far_end(lost: int, rtt: float) -> RtcStats:
    report = RtcStats()
    report.remote_inbound_rtp.stream.kind = "audio"
    report.remote_inbound_rtp.received.packets_lost = lost
    report.remote_inbound_rtp.received.jitter = 0.004
    report.remote_inbound_rtp.remote_inbound.round_trip_time = rtt
    return report


class Room:
    """Gives statistics, or fails as the SDK does."""

    def __init__(self, *reports: RtcStats, error: Exception | None = None) -> None:
        self.reports = list(reports)
        self.error = error

    async def get_rtc_stats(self) -> rtc.RtcStats:
        if self.error is not None:
            raise self.error
        return rtc.RtcStats(publisher_stats=self.reports[:1], subscriber_stats=self.reports[1:])


def test_streams_come_and_go_and_the_sum_only_grows() -> None:
    """What a track had received before it went stays counted; a new one with the same number begins at 0."""
    figures = RoomFigures()
    reports = RtpReports(figures)
    reports.take([heard(1, 100, 2), heard(2, 50), spoken(80), far_end(1, 0.03)])
    reports.take([heard(1, 150, 3, jitter=0.009), spoken(120), far_end(2, 0.02)])
    reports.take([heard(2, 10)])
    assert (figures.packets_in, figures.lost_in) == (210, 3)
    assert (figures.packets_out, figures.lost_out) == (120, 2)
    assert figures.decoded_samples == 210 * 960
    assert figures.concealed_samples == 900
    assert (figures.jitter_ms, figures.jitter_out_ms, figures.rtt_ms) == (2.0, 4.0, 20.0)


def test_video_and_other_reports_are_passed_over() -> None:
    """Only audio counts; reports of candidates, codecs and transports are not ours."""
    figures = RoomFigures()
    other = RtcStats()
    other.transport.rtc.id = "T1"
    RtpReports(figures).take([heard(1, 100, kind="video"), other])
    assert (figures.packets_in, figures.jitter_ms) == (0, None)


async def test_reports_are_read_from_the_room() -> None:
    """Both connections' reports count; a room that cannot tell leaves what was known."""
    figures = RoomFigures()
    reports = RtpReports(figures)
    await reports.read(Room(spoken(5), heard(1, 7)))
    await reports.read(Room(error=RuntimeError("the room isn't connected")))
    await reports.read(Room(error=TimeoutError()))
    assert (figures.packets_out, figures.packets_in) == (5, 7)
