"""What a session is remembered by."""

from connector.audio.levels import FLOOR_DBFS
from connector.session.events import State
from connector.session.summary import Summary

FIGURES: dict[str, float] = {
    "room.heard_most": 2,
    "receive.lost": 5,
    "receive.received": 95,
    "receive.concealed_samples": 9_600,
    "receive.real_samples": 470_400,
    "agent.packets_sent": 200,
    "agent.lost_towards_agent": 3,
    "agent.jitter_ms": 4.26,
    "agent.rtt_ms": 31.04,
    "room.lost_in": 1,
    "room.packets_in": 999,
    "room.decoded_samples": 1000,
    "room.concealed_samples": 10,
    "room.packets_out": 400,
    "room.lost_out": 0,
    "room.resumes": 1,
    "room.full_reconnects": 1,
    "quality.gaps": 2,
    "quality.gap_ms": 190,
    "quality.gap_longest_ms": 110,
    "quality.reply_delay_s": 0.0412,
    "quality.mix_late_s": 0.005,
    "quality.mix_speech_s": 12.34,
    "quality.mix_dbfs": -23.44,
    "quality.mix_peak_dbfs": -9.0,
    "quality.reply_speech_s": 8.0,
    "quality.reply_dbfs": FLOOR_DBFS,
    "quality.reply_peak_dbfs": FLOOR_DBFS,
    "tick.ticks": 990,
    "tick.skipped": 10,
    "tick.late": 5,
}


def busy() -> Summary:
    summary = Summary(10.0)
    summary.mark("joined", 10.5)
    summary.mark("connected", 11.0)
    summary.mark("heard", 12.25)
    summary.state(State.OFFERING, 1, 11.0)
    summary.state(State.LIVE, 3, 12.0)
    summary.state(State.RECOVERING, 3, 20.0)
    summary.state(State.LIVE, 2, 21.0)
    summary.state(State.CLOSING, 0, 30.0)
    summary.codec = "opus"
    summary.agent_failure(ambiguous=True)
    summary.agent_failure(ambiguous=False)
    summary.leg_restarts = 2
    return summary


def test_the_line_of_a_busy_session() -> None:
    """Times from the start, then people, losses, gaps, delays, levels and trouble, each with its unit in the name."""
    line = busy().close(31.0, FIGURES)
    assert list(line.items()) == [
        ("duration_s", 21.0),
        ("joined_s", 0.5),
        ("connected_s", 1.0),
        ("first_audio_s", 2.25),
        ("live_for_s", 17.0),
        ("recovering_for_s", 1.0),
        ("humans_most", 3),
        ("heard_most", 2),
        ("codec", "opus"),
        ("in_lost_pct", 5.0),
        ("concealed_pct", 2.0),
        ("out_lost_pct", 1.5),
        ("room_in_lost_pct", 0.1),
        ("room_in_concealed_pct", 1.0),
        ("room_out_lost_pct", 0.0),
        ("gaps", 2),
        ("gap_ms", 190),
        ("gap_longest_ms", 110),
        ("reply_delay_ms", 41.2),
        ("mix_late_ms", 5.0),
        ("jitter_ms", 4.3),
        ("rtt_ms", 31.0),
        ("mix_speech_s", 12.3),
        ("mix_dbfs", -23.4),
        ("mix_peak_dbfs", -9.0),
        ("reply_speech_s", 8.0),
        ("late_ticks_pct", 1.5),
        ("room_recoveries", 2),
        ("leg_restarts", 2),
        ("agent_failures", 2),
        ("agent_ambiguous", 1),
        ("termination_failures", 0),
    ]


def test_what_is_not_known_is_left_out() -> None:
    """A session that never joined says nothing of losses, delays and levels: no figure stands for none."""
    line = Summary(10.0).close(10.5, {})
    assert line == {
        "duration_s": 0.5,
        "live_for_s": 0.0,
        "recovering_for_s": 0.0,
        "humans_most": 0,
        "heard_most": 0,
        "gaps": 0,
        "gap_ms": 0,
        "gap_longest_ms": 0,
        "mix_speech_s": 0,
        "reply_speech_s": 0,
        "room_recoveries": 0,
        "leg_restarts": 0,
        "agent_failures": 0,
        "agent_ambiguous": 0,
        "termination_failures": 0,
    }


def test_a_mark_is_made_once() -> None:
    """The first time counts and is told, from the start or from an earlier mark; a second time is no news."""
    summary = Summary(10.0)
    assert summary.mark("connected", 11.0) == 1.0
    assert summary.mark("connected", 99.0) is None
    assert summary.mark("heard", 12.5, since="connected") == 1.5
    assert summary.mark("live", 13.0, since="never") is None


def test_more_found_than_lost_is_no_loss() -> None:
    """A negative count (duplicates outnumber the losses, RFC 3550) shows as none."""
    line = Summary(0.0).close(1.0, {"agent.packets_sent": 10, "agent.lost_towards_agent": -2})
    assert line["out_lost_pct"] == 0
