"""The life of sessions as control sees it."""

import asyncio
from collections.abc import Mapping

import pytest

from connector.base.ends import EndReason
from connector.base.trigger import Trigger
from connector.control.claims import ClaimOutcome
from connector.control.desired import Why
from connector.control.history import LastEnd
from connector.messages.types import SessionEnded, SessionState
from tests.control_world import ADA, Replica, SharedClaims, SharedStore, rules_of
from tests.until import until

RULES = rules_of('room: "lobby", agent: "a1"', 'room: "other", agent: "a2"')


async def serving(*rooms: str) -> Replica:
    """A replica with a session in each of these rooms."""
    world = Replica(RULES)
    world.livekit.people = dict.fromkeys(rooms, (ADA,))
    await world.passes()
    return world


async def test_a_drain_starts_nothing_more() -> None:
    """After `drain` no pass starts a session, and idle is reached with the last end."""
    world = await serving("lobby")
    world.livekit.people["other"] = (ADA,)
    world.life.drain()
    await world.passes()
    assert world.why("other") is Why.DRAINING
    assert not world.life.idle.is_set()
    world.end(EndReason.ROOM_EMPTY)
    await world.passes()
    assert world.rooms == ["lobby"]
    assert world.life.idle.is_set()


async def test_the_room_is_closed_when_the_rule_wants_it() -> None:
    """An end with `delete_room` closes the room over the API."""
    world = await serving("lobby")
    world.end(EndReason.AGENT_HANGUP, delete_room=True)
    await until(lambda: world.closed == ["lobby"])
    await world.life.close()


async def test_a_message_of_an_earlier_session_changes_nothing() -> None:
    """States and ends of a session that is no longer the room's are ignored."""
    world = await serving("lobby")
    world.life.on_state(SessionState(session_id="old", room="lobby", state="live", humans=5))
    world.life.on_ended(SessionEnded(session_id="old", room="lobby", reason=EndReason.DRAINED))
    assert world.life.running.by_room["lobby"].state == "joining"
    assert world.diary.ended == []


async def test_a_refused_key_holds_every_room_and_one_tries_after_five_minutes() -> None:
    """An `auth` refusal opens the circuit; after five minutes one session tries, and success lets all start."""
    world = await serving("lobby")
    world.livekit.people["other"] = (ADA,)
    world.end(EndReason.AGENT_REJECTED, cause="auth")
    await world.passes()
    assert {v.why for v in world.reconciler.verdicts.values()} == {Why.CIRCUIT_OPEN}
    world.clock.now += 301
    await world.passes()
    assert len(world.rooms) == 2, "one tries, the other waits for what becomes of it"
    world.say("connecting", world.rooms[-1])
    await world.passes()
    assert len(world.rooms) == 3
    assert world.diary.circuits == [("millis", True), ("millis", False)]


async def test_a_new_key_is_tried_at_once() -> None:
    """A changed Millis key closes the circuit."""
    world = await serving("lobby")
    world.end(EndReason.AGENT_REJECTED, cause="auth")
    world.life.key.new_key()
    await world.passes()
    assert world.rooms == ["lobby", "lobby"]


async def test_a_refused_agent_holds_its_room_until_the_rule_names_another() -> None:
    """Millis' refusal of the agent concerns this room only, and a corrected rule is served at once."""
    world = await serving("lobby")
    world.end(EndReason.AGENT_REJECTED, cause="config")
    world.livekit.people["other"] = (ADA,)
    await world.passes()
    assert world.rooms == ["lobby", "other"]
    assert world.why("lobby") is Why.REJECTED
    corrected = rules_of('room: "lobby", agent: "a9"')
    world.reconciler.rules = type(world.reconciler.rules)(corrected)
    await world.passes()
    assert world.hosts.orders[-1].agent_id == "a9"


async def test_a_third_replacement_holds_the_room() -> None:
    """Replaced three times within ten minutes, the room is held and counted; later it is tried again."""
    world = await serving("lobby")
    for _ in range(3):
        world.end(EndReason.REPLACED)
        world.clock.now += 1
        await world.passes()
    assert world.why("lobby") is Why.HELD
    await world.passes()
    assert world.diary.held == 1
    world.clock.now += 600
    await world.passes()
    assert len(world.rooms) == 4


