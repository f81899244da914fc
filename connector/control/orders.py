"""From a rule and a room to the message that starts a session. Pure."""

from connector.config.model import Config, JoinMode, RoomRule
from connector.control.seen import RoomSeen
from connector.messages.types import Configure, IceServerSpec, ListenSpec, StartSession


def start_order(rule: RoomRule, room: RoomSeen, agent_id: str, session_id: str, *, trigger: str) -> StartSession:
    """The orders of one session.

    Args:
        rule: The rule that matched.
        room: The room to serve.
        agent_id: The Millis agent.
        session_id: Its new id.
        trigger: What hastened the pass: webhook, reconcile, request, dispatch, failover.
    """
    return StartSession(
        session_id=session_id,
        room=room.name,
        trigger=trigger,
        agent_id=agent_id,
        identity=rule.participant.identity,
        name=rule.participant.name,
        listen=ListenSpec(
            sources=tuple(source.value for source in rule.listen.sources),
            include=rule.listen.include,
            exclude=rule.listen.exclude,
            gain_db=dict(rule.listen.gain_db),
        ),
        join="request" if rule.join is JoinMode.NEVER else rule.join.value,
        min_humans=rule.min_humans,
        leave_after_s=rule.leave_after,
        max_duration_s=rule.max_duration,
        on_agent_hangup=rule.on_agent_hangup.value,
        reconnect_attempts=rule.reconnect.attempts,
        reconnect_within_s=rule.reconnect.within,
        agent_silence_s=rule.agent_silence,
        metadata=dict(rule.metadata),
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
