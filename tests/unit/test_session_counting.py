"""What a session counts as it happens."""

import pytest

from connector.base.catalog import MEASURES
from connector.base.ends import EndReason
from connector.base.errors import AgentLegError, LegError, RoomLegError
from connector.base.legs import AgentHungUp, AgentLost, HumansChanged, RoomLost, RoomRecovered, RoomRecovering
from connector.base.measures import Tally
from connector.session.counting import SessionCounts, restart_cause
from connector.session.events import AgentFailed, Event, TimePassed

GONE = RoomLost(EndReason.LIVEKIT_UNREACHABLE, rejoin=True, detail="", cause="server_shutdown")


def counted() -> SessionCounts:
    return SessionCounts(Tally(MEASURES))


def plain(counts: SessionCounts) -> dict[str, float]:
    """The counters; of histograms only how often."""
    return {key: value for key, value in counts.tally.counts.items() if not key.endswith("|sum")}


def test_a_room_from_join_to_leave() -> None:
    """A join, an interruption that was recovered from, and our own leaving each count once."""
    counts = counted()
    counts.joined(0.3)
    counts.room(HumansChanged(2))
    counts.room(RoomRecovering())
    counts.room(RoomRecovered(full=True, gap_s=3.2))
    counts.left()
    counts.left()
    assert plain(counts) == {
        "stage_duration_seconds|livekit_connect|0.5": 1,
        "livekit_connects_total|ok": 1,
        "ice_state_total|room|disconnected": 1,
        "ice_state_total|room|completed": 2,
        "livekit_recoveries_total|full": 1,
        "livekit_recovery_gap_seconds|full|5": 1,
        "livekit_disconnects_total|client_initiated": 1,
        "ice_state_total|room|closed": 1,
    }


def test_a_lost_room_is_lost_once() -> None:
    """However often the leg says that it is lost, and although it is closed then, one end counts, by its reason."""
    counts = counted()
    counts.joined(0.3)
    counts.room(GONE)
    counts.room(GONE)
    counts.left()
    ends = {key: value for key, value in plain(counts).items() if "disconnects" in key or "failed" in key}
    assert ends == {"livekit_disconnects_total|server_shutdown": 1, "ice_state_total|room|failed": 1}


@pytest.mark.parametrize(
    ("cause", "result"),
    [("auth", "auth"), ("timeout", "timeout"), ("duplicate_identity", "lost"), ("", "other"), ("a new word", "other")],
)
def test_a_failed_join_counts_by_its_cause(cause: str, result: str) -> None:
    """A refused join and one that was overtaken by another participant are told apart; nothing was joined, or left."""
    counts = counted()
    counts.not_joined(RoomLegError("x", reason=EndReason.LIVEKIT_REJECTED, cause=cause))
    counts.left()
    assert plain(counts) == {f"livekit_connects_total|{result}": 1}


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (None, "ok"),
        (AgentLegError("x", reason=EndReason.AGENT_REJECTED, cause="auth"), "auth"),
        (AgentLegError("x", reason=EndReason.AGENT_REJECTED), "other"),
    ],
)
def test_an_offer_counts_by_its_outcome(error: LegError | None, outcome: str) -> None:
    """Every offer has a duration; only one that was answered is a stage of the start."""
    counts = counted()
    counts.offered(0.7, error)
    stage = {"stage_duration_seconds|offer_http|1": 1} if error is None else {}
    assert plain(counts) == {"millis_offer_seconds|1": 1, f"millis_offers_total|{outcome}": 1} | stage


@pytest.mark.parametrize(
    ("event", "cause"),
    [
        (AgentFailed(AgentLegError("x", reason=EndReason.AGENT_UNREACHABLE, cause="ice_failed")), "ice_failed"),
        (AgentFailed(AgentLegError("x", reason=EndReason.AGENT_UNREACHABLE)), "other"),
        (AgentLost("no_media", ""), "no_media"),
        (AgentHungUp(), "hung_up"),
        (TimePassed(), "room_lost"),
    ],
)
def test_a_restart_of_the_agent_leg_counts_by_its_cause(event: Event, cause: str) -> None:
    """What the machine gave the leg up for is what is counted."""
    assert restart_cause(event) == cause
    counts = counted()
    counts.restarted(event)
    assert plain(counts) == {f"millis_leg_restarts_total|{cause}": 1}


def test_a_stage_that_is_not_known_does_not_count() -> None:
    """A stage counts once, and not at all where its time was not taken."""
    counts = counted()
    counts.stage("ice", None)
    counts.stage("dtls", 0.02)
    assert plain(counts) == {"stage_duration_seconds|dtls|0.1": 1}
