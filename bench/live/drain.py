"""SIGTERM during live calls: none is cut before its last listener leaves or the drain time ends. Then: reloads."""

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.live import reload
from bench.live.agent import Counted
from bench.live.crowd import Person
from bench.live.heard import Heard, last_audible, overlap
from bench.live.outcome import Outcome, equal
from bench.live.stage import rule_per_room, staged, subfolder
from bench.verdict import Verdict, at_least, at_most

CUT_S = 0.5
CLOSE_S = 10.0
NEW_ROOM = "drain-new"
ABOUT = """Live calls, a listener each, over two engines; then SIGTERM. Half of the listeners leave one after the other,
the rest stay until the drain time ends; somebody opens a new room meanwhile. Second part: rooms.yaml is changed under
two live calls, first to something wrong, then to another gain and another agent."""


@dataclass(frozen=True)
class Drained:
    """What there is to know about the drain.

    Attributes:
        at: When SIGTERM was sent, in monotonic seconds.
        timeout_s: The drain time.
        left: What was heard in the rooms whose listener left, and until when.
        stayed: What was heard in the others, to the end.
        ends: The ends of the sessions, as logged.
        exit_code: Of the worker.
        exit_s: How long after SIGTERM it had ended.
        counted: What the agent counted by the end.
    """

    at: float
    timeout_s: float
    left: list[tuple[list[Heard], float]]
    stayed: list[list[Heard]]
    ends: list[dict[str, Any]]
    exit_code: int
    exit_s: float
    counted: Counted


async def scenario(folder: Path, quick: bool, say: Callable[[str], None]) -> Outcome:  # noqa: FBT001 - see Scenario
    """Run it."""
    calls, timeout_s = (4, 12.0) if quick else (10, 20.0)
    drained = await drain(subfolder(folder, "drain"), calls, timeout_s, say)
    outcome = Outcome("Drain, and reload under live calls", ABOUT)
    outcome.verdicts = judge(drained)
    reloaded = await reload.change(subfolder(folder, "reload"), say)
    outcome.verdicts += reload.judge(reloaded)
    outcome.tables = reload.tables(reloaded)
    return outcome


async def drain(folder: Path, calls: int, timeout_s: float, say: Callable[[str], None]) -> Drained:
    """Drain a worker under live calls."""
    rooms = [f"drain-{number}" for number in range(calls)]
    async with staged(folder, webhooks=1) as stage:
        settings = {"engines": 2, "drain_timeout": f"{timeout_s:.0f}s"}
        config = stage.rooms_yaml(rule_per_room([*rooms, NEW_ROOM]), port=stage.ports[0], worker=settings)
        async with stage.worker("worker", config, engines=2) as worker:
            people = await stage.crowd.in_rooms(rooms)
            await asyncio.gather(*(person.audible() for person in people))
            say(f"SIGTERM during {len(people)} live calls")
            at = time.monotonic()
            worker.signal(signal.SIGTERM)
            late = await stage.crowd.join(NEW_ROOM)
            leaving, staying = people[: calls // 2], people[calls // 2 :]
            left = [
                await leave(person, at + (n + 1) * 0.5 * timeout_s / len(leaving)) for n, person in enumerate(leaving)
            ]
            exit_code = await worker.exit_code(timeout_s + CLOSE_S + 5)
            exit_s = time.monotonic() - at
            stayed = [await person.heard() for person in staying]
            counted = await stage.agent.counted()
            for person in (*staying, late):
                await person.leave()
        return Drained(at, timeout_s, left, stayed, worker.events("session_ended"), exit_code, exit_s, counted)


async def leave(person: Person, at: float) -> tuple[list[Heard], float]:
    """Leave at a time.

    Returns:
        What was heard, and until when.
    """
    await asyncio.sleep(at - time.monotonic())
    heard, until = await person.heard(), time.monotonic()
    await person.leave()
    return heard, until


def judge(drained: Drained) -> list[Verdict]:
    """The verdicts about the drain."""
    missing = [until - (last_audible(tracks) or 0.0) for tracks, until in drained.left]
    lasted = [(last_audible(tracks) or 0.0) - drained.at for tracks in drained.stayed]
    everything = [*(tracks for tracks, _ in drained.left), *drained.stayed]
    reasons = Counter(end["reason"] for end in drained.ends)
    closed = Counter(session["closed_by"] for session in drained.counted.sessions)
    return [
        at_most("drain: longest silence before a listener leaves", max(missing), CUT_S, " s", 2),
        at_least(
            "… shortest time that the agent speaks on where somebody stays", min(lasted), drained.timeout_s, " s", 2
        ),
        equal("… sessions that end because the last listener left", reasons["room_empty"], len(drained.left)),
        equal("… sessions that end because the drain time does", reasons["drained"], len(drained.stayed)),
        equal(
            "… most agents that a room has heard", max(len({t.participant for t in tracks}) for tracks in everything), 1
        ),
        at_most("… two agents audible at once", max(map(overlap, everything)), 0, " s", 2),
        equal("… offers for a room that is opened meanwhile", len(drained.counted.of(NEW_ROOM)), 0),
        equal("… Millis sessions that the connector closed", closed["connector"], len(everything)),
        equal("… Millis sessions left open", drained.counted.open, 0),
        at_most("… the worker has ended after the drain time and", drained.exit_s - drained.timeout_s, CLOSE_S, " s"),
        equal("… its exit code", drained.exit_code, 0),
    ]
