"""Three replicas on one Redis, one of them killed with its engines; and the rolling replacement of a single replica."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.live import rolling
from bench.live.agent import Counted
from bench.live.failover import participant_at
from bench.live.heard import Heard, first_audible, overlap
from bench.live.outcome import Outcome, equal, spread
from bench.live.stage import rule_per_room, staged, subfolder
from bench.verdict import Verdict, at_least, at_most
from tests.redis_server import RedisServer
from tests.worker_process import WorkerProcess

REPLICAS = 3
BEFORE_S, AFTER_S = 5.0, 16.0
AGAIN_S = 10.0
ABOUT = f"""First {REPLICAS} workers with `claims: redis` on one redis-server; LiveKit's webhooks go to each of them.
The one with the most rooms is killed by SIGKILL together with its engine. Then a single worker with `claims: memory` is
replaced: a second one is started, the first gets SIGTERM, and a new room is opened while the old calls go on."""


@dataclass(frozen=True)
class Killed:
    """What there is to know about the kill.

    Attributes:
        at: When, in monotonic seconds.
        share: How many rooms each replica served before.
        struck: Rooms of the killed one.
        heard: What was heard in each room.
        counted: What the agent counted by the end.
    """

    at: float
    share: list[int]
    struck: set[str]
    heard: dict[str, list[Heard]]
    counted: Counted


async def scenario(folder: Path, quick: bool, say: Callable[[str], None]) -> Outcome:  # noqa: FBT001 - see Scenario
    """Run it."""
    killed = await kill_one(subfolder(folder, "kill"), 4 if quick else 12, say)
    outcome = Outcome("A replica is killed, and one is replaced", ABOUT)
    outcome.verdicts, rows = judge(killed)
    replaced = await rolling.replace(subfolder(folder, "rolling"), 2 if quick else 4, say)
    outcome.verdicts += rolling.judge(replaced)
    outcome.tables = [("At the people:", [*rows, *rolling.rows(replaced)])]
    return outcome


async def kill_one(folder: Path, count: int, say: Callable[[str], None]) -> Killed:
    """Kill the replica that has most rooms."""
    rooms = [f"replica-{number}" for number in range(count)]
    async with RedisServer() as redis, staged(folder, webhooks=REPLICAS) as stage, contextlib.AsyncExitStack() as stack:
        environ = {"REDIS_URL": redis.url.reveal()}
        workers = []
        for number, port in enumerate(stage.ports):
            config = stage.rooms_yaml(rule_per_room(rooms), port=port, worker={"claims": "redis"})
            worker = stage.worker(f"worker-{number}", config, environ=environ)
            workers.append(await stack.enter_async_context(worker))
        say(f"{len(rooms)} people join")
        people = await stage.crowd.in_rooms(rooms)
        await asyncio.gather(*(person.audible() for person in people))
        await asyncio.sleep(BEFORE_S)
        served = [served_by(worker) for worker in workers]
        struck = max(served, key=len)
        say(f"kill -9 of one replica with its engines; rooms of each: {[len(rooms) for rooms in served]}")
        at = time.monotonic()
        workers[served.index(struck)].kill_all()
        await asyncio.sleep(AFTER_S)
        heard = {person.room: await person.heard() for person in people}
        return Killed(at, [len(rooms) for rooms in served], struck, heard, await stage.agent.counted())


def counts(found: Iterable[int]) -> str:
    """The different ones of some counts."""
    return ", ".join(map(str, sorted(set(found))))


def served_by(worker: WorkerProcess) -> set[str]:
    """The rooms that a worker has served so far."""
    return {event["room"] for event in worker.events("session_started")}


def judge(killed: Killed) -> tuple[list[Verdict], list[list[str]]]:
    """The verdicts about the kill, and rows for the table."""
    took, end = [], killed.at + AFTER_S - 2
    for room in killed.struck:
        tracks = killed.heard[room]
        again = first_audible(tracks, killed.at, but=participant_at(tracks, killed.at))
        took.append(float("nan") if again is None else again - killed.at)
    offers = {room: len(killed.counted.of(room)) for room in killed.heard}
    others = [tracks for room, tracks in killed.heard.items() if room not in killed.struck]
    gaps = [gap for tracks in others for gap in tracks[0].gaps(killed.at - BEFORE_S + 1, end)]
    alive = sum(first_audible(tracks, end) is not None for tracks in killed.heard.values())
    verdicts = [
        at_least("rooms of the killed replica", len(killed.struck), 1, "", 0),
        at_most("longest time until one of its rooms hears the agent again", max(took), AGAIN_S, " s", 2),
        at_most("two agents audible at once", max(map(overlap, killed.heard.values())), 0, " s", 2),
        equal("offers for each of its rooms", counts(offers[room] for room in killed.struck), "2"),
        equal("offers for each other room", counts(offers[room] for room in offers if room not in killed.struck), "1"),
        equal("all offers", killed.counted.offers, len(killed.heard) + len(killed.struck)),
        equal("rooms that hear the agent at the end", alive, len(killed.heard)),
    ]
    rows = [
        ["", "p50 / p95 / max"],
        ["rooms of each replica before the kill", " / ".join(map(str, killed.share))],
        ["from the kill until the agent is audible again", spread(took)],
        ["gaps in the rooms of the other replicas", spread(gaps)],
    ]
    return verdicts, rows
