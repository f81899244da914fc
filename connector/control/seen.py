"""What a look at LiveKit shows: rooms, and who is in them. Values only; `livekit.py` fills them."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ParticipantSeen:
    """One participant as LiveKit lists it.

    Attributes:
        identity: Unique in the room.
        sid: Unique per join.
        kind: The kind's name in capitals: STANDARD, INGRESS, EGRESS, SIP, AGENT, CONNECTOR, BRIDGE, ….
        attributes: Set by the participant or its token.
        joined_ms: When it joined, in wall-clock milliseconds; 0 when unknown.
    """

    identity: str
    sid: str
    kind: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    joined_ms: int = 0


@dataclass(frozen=True, slots=True)
class RoomSeen:
    """One room that exists.

    Attributes:
        name: The room's name.
        sid: Unique per life of the room.
        metadata: The room's metadata.
        participants: Who is in it, or None when that could not be learnt (unknown is not absent).
    """

    name: str
    sid: str
    metadata: str = ""
    participants: tuple[ParticipantSeen, ...] | None = None
