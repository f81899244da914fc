"""The reconcile pass, with a LiveKit and engines of our own making."""

from collections.abc import Iterable, Sequence
from typing import cast

import pytest

from connector.base.ends import EndReason
from connector.base.errors import ConfigError, ConnectorError, UnavailableError
from connector.config.load import load_text
from connector.control.engines import Engines
from connector.control.reconcile import Reconciler
from connector.control.seen import ParticipantSeen, RoomSeen
from connector.messages.types import SessionEnded, SessionState, StartSession
from tests.until import until

RULES = load_text(
    """
livekit: {url: "ws://127.0.0.1:7880"}
millis: {url: "http://127.0.0.1:8090"}
rooms: [{room: "lobby", agent: "a1"}, {room: "other", agent: "a2"}, {room: "call-*", agent: "a3"}]
""",
    environ={},
).config.rules
ADA = ParticipantSeen("ada", "PA_1", "STANDARD")


class FakeLiveKit:
    """Rooms that the test fills."""

    def __init__(self) -> None:
        self.people: dict[str, tuple[ParticipantSeen, ...]] = {}
        self.asked: list[str] = []
        self.closed: list[str] = []
        self.list_error: ConnectorError | None = None
        self.people_error: ConnectorError | None = None

    async def list_rooms(self, names: Iterable[str]) -> Sequence[RoomSeen]:
        self.asked = list(names)
        if self.list_error is not None:
            raise self.list_error
        return [RoomSeen(name, f"RM_{name}") for name in self.asked if name in self.people]

    async def participants(self, room: str) -> tuple[ParticipantSeen, ...]:
        if self.people_error is not None:
            raise self.people_error
        return self.people[room]

    async def delete_room(self, room: str) -> bool:
        self.closed.append(room)
        return True


class FakeEngines:
    """Engines that take what they are given, or nothing."""

    def __init__(self) -> None:
        self.free = True
        self.orders: list[StartSession] = []

    def start_session(self, order: StartSession) -> bool:
        if self.free:
            self.orders.append(order)
        return self.free


class World:
    def __init__(self) -> None:
        self.livekit = FakeLiveKit()
        self.engines = FakeEngines()
        self.reconciler = Reconciler(RULES, self.livekit, worker_id="w1", every_s=10)
        self.reconciler.engines = cast("Engines", self.engines)

    def end(self, reason: EndReason, *, delete_room: bool = False) -> None:
        order = self.engines.orders[-1]
        ended = SessionEnded(session_id=order.session_id, room=order.room, reason=reason, delete_room=delete_room)
        self.reconciler.on_ended(ended)


async def test_a_room_with_a_human_is_served_once() -> None:
    """The first pass starts a session, the next ones leave it alone."""
    world = World()
    world.livekit.people = {"lobby": (ADA,), "other": ()}
    for _ in range(3):
        await world.reconciler.one_pass()
    assert [(o.room, o.agent_id, o.trigger) for o in world.engines.orders] == [("lobby", "a1", "reconcile")]
    assert world.livekit.asked == ["lobby", "other"]


async def test_unknown_changes_nothing() -> None:
    """When LiveKit cannot be asked, nothing is started and nothing forgotten."""
    world = World()
    world.livekit.people = {"lobby": (ADA,)}
    world.livekit.list_error = UnavailableError("no answer")
    await world.reconciler.one_pass()
    world.livekit.list_error = None
    world.livekit.people_error = UnavailableError("no answer")
    await world.reconciler.one_pass()
    assert world.engines.orders == []
    world.livekit.people_error = None
    await world.reconciler.one_pass()
    assert len(world.engines.orders) == 1


async def test_a_refused_key_is_an_error_at_the_start_only() -> None:
    """The very first pass raises what an operator must mend; later ones go on."""
    world = World()
    world.livekit.list_error = ConfigError(["wrong key"])
    with pytest.raises(ConfigError, match="wrong key"):
        await world.reconciler.one_pass(first=True)
    await world.reconciler.one_pass()
    assert world.engines.orders == []


async def test_a_wanted_end_is_respected_until_the_room_is_gone() -> None:
    """After a hang-up the room is left alone; when it is gone and comes back it is served again."""
    world = World()
    world.livekit.people = {"lobby": (ADA,)}
    await world.reconciler.one_pass()
    world.end(EndReason.AGENT_HANGUP)
    await world.reconciler.one_pass()
    assert len(world.engines.orders) == 1
    world.livekit.people = {}
    await world.reconciler.one_pass()
    world.livekit.people = {"lobby": (ADA,)}
    await world.reconciler.one_pass()
    assert len(world.engines.orders) == 2


async def test_a_lost_engine_s_room_is_served_at_once() -> None:
    """`engine_lost` neither waits nor holds the room."""
    world = World()
    world.livekit.people = {"lobby": (ADA,)}
    await world.reconciler.one_pass()
    world.end(EndReason.ENGINE_LOST)
    await world.reconciler.one_pass()
    assert len(world.engines.orders) == 2


async def test_without_a_free_engine_the_room_waits() -> None:
    """Nothing is started, nothing counts as failed, and the next pass tries again."""
    world = World()
    world.livekit.people = {"lobby": (ADA,)}
    world.engines.free = False
    await world.reconciler.one_pass()
    assert world.reconciler.running == {}
    world.engines.free = True
    await world.reconciler.one_pass()
    assert len(world.engines.orders) == 1


async def test_a_drain_starts_nothing_more() -> None:
    """After `drain` no pass starts a session, and idle is reached with the last end."""
    world = World()
    world.livekit.people = {"lobby": (ADA,)}
    await world.reconciler.one_pass()
    world.reconciler.drain()
    assert not world.reconciler.idle.is_set()
    world.end(EndReason.ROOM_EMPTY)
    await world.reconciler.one_pass()
    assert len(world.engines.orders) == 1
    assert world.reconciler.idle.is_set()


async def test_the_room_is_closed_when_the_rule_wants_it() -> None:
    """An end with `delete_room` closes the room over the API."""
    world = World()
    world.livekit.people = {"lobby": (ADA,)}
    await world.reconciler.one_pass()
    world.end(EndReason.AGENT_HANGUP, delete_room=True)
    await until(lambda: world.livekit.closed == ["lobby"])


async def test_a_message_of_an_earlier_session_changes_nothing() -> None:
    """States and ends of a session that is no longer the room's are ignored."""
    world = World()
    world.livekit.people = {"lobby": (ADA,)}
    await world.reconciler.one_pass()
    world.reconciler.on_state(SessionState(session_id="old", room="lobby", state="live", humans=5))
    world.reconciler.on_ended(SessionEnded(session_id="old", room="lobby", reason=EndReason.DRAINED))
    assert world.reconciler.running["lobby"].state == "joining"
