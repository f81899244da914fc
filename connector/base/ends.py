"""Why a session ended: a closed set, each reason with its result class."""

from enum import StrEnum


class ResultClass(StrEnum):
    """Who is to be asked about an end, as operators count it."""

    SUCCESS = "success"
    CLIENT_ERROR = "client_error"
    UPSTREAM_ERROR = "upstream_error"
    SERVER_ERROR = "server_error"
    INDETERMINATE = "indeterminate"


class EndReason(StrEnum):
    """Why a session ended."""

    ROOM_EMPTY = "room_empty"
    ROOM_CLOSED = "room_closed"
    AGENT_HANGUP = "agent_hangup"
    REQUESTED = "requested"
    RULE_REMOVED = "rule_removed"
    MAX_DURATION = "max_duration"
    DRAINED = "drained"
    REMOVED = "removed"
    AGENT_REJECTED = "agent_rejected"
    LIVEKIT_REJECTED = "livekit_rejected"
    ROOM_ENCRYPTED = "room_encrypted"
    AGENT_UNREACHABLE = "agent_unreachable"
    AGENT_LOST = "agent_lost"
    LIVEKIT_UNREACHABLE = "livekit_unreachable"
    ENGINE_LOST = "engine_lost"
    OVERLOADED = "overloaded"
    INTERNAL_ERROR = "internal_error"
    REPLACED = "replaced"
    CLAIM_LOST = "claim_lost"

    @property
    def result(self) -> ResultClass:
        """The result class of this reason."""
        return _RESULTS[self]


_RESULTS: dict[EndReason, ResultClass] = {
    **dict.fromkeys(
        (
            EndReason.ROOM_EMPTY,
            EndReason.ROOM_CLOSED,
            EndReason.AGENT_HANGUP,
            EndReason.REQUESTED,
            EndReason.RULE_REMOVED,
            EndReason.MAX_DURATION,
            EndReason.DRAINED,
            EndReason.REMOVED,
        ),
        ResultClass.SUCCESS,
    ),
    **dict.fromkeys(
        (EndReason.AGENT_REJECTED, EndReason.LIVEKIT_REJECTED, EndReason.ROOM_ENCRYPTED),
        ResultClass.CLIENT_ERROR,
    ),
    **dict.fromkeys(
        (EndReason.AGENT_UNREACHABLE, EndReason.AGENT_LOST, EndReason.LIVEKIT_UNREACHABLE),
        ResultClass.UPSTREAM_ERROR,
    ),
    **dict.fromkeys(
        (EndReason.ENGINE_LOST, EndReason.OVERLOADED, EndReason.INTERNAL_ERROR),
        ResultClass.SERVER_ERROR,
    ),
    **dict.fromkeys((EndReason.REPLACED, EndReason.CLAIM_LOST), ResultClass.INDETERMINATE),
}
