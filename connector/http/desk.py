"""What the HTTP side may ask of control; `control.desk.Desk` fits it."""

from typing import Protocol

from connector.base.trigger import Trigger
from connector.control.status import JoinAnswer, LookAnswer, Readiness, RoomStatus


class Desk(Protocol):
    """Every call returns at once; the reconcile pass does the work."""

    def look_at(self, room: str, trigger: Trigger) -> LookAnswer:
        """Hasten the look at a room. `IGNORED` when no rule matches its name or the rule says never."""

    def left(self, room: str, identity: str) -> None:
        """A hint that somebody left a room, or that the room is finished (empty identity)."""

    def join(self, room: str, agent: str | None, trigger: Trigger) -> JoinAnswer:
        """Request a session for a room; idempotent.

        Args:
            room: The room's name.
            agent: A Millis agent id that the rule allows; None means the rule's own.
            trigger: `Trigger.REQUEST` or `Trigger.DISPATCH`.
        """

    def leave(self, room: str) -> bool:
        """End the room's session here with `requested` and withdraw a request; whether there was either. Idempotent.

        The room is not served again before it is requested again, or its next life.
        """

    def rooms(self) -> tuple[RoomStatus, ...]:
        """Every room that a rule matches or that is served, by name."""

    def room(self, name: str) -> RoomStatus | None:
        """One room; None when nothing is known of it and no rule matches."""

    def readiness(self) -> Readiness:
        """For `/readyz`."""
