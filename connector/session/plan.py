"""What a session is to do: the rule of its room, resolved, in plain numbers (seconds)."""

from dataclasses import dataclass
from enum import StrEnum


class JoinMode(StrEnum):
    """Whom the session waits for; decides whether an empty room ends it."""

    HUMAN = "human"
    ROOM = "room"
    REQUEST = "request"


class OnHangup(StrEnum):
    """What follows when the agent hangs up."""

    LEAVE = "leave"
    CLOSE_ROOM = "close_room"
    REJOIN = "rejoin"


@dataclass(frozen=True, slots=True)
class SessionPlan:
    """One session's orders.

    Attributes:
        session_id: Unique; stands in every log line.
        room: The LiveKit room's name.
        join: Whether the session lives on humans, on the room, or on a request.
        min_humans: How many humans must be there.
        leave_after_s: Seconds with fewer humans than that before the session ends.
        max_duration_s: Seconds from the start before the session ends in any case.
        on_agent_hangup: What follows when the agent hangs up.
        reconnect_attempts: How often a lost agent leg is tried again within `reconnect_within_s`.
        reconnect_within_s: The window of these attempts, in seconds.
    """

    session_id: str
    room: str
    join: JoinMode = JoinMode.HUMAN
    min_humans: int = 1
    leave_after_s: float = 10.0
    max_duration_s: float = 4 * 3600.0
    on_agent_hangup: OnHangup = OnHangup.LEAVE
    reconnect_attempts: int = 5
    reconnect_within_s: float = 120.0
