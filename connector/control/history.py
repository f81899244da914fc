"""What is remembered of a room's sessions: how the last one ended, and what follows from that. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from connector.base.ends import EndReason, ResultClass
from connector.messages.types import SessionEnded

REPLACED_WINDOW_S = 600.0
"""So many seconds back replacements count."""
REPLACED_MOST = 3
"""The third replacement within the window holds the room (design §3, Session life)."""
_MAX_ROOMS = 20_000
_SAME_END_S = 0.5


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

    @property
    def held_until(self) -> float | None:
        """Until when the room is left alone because its sessions were replaced again and again, or None."""
        if len(self.replaced_at) < REPLACED_MOST:
            return None
        return self.replaced_at[-REPLACED_MOST] + REPLACED_WINDOW_S


class History:
    """The last end of every room, as far as it still matters."""

    def __init__(self) -> None:
        self._ends: dict[str, LastEnd] = {}

    @property
    def ends(self) -> Mapping[str, LastEnd]:
        """By room."""
        return self._ends

    def ended(self, message: SessionEnded, *, room_sid: str, agent: str, now: float) -> LastEnd:
        """Remember an end of a session of ours.

        Returns:
            What is remembered.
        """
        before = self._ends.get(message.room)
        failed = message.reason.result is not ResultClass.SUCCESS
        replaced = tuple(at for at in (before.replaced_at if before else ()) if now - at < REPLACED_WINDOW_S)
        if message.reason is EndReason.REPLACED:
            replaced = (*replaced, now)[-REPLACED_MOST:]
        end = LastEnd(
            reason=message.reason,
            at=now,
            room_sid=room_sid,
            failures=(before.failures if before else 0) + 1 if failed else 0,
            cause=message.cause,
            agent=agent,
            replaced_at=replaced,
        )
        self._put(message.room, end)
        return end

    def merge(self, ends: Mapping[str, LastEnd]) -> None:
        """Take in what other replicas know; for each room the newest end counts."""
        for room, end in ends.items():
            own = self._ends.get(room)
            if own is None or end.at > own.at:
                self._put(room, replace(end, replaced_at=own.replaced_at if own else end.replaced_at))

    def live(self, room: str) -> None:
        """A session of the room became live: failures before it do not count any more."""
        end = self._ends.get(room)
        if end is not None and end.failures:
            self._ends[room] = replace(end, failures=0)

    def forget(self, there: Iterable[str], *, before: float) -> None:
        """A room that is gone has no history: its next life starts anew. Ends that are younger than `before` stay."""
        for name in self._ends.keys() - set(there):
            if self._ends[name].at < before:
                del self._ends[name]

    def _put(self, room: str, end: LastEnd) -> None:
        self._ends.pop(room, None)
        self._ends[room] = end
        if len(self._ends) > _MAX_ROOMS:
            del self._ends[next(iter(self._ends))]


def ended_since(known: LastEnd | None, found: LastEnd | None) -> bool:
    """Whether there is another end than the one that a verdict was made from; shared times are a little imprecise."""
    return found is not None and (known is None or found.at > known.at + _SAME_END_S)
