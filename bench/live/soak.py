"""Hundreds of sessions opened and closed, several at a time: nothing is left of them, in the worker or at the agent."""

import asyncio
from collections.abc import Callable
from dataclasses import astuple, dataclass, field
from pathlib import Path

from bench.live.agent import Counted
from bench.live.holdings import Holdings, counting, holdings
from bench.live.outcome import Outcome, equal
from bench.live.stage import Stage, rule_per_room, staged, subfolder
from bench.verdict import Verdict, at_most
from tests.worker_process import WorkerProcess

LANES = 6
CALM_S = 4.0
"""After a block, so that what is closing has closed."""
GROWTH_MB = 2.0
DIGITS = (0, 0, 0, 0, 1, 1)
"""Of the fields of `Holdings` in the table."""
ABOUT = f"""{LANES} rooms are opened and closed side by side, again and again, on one engine: a person joins, hears the
agent, and either leaves or the room is closed under both. After each block all sessions have ended and the processes
are counted: control and engine together."""


@dataclass
class Soaked:
    """What there is to know.

    Attributes:
        block: Sessions of a block.
        counts: What the worker held before, and after each block.
        reasons: How sessions ended.
        counted: What the agent counted by the end.
    """

    block: int
    counts: list[Holdings] = field(default_factory=list)
    reasons: set[str] = field(default_factory=set)
    counted: Counted = field(default_factory=lambda: Counted(0, 0, []))


async def scenario(folder: Path, quick: bool, say: Callable[[str], None]) -> Outcome:  # noqa: FBT001 - see Scenario
    """Run it."""
    soaked = Soaked(block=12 if quick else 50)
    rooms = [f"soak-{lane}" for lane in range(LANES)]
    inside = subfolder(folder, "counts")
    async with staged(folder, webhooks=1) as stage:
        config = stage.rooms_yaml(rule_per_room(rooms), port=stage.ports[0])
        async with stage.worker("worker", config, environ=counting(inside)) as worker:
            soaked.counts.append(await holdings(worker, inside))
            for number in range(3 if quick else 6):
                await block(stage, worker, rooms, soaked.block)
                await asyncio.sleep(CALM_S)
                soaked.counts.append(found := await holdings(worker, inside))
                say(f"{(number + 1) * soaked.block} sessions: {found}")
            soaked.reasons = {event["reason"] for event in worker.events("session_ended")}
            soaked.counted = await stage.agent.counted()
    return judge(soaked)


async def block(stage: Stage, worker: WorkerProcess, rooms: list[str], sessions: int) -> None:
    """Open and close so many sessions, one after the other in each room."""
    numbers = iter(range(sessions))

    async def lane(room: str) -> None:
        for number in numbers:  # shared: whoever is free takes the next one
            await session(stage, worker, room, by_leaving=number % 2 == 0)

    async with asyncio.TaskGroup() as group:
        for room in rooms:
            group.create_task(lane(room))


async def session(stage: Stage, worker: WorkerProcess, room: str, *, by_leaving: bool) -> None:
    """One session, from the person's join to the end that the worker logs."""

    def ended() -> int:
        return sum(event["room"] == room for event in worker.events("session_ended"))

    before = ended()
    person = await stage.crowd.join(room)
    await person.audible(60)
    if not by_leaving:
        await stage.delete(room)
    await person.leave()
    await worker.until(lambda _: ended() > before, 60)


def judge(soaked: Soaked) -> Outcome:
    """The verdicts: what was held after two blocks, when everything has been used, must not grow any more."""
    counts, counted = soaked.counts, soaked.counted
    sessions = soaked.block * (len(counts) - 1)
    first, before, last = counts[2], counts[-3], counts[-1]
    outcome = Outcome("Hundreds of sessions", ABOUT)
    grown = f"after {sessions} sessions, above after {2 * soaked.block}"
    outcome.verdicts = [
        *(
            none_more(f"{name} {grown}", getattr(first, name), getattr(last, name))
            for name in ("tasks", "fds", "threads")
        ),
        at_most(f"memory that the last {2 * soaked.block} add", last.memory_mb - before.memory_mb, GROWTH_MB, " MB"),
        equal("offers", counted.offers, sessions),
        equal("Millis sessions left open", counted.open, 0),
        at_most("two Millis sessions of one room at once", max(0.0, counted.longest_double()), 0, " s", 2),
        equal("ends", ", ".join(sorted(soaked.reasons)), "room_closed, room_empty"),
    ]
    head = ["sessions", "tasks", "threads", "file descriptors", "objects", "control / MB", "engine / MB"]
    rows = [
        [
            str(place * soaked.block),
            *(f"{value:.{digits}f}" for value, digits in zip(astuple(found), DIGITS, strict=True)),
        ]
        for place, found in enumerate(counts)
    ]
    outcome.tables = [("Held when no session was open:", [head, *rows])]
    return outcome


def none_more(what: str, first: int, last: int) -> Verdict:
    """Nothing may have been added."""
    return at_most(what, last - first, 0, "", 0)
