"""Claims of several replicas on a real redis-server: who holds a room, who is first, what is shared."""

import asyncio
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from connector.base.ends import EndReason
from connector.base.trigger import Trigger
from connector.control.claims import ClaimOutcome
from connector.control.history import LastEnd
from connector.control.requests import Request
from connector.control.sharing import Keys
from tests.e2e.claims_scene import LIVEKIT, Replica, replicas
from tests.redis_server import RedisServer
from tests.until import until

pytestmark = pytest.mark.e2e
KEYS = Keys(LIVEKIT)
ODD_NAMES = ("a:b", "*?[x]", "line\nbreak", "Zimmer ü 🎧", "\ud800", "x" * 300)


@pytest_asyncio.fixture
async def redis() -> AsyncIterator[RedisServer]:
    """A Redis of the test's own."""
    async with RedisServer() as server:
        yield server


async def test_one_holds_a_room_until_it_gives_it_back(redis: RedisServer) -> None:
    """Who won wins again, others lose until it is released, and then another wins at once."""
    one, other = Replica(redis.url, "one"), Replica(redis.url, "other")
    async with replicas(one, other):
        await one.wins("a", "a")
        await other.loses("a")
        await other.claims.release("a")
        await other.loses("a")
        (value,) = (await redis.keys("*lease:a")).values()
        assert value.startswith("one:")
        assert 0 < await redis.do("PTTL", KEYS.lease("a")) <= 6000
        await one.claims.release("a")
        await other.wins("a")


@pytest.mark.parametrize("room", ODD_NAMES)
async def test_rooms_may_have_any_name(redis: RedisServer, room: str) -> None:
    """A name of any characters is claimed, told, remembered and released like any other."""
    one, other = Replica(redis.url, "one"), Replica(redis.url, "other")
    async with replicas(one, other):
        await one.wins(room)
        await other.loses(room)
        await one.claims.tell(room)
        await until(lambda: other.hints == [room])
        end = LastEnd(EndReason.ROOM_EMPTY, time.monotonic())
        await one.claims.remember_end(room, end)
        assert set(await other.claims.ends(frozenset({room}))) == {room}
        await one.claims.release(room)
        await other.wins(room)


async def test_installations_on_one_redis_do_not_meet(redis: RedisServer) -> None:
    """Replicas of another LiveKit hold rooms of the same names, and hear nothing of ours."""
    one, other = Replica(redis.url, "one"), Replica(redis.url, "other", livekit="wss://livekit.example.com")
    async with replicas(one), replicas(other):
        await one.wins("a")
        await other.wins("a")
        await one.claims.tell("a")
        await one.claims.remember_end("a", LastEnd(EndReason.ROOM_EMPTY, time.monotonic()))
        assert await other.claims.ends(frozenset({"a"})) == {}
        assert other.hints == []
        assert other.claims.figures().replicas == 0


async def test_leases_live_while_renewed_and_no_longer(redis: RedisServer) -> None:
    """A lease is kept over several times its life; of a replica that stands still another takes it, within 6 s."""
    one, other = Replica(redis.url, "one"), Replica(redis.url, "other")
    async with replicas(one, other):
        await one.wins("a", "b")
        await asyncio.sleep(7)  # longer than a lease: the claim, not the time, is what is waited for
        await other.loses("a")
        await one.stop_running()
        stopped = time.monotonic()
        await other.wins_in_time("a", 7)
        assert 3.5 < time.monotonic() - stopped < 6.5
        await one.start()
        await until(lambda: one.lost == ["a"])
        await one.wins("b")
        assert await one.claims.claim("a") is not ClaimOutcome.WON
        assert (one.observer.renew_failures, one.claims.figures().lost) == (1, 1)


async def test_the_least_loaded_takes_new_rooms(redis: RedisServer) -> None:
    """When all claim at once, the one with the smallest share of its capacity wins; a draining one never does."""
    busy, idle, draining = (Replica(redis.url, name) for name in ("busy", "idle", "draining"))
    busy.claims.report_load(5, 10)
    draining.claims.report_load(0, 0)
    async with replicas(busy, idle, draining):
        for room in ("a", "b", "c"):
            outcomes = await asyncio.gather(*(replica.claims.claim(room) for replica in (busy, idle, draining)))
            assert outcomes == [ClaimOutcome.LOST, ClaimOutcome.WON, ClaimOutcome.LOST]


