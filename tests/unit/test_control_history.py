"""What is remembered of a room's sessions."""

from dataclasses import replace

from connector.base.ends import EndReason
from connector.control.history import REPLACED_WINDOW_S, History, LastEnd, ended_since
from connector.messages.types import SessionEnded


def end(history: History, reason: EndReason, now: float, room: str = "a") -> LastEnd:
    message = SessionEnded(session_id="s", room=room, reason=reason, cause="word")
    return history.ended(message, room_sid="RM_1", agent="a1", now=now)


def test_failures_in_a_row_are_counted_until_a_success() -> None:
    """A success, or a session that became live, starts the count anew."""
    history = History()
    counts = [
        end(history, reason, at).failures
        for at, reason in enumerate(
            (EndReason.AGENT_LOST, EndReason.ENGINE_LOST, EndReason.ROOM_EMPTY, EndReason.AGENT_LOST)
        )
    ]
    assert counts == [1, 2, 0, 1]
    history.live("a")
    assert history.ends["a"].failures == 0
    history.live("unknown")


def test_an_end_keeps_what_it_was_about() -> None:
    """Reason, cause, agent and the room's sid stay."""
    found = end(History(), EndReason.AGENT_REJECTED, 5.0)
    assert found == LastEnd(EndReason.AGENT_REJECTED, 5.0, "RM_1", 1, "word", "a1")


def test_the_third_replacement_in_the_window_holds() -> None:
    """Older replacements fall out of the window."""
    history = History()
    assert end(history, EndReason.REPLACED, 0.0).held_until is None
    assert end(history, EndReason.REPLACED, 10.0).held_until is None
    assert end(history, EndReason.REPLACED, 20.0).held_until == REPLACED_WINDOW_S
    assert end(history, EndReason.ROOM_EMPTY, 615.0).replaced_at == (20.0,)


def test_the_newest_end_of_all_replicas_counts() -> None:
    """An older end from elsewhere changes nothing; a newer one keeps our own replacements."""
    history = History()
    own = end(history, EndReason.REPLACED, 10.0)
    history.merge({"a": replace(own, at=9.0, reason=EndReason.REMOVED), "b": LastEnd(EndReason.REMOVED, 1.0)})
    assert history.ends["a"].reason is EndReason.REPLACED
    history.merge({"a": LastEnd(EndReason.REMOVED, 11.0)})
    assert (history.ends["a"].reason, history.ends["a"].replaced_at) == (EndReason.REMOVED, (10.0,))
    assert history.ends["b"].reason is EndReason.REMOVED


def test_what_is_gone_is_forgotten() -> None:
    """Only rooms that were gone before a look was taken."""
    history = History()
    end(history, EndReason.REMOVED, 10.0, "a")
    end(history, EndReason.REMOVED, 10.0, "b")
    end(history, EndReason.REMOVED, 30.0, "c")
    history.forget(["b"], before=20.0)
    assert set(history.ends) == {"b", "c"}


def test_a_newer_end_is_told_from_the_same_one() -> None:
    """Times that went through the shared store are a little off; half a second apart is another end."""
    known = LastEnd(EndReason.ROOM_EMPTY, 10.0)
    assert not ended_since(known, replace(known, at=10.4))
    assert not ended_since(known, None)
    assert ended_since(known, replace(known, at=10.6))
    assert ended_since(None, known)
