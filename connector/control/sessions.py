"""The sessions that run now, one for a room, as their engines last described them. Values and bookkeeping, pure."""

from dataclasses import dataclass, field

from connector.base.ends import EndReason
from connector.base.trigger import Trigger
from connector.config.model import RoomRule
from connector.messages.types import SessionEnded, SessionState


@dataclass(slots=True)
class Running:
    """A session of ours.

    Attributes:
        session_id: Unique.
        room: The room's name.
        room_sid: The room's sid when the session was started.
        rule: The rule in force for it.
        agent: The Millis agent id.
        trigger: What started it.
        engine: The index of its engine.
        started: Wall-clock seconds.
        since: The same in monotonic seconds.
        state: Its last state.
        humans: Humans in the room, as the engine sees them.
        orphan_until: Its rule is gone: when it ends, in monotonic seconds.
        ending: Why it was asked to end; None while it was not.
    """

    session_id: str
    room: str
    room_sid: str
    rule: RoomRule
    agent: str
    trigger: Trigger
    engine: int
    started: float
    since: float
    state: str = "joining"
    humans: int = 0
    orphan_until: float | None = None
    ending: EndReason | None = None


@dataclass(slots=True)
class RunningSessions:
    """All of them, by room."""

    by_room: dict[str, Running] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.by_room)

    def __contains__(self, room: object) -> bool:
        return room in self.by_room

    def add(self, running: Running) -> None:
        """A session starts.

        Raises:
            ValueError: The room has one: never two sessions for one room.
        """
        if running.room in self.by_room:
            raise ValueError(f"room {running.room!r} has a session already")
        self.by_room[running.room] = running

    def on_state(self, message: SessionState) -> Running | None:
        """Note a session's state; None when it is not the room's session (any more)."""
        running = self.by_room.get(message.room)
        if running is None or running.session_id != message.session_id:
            return None
        running.state, running.humans = message.state, message.humans
        return running

    def on_ended(self, message: SessionEnded) -> Running | None:
        """Remove a session; None when it is not the room's session (any more)."""
        running = self.by_room.get(message.room)
        if running is None or running.session_id != message.session_id:
            return None
        return self.by_room.pop(message.room)