async def test_a_changed_load_is_known_soon(redis: RedisServer) -> None:
    """Within three seconds after a replica reported that it is full the other one is first."""
    one, other = Replica(redis.url, "one"), Replica(redis.url, "other")
    other.claims.report_load(5, 10)
    async with replicas(one, other):
        one.claims.report_load(10, 10)
        winner, tries = one, 0
        async with asyncio.timeout(3):
            while winner is not other:
                tries += 1
                room = f"room-{tries}"
                first, _ = await asyncio.gather(one.claims.claim(room), other.claims.claim(room))
                winner = one if first is ClaimOutcome.WON else other
                await winner.claims.release(room)


async def test_equal_replicas_share_a_burst(redis: RedisServer) -> None:
    """Of thirty rooms that three idle replicas claim at once each takes some, and none is held twice."""
    three = [Replica(redis.url, name) for name in ("w1", "w2", "w3")]
    rooms = [f"room-{number}" for number in range(30)]
    async with replicas(*three):
        tries = [(replica, room) for room in rooms for replica in three]
        outcomes = await asyncio.gather(*(replica.claims.claim(room) for replica, room in tries))
        won = [(room, replica) for (replica, room), outcome in zip(tries, outcomes, strict=True) if outcome == "won"]
        assert sorted(room for room, _ in won) == sorted(rooms)
        assert ClaimOutcome.ERROR not in outcomes
        shares = Counter(three.index(replica) for _, replica in won)
        assert min(shares[index] for index in range(3)) >= 3, shares


async def test_a_hint_reaches_all_the_others_fast(redis: RedisServer) -> None:
    """A hint comes to every other replica within a second (some milliseconds on an idle machine), not to its sender."""
    three = [Replica(redis.url, name) for name in ("w1", "w2", "w3")]
    async with replicas(*three):
        await three[0].claims.tell("lobby")
        await until(lambda: three[1].hints == three[2].hints == ["lobby"], 1)
        assert three[0].hints == []


async def test_ends_and_requests_are_shared(redis: RedisServer) -> None:
    """Others learn ends and requests with their true age, whatever their own clock; a withdrawn request is gone."""
    one, other = Replica(redis.url, "one"), Replica(redis.url, "other", ahead_s=5000.0)
    async with replicas(one, other):
        now = time.monotonic()
        end = LastEnd(EndReason.REPLACED, now - 5, "RM_1", 2, "evicted", "agent-1", (now - 60, now - 5))
        await one.claims.remember_end("a", end)
        await one.claims.remember_request("b", Request(Trigger.DISPATCH, now - 7, "agent-2"))
        await one.claims.remember_request("c", Request(Trigger.REQUEST, now))
        ends = await other.claims.ends(frozenset({"a", "z"}))
        assert set(ends) == {"a"}
        assert (ends["a"].reason, ends["a"].room_sid, ends["a"].failures) == (EndReason.REPLACED, "RM_1", 2)
        assert ends["a"].at == pytest.approx(now - 5 + 5000, abs=0.3)
        assert ends["a"].replaced_at == pytest.approx((now - 60 + 5000, now - 5 + 5000), abs=0.3)
        requests = await other.claims.requests()
        assert set(requests) == {"b", "c"}
        assert (requests["b"].trigger, requests["b"].agent) == (Trigger.DISPATCH, "agent-2")
        assert requests["b"].at == pytest.approx(now - 7 + 5000, abs=0.3)
        await other.claims.remember_request("b", None)
        assert set(await one.claims.requests()) == {"c"}
        assert 86000 < await redis.do("TTL", KEYS.end("a")) <= 86400
        assert 890 < await redis.do("TTL", KEYS.requests) <= 900


async def test_ends_of_very_many_rooms(redis: RedisServer) -> None:
    """More rooms than one call carries are asked for in several."""
    one = Replica(redis.url, "one")
    async with replicas(one):
        for number in (0, 700, 1100):
            await one.claims.remember_end(f"r{number}", LastEnd(EndReason.ROOM_EMPTY, time.monotonic()))
        found = await one.claims.ends(frozenset(f"r{number}" for number in range(1200)))
        assert set(found) == {"r0", "r700", "r1100"}
        assert await one.claims.ends(frozenset()) == {}


