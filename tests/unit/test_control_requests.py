"""Requests for rooms."""

import pytest

from connector.base.ends import EndReason
from connector.base.trigger import Trigger
from connector.control.requests import MAX_REQUESTS, UNSERVED_FOR_S, Request, Requests

ASKED = Request(Trigger.REQUEST, 100.0)


@pytest.mark.parametrize(
    ("reason", "dropped"),
    [
        (EndReason.ROOM_EMPTY, True),
        (EndReason.AGENT_HANGUP, True),
        (EndReason.AGENT_REJECTED, True),
        (EndReason.ENGINE_LOST, False),
        (EndReason.AGENT_LOST, False),
        (EndReason.DRAINED, False),
        (EndReason.CLAIM_LOST, False),
    ],
)
def test_what_fulfils_a_request(reason: EndReason, dropped: bool) -> None:
    """A success or a refusal does; a failure that is tried again, or a hand-over, does not."""
    requests = Requests()
    requests.ask("a", ASKED)
    assert requests.ended("a", reason) is dropped
    assert ("a" in requests.by_room) is not dropped


def test_it_is_bounded() -> None:
    """One too many is refused; a newer request for a known room is not."""
    requests = Requests()
    assert all(requests.ask(f"room-{number}", ASKED) for number in range(MAX_REQUESTS))
    assert not requests.ask("one more", ASKED)
    assert requests.ask("room-1", Request(Trigger.DISPATCH, 200.0))
    assert requests.by_room["room-1"].trigger is Trigger.DISPATCH


def test_what_nobody_waits_for_expires() -> None:
    """An old request of a room that is not served is dropped."""
    requests = Requests()
    requests.ask("a", ASKED)
    requests.ask("b", ASKED)
    assert requests.expire(100.0 + UNSERVED_FOR_S, {}) == []
    assert requests.expire(101.0 + UNSERVED_FOR_S, {"b": object()}) == ["a"]
    assert requests.withdraw("b")
    assert not requests.withdraw("b")


def test_the_newest_request_of_all_replicas_counts() -> None:
    """What reached another replica later replaces ours."""
    requests = Requests()
    requests.ask("a", ASKED)
    requests.merge({"a": Request(Trigger.REQUEST, 50.0, "old"), "b": ASKED})
    requests.merge({"a": Request(Trigger.REQUEST, 150.0, "new")})
    assert requests.by_room["a"].agent == "new"
    assert requests.by_room["b"] is ASKED
