"""kill -9 of one of two engines during live calls: its rooms speak again soon, the others hear nothing of it."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.live.crowd import Person
from bench.live.heard import Heard, first_audible, overlap
from bench.live.outcome import Outcome, equal, spread
from bench.live.stage import Stage, rule_per_room, staged
from bench.verdict import at_least, at_most
from tests.worker_process import WorkerProcess

BEFORE_S, AFTER_S = 5.0, 12.0
AGAIN_S = 2.0
ABOUT = """Two engines, the calls spread over both, a listener in each room. One engine is killed by SIGKILL. Its rooms
must be served by the other at once; the calls there must not notice. Gaps were counted from 5 s before the kill."""


@dataclass(frozen=True)
class Calls:
    """The calls when the engine was killed.

    Attributes:
        killed_at: When, in monotonic seconds.
        struck: Those of the killed engine: what was heard, by room.
        spared: Those of the other.
        offers: How many offers the agent had got by the end.
    """

    killed_at: float
    struck: dict[str, list[Heard]]
    spared: dict[str, list[Heard]]
    offers: int


async def scenario(folder: Path, quick: bool, say: Callable[[str], None]) -> Outcome:  # noqa: FBT001 - see Scenario
    """Run it."""
    rooms = [f"failover-{number}" for number in range(2 if quick else 6)]
    async with staged(folder, webhooks=1) as stage:
        config = stage.rooms_yaml(rule_per_room(rooms), port=stage.ports[0], worker={"engines": 2})
        async with stage.worker("worker", config, engines=2) as worker:
            say(f"{len(rooms)} people join")
            people = await stage.crowd.in_rooms(rooms)
            await asyncio.gather(*(person.audible() for person in people))
            calls = await strike(stage, worker, people, say)
    return judge(calls)


async def strike(stage: Stage, worker: WorkerProcess, people: list[Person], say: Callable[[str], None]) -> Calls:
    """Kill an engine while everybody listens."""
    await asyncio.sleep(BEFORE_S)
    served_by = {event["room"]: event["engine"] for event in worker.events("session_started")}
    victim = worker.events("engine_ready")[0]
    say(f"kill -9 of engine {victim['engine']}; calls by engine: {sorted(served_by.values())}")
    (process,) = [engine for engine in worker.engines if engine.pid == victim["pid"]]
    killed_at = time.monotonic()
    process.kill()
    await asyncio.sleep(AFTER_S)
    heard = {person.room: await person.heard() for person in people}
    struck = {room: tracks for room, tracks in heard.items() if served_by[room] == victim["engine"]}
    spared = {room: tracks for room, tracks in heard.items() if room not in struck}
    return Calls(killed_at, struck, spared, (await stage.agent.counted()).offers)


def judge(calls: Calls) -> Outcome:
    """The verdicts."""
    killed_at, struck, spared = calls.killed_at, calls.struck, calls.spared
    again = [first_audible(tracks, killed_at, but=participant_at(tracks, killed_at)) for tracks in struck.values()]
    took = [float("nan") if at is None else at - killed_at for at in again]
    span = (killed_at - BEFORE_S + 1, killed_at + AFTER_S - 1)
    gaps = [gap for tracks in spared.values() for heard in tracks for gap in heard.gaps(*span)]
    before = [gap for tracks in struck.values() for gap in tracks[0].gaps(span[0], killed_at)]
    rooms = [*struck, *spared]
    outcome = Outcome("An engine is killed", ABOUT)
    outcome.verdicts = [
        equal("calls on each engine", (len(struck), len(spared)), (len(rooms) // 2, len(rooms) // 2)),
        at_most("longest time until a struck room hears the agent again", max(took), AGAIN_S, " s", 2),
        at_most("gaps of more than 60 ms on the other engine", len(gaps), 0, "", 0),
        at_most("two agents audible at once", max(map(overlap, [*struck.values(), *spared.values()])), 0, " s", 2),
        equal("offers for all calls", calls.offers, len(rooms) + len(struck)),
        at_least("rooms that hear the agent at the end", alive_at(calls, span[1] - 2), len(rooms), "", 0),
    ]
    rows = [
        ["", "p50 / p95 / max"],
        ["from the kill until the agent is audible again", spread(took)],
        ["gaps in the struck rooms before the kill", spread(before)],
        ["gaps on the other engine", spread(gaps)],
    ]
    outcome.tables = [("At the people:", rows)]
    return outcome


def participant_at(tracks: list[Heard], when: float) -> str:
    """The participant who was audible last before a time."""
    audible = [heard for heard in tracks if len(heard.audible_at) and heard.audible_at[0] < when]
    return audible[-1].participant if audible else ""


def alive_at(calls: Calls, when: float) -> int:
    """Rooms where the agent is audible after a time."""
    return sum(first_audible(tracks, when) is not None for tracks in [*calls.struck.values(), *calls.spared.values()])
