"""The lines that a session leaves in the log: its start, its states, its one summary."""

import structlog

from connector.base.ends import EndReason
from connector.base.redact import redact
from connector.control.sessions import Running
from connector.messages.types import SessionEnded, SessionState

_log = structlog.get_logger()


def started(running: Running) -> None:
    """A session was handed to an engine."""
    _log.info(
        "session_started",
        session=running.session_id,
        room=redact(running.room),
        engine=running.engine,
        trigger=running.trigger.value,
    )


def state(message: SessionState) -> None:
    """A session's state, or the number of humans, changed."""
    _log.info(
        "session_state",
        session=message.session_id,
        room=redact(message.room),
        state=message.state,
        humans=message.humans,
    )


def ended(message: SessionEnded) -> None:
    """The summary line (docs/operations.md); one more for what an operator must mend."""
    _log.info(
        "session_ended",
        session=message.session_id,
        room=redact(message.room),
        reason=message.reason.value,
        result=message.reason.result.value,
        cause=message.cause,
        detail=message.detail,
        **{name.replace(".", "_"): value for name, value in message.summary.items()},
    )
    if message.reason is EndReason.REPLACED:
        _log.error(
            "replaced",
            room=redact(message.room),
            hint="another participant joined with our identity: does a second worker serve this room? More than"
            " one replica needs worker.claims: redis",
        )
