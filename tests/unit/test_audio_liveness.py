import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.audio.liveness import LegLiveness


def connected_leg(*, silence_s: float = 30.0) -> LegLiveness:
    """A leg connected at 0 s."""
    leg = LegLiveness(silence_s)
    leg.connected(0.0)
    return leg


def feed(leg: LegLiveness, begin: float, end: float, *, every: float = 0.02) -> None:
    """RTP from `begin` up to `end`."""
    for step in range(round((end - begin) / every) + 1):
        leg.rtp(begin + step * every)


def keep_alive(leg: LegLiveness, begin: float, end: float) -> None:
    """An ICE consent answer every 5 s, the verdict asked each time."""
    for step in range(int((end - begin) / 5)):
        leg.datagram(begin + step * 5)
        assert leg.verdict(begin + step * 5) is None


def test_nothing_is_judged_before_the_leg_is_connected() -> None:
    """The connect deadline is the leg's own; until then there is no verdict."""
    leg = LegLiveness()
    assert leg.verdict(100.0) is None


def test_twelve_seconds_without_a_datagram_are_a_loss() -> None:
    """The leg lives until 12 s after the last datagram, whatever kind it was."""
    leg = connected_leg()
    leg.rtp(1.0)
    leg.datagram(3.0)
    assert leg.verdict(14.9) is None
    assert leg.verdict(15.0) == "no_datagrams"


def test_a_leg_that_never_had_a_datagram_is_lost_12_s_after_connecting() -> None:
    """Connecting counts as the first sign of life."""
    leg = connected_leg()
    assert leg.verdict(11.9) is None
    assert leg.verdict(12.0) == "no_datagrams"


def test_no_media_15_s_after_connecting_is_a_failure() -> None:
    """Datagrams alone do not make a call: without any RTP it has failed after 15 s."""
    leg = connected_leg()
    for second in range(15):
        leg.datagram(float(second))
    assert leg.verdict(14.9) is None
    assert leg.verdict(15.0) == "no_media"
    leg.rtp(15.1)
    assert leg.verdict(15.2) is None


def test_media_before_the_connection_is_announced_counts() -> None:
    """RTP can overtake the news that DTLS is up."""
    leg = LegLiveness()
    leg.rtp(9.9)
    leg.connected(10.0)
    leg.datagram(25.0)
    assert leg.verdict(25.5) is None


def test_an_agent_that_pauses_may_be_silent_for_ever() -> None:
    """Once a stream has paused, silence in RTP is a figure and no loss, as long as datagrams come."""
    leg = connected_leg()
    feed(leg, 0.0, 2.0)
    keep_alive(leg, 2.0, 12.0)
    feed(leg, 12.0, 13.0)
    keep_alive(leg, 13.0, 3_613.0)
    assert leg.verdict(3_613.0) is None
    assert leg.figures.pauses == 1
    assert leg.figures.longest_pause_s == pytest.approx(10.0)


def test_a_stream_that_never_paused_and_stops_is_lost_after_agent_silence() -> None:
    """A sender that always sent and then stops for `agent_silence`, while datagrams go on, has failed."""
    leg = connected_leg(silence_s=20.0)
    feed(leg, 0.0, 5.0)
    keep_alive(leg, 5.0, 25.0)
    assert leg.verdict(24.9) is None
    assert leg.verdict(25.0) == "agent_silence"


def test_discontinuous_transmission_is_no_pause() -> None:
    """A packet every 400 ms, as Opus DTX sends it, is a stream that goes on."""
    leg = connected_leg()
    feed(leg, 0.0, 20.0, every=0.4)
    assert leg.figures.pauses == 0
    leg.datagram(45.0)
    assert leg.verdict(50.0) == "agent_silence"


@given(st.lists(st.floats(min_value=0.0, max_value=11.9), min_size=1, max_size=40))
def test_a_leg_with_datagrams_is_never_lost_by_them(gaps: list[float]) -> None:
    """Whatever the intervals, as long as each is under 12 s and some RTP came, datagrams are no cause."""
    leg = connected_leg(silence_s=1e9)
    leg.rtp(0.0)
    now = 0.0
    for gap in gaps:
        now += gap
        assert leg.verdict(now) is None
        leg.datagram(now)


def test_a_datagram_out_of_order_changes_nothing() -> None:
    """An older time, as from another thread's clock reading, does not shorten the leg's life."""
    leg = connected_leg()
    leg.rtp(5.0)
    leg.datagram(4.0)
    leg.connected(20.0)
    assert leg.verdict(16.9) is None
