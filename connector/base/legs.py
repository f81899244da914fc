"""What the two legs tell a session: small values, shared so that legs and session need not know each other."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from connector.base.ends import EndReason


class AgentState(StrEnum):
    """The value of the ``lk.agent.state`` attribute, as LiveKit's own UIs read it."""

    INITIALIZING = "initializing"
    LISTENING = "listening"
    SPEAKING = "speaking"


class AudioCodec(StrEnum):
    """The codecs that an answer may pick, in our order of preference."""

    OPUS = "opus"
    PCMU = "PCMU"
    PCMA = "PCMA"


@dataclass(frozen=True, slots=True)
class HumansChanged:
    """The number of humans in the room changed (as the room leg sees it itself)."""

    count: int


@dataclass(frozen=True, slots=True)
class RoomRecovering:
    """The connection to LiveKit is interrupted; its library is trying to restore it."""


@dataclass(frozen=True, slots=True)
class RoomRecovered:
    """The connection is back. `full` when it was made anew (fresh track ids, subscriptions re-made)."""

    full: bool
    gap_s: float


@dataclass(frozen=True, slots=True)
class RoomEncrypted:
    """Somebody publishes end-to-end encrypted media: the agent could hear nothing."""


@dataclass(frozen=True, slots=True)
class RoomLost:
    """The room leg is over.

    Attributes:
        reason: The session's end reason if it ends now.
        rejoin: Whether a new join with a new token is worth a try while a human is there.
        detail: One redacted line for the log.
        cause: LiveKit's disconnect reason in small letters, or a `Cause`; for metrics.
    """

    reason: EndReason
    rejoin: bool
    detail: str
    cause: str = ""


RoomEvent: TypeAlias = HumansChanged | RoomRecovering | RoomRecovered | RoomEncrypted | RoomLost


@dataclass(frozen=True, slots=True)
class AgentHungUp:
    """The agent closed the connection in good order."""


@dataclass(frozen=True, slots=True)
class AgentLost:
    """The agent leg is lost.

    Attributes:
        cause: A `Cause`: ``no_datagrams``, ``no_media``, ``agent_silence``, ``transport_failed``.
        detail: One redacted line for the log.
    """

    cause: str
    detail: str


AgentEvent: TypeAlias = AgentHungUp | AgentLost
