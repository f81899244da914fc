"""Requests for rooms: somebody asked over the API, or LiveKit's agent dispatch gave us a job. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from connector.base.ends import EndReason, ResultClass
from connector.base.trigger import Trigger

UNSERVED_FOR_S = 900.0
"""A request that could not be served for so long is dropped: whoever asked has gone."""
MAX_REQUESTS = 5_000


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


class Requests:
    """The requests in force, at most one for a room."""

    def __init__(self) -> None:
        self._requests: dict[str, Request] = {}

    @property
    def by_room(self) -> Mapping[str, Request]:
        """By room."""
        return self._requests

    def ask(self, room: str, request: Request) -> bool:
        """Take a request; a later one for the same room replaces it.

        Returns:
            False when there are too many.
        """
        if room not in self._requests and len(self._requests) >= MAX_REQUESTS:
            return False
        self._requests[room] = request
        return True

    def withdraw(self, room: str) -> bool:
        """Drop a room's request; whether there was one."""
        return self._requests.pop(room, None) is not None

    def merge(self, requests: Mapping[str, Request]) -> None:
        """Take in the requests that other replicas know."""
        for room, request in requests.items():
            own = self._requests.get(room)
            if own is None or request.at > own.at:
                self.ask(room, request)

    def ended(self, room: str, reason: EndReason) -> bool:
        """A session of the room is over: its request is fulfilled, unless something failed that will be tried again.

        Returns:
            Whether a request was dropped.
        """
        settled = reason.result in (ResultClass.SUCCESS, ResultClass.CLIENT_ERROR) and reason is not EndReason.DRAINED
        return settled and self.withdraw(room)

    def expire(self, now: float, served: Mapping[str, object]) -> list[str]:
        """Drop what was asked for long ago and is not served; returns the rooms."""
        old = [
            room for room, request in self._requests.items() if room not in served and now - request.at > UNSERVED_FOR_S
        ]
        for room in old:
            del self._requests[room]
        return old
