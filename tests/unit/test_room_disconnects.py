"""What the end of a LiveKit connection means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from livekit import rtc

from connector.base.ends import EndReason
from connector.room.disconnects import FLAP_LIMIT, FLAP_WINDOW_S, FlapMeter, room_lost


@pytest.mark.parametrize(
    ("reason", "end", "rejoin"),
    [
        ("CLIENT_INITIATED", EndReason.ROOM_CLOSED, False),
        ("ROOM_DELETED", EndReason.ROOM_CLOSED, False),
        ("ROOM_CLOSED", EndReason.ROOM_CLOSED, False),
        ("DUPLICATE_IDENTITY", EndReason.REPLACED, False),
        ("PARTICIPANT_REMOVED", EndReason.REMOVED, False),
        ("JOIN_FAILURE", EndReason.LIVEKIT_REJECTED, True),
        ("SERVER_SHUTDOWN", EndReason.LIVEKIT_UNREACHABLE, True),
        ("STATE_MISMATCH", EndReason.LIVEKIT_UNREACHABLE, True),
        ("SIGNAL_CLOSE", EndReason.LIVEKIT_UNREACHABLE, True),
        ("CONNECTION_TIMEOUT", EndReason.LIVEKIT_UNREACHABLE, True),
        ("MEDIA_FAILURE", EndReason.LIVEKIT_UNREACHABLE, True),
        ("MIGRATION", EndReason.LIVEKIT_UNREACHABLE, True),
        ("UNKNOWN_REASON", EndReason.LIVEKIT_UNREACHABLE, True),
        ("REASON_99", EndReason.LIVEKIT_UNREACHABLE, True),
    ],
)
def test_every_reason_has_an_end(reason: str, end: EndReason, *, rejoin: bool) -> None:
    """An admin's will and a closed room are final, a newcomer replaces us, all else is worth a rejoin."""
    lost = room_lost(reason)
    assert (lost.reason, lost.rejoin, lost.cause) == (end, rejoin, reason.lower())
    assert reason in lost.detail


def test_every_reason_of_the_sdk_is_taken() -> None:
    """No reason that the SDK knows raises."""
    assert all(room_lost(name).detail for name in rtc.DisconnectReason.keys())  # noqa: SIM118 -- a protobuf enum


@given(st.lists(st.floats(0, 200), max_size=30))
def test_flapping_is_five_within_two_minutes(gaps: list[float]) -> None:
    """A recovery is one too many exactly when the four before it lie within the last two minutes."""
    meter = FlapMeter()
    times: list[float] = []
    for gap in gaps:
        times.append((times[-1] if times else 0.0) + gap)
        recent = times[-FLAP_LIMIT - 1 :]
        too_many = len(recent) > FLAP_LIMIT and recent[-1] - recent[0] <= FLAP_WINDOW_S
        lost = meter.recovery(times[-1])
        assert (lost is not None) == too_many
        if lost is not None:
            assert (lost.rejoin, lost.cause) == (True, "flapping")
