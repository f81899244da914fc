"""What is remembered of a room's sessions: how the last one ended, and what follows from that. Pure."""

from dataclasses import dataclass

from connector.base.ends import EndReason


@dataclass(frozen=True, slots=True)
class LastEnd:
    """How the last session of a room ended.

    Attributes:
        reason: Its end reason.
        at: When, in monotonic seconds.
        room_sid: The room's sid then; empty when unknown.
        failures: Ends in a row of an error class.
        cause: The word beside the reason (`SessionEnded.cause`).
        agent: The Millis agent id that was used.
        replaced_at: When sessions of this room were replaced, in monotonic seconds, newest last.
    """

    reason: EndReason
    at: float
    room_sid: str = ""
    failures: int = 0
    cause: str = ""
    agent: str = ""
    replaced_at: tuple[float, ...] = ()
