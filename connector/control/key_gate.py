"""Whether Millis accepts our key: the circuit, told of by what becomes of sessions, and its changes made known."""

import structlog

from connector.base.ends import EndReason
from connector.control.circuit import Circuit
from connector.control.observer import Observer
from connector.messages.types import SessionEnded, SessionState

_ACCEPTED_FROM = frozenset({"connecting", "live"})
"""States of a session after its offer was accepted."""


class KeyGate:
    """Holds every start back while Millis refuses our key.

    Args:
        observer: Told when the circuit opens or closes.
    """

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._circuit = Circuit()
        self._told_open = False
        self._log = structlog.get_logger()

    def closed_until(self, now: float) -> float | None:
        """Until when, in monotonic seconds, nothing may start; None when a session may start now."""
        return self._circuit.again_at if self._circuit.is_open(now) else None

    def started(self, session_id: str) -> None:
        """A session starts."""
        self._circuit.started(session_id)

    def on_state(self, message: SessionState) -> None:
        """An offer that was answered shows that the key is accepted."""
        if message.state in _ACCEPTED_FROM:
            self._circuit.succeeded()
            self._tell()

    def on_ended(self, message: SessionEnded, now: float) -> None:
        """A session is over; perhaps because the key was refused."""
        if message.reason is EndReason.AGENT_REJECTED and message.cause == "auth":
            self._circuit.refused(now)
            self._tell()
        else:
            self._circuit.ended(message.session_id)

    def new_key(self) -> None:
        """The key changed: whatever was refused may be tried again."""
        self._circuit.reset()
        self._tell()

    def _tell(self) -> None:
        is_open = not self._circuit.closed
        if is_open == self._told_open:
            return
        self._told_open = is_open
        self._observer.circuit("millis", is_open=is_open)
        if is_open:
            self._log.error("circuit_open", target="millis", hint="check MILLIS_PRIVATE_KEY and millis.auth")
        else:
            self._log.info("circuit_closed", target="millis")
