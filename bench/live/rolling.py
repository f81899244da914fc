"""A single replica without a shared store is replaced while calls are live: a new worker starts, the old one drains."""

import asyncio
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.live.agent import Counted
from bench.live.heard import Heard, last_audible
from bench.live.outcome import equal, spread
from bench.live.stage import rule_per_room, staged
from bench.verdict import Verdict, at_most

BESIDE_S = 12.0
"""For so long both are there: the new one looks at rooms that are served elsewhere each 3 s, by its passes each 2 s."""
CUT_S = 0.5
NEW_ROOM = "rolling-new"


@dataclass(frozen=True)
class Replaced:
    """What there is to know about the replacement.

    Attributes:
        heard: What was heard in each room, and until when: then its listener left.
        ends: The ends that the old worker reported.
        exit_code: The old worker's.
        taken: Rooms that the new one served.
        counted: What the agent counted by the end.
    """

    heard: dict[str, tuple[list[Heard], float]]
    ends: list[dict[str, Any]]
    exit_code: int
    taken: set[str]
    counted: Counted


async def replace(folder: Path, count: int, say: Callable[[str], None]) -> Replaced:
    """Replace a worker under live calls."""
    rooms = [f"rolling-{number}" for number in range(count)]
    async with staged(folder, webhooks=2) as stage:
        first, second = (
            stage.rooms_yaml(rule_per_room([*rooms, NEW_ROOM]), port=port, worker={"reconcile_every": "2s"})
            for port in stage.ports
        )
        async with stage.worker("old", first) as old:
            people = await stage.crowd.in_rooms(rooms)
            await asyncio.gather(*(person.audible() for person in people))
            async with stage.worker("new", second) as new:
                say(f"{len(rooms)} calls are live, the new worker is there, the old one gets SIGTERM")
                old.signal(signal.SIGTERM)
                await asyncio.sleep(BESIDE_S / 2)
                late = await stage.crowd.join(NEW_ROOM)
                await late.audible()
                await asyncio.sleep(BESIDE_S / 2)
                heard = {}
                for person in people:
                    heard[person.room] = (await person.heard(), time.monotonic())
                    await person.leave()
                exit_code = await old.exit_code()
                await late.leave()
                counted = await stage.agent.until(lambda counted: counted.open == 0)
                taken = {event["room"] for event in new.events("session_started")}
                return Replaced(heard, old.events("session_ended"), exit_code, taken, counted)


def judge(replaced: Replaced) -> list[Verdict]:
    """The verdicts about the replacement."""
    missing = [left - (last_audible(tracks) or 0.0) for tracks, left in replaced.heard.values()]
    return [
        at_most("replacement: longest silence before a listener leaves", max(missing), CUT_S, " s", 2),
        equal("… most agents that a room has heard", max(agents(tracks) for tracks, _ in replaced.heard.values()), 1),
        equal("… ends at the old worker", ", ".join({end["reason"] for end in replaced.ends}), "room_empty"),
        equal("… calls that ended there", len(replaced.ends), len(replaced.heard)),
        equal("… its exit code", replaced.exit_code, 0),
        equal("… rooms of the new worker", ", ".join(replaced.taken), NEW_ROOM),
        equal("… offers", replaced.counted.offers, len(replaced.heard) + 1),
        equal("… Millis sessions left open", replaced.counted.open, 0),
    ]


def rows(replaced: Replaced) -> list[list[str]]:
    """Further figures, as rows of a table."""
    gaps = []
    for tracks, left in replaced.heard.values():
        begin = float(tracks[0].audible_at[0])
        gaps += tracks[0].gaps(begin, left - CUT_S)
    return [["gaps in the calls of the replaced worker", spread(gaps)]]


def agents(tracks: list[Heard]) -> int:
    """How many participants were audible."""
    return len({heard.participant for heard in tracks if len(heard.audible_at)})
