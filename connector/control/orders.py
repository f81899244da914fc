"""From a rule and a room to the message that starts a session. Pure."""

from connector.base.trigger import Trigger
from connector.config.model import Config, JoinMode, RoomRule
from connector.control.seen import RoomSeen
from connector.messages.types import Configure, IceServerSpec, ListenSpec, StartSession, UpdateSession


def start_order(
    rule: RoomRule,
    room: RoomSeen,
    agent_id: str,
    session_id: str,
    *,
    trigger: Trigger,
    requested: bool = False,
    fenced: bool = False,
) -> StartSession:
    """The orders of one session.

    Args:
        rule: The rule that matched.
        room: The room to serve.
        agent_id: The Millis agent.
        session_id: Its new id.
        trigger: What hastened the pass.
        requested: Somebody asked for it: it stays until the humans, once they were there, have left.
        fenced: A shared lease is held, so nobody else may join with our identity.
    """
    return StartSession(
        session_id=session_id,
        room=room.name,
        trigger=trigger.value,
        agent_id=agent_id,
        fenced=fenced,
        identity=rule.participant.identity,
        name=rule.participant.name,
        listen=_listen(rule),
        join="request" if requested or rule.join is JoinMode.NEVER else rule.join.value,
        min_humans=rule.min_humans,
        leave_after_s=rule.leave_after,
        max_duration_s=rule.max_duration,
        on_agent_hangup=rule.on_agent_hangup.value,
        reconnect_attempts=rule.reconnect.attempts,
        reconnect_within_s=rule.reconnect.within,
        agent_silence_s=rule.agent_silence,
        metadata=dict(rule.metadata),
    )


def update_order(rule: RoomRule, session_id: str) -> UpdateSession:
    """What a reload changes in a live session."""
    return UpdateSession(
        session_id=session_id,
        listen=_listen(rule),
        leave_after_s=rule.leave_after,
        max_duration_s=rule.max_duration,
    )


def _listen(rule: RoomRule) -> ListenSpec:
    return ListenSpec(
        sources=tuple(source.value for source in rule.listen.sources),
        include=rule.listen.include,
        exclude=rule.listen.exclude,
        gain_db=dict(rule.listen.gain_db),
    )


def configure_order(config: Config, worker_id: str) -> Configure:
    """What every session of an engine shares."""
    return Configure(
        worker_id=worker_id,
        livekit_url=config.livekit.url,
        millis_url=config.millis.url,
        millis_auth=config.millis.auth.value,
        ice_servers=tuple(
            IceServerSpec(urls=server.urls, username=server.username, credential_file=server.credential_file)
            for server in config.millis.ice_servers
        ),
        max_sessions=config.worker.max_sessions,
    )