async def test_a_reload_reaches_the_sessions_that_it_concerns() -> None:
    """Live keys are sent to the engine; a removed rule ends its session after its `leave_after`."""
    world = await serving("lobby", "other")
    world.life.apply_rules(rules_of('room: "lobby", agent: "a2", leave_after: 3s'))
    assert [(update.leave_after_s, update.session_id) for update in world.hosts.updates] == [
        (3.0, world.life.running.by_room["lobby"].session_id)
    ]
    await world.passes()
    assert world.hosts.asked_to_end == []
    world.clock.now += 11
    await world.passes()
    assert world.hosts.asked_to_end == [(world.life.running.by_room["other"].session_id, EndReason.RULE_REMOVED)]


async def test_a_rule_that_comes_back_in_time_keeps_its_session() -> None:
    """A rule that was removed by mistake and put back leaves the call alone."""
    world = await serving("lobby")
    world.life.apply_rules(rules_of('room: "x", agent: "a1"'))
    world.life.apply_rules(RULES)
    world.clock.now += 60
    await world.passes()
    assert world.hosts.asked_to_end == []


async def test_a_request_ends_with_its_session_unless_something_failed() -> None:
    """A success fulfils a request; a lost engine does not."""
    world = Replica(rules_of('room: "asked", agent: "a1", join: request'))
    world.livekit.people = {"asked": ()}
    assert world.desk.join("asked", None, Trigger.REQUEST) == "accepted"
    await world.due()
    assert world.hosts.orders[0].join == "request"
    world.end(EndReason.ENGINE_LOST, "asked")
    await world.due()
    assert len(world.rooms) == 2
    world.end(EndReason.ROOM_EMPTY, "asked")
    await world.passes()
    assert (len(world.rooms), dict(world.life.requests.by_room)) == (2, {})


async def test_the_request_of_a_long_call_outlives_its_time_for_a_takeover() -> None:
    """While its session runs, a shared request is renewed; another replica that takes over still knows of it."""
    rules = rules_of('room: "asked", agent: "a1", join: request')
    store = SharedStore(Replica(rules).clock)
    world = Replica(rules, clock=store.clock, claims=SharedClaims(store, "w1"))
    world.livekit.people = {"asked": (ADA,)}
    assert world.desk.join("asked", None, Trigger.REQUEST) == "accepted"
    await world.due()
    for _ in range(5):
        store.clock.now += 301
        await world.passes()
        await until(lambda: store.requests["asked"].at == store.clock.now)
    await world.life.close()


async def test_an_old_request_is_dropped() -> None:
    """A request for a room that does not come into being is forgotten after a quarter of an hour."""
    world = Replica(rules_of('room: "asked", agent: "a1", join: request'))
    assert world.desk.join("asked", None, Trigger.DISPATCH) == "accepted"
    world.clock.now += 901
    await world.passes()
    assert dict(world.life.requests.by_room) == {}
    await world.life.close()


async def test_how_it_ended_is_shared_before_the_room_is_free() -> None:
    """Another replica never finds a free room without knowing how its session ended."""
    clock = Replica(RULES).clock
    store = SharedStore(clock)
    claims = SharedClaims(store, "w1")
    world = Replica(RULES, clock=clock, claims=claims)
    world.livekit.people = {"lobby": (ADA,)}
    await world.passes()
    world.end(EndReason.AGENT_HANGUP)
    await until(lambda: store.holder("lobby") is None)
    assert store.ends["lobby"].reason is EndReason.AGENT_HANGUP
    await until(lambda: claims.told == ["lobby"])
    await world.life.close()


