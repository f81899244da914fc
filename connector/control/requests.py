"""Requests for rooms: somebody asked over the API, or LiveKit's agent dispatch gave us a job. Pure."""

from dataclasses import dataclass

from connector.base.trigger import Trigger


@dataclass(frozen=True, slots=True)
class Request:
    """A request for one room, in force until its session ends, it is withdrawn, or it grows old unanswered.

    Attributes:
        trigger: `Trigger.REQUEST` or `Trigger.DISPATCH`.
        at: When it was made, in monotonic seconds.
        agent: The Millis agent that was asked for; None means the rule's.
    """

    trigger: Trigger
    at: float
    agent: str | None = None
