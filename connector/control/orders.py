"""From a rule and a room to the message that starts a session. Pure."""

from connector.config.model import Config, RoomRule
from connector.control.seen import RoomSeen
from connector.messages.types import Configure, IceServerSpec, ListenSpec, StartSession


def start_order(rule: RoomRule, room: RoomSeen, session_id: str, *, trigger: str) -> StartSession:
    """The orders of one session.

    Args:
        rule: The rule that matched.
        room: The room to serve.
        session_id: Its new id.
        trigger: What hastened the pass: webhook, reconcile, request, dispatch, failover.
    """
    raise NotImplementedError


def configure_order(config: Config, worker_id: str, max_sessions: int) -> Configure:
    """What every session of an engine shares."""
    raise NotImplementedError
