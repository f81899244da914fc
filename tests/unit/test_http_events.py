"""LiveKit's webhook events, read, and what each asks for."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.http.events import EVENT_NAMES, Left, Look, read_event, wish_of
from tests.http_scene import event


def wish(body: bytes) -> Look | Left | None:
    """The wish of a body that must be an event."""
    found = read_event(body)
    assert found is not None
    return wish_of(found)


@pytest.mark.parametrize("name", ["room_started", "participant_joined", "track_published"])
def test_somebody_came(name: str) -> None:
    """A start, a join and a publication each ask for a look at the room."""
    assert wish(event(name)) == Look("lobby")


@pytest.mark.parametrize("kind", ["AGENT", "EGRESS", "INGRESS", "BRIDGE"])
def test_agents_and_machines_change_nothing(kind: str) -> None:
    """The join of an agent (our own included), recorder or bridge asks for nothing."""
    participant = {"identity": "millis-agent", "kind": kind}
    assert wish(event(participant=participant)) is None


@pytest.mark.parametrize("kind", ["SIP", "CONNECTOR", "STANDARD", "SOMETHING_NEW", 3])
def test_people_and_unknown_kinds_are_looked_at(kind: object) -> None:
    """A look does no harm, so a kind that is not known asks for one."""
    assert wish(event(participant={"identity": "ann", "kind": kind})) == Look("lobby")


def test_somebody_left() -> None:
    """A leave names who; the end of a room names nobody."""
    assert wish(event("participant_left")) == Left("lobby", "ann")
    assert wish(event("participant_connection_aborted")) == Left("lobby", "ann")
    assert wish(event("room_finished")) == Left("lobby")


@pytest.mark.parametrize("name", ["track_unpublished", "egress_started", "new_one"])
def test_other_events_ask_for_nothing(name: str) -> None:
    """The rest is read and left alone, with or without a room."""
    assert wish(event(name)) is None
    assert wish(event(name, room=None)) is None


def test_labels_are_a_closed_set() -> None:
    """The metric's label of an event that is not known is `other`."""
    known, new = read_event(event("room_started")), read_event(event("x" * 1_000))
    assert known is not None
    assert new is not None
    assert (known.label, new.label) == ("room_started", "other")
    assert known.label in EVENT_NAMES


@pytest.mark.parametrize("created", [1_700_000_000, "1700000000"])
def test_int64_come_as_strings_or_numbers(created: object) -> None:
    """`createdAt` is read either way."""
    found = read_event(event(createdAt=created))
    assert found is not None
    assert found.age_s(1_700_000_010.0) == 10.0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        event(id=None),
        event(id="x" * 129),
        event(event=None),
        event(createdAt=None),
        event(createdAt="yesterday"),
        event(createdAt=0),
        event(room=None),
        event("participant_left", room={"sid": "RM_1"}),
        event(room={"name": "x" * 257}),
        event(room=["lobby"]),
        event(participant="ann"),
    ],
)
def test_what_is_no_event(body: bytes) -> None:
    """What lacks an id, a time or the room that its kind must have is no event; nothing is raised."""
    assert read_event(body) is None


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_any_json_is_read_or_refused(value: object) -> None:
    """No JSON value makes the reader raise."""
    found = read_event(json.dumps(value).encode())
    assert found is None or found.event
