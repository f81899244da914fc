"""The reconcile pass, with a LiveKit, engines and a claim store of our own making."""

import asyncio

import pytest

from connector.base.ends import EndReason
from connector.base.errors import ConfigError, UnavailableError
from connector.base.trigger import Trigger
from connector.control.desired import Why
from connector.control.seen import ParticipantSeen
from tests.control_world import ADA, Replica, SharedClaims, SharedStore, rules_of
from tests.until import until

EXACT = rules_of('room: "lobby", agent: "a1"', 'room: "other", agent: "a2"')
PATTERNS = rules_of(
    'room: "internal-*", join: never', 'room: "asked-*", agent: "a1", join: request', 'room: "*", agent: "a1"'
)


async def test_a_room_with_a_human_is_served_once() -> None:
    """The first pass starts a session, the next ones leave it alone; only the rules' own names are asked for."""
    world = Replica(EXACT)
    world.livekit.people = {"lobby": (ADA,), "other": ()}
    for _ in range(3):
        await world.passes()
    assert [(o.room, o.agent_id, o.trigger, o.fenced) for o in world.hosts.orders] == [
        ("lobby", "a1", "reconcile", False)
    ]
    assert world.livekit.asked[-1] == ["lobby", "other"]


async def test_a_pattern_asks_for_all_rooms() -> None:
    """With a pattern any room may be meant; those that a rule leaves out are not served."""
    world = Replica(PATTERNS)
    world.livekit.people = {"a": (ADA,), "internal-1": (ADA,), "asked-1": (ADA,), "b": ()}
    await world.passes()
    assert world.livekit.asked == [None]
    assert world.rooms == ["a"]
    whys = {name: verdict.why for name, verdict in world.reconciler.verdicts.items()}
    assert whys == {"a": Why.SERVE, "internal-1": Why.NEVER, "asked-1": Why.NOT_ASKED, "b": Why.NO_HUMAN}


async def test_a_hint_looks_at_its_room_only() -> None:
    """A webhook's room is looked at without the others, and its session knows what started it."""
    world = Replica(PATTERNS)
    world.livekit.people = {"a": (ADA,), "b": (ADA,)}
    world.reconciler.look_at("b", Trigger.WEBHOOK)
    await world.due()
    assert world.livekit.asked == [["b"]]
    assert world.diary.started == [("b", Trigger.WEBHOOK)]


async def test_unknown_changes_nothing() -> None:
    """When LiveKit cannot be asked, nothing is started and nothing forgotten."""
    world = Replica(EXACT)
    world.livekit.people = {"lobby": (ADA,)}
    world.livekit.list_error = UnavailableError("no answer")
    await world.passes()
    world.livekit.list_error = None
    world.livekit.people_error = UnavailableError("no answer")
    await world.passes()
    assert world.rooms == []
    assert world.why("lobby") is Why.UNKNOWN
    world.livekit.people_error = None
    await world.passes()
    assert world.rooms == ["lobby"]


async def test_a_refused_key_is_an_error_at_the_start_only() -> None:
    """The very first pass raises what an operator must mend; later ones go on."""
    world = Replica(EXACT)
    world.livekit.list_error = ConfigError(["wrong key"])
    with pytest.raises(ConfigError, match="wrong key"):
        await world.reconciler.one_pass(first=True)
    await world.passes()
    assert world.rooms == []


async def test_a_wanted_end_is_respected_until_the_room_is_gone() -> None:
    """After a hang-up the room is left alone; when it is gone and comes back it is served again."""
    world = Replica(EXACT)
    world.livekit.people = {"lobby": (ADA,)}
    await world.passes()
    world.clock.now += 60
    world.end(EndReason.AGENT_HANGUP)
    await world.passes()
    assert world.why("lobby") is Why.ENDED_HERE
    world.clock.now += 1
    world.livekit.people = {}
    await world.passes()
    world.livekit.people = {"lobby": (ADA,)}
    await world.passes()
    assert world.rooms == ["lobby", "lobby"]


