"""What replicas write for each other, and what they make of anything else."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.base.ends import EndReason
from connector.base.trigger import Trigger
from connector.control import sharing
from connector.control.history import LastEnd
from connector.control.replicas import Load
from connector.control.requests import Request
from connector.control.sharing import Keys, SharedClock

HERE, THERE = SharedClock(1_000_000.0), SharedClock(999_000.0)
"""Two replicas whose monotonic clocks differ by 1,000 s."""
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
)
END = LastEnd(EndReason.REPLACED, 100.0, "RM_1", 2, "evicted", "agent-1", (80.0, 100.0))


def test_an_end_keeps_its_age_on_another_clock() -> None:
    """Another replica reads the same end, its times as long ago as they were for the writer."""
    read = sharing.read_end(sharing.dump_end(END, HERE).encode(), THERE, now=1150.0)
    assert read == LastEnd(EndReason.REPLACED, 1100.0, "RM_1", 2, "evicted", "agent-1", (1080.0, 1100.0))


def test_an_end_of_the_future_was_now() -> None:
    """A clock that runs ahead elsewhere cannot put an end behind our own time."""
    read = sharing.read_end(sharing.dump_end(END, HERE).encode(), THERE, now=1090.0)
    assert read is not None
    assert (read.at, read.replaced_at) == (1090.0, (1080.0, 1090.0))


def test_long_texts_are_cut() -> None:
    """No text of an end or a request is longer than 200 characters in the store."""
    end = LastEnd(EndReason.AGENT_LOST, 1.0, room_sid="s" * 900, cause="c" * 900, agent="ü" * 900)
    read = sharing.read_end(sharing.dump_end(end, HERE).encode(), HERE, now=2.0)
    assert read is not None
    assert {len(read.room_sid), len(read.cause), len(read.agent)} == {200}
    request = Request(Trigger.REQUEST, 1.0, agent="a" * 900)
    found = sharing.read_request(sharing.dump_request(request, HERE, 1.0).encode(), HERE, 2.0)
    assert found is not None
    assert len(found[0].agent or "") == 200


@pytest.mark.parametrize("agent", [None, "agent-1"])
def test_a_request_is_in_force_for_a_quarter_of_an_hour(agent: str | None) -> None:
    """It is read as it was made, and is over 15 min after it was written last."""
    text = sharing.dump_request(Request(Trigger.DISPATCH, 50.0, agent), HERE, now=100.0).encode()
    assert sharing.read_request(text, THERE, 1110.0) == (Request(Trigger.DISPATCH, 1050.0, agent), True)
    assert sharing.read_request(text, THERE, 1100.0 + 899.0) == (Request(Trigger.DISPATCH, 1050.0, agent), True)
    assert sharing.read_request(text, THERE, 1100.0 + 900.0) == (Request(Trigger.DISPATCH, 1050.0, agent), False)


def test_loads_and_hints_come_back() -> None:
    """A load and a hint read as they were written, whatever the room is called."""
    assert sharing.read_load(sharing.dump_load(Load(3, 20)).encode()) == Load(3, 20)
    for room in ("", "lobby", "a:b*?\n\x00\"'", "Zimmer ü 🎧", "r" * 1024):
        assert sharing.read_hint(sharing.dump_hint("w1", room).encode()) == ("w1", room)


@given(JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=50))
def test_anything_else_is_nothing(text: bytes) -> None:
    """Whatever stands in the store, nothing raises; what is not ours reads as None."""
    assert sharing.read_load(text) is None
    assert sharing.read_hint(text) is None
    assert sharing.read_end(text, HERE, 0.0) is None
    assert sharing.read_request(text, HERE, 0.0) is None


@given(st.sampled_from(["reason", "at", "room_sid", "failures", "cause", "agent", "replaced_at"]), JSON)
def test_an_end_with_one_wrong_field_never_raises(field: str, value: object) -> None:
    """An end whose field holds something else is either nothing or has sane values."""
    fields = json.loads(sharing.dump_end(END, HERE)) | {field: value}
    read = sharing.read_end(json.dumps(fields).encode(), HERE, now=200.0)
    if read is not None:
        assert read.at <= 200.0
        assert 0 <= read.failures <= 1_000_000
        assert all(at <= 200.0 for at in read.replaced_at)


@pytest.mark.parametrize(
    "text", [b"[" * 16_000, b"9" * 5_000, b"1e999", b'{"sessions": 1, "capacity": 1' + b" " * 20_000 + b"}"]
)
def test_hostile_texts_are_nothing(text: bytes) -> None:
    """Deep nesting, endless numbers and long texts are refused without an error."""
    assert sharing.read_load(text) is None
    assert sharing.read_end(text, HERE, 0.0) is None


def test_installations_do_not_share_keys_and_replicas_do() -> None:
    """The LiveKit URL decides; a slash at its end or capitals do not matter."""
    one = Keys("wss://livekit.example.com")
    assert one.lease("a") == Keys("WSS://LiveKit.example.com/").lease("a")
    assert one.lease("a") != Keys("wss://other.example.com").lease("a")
    assert b"example" not in one.lease("a")


@given(st.text(alphabet=st.characters()), st.text(alphabet=st.characters()))
def test_every_room_has_a_key_of_its_own(one: str, other: str) -> None:
    """Names of any characters, also those that UTF-8 has no bytes for, make keys: one room, one key."""
    keys = Keys("wss://livekit.example.com")
    assert (keys.lease(one) == keys.lease(other)) == (one == other)
    assert keys.lease(one) != keys.end(one)


def test_a_clock_is_learnt_from_the_middle_of_a_call() -> None:
    """The store's time belongs to the middle between question and answer."""
    clock = SharedClock(0.0)
    clock.learn(500.0, asked=10.0, now=12.0)
    assert clock.shared(11.0) == 500.0
    assert clock.own(500.0) == 11.0
    assert sharing.read_room(b"T\xc3\xbcr") == "Tür"
    assert sharing.read_room(b"\xff") == "\\xff"
