"""The sessions that run now."""

import pytest

from connector.base.ends import EndReason
from connector.base.trigger import Trigger
from connector.control.sessions import Running, RunningSessions
from connector.messages.types import SessionEnded, SessionState
from tests.control_world import rules_of

(RULE,) = rules_of('room: "a", agent: "a1"')


def running(session: str = "s1") -> Running:
    return Running(session, "a", "RM_1", RULE, "a1", Trigger.WEBHOOK, 0, 1.0, 1.0)


def test_never_two_for_one_room() -> None:
    """A second session of a room is a bug, loudly."""
    sessions = RunningSessions()
    sessions.add(running())
    with pytest.raises(ValueError, match="has a session already"):
        sessions.add(running("s2"))
    assert ("a" in sessions, len(sessions)) == (True, 1)


def test_only_the_room_s_own_session_counts() -> None:
    """States and ends of another session of the same room are not ours to note."""
    sessions = RunningSessions()
    sessions.add(running())
    assert sessions.on_state(SessionState(session_id="s0", room="a", state="live")) is None
    assert sessions.on_ended(SessionEnded(session_id="s0", room="a", reason=EndReason.DRAINED)) is None
    noted = sessions.on_state(SessionState(session_id="s1", room="a", state="live", humans=2))
    assert noted is not None
    assert (noted.state, noted.humans) == ("live", 2)
    assert sessions.on_ended(SessionEnded(session_id="s1", room="a", reason=EndReason.DRAINED)) is noted
    assert "a" not in sessions
