"""What control tells of itself: rooms, sessions, answers to requests, readiness. Values; HTTP and the CLI show them."""

from dataclasses import dataclass
from enum import StrEnum

from connector.base.trigger import Trigger


@dataclass(frozen=True, slots=True)
class SessionStatus:
    """A session of ours that runs now.

    Attributes:
        session_id: Unique; stands in every log line of the session.
        state: The design's states: joining, offering, connecting, live, recovering, closing.
        agent: The Millis agent id.
        trigger: What started it.
        engine: The index of the engine that runs it.
        humans: Humans in the room, as the engine sees them.
        started: Wall-clock seconds.
    """

    session_id: str
    state: str
    agent: str
    trigger: Trigger
    engine: int
    humans: int
    started: float


@dataclass(frozen=True, slots=True)
class RoomStatus:
    """What is known of one room, and why it is served or not.

    Attributes:
        room: The room's name.
        why: A value of `control.desired.Why`.
        detail: The same in plain words, with the remedy where there is one.
        humans: Humans in it, as last seen.
        rule: The `room` key of the rule that matched, or None.
        session: Our session, or None.
        requested: Whether a request for the room is in force.
        last_end: The end reason of the room's last session here, or empty.
    """

    room: str
    why: str
    detail: str
    humans: int = 0
    rule: str | None = None
    session: SessionStatus | None = None
    requested: bool = False
    last_end: str = ""


class JoinAnswer(StrEnum):
    """What became of a request to join a room."""

    ACCEPTED = "accepted"
    RUNNING = "running"
    NO_RULE = "no_rule"
    NEVER = "never"
    AGENT_NOT_ALLOWED = "agent_not_allowed"
    FULL = "full"
    DRAINING = "draining"


class LookAnswer(StrEnum):
    """What became of a hint to look at a room (a webhook): `FULL` and `DRAINING` ask for another replica."""

    TAKEN = "taken"
    IGNORED = "ignored"
    FULL = "full"
    DRAINING = "draining"


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether this replica can take webhooks and rooms, and what an operator should know.

    Attributes:
        ready: Listeners up, an engine ready, not draining. Never LiveKit's or Millis' reachability, never "full".
        lines: Human-readable facts, one per line, such as that the last reload of rooms.yaml failed.
    """

    ready: bool
    lines: tuple[str, ...] = ()
