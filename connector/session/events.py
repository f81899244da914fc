"""The vocabulary of the session machine: its public states, the commands it gives and the events it takes."""

from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from typing import TypeAlias

from connector.base.ends import EndReason
from connector.base.errors import LegError
from connector.base.legs import (
    AgentHungUp,
    AgentLost,
    HumansChanged,
    RoomEncrypted,
    RoomLost,
    RoomRecovered,
    RoomRecovering,
)


class State(StrEnum):
    """The public state of a session, in the order of a life without trouble."""

    JOINING = "joining"
    OFFERING = "offering"
    CONNECTING = "connecting"
    LIVE = "live"
    RECOVERING = "recovering"
    CLOSING = "closing"
    ENDED = "ended"


class Command(Enum):
    """What the shell is to do next. Every command but `FINISH` is answered by an event."""

    JOIN_ROOM = auto()
    CLOSE_ROOM_LEG = auto()
    PREPARE_AGENT = auto()
    POST_OFFER = auto()
    CONNECT_AGENT = auto()
    CLOSE_AGENT = auto()
    FINISH = auto()


@dataclass(frozen=True, slots=True)
class RoomJoined:
    """The room is joined, and this participant is the only one of its identity."""

    humans: int
    encrypted: bool = False


@dataclass(frozen=True, slots=True)
class RoomFailed:
    """Joining the room failed."""

    error: LegError


@dataclass(frozen=True, slots=True)
class AgentPrepared:
    """A complete offer is at hand."""


@dataclass(frozen=True, slots=True)
class OfferAccepted:
    """Millis answered, and the answer is usable."""


@dataclass(frozen=True, slots=True)
class AgentConnected:
    """Media can flow between us and the agent."""


@dataclass(frozen=True, slots=True)
class AgentFailed:
    """Preparing, offering or connecting failed."""

    error: LegError


@dataclass(frozen=True, slots=True)
class AgentClosed:
    """The agent leg that was to be closed is closed."""


@dataclass(frozen=True, slots=True)
class RoomLegClosed:
    """The room leg that was to be closed is closed."""


@dataclass(frozen=True, slots=True)
class EndRequested:
    """Somebody outside ends the session: an operator, a reload, the drain, an internal error."""

    reason: EndReason
    detail: str = ""


@dataclass(frozen=True, slots=True)
class LimitsChanged:
    """A reload of the rules gave the session other limits; both count from when they would have counted before."""

    leave_after_s: float
    max_duration_s: float


@dataclass(frozen=True, slots=True)
class TimePassed:
    """Nothing happened, but a deadline may be due."""


Event: TypeAlias = (
    RoomJoined
    | RoomFailed
    | AgentPrepared
    | OfferAccepted
    | AgentConnected
    | AgentFailed
    | AgentClosed
    | RoomLegClosed
    | EndRequested
    | LimitsChanged
    | TimePassed
    | HumansChanged
    | RoomRecovering
    | RoomRecovered
    | RoomEncrypted
    | RoomLost
    | AgentHungUp
    | AgentLost
)