async def test_an_end_while_the_pass_looks_is_not_forgotten() -> None:
    """A room that the list did not show yet keeps an end that is younger than the list."""
    world = Replica(EXACT)
    world.livekit.people = {"lobby": (ADA,)}
    await world.passes()
    begin = world.clock.now
    world.clock.now += 1
    world.end(EndReason.AGENT_HANGUP)
    world.life.forget([], before=begin)
    assert "lobby" in world.life.history.ends


async def test_a_lost_engine_s_room_is_served_at_once() -> None:
    """`engine_lost` neither waits nor holds the room: the next engine gets it as a failover."""
    world = Replica(EXACT)
    world.livekit.people = {"lobby": (ADA,)}
    await world.passes()
    world.end(EndReason.ENGINE_LOST)
    await world.due()
    assert world.diary.started == [("lobby", Trigger.RECONCILE), ("lobby", Trigger.FAILOVER)]


async def test_a_failure_is_tried_again_by_time_alone() -> None:
    """After a failure the room is looked at again when its pause is over, without a pass over everything."""
    world = Replica(EXACT)
    world.livekit.people = {"lobby": (ADA,)}
    await world.passes()
    world.end(EndReason.AGENT_UNREACHABLE)
    world.clock.now += 2
    await world.due()
    assert world.why("lobby") is Why.WAITING
    world.clock.now += 27
    await world.due()
    assert world.rooms == ["lobby"]
    world.clock.now += 2
    await world.due()
    assert world.rooms == ["lobby", "lobby"]


async def test_without_a_free_engine_the_room_waits() -> None:
    """Nothing is started, nothing counts as failed, and the next pass tries again."""
    world = Replica(EXACT, capacity=0)
    world.livekit.people = {"lobby": (ADA,)}
    await world.passes()
    assert world.why("lobby") is Why.FULL
    world.hosts.capacity = 1
    await world.passes()
    assert world.rooms == ["lobby"]


async def test_the_oldest_unserved_room_is_reported() -> None:
    """Rooms that are wanted and not live count as unserved, with the time since they were first seen so."""
    world = Replica(EXACT, capacity=1)
    world.livekit.people = {"lobby": (ADA,), "other": (ADA,)}
    await world.passes()
    world.clock.now += 5
    await world.passes()
    assert world.diary.judged == (2, 2, 5.0)
    world.say("live")
    await world.passes()
    assert world.diary.judged == (2, 1, 5.0)


async def test_a_room_served_elsewhere_is_taken_over_only_with_a_lease_and_without_an_answer() -> None:
    """`memory` leaves it alone; with a won lease it is taken over, unless its worker still answers in the room."""
    agent = ParticipantSeen("millis-agent", "PA_9", "AGENT", {"connector.worker": "w0", "connector.beat": "2000000"})
    alone = Replica(EXACT)
    alone.livekit.people = {"lobby": (ADA, agent)}
    await alone.passes()
    assert alone.rooms == []

    store = SharedStore(alone.clock)
    other = Replica(EXACT, livekit=alone.livekit, clock=alone.clock, claims=SharedClaims(store, "w2"), worker="w2")
    other.alive_elsewhere = {"lobby"}
    await other.passes()
    assert other.rooms == []
    assert store.holder("lobby") is None
    other.alive_elsewhere = set()
    await other.passes()
    assert other.rooms == [], "who answered is not asked again at once"
    alone.clock.now += 11
    await other.passes()
    assert other.diary.started == [("lobby", Trigger.FAILOVER)]
    assert other.hosts.orders[0].fenced


async def test_two_replicas_share_rooms_ends_and_requests() -> None:
    """One serves, the other does not; and what ended for good, or was asked for, holds for both."""
    store = SharedStore(world_clock := Replica(EXACT).clock)
    one = Replica(PATTERNS, clock=world_clock, claims=SharedClaims(store, "w1"))
    two = Replica(PATTERNS, clock=world_clock, livekit=one.livekit, claims=SharedClaims(store, "w2"), worker="w2")
    one.livekit.people = {"a": (ADA,), "asked-1": (ADA,)}
    await one.passes()
    await two.passes()
    assert (one.rooms, two.rooms) == (["a"], [])
    assert two.why("a") is Why.CLAIMED_ELSEWHERE
    world_clock.now += 1
    one.end(EndReason.AGENT_HANGUP, "a")
    await until(lambda: store.holder("a") is None)
    await two.passes()
    assert two.why("a") is Why.ENDED_HERE
    assert two.desk.join("asked-1", None, Trigger.REQUEST) == "accepted"
    await until(lambda: "asked-1" in store.requests)
    await one.passes()
    assert one.diary.started[-1] == ("asked-1", Trigger.REQUEST)
    await one.life.close()
    await two.life.close()


