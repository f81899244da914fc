"""LiveKit's webhook events, and what each asks for. Pure: bytes in, a look, a hint or nothing out.

Only what is needed is read; bodies also carry a TURN password and personal data, which never get further than here.
"""

from dataclasses import dataclass
from typing import Annotated, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from connector.base.catalog import LIVEKIT_EVENTS

MAX_AGE_S = 6 * 60.0
"""An event older than this, or this far in the future, is not acted on (`facts/livekit.md` §4)."""
MAX_ROOM_CHARS = 256
_MAX_ID_CHARS = 128
EVENT_NAMES = frozenset(LIVEKIT_EVENTS)
_LOOKS = frozenset({"room_started", "participant_joined", "track_published"})
_LEAVES = frozenset({"participant_left", "participant_connection_aborted", "room_finished"})
_NO_PEOPLE = frozenset({"AGENT", "EGRESS", "INGRESS", "BRIDGE"})
"""Their coming changes nothing; our own participant is of kind AGENT."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Room(_Part):
    """The room of an event."""

    name: str = ""


class Participant(_Part):
    """The participant of an event. LiveKit leaves a value out that is the default, so no kind means STANDARD."""

    identity: str = ""
    kind: Annotated[str, BeforeValidator(str)] = "STANDARD"


class WebhookEvent(_Part):
    """One event.

    Attributes:
        event: Its name.
        id: Unique per event; the same when it is sent again.
        created_at: Wall-clock seconds of LiveKit's clock. (int64 come as strings; both are read.)
        room: The room, if there is one.
        participant: The participant, if there is one.
    """

    event: str = Field(min_length=1)
    id: str = Field(min_length=1, max_length=_MAX_ID_CHARS)
    created_at: int = Field(alias="createdAt", gt=0)
    room: Room | None = None
    participant: Participant | None = None

    @property
    def label(self) -> str:
        """Its name if it is a known one, else ``other``."""
        return self.event if self.event in EVENT_NAMES else "other"

    def age_s(self, now: float) -> float:
        """Seconds since it was made; negative when LiveKit's clock is ahead of ours."""
        return now - self.created_at


@dataclass(frozen=True, slots=True)
class Look:
    """Somebody came: look at the room."""

    room: str


@dataclass(frozen=True, slots=True)
class Left:
    """Somebody left a room, or the room is finished (empty identity)."""

    room: str
    identity: str = ""


Wish: TypeAlias = Look | Left | None


def read_event(body: bytes) -> WebhookEvent | None:
    """Read a webhook's body.

    Returns:
        The event, or None when it is none, or lacks the room that it must have.
    """
    try:
        event = WebhookEvent.model_validate_json(body)
    except ValidationError:
        return None
    needs_room = event.event in _LOOKS | _LEAVES
    has_room = event.room is not None and 0 < len(event.room.name) <= MAX_ROOM_CHARS
    return event if has_room or not needs_room else None


def wish_of(event: WebhookEvent) -> Wish:
    """What an event asks for; None for most of them."""
    participant = event.participant or Participant()
    if event.room is None:
        return None
    if event.event in _LOOKS and participant.kind not in _NO_PEOPLE:
        return Look(event.room.name)
    if event.event in _LEAVES:
        return Left(event.room.name, "" if event.event == "room_finished" else participant.identity)
    return None
