"""What the deciding part of control asks of its surroundings: LiveKit, the engines, the worker around it."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from connector.base.ends import EndReason
from connector.base.trigger import Trigger
from connector.control.placement import Refusal
from connector.control.seen import ParticipantSeen, RoomSeen
from connector.messages.types import StartSession, UpdateSession


class LiveKitView(Protocol):
    """What a pass asks of LiveKit."""

    async def list_rooms(self, names: Iterable[str] | None = None) -> Sequence[RoomSeen]:
        """Those of the named rooms that exist, or all. Raises `ConnectorError` when that could not be learnt."""

    async def participants(self, room: str) -> tuple[ParticipantSeen, ...]:
        """Who is in a room now. Raises `ConnectorError` when that could not be learnt."""


class Hosts(Protocol):
    """Where sessions run: the engines."""

    @property
    def capacity(self) -> int:
        """Sessions that fit into the engines that are ready."""

    def room_for_one(self, *, rescue: bool = False) -> int | Refusal:
        """The engine that would take the next session, or why none would; `rescue` as for `placement.place`."""

    def start_session(self, start: StartSession, *, rescue: bool = False) -> int | Refusal:
        """Place a session; the engine's index, or why none takes it."""

    def update_session(self, update: UpdateSession) -> None:
        """Change a live session; an unknown one is ignored."""

    def end_session(self, session_id: str, reason: EndReason) -> None:
        """Ask for the end of a session; an unknown one is ignored."""


@dataclass(frozen=True, slots=True)
class LifeActions:
    """What the life of sessions asks of the worker around it.

    Attributes:
        look_at: Look at a room at once.
        look_at_later: Look at a room in so many seconds.
        close_room: Close a room over LiveKit's API; raises nothing.
        answers: Whether the participant with this identity in a room answers over LiveKit: its worker lives.
    """

    look_at: Callable[[str, Trigger], None]
    look_at_later: Callable[[str, float], None]
    close_room: Callable[[str], Awaitable[None]]
    answers: Callable[[str, str], Awaitable[bool]]