async def test_a_late_engine_takes_the_rooms_of_a_lost_one_but_no_new_ones() -> None:
    """An engine's death makes its neighbours late for a moment; its rooms must not wait for that."""
    world = Replica(rules_of('room: "*", agent: "a1"'))
    world.livekit.people = {"lobby": (ADA,)}
    await world.passes()
    world.hosts.late = True
    world.livekit.people = {"lobby": (ADA,), "new": (ADA,)}
    world.end(EndReason.ENGINE_LOST, "lobby")
    await world.due()
    await world.passes()
    assert world.rooms == ["lobby", "lobby"]
    assert world.life.running.by_room.keys() == {"lobby"}
    world.hosts.late = False
    await world.passes()
    assert world.rooms == ["lobby", "lobby", "new"]


async def test_a_lost_engine_keeps_the_claim_for_the_next() -> None:
    """Between two engines of one replica the lease is not given away."""
    store = SharedStore(Replica(RULES).clock)
    world = Replica(RULES, clock=store.clock, claims=SharedClaims(store, "w1"))
    world.livekit.people = {"lobby": (ADA,)}
    await world.passes()
    world.end(EndReason.ENGINE_LOST)
    assert store.holder("lobby") == "w1"
    await world.due()
    assert world.rooms == ["lobby", "lobby"]


async def test_a_kept_claim_is_given_back_when_nothing_comes_of_it() -> None:
    """After an engine was lost and the people have left, or no engine has room, another replica may have the room."""
    store = SharedStore(Replica(RULES).clock)
    world = Replica(RULES, clock=store.clock, claims=SharedClaims(store, "w1"))
    world.livekit.people = {"lobby": (ADA,), "other": (ADA,)}
    await world.passes()
    world.livekit.people["lobby"] = ()
    world.hosts.capacity = 0
    for room in ("lobby", "other"):
        world.end(EndReason.ENGINE_LOST, room)
    await world.due()
    assert (store.holder("lobby"), store.holder("other")) == (None, None)
    await world.life.close()


async def test_an_end_while_the_claim_was_waited_for_decides() -> None:
    """The other replica's agent hangs up just before its room becomes free: nobody serves the room again."""
    store = SharedStore(clock := Replica(RULES).clock)
    one = Replica(RULES, clock=clock, claims=SharedClaims(store, "w1"))

    class Slow(SharedClaims):
        async def claim(self, room: str) -> ClaimOutcome:
            if "lobby" in one.life.running:
                clock.now += 1
                one.end(EndReason.AGENT_HANGUP)
                await until(lambda: store.holder("lobby") is None)
            return await super().claim(room)

    two = Replica(RULES, clock=clock, livekit=one.livekit, claims=Slow(store, "w2"), worker="w2")
    one.livekit.people = {"lobby": (ADA,)}
    await one.passes()
    await two.passes()
    assert (two.rooms, store.holder("lobby")) == ([], None)
    await two.due()
    assert two.why("lobby") is Why.ENDED_HERE
    await one.life.close()


async def test_a_claim_that_comes_too_late_for_the_last_place_is_passed_on() -> None:
    """Both rooms found a free place when their claims were asked for; by the time they are won there is one."""
    store = SharedStore(Replica(RULES).clock)

    class Together(SharedClaims):
        async def claim(self, room: str) -> ClaimOutcome:
            await asyncio.sleep(0)
            return await super().claim(room)

    claims = Together(store, "w1")
    world = Replica(RULES, clock=store.clock, claims=claims, capacity=1)
    world.livekit.people = {"lobby": (ADA,), "other": (ADA,)}
    await world.passes()
    assert world.rooms == ["lobby"]
    assert (store.holder("other"), claims.told) == (None, ["other"])


async def test_a_start_that_breaks_gives_its_claim_back() -> None:
    """An error between the claim and the session does not lock the room for everybody."""
    store = SharedStore(Replica(RULES).clock)

    class Broken(SharedClaims):
        async def ends(self, rooms: frozenset[str]) -> Mapping[str, LastEnd]:
            if store.holder("lobby"):
                raise RuntimeError("a bug")
            return await super().ends(rooms)

    world = Replica(RULES, clock=store.clock, claims=Broken(store, "w1"))
    world.livekit.people = {"lobby": (ADA,)}
    with pytest.raises(RuntimeError, match="a bug"):
        await world.passes()
    await until(lambda: store.holder("lobby") is None)
    await world.life.close()
