"""What a room costs: CPU of the bridge's processes on one core, memory, and ticks that come late.

People and agents are the load generator's, on the other cores together with the SFU. The same set-up is measured twice,
with agents that talk all the time and with agents that send silence.
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from bench.bridges import Bridge
from bench.processes import confined, until, usage
from bench.stage import Agents, Stage
from connector.audio.timeline import FILL_S

PEOPLE = 2
CONNECT_S = 90.0
HEARD_PACKETS = 50
QUIET_S = FILL_S + 2.0
"""An agent counts as silent from here on: until then the product fills a pause between turns (`ReplyTimeline`)."""

MakeBridge = Callable[[Stage, list[str], str, Path, Sequence[int]], Bridge]


@dataclass(frozen=True)
class Cost:
    """One measurement.

    Attributes:
        rooms: How many rooms.
        cpu_ms: CPU of the bridge per room and second, ms.
        core: Share of one core that the bridge used, per cent.
        memory_mb: Of all its processes (unique set size).
        sent_late: Packets that reached the agent more than 10 ms behind their place in the 20 ms grid, per cent.
        heard_hz: Packets per second and room that reached the agent; 50 is right.
    """

    rooms: int
    cpu_ms: float
    core: float
    memory_mb: float
    sent_late: float
    heard_hz: float


def cores() -> tuple[list[int], list[int]]:
    """The core for the bridge, and those for everything else."""
    first, *others = sorted(os.sched_getaffinity(0))
    return [first], others or [first]


async def connected(agents: Agents, rooms: int) -> None:
    """Wait until every room's agent receives audio.

    Raises:
        TimeoutError: Not all do within 90 s.
    """

    async def all_heard() -> bool:
        return sum(session["received"] > HEARD_PACKETS for session in await agents.sessions()) >= rooms

    await until(all_heard, CONNECT_S)


async def watch(agents: Agents, bridge: Bridge, rooms: int, seconds: float) -> Cost:
    """Measure for `seconds`."""
    pids, sessions = bridge.pids, await agents.sessions()
    before, start = usage(pids), time.monotonic()
    await asyncio.sleep(seconds)
    after, elapsed = usage(pids), time.monotonic() - start
    later = await agents.sessions()
    received, late = (
        sum(now[key] - then[key] for then, now in zip(sessions, later, strict=True))
        for key in ("received", "received_late")
    )
    cpu_ms = (after.cpu_ms - before.cpu_ms) / elapsed
    return Cost(
        rooms=rooms,
        cpu_ms=cpu_ms / rooms,
        core=cpu_ms / 10,
        memory_mb=after.memory_mb,
        sent_late=100 * late / max(1, received),
        heard_hz=received / elapsed / rooms,
    )


@dataclass(frozen=True)
class Load:
    """A bridge under load, with talking and with silent agents; `figures` are its own counters."""

    talking: Cost
    silent: Cost
    figures: dict[str, float]


async def load(stage: Stage, make: MakeBridge, name: str, rooms: int, seconds: float, settle_s: float) -> Load:
    """One bridge with `rooms` rooms of two talking people."""
    folder = stage.scratch(f"cpu-{name}-{rooms}")
    names = [f"{name}-{rooms}-{number}" for number in range(rooms)]
    mine, others = cores()
    assert stage.sfu.pid is not None
    with confined(others, stage.sfu.pid):
        async with (
            stage.agents(stage.prepared.speech, folder) as agents,
            stage.people(names, PEOPLE),
        ):
            bridge = make(stage, names, agents.url, folder, mine)
            async with bridge:
                await connected(agents, rooms)
                await asyncio.sleep(settle_s)
                talking = await watch(agents, bridge, rooms, seconds)
                await agents.mode("silence")
                await asyncio.sleep(QUIET_S)
                silent = await watch(agents, bridge, rooms, seconds)
            return Load(talking, silent, bridge.figures())


def averaged(loads: Sequence[Load]) -> Load:
    """The means of several rounds; the counters are added up."""
    counters: Counter[str] = Counter()
    for one in loads:
        counters.update(one.figures)
    return Load(mean_cost([one.talking for one in loads]), mean_cost([one.silent for one in loads]), dict(counters))


def mean_cost(costs: Sequence[Cost]) -> Cost:
    """The means of several measurements with the same number of rooms."""
    names = [field.name for field in fields(Cost) if field.name != "rooms"]
    means: dict[str, Any] = {name: fmean(getattr(cost, name) for cost in costs) for name in names}
    return replace(costs[0], **means)
