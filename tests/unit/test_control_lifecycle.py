"""Sessions as events."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from connector.base.ends import EndReason
from connector.base.trigger import Trigger
from connector.control.lifecycle import Event, EventType, Lifecycle
from connector.messages.types import SessionEnded, SessionState, StartSession

WALL = 1_767_323_045.678
AT = "2026-01-02T03:04:05.678Z"


def start(session: str = "s1", room: str = "front-desk") -> StartSession:
    return StartSession(
        session_id=session,
        room=room,
        trigger="webhook",
        agent_id="6f1c0c6e",
        identity="millis-agent",
        name="Agent",
        leave_after_s=10,
        max_duration_s=600,
        reconnect_attempts=1,
        reconnect_within_s=60,
        agent_silence_s=30,
        metadata={"customer": "canary"},
    )


def state(name: str, humans: int = 1, session: str = "s1", detail: str = "") -> SessionState:
    return SessionState(session_id=session, room="front-desk", state=name, humans=humans, detail=detail)


def document(event: Event | None) -> dict[str, Any]:
    assert event is not None
    loaded: dict[str, Any] = json.loads(event.body)
    return loaded


def test_a_session_from_start_to_end() -> None:
    """Each event says which session, where, for which agent, by which worker, and how it is."""
    lifecycle = Lifecycle("worker-1")
    common = {
        "session": "s1",
        "room": "front-desk",
        "agent": "6f1c0c6e",
        "worker": "worker-1",
        "trigger": "webhook",
        "started_at": AT,
    }
    assert document(lifecycle.started(start(), Trigger.WEBHOOK, WALL)) == {
        "type": "session.started",
        "timestamp": AT,
        "data": {**common, "state": "joining", "humans": 0},
    }
    assert document(lifecycle.state(state("live", 2), WALL + 1)) == {
        "type": "session.live",
        "timestamp": "2026-01-02T03:04:06.678Z",
        "data": {**common, "state": "live", "humans": 2},
    }
    recovering = lifecycle.state(state("recovering", 2, detail="12 s without a datagram"), WALL + 2)
    assert document(recovering)["data"] == {
        **common,
        "state": "recovering",
        "humans": 2,
        "detail": "12 s without a datagram",
    }
    ended = SessionEnded(
        session_id="s1",
        room="front-desk",
        reason=EndReason.AGENT_LOST,
        detail="no datagrams",
        cause="no_datagrams",
        summary={"duration_s": 3.5, "room.joins": 1, "level": float("-inf"), "codec": "opus"},
    )
    assert document(lifecycle.ended(ended, WALL + 3)) == {
        "type": "session.ended",
        "timestamp": "2026-01-02T03:04:08.678Z",
        "data": {
            **common,
            "state": "ended",
            "humans": 2,
            "reason": "agent_lost",
            "result": "upstream_error",
            "cause": "no_datagrams",
            "detail": "no datagrams",
            "summary": {"duration_s": 3.5, "room.joins": 1, "level": None, "codec": "opus"},
        },
    }


def test_only_a_change_of_state_is_an_event() -> None:
    """Humans who come and go, and states between, are none; every recovery and every return is one."""
    lifecycle = Lifecycle("worker-1")
    lifecycle.started(start(), Trigger.WEBHOOK, WALL)
    states = ["joining", "offering", "connecting", "live", "live", "recovering", "recovering", "live", "closing"]
    events = [lifecycle.state(state(name, number), WALL) for number, name in enumerate(states)]
    assert [event.type for event in events if event is not None] == [
        EventType.LIVE,
        EventType.RECOVERING,
        EventType.LIVE,
    ]


def test_a_lost_engine_ends_its_sessions_once() -> None:
    """What is reported again, or was never started, is no event."""
    lifecycle = Lifecycle("worker-1")
    lifecycle.started(start(), Trigger.FAILOVER, WALL)
    lost = SessionEnded(session_id="s1", room="front-desk", reason=EndReason.ENGINE_LOST)
    data = document(lifecycle.ended(lost, WALL))["data"]
    assert (data["reason"], data["result"], data["summary"]) == ("engine_lost", "server_error", {})
    assert {"detail", "cause"} & data.keys() == set()
    assert lifecycle.ended(lost, WALL) is None
    assert lifecycle.state(state("live"), WALL) is None


@given(st.text(), st.text())
def test_any_names_make_one_line_of_ascii(room: str, detail: str) -> None:
    """User text arrives as it is; details are redacted; the body is ASCII without line breaks."""
    lifecycle = Lifecycle("worker-1")
    event = lifecycle.started(start(room=room), Trigger.REQUEST, WALL)
    assert event.body.isascii()
    assert event.body.isprintable()
    assert document(event)["data"]["room"] == room
    changed = lifecycle.state(state("live", detail=f"token=canary {detail}"), WALL)
    assert "canary" not in document(changed)["data"]["detail"][:20]
