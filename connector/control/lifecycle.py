"""What happens to sessions, as the events that are posted to `worker.events.url`. Pure.

In: what control observes. Out: at most one event for each observation, with its body ready to be signed and sent. Their
schema is docs/events.md.
"""

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from connector.base.ends import EndReason
from connector.base.redact import redact
from connector.base.trigger import Trigger
from connector.messages.types import SessionEnded, SessionState, StartSession


class EventType(StrEnum):
    """The kinds of events."""

    STARTED = "session.started"
    LIVE = "session.live"
    RECOVERING = "session.recovering"
    ENDED = "session.ended"


@dataclass(frozen=True, slots=True)
class Event:
    """One event.

    Attributes:
        type: Its kind.
        session: The session's id; events of one session stay in order.
        body: The JSON document, ASCII only.
    """

    type: EventType
    session: str
    body: str


@dataclass(slots=True)
class _Session:
    room: str
    agent: str
    trigger: Trigger
    started: float
    state: str = "joining"
    humans: int = 0


class Lifecycle:
    """Follows sessions from their start to their end.

    Args:
        worker_id: Which worker this is; stands in every event.
    """

    def __init__(self, worker_id: str) -> None:
        self._worker_id = worker_id
        self._sessions: dict[str, _Session] = {}

    def started(self, start: StartSession, trigger: Trigger, wall: float) -> Event:
        """A session was handed to an engine; `wall` is the wall clock in seconds, here and below."""
        session = _Session(start.room, start.agent_id, trigger, wall)
        self._sessions[start.session_id] = session
        return self._event(EventType.STARTED, start.session_id, session, wall)

    def state(self, state: SessionState, wall: float) -> Event | None:
        """A session's state, or its number of humans, changed; an event when it became live or began to recover."""
        session = self._sessions.get(state.session_id)
        if session is None:
            return None
        changed, session.state, session.humans = state.state != session.state, state.state, state.humans
        if not changed or state.state not in _TOLD:
            return None
        detail = {"detail": redact(state.detail)} if state.detail else {}
        return self._event(_TOLD[state.state], state.session_id, session, wall, **detail)

    def ended(self, ended: SessionEnded, wall: float) -> Event | None:
        """A session is over; None when it was never started, or has ended already."""
        session = self._sessions.pop(ended.session_id, None)
        if session is None:
            return None
        session.state = "ended"
        more: dict[str, object] = {"reason": ended.reason.value, "result": EndReason(ended.reason).result.value}
        more |= {key: redact(text) for key, text in (("cause", ended.cause), ("detail", ended.detail)) if text}
        more["summary"] = {name: _finite(value) for name, value in ended.summary.items()}
        return self._event(EventType.ENDED, ended.session_id, session, wall, **more)

    def _event(self, kind: EventType, session_id: str, session: _Session, wall: float, **more: object) -> Event:
        data = {
            "session": session_id,
            "room": session.room,
            "agent": session.agent,
            "worker": self._worker_id,
            "trigger": session.trigger.value,
            "started_at": _timestamp(session.started),
            "state": session.state,
            "humans": session.humans,
            **more,
        }
        document = {"type": kind.value, "timestamp": _timestamp(wall), "data": data}
        return Event(kind, session_id, json.dumps(document, separators=(",", ":"), allow_nan=False))


_TOLD = {"live": EventType.LIVE, "recovering": EventType.RECOVERING}


def _timestamp(wall: float) -> str:
    """RFC 3339 in UTC, to the millisecond."""
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _finite(value: float | str) -> float | str | None:
    """JSON knows no infinity."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
