"""How media travels, read off the library's statistics; the rest needs a real server (tests/e2e)."""

import pytest
from livekit import rtc
from livekit.rtc._proto import stats_pb2

from connector.doctor.finding import Verdict
from connector.doctor.livekit import MediaPath, media_path

HOST, RELAY = stats_pb2.IceCandidateType.HOST, stats_pb2.IceCandidateType.RELAY


def stats(protocol: str, kind: stats_pb2.IceCandidateType.ValueType) -> list[stats_pb2.RtcStats]:
    """A transport with two pairs, of which the second is the chosen one."""
    transport, first, second, ours, other = (stats_pb2.RtcStats() for _ in range(5))
    transport.transport.transport.selected_candidate_pair_id = "P2"
    for pair, number in ((first, 1), (second, 2)):
        pair.candidate_pair.rtc.id = f"P{number}"
        pair.candidate_pair.candidate_pair.local_candidate_id = f"L{number}"
        pair.candidate_pair.candidate_pair.current_round_trip_time = 0.02 * number
    for local, number, how, of in ((other, 1, "udp", HOST), (ours, 2, protocol, kind)):
        local.local_candidate.rtc.id = f"L{number}"
        local.local_candidate.candidate.protocol = how
        local.local_candidate.candidate.candidate_type = of
    return [other, first, second, ours, transport]


@pytest.mark.parametrize(
    ("protocol", "kind", "verdict", "words"),
    [
        ("udp", HOST, Verdict.OK, "by UDP, round trip 40 ms"),
        ("udp", RELAY, Verdict.OK, "by UDP by way of TURN, round trip 40 ms"),
        ("tcp", HOST, Verdict.WARNING, "by TCP, round trip 40 ms: every loss becomes delay; let UDP through"),
    ],
)
def test_the_chosen_pair_says_how_media_travels(
    protocol: str, kind: stats_pb2.IceCandidateType.ValueType, verdict: Verdict, words: str
) -> None:
    """Protocol, relay and round trip of the selected pair, whichever of the two connections has one."""
    path = media_path(rtc.RtcStats(publisher_stats=[], subscriber_stats=stats(protocol, kind)))
    finding = path.finding("wss://livekit.example.com")
    assert finding.verdict is verdict
    assert words in finding.text
    assert path == media_path(rtc.RtcStats(publisher_stats=stats(protocol, kind), subscriber_stats=[]))


def test_statistics_that_say_nothing() -> None:
    """A connection that came up is fine, even when it is not known how."""
    path = media_path(rtc.RtcStats(publisher_stats=[], subscriber_stats=[]))
    assert path == MediaPath("", relayed=False, round_trip_ms=0.0)
    assert path.finding("wss://a.b").verdict is Verdict.OK