async def test_a_close_leaves_nothing_behind(redis: RedisServer) -> None:
    """Whoever closes releases everything at once and tells the others to look; ends and requests stay."""
    one, other = Replica(redis.url, "one"), Replica(redis.url, "other")
    async with replicas(other):
        await one.start()
        await one.wins("a", "b", "c")
        await one.claims.remember_end("z", LastEnd(EndReason.ROOM_EMPTY, time.monotonic()))
        claiming = asyncio.create_task(one.claims.claim("d"))
        began = time.monotonic()
        await one.close()
        assert time.monotonic() - began < 1.0
        await until(lambda: "" in other.hints, 2)
        assert await claiming is not ClaimOutcome.WON
        await other.wins("a", "b", "c", "d")
    left = {key.decode().split(":", 2)[2] for key in await redis.do("KEYS", "*")}
    assert left == {"end:z"}


async def test_a_claim_that_nobody_waits_for_is_given_back(redis: RedisServer) -> None:
    """A claim that is cancelled on its way may have been granted: its lease is deleted with the next renewal."""
    one = Replica(redis.url, "one")
    async with replicas(one):
        redis.freeze()
        claiming = asyncio.create_task(one.claims.claim("a"))
        await asyncio.sleep(0.2)  # it has been sent, and waits for the frozen server
        claiming.cancel()
        await asyncio.wait({claiming})
        redis.thaw()
        other = Replica(redis.url, "other")
        async with replicas(other):
            await other.wins_in_time("a", 3)


async def test_garbage_in_redis_harms_nobody(redis: RedisServer) -> None:
    """Whatever stands under our keys, rooms are claimed and renewed, ends and requests read, and garbage is counted."""
    garbage: list[tuple[str | bytes, ...]] = [
        ("SET", KEYS.lease("a"), "who knows"),
        ("RPUSH", KEYS.lease("b"), "x"),
        ("SET", KEYS.lease("c"), "x", "PX", "99999999"),
        ("SET", KEYS.replicas, "x"),
        ("SET", KEYS.replica("ghost"), "{{{", "PX", "60000"),
        ("RPUSH", KEYS.replica("one"), "x"),
        ("SET", KEYS.end("a"), b"\xff\xfe"),
        ("RPUSH", KEYS.end("b"), "x"),
        ("SET", KEYS.end("c"), '{"reason": "no_such"}'),
        ("SET", KEYS.requests, "x"),
    ]
    for command in garbage:
        await redis.do(*command)
    one, other = Replica(redis.url, "one"), Replica(redis.url, "other")
    async with replicas(one, other):
        await redis.do("SADD", KEYS.replicas, "ghost")
        await one.wins("a", "b", "c")
        assert await one.claims.ends(frozenset("abcd")) == {}
        assert await one.claims.requests() == {}
        await one.claims.remember_request("a", Request(Trigger.REQUEST, time.monotonic()))
        await redis.do("HSET", KEYS.requests, "b", "garbage", b"\xff", "{}")
        assert set(await one.claims.requests()) == {"a"}
        assert await redis.do("HKEYS", KEYS.requests) == [b"a"]
        await redis.do("PUBLISH", KEYS.hints, b"\xff")
        await redis.do("PUBLISH", KEYS.hints, "x" * 100_000)
        await one.claims.tell("a")
        await until(lambda: other.hints == ["a"])
        await until(lambda: one.claims.figures().replicas == 2, 3)  # the ghost lives, and has no load
        await other.loses("a")
        assert one.claims.figures().garbage >= 6
        assert one.claims.figures().outages == other.claims.figures().outages == 0


async def test_a_claim_is_fast(redis: RedisServer) -> None:
    """A lone replica claims in milliseconds, at the median of a hundred rooms (0.2 ms were seen)."""
    one = Replica(redis.url, "one")
    one.claims.report_load(0, 1000)
    async with replicas(one):
        took = []
        for number in range(100):
            began = time.perf_counter()
            await one.wins(f"r{number}")
            took.append((time.perf_counter() - began) * 1000)
        assert statistics.median(took) < 50
