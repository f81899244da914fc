"""What the API takes and gives."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.base.trigger import Trigger
from connector.control.status import JoinAnswer, RoomStatus, SessionStatus
from connector.http.models import JOIN_REFUSALS, JoinRequest, join_request, room_body


@given(st.binary(max_size=200))
def test_any_body_is_read_or_explained(body: bytes) -> None:
    """Whatever bytes come, the outcome is a request or one line."""
    found = join_request(body)
    assert isinstance(found, JoinRequest) or (found and "\n" not in found)


def test_values_are_not_repeated() -> None:
    """A message names the key, never the value that was sent."""
    found = join_request(b'{"agent": ["canary"]}')
    assert isinstance(found, str)
    assert "canary" not in found


@pytest.mark.parametrize("answer", set(JoinAnswer) - {JoinAnswer.ACCEPTED, JoinAnswer.RUNNING})
def test_every_refusal_of_control_has_an_answer(answer: JoinAnswer) -> None:
    """No answer of control is without status, code and message."""
    status, code, message = JOIN_REFUSALS[answer]
    assert status in {403, 404, 503}
    assert code.value == answer.value
    assert message


def test_a_room_is_shown_whole() -> None:
    """Everything that control tells of a room and its session stands in the answer."""
    session = SessionStatus("s-1", "live", "a1", Trigger.WEBHOOK, 1, 2, 5.5)
    status = RoomStatus("lobby", "serve", "served", 2, "lob*", session, requested=True, last_end="agent_lost")
    assert room_body(status).model_dump() == {
        "room": "lobby",
        "why": "serve",
        "detail": "served",
        "humans": 2,
        "rule": "lob*",
        "session": {
            "session_id": "s-1",
            "state": "live",
            "agent": "a1",
            "trigger": "webhook",
            "engine": 1,
            "humans": 2,
            "started": 5.5,
        },
        "requested": True,
        "last_end": "agent_lost",
    }