async def test_any_replica_may_end_a_session_and_a_fulfilled_request_is_over_for_all() -> None:
    """A `leave` that reaches the replica without the session ends it, and nobody serves the old request again."""
    store = SharedStore(clock := Replica(PATTERNS).clock)
    one = Replica(PATTERNS, clock=clock, claims=SharedClaims(store, "w1"))
    two = Replica(PATTERNS, clock=clock, livekit=one.livekit, claims=SharedClaims(store, "w2"), worker="w2")
    one.livekit.people = {"asked-1": (ADA,)}
    assert one.desk.join("asked-1", None, Trigger.REQUEST) == "accepted"
    await until(lambda: "asked-1" in store.requests)
    await two.passes()
    await one.passes()
    assert (one.rooms, two.rooms) == ([], ["asked-1"])
    clock.now += 1
    one.desk.leave("asked-1")
    await until(lambda: "asked-1" in store.ends)
    await two.passes()
    assert [reason for _, reason in two.hosts.asked_to_end] == [EndReason.REQUESTED]
    two.end(EndReason.REQUESTED, "asked-1")
    await until(lambda: store.holder("asked-1") is None)
    for replica in (one, two):
        await replica.passes()
        assert dict(replica.life.requests.by_room) == {}
    assert (one.rooms, two.rooms) == ([], ["asked-1"])
    for replica in (one, two):
        await replica.life.close()


async def test_the_claim_store_s_silence_starts_nothing_and_ends_nothing() -> None:
    """Without the store no room is taken; those that run go on."""
    store = SharedStore(Replica(EXACT).clock)
    claims = SharedClaims(store, "w1")
    world = Replica(EXACT, clock=store.clock, claims=claims)
    world.livekit.people = {"lobby": (ADA,)}
    await world.passes()
    store.up = False
    world.livekit.people["other"] = (ADA,)
    store.clock.now += 60
    claims.renew()
    await world.passes()
    assert world.rooms == ["lobby"]
    assert world.why("other") is Why.CLAIMS_UNAVAILABLE
    assert world.hosts.asked_to_end == []


async def test_a_lost_claim_ends_the_session() -> None:
    """Another replica has the room: ours ends with `claim_lost`, once."""
    store = SharedStore(Replica(EXACT).clock)
    claims = SharedClaims(store, "w1")
    world = Replica(EXACT, clock=store.clock, claims=claims)
    world.livekit.people = {"lobby": (ADA,)}
    await world.passes()
    store.leases["lobby"] = ("w2", store.clock.now + 6)
    claims.renew()
    world.life.claim_lost("lobby")
    assert [reason for _, reason in world.hosts.asked_to_end] == [EndReason.CLAIM_LOST]


async def test_the_loop_obeys_hints_and_survives_a_broken_pass() -> None:
    """`run` looks at once when hinted; a pass that breaks is logged and the next one works."""
    world = Replica(EXACT)
    loop = asyncio.create_task(world.reconciler.run())
    try:
        await until(lambda: len(world.livekit.asked) == 1)
        world.livekit.people = {"lobby": (ADA,)}
        world.livekit.list_error = RuntimeError("a bug")  # type: ignore[assignment]
        world.reconciler.look_at("lobby", Trigger.WEBHOOK)
        await until(lambda: len(world.livekit.asked) >= 2)
        assert world.rooms == []
        world.livekit.list_error = None
        world.reconciler.look_at("lobby", Trigger.WEBHOOK)
        await until(lambda: world.rooms == ["lobby"])
        world.reconciler.look_at_all()
        await until(lambda: world.livekit.asked[-1] == ["lobby", "other"])
    finally:
        loop.cancel()
        await asyncio.wait({loop})
