"""Whether Millis accepts our key."""

from connector.base.ends import EndReason
from connector.control.key_gate import KeyGate
from connector.messages.types import SessionEnded, SessionState
from tests.control_world import Diary


def ended(reason: EndReason, cause: str) -> SessionEnded:
    return SessionEnded(session_id="s1", room="a", reason=reason, cause=cause)


def test_only_a_refused_key_closes_the_gate() -> None:
    """Other refusals and failures concern their own room."""
    gate = KeyGate(diary := Diary())
    gate.on_ended(ended(EndReason.AGENT_REJECTED, "config"), 0.0)
    gate.on_ended(ended(EndReason.AGENT_UNREACHABLE, "auth"), 0.0)
    assert gate.closed_until(0.0) is None
    gate.on_ended(ended(EndReason.AGENT_REJECTED, "auth"), 0.0)
    gate.on_ended(ended(EndReason.AGENT_REJECTED, "auth"), 10.0)
    assert gate.closed_until(20.0) == 310.0
    assert diary.circuits == [("millis", True)]


def test_an_answered_offer_or_a_new_key_opens_it() -> None:
    """Each change is told once."""
    gate = KeyGate(diary := Diary())
    gate.on_ended(ended(EndReason.AGENT_REJECTED, "auth"), 0.0)
    gate.on_state(SessionState(session_id="s1", room="a", state="offering"))
    assert gate.closed_until(1.0) is not None
    gate.on_state(SessionState(session_id="s1", room="a", state="connecting"))
    assert gate.closed_until(1.0) is None
    gate.on_ended(ended(EndReason.AGENT_REJECTED, "auth"), 2.0)
    gate.new_key()
    assert gate.closed_until(3.0) is None
    assert diary.circuits == [("millis", True), ("millis", False)] * 2
