"""A flood of webhooks during two live calls: the audio clock, the memory and the good webhooks must not feel it."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import psutil

from bench.live.crowd import Person
from bench.live.outcome import Outcome, equal, spread
from bench.live.senders import RATE
from bench.live.stage import Stage, rule_per_room, staged
from bench.live.webhooks import event, signed
from bench.processes import Child, python
from bench.verdict import at_least, at_most
from tests.worker_process import WorkerProcess

SETTLE_S = 3.0
GOOD_EVERY_S = 0.05
SAMPLE_S = 0.5
MUCH_MB = 50.0
SOON_S = 0.25
MOST_LINES = 20
ABOUT = """Two live calls on two engines, first in peace, then under a flood from a process of low priority (nice 19):
1,000 webhooks a second with bad signatures, 150 connections that send a byte each half second, bodies of 10 MB with and
without a good signature, with and without a length. Meanwhile good webhooks of the real key are sent and timed."""


@dataclass
class Calls:
    """Two calls, for a while.

    Attributes:
        late: Share of each call's ticks that came more than 10 ms late, in per cent.
        gaps: Gaps of more than 60 ms that the listeners heard, in seconds.
        good: How long each good webhook took to be answered, in seconds.
        refused: Good webhooks that were not answered with 200.
        memory_mb: Resident memory of control and engines, before and at every sample.
        lines: What the worker logged.
        answers: What the flood got: by kind and status.
    """

    late: list[float] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)
    good: list[float] = field(default_factory=list)
    refused: int = 0
    memory_mb: list[float] = field(default_factory=list)
    lines: int = 0
    answers: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


async def scenario(folder: Path, quick: bool, say: Callable[[str], None]) -> Outcome:  # noqa: FBT001 - see Scenario
    """Run it."""
    seconds = 6.0 if quick else 20.0
    rooms = ["flood-0", "flood-1"]
    async with staged(folder, webhooks=1) as stage:
        config = stage.rooms_yaml(rule_per_room(rooms), port=stage.ports[0], worker={"engines": 2})
        async with stage.worker("worker", config, engines=2) as worker:
            say("two calls in peace")
            peace = await two_calls(stage, worker, rooms, seconds, flooded=False)
            say("two calls under the flood")
            flood = await two_calls(stage, worker, rooms, seconds, flooded=True)
    return judge(peace, flood, seconds)


async def two_calls(stage: Stage, worker: WorkerProcess, rooms: list[str], seconds: float, *, flooded: bool) -> Calls:
    """Hold two calls for a while."""
    calls = Calls()
    people = await stage.crowd.in_rooms(rooms)
    await asyncio.gather(*(person.audible() for person in people))
    await asyncio.sleep(SETTLE_S)
    ended, logged, begin = len(worker.events("session_ended")), len(worker.lines), time.monotonic()
    async with watched(worker, calls), good_webhooks(stage, calls):
        if flooded:
            calls.answers = await flood(stage, seconds)
        else:
            await asyncio.sleep(seconds)
    calls.lines = len(worker.lines) - logged
    calls.gaps = await heard_gaps(people, begin)
    for room in rooms:
        await stage.delete(room)
    await worker.until(lambda worker: len(worker.events("session_ended")) >= ended + len(rooms))
    calls.late = [float(end["late_ticks_pct"]) for end in worker.events("session_ended")[ended:]]
    for person in people:
        await person.leave()
    return calls


async def flood(stage: Stage, seconds: float) -> Mapping[str, Mapping[str, int]]:
    """Flood the worker.

    Returns:
        The answers, by kind and status.
    """
    command = python("bench.live.senders", "--address", f"127.0.0.1:{stage.ports[0]}", "--seconds", str(seconds))
    keys = {"LIVEKIT_API_KEY": stage.sfu.api_key, "LIVEKIT_API_SECRET": stage.sfu.api_secret.reveal()}
    async with Child(command, stage.folder / "senders.log", env=keys) as child:
        answers: Mapping[str, Mapping[str, int]] = await child.wait_for("answers", seconds + 60)
        return answers


async def heard_gaps(people: list[Person], begin: float) -> list[float]:
    """The gaps since a time in what they heard."""
    end = time.monotonic() - 1
    return [gap for person in people for heard in await person.heard() for gap in heard.gaps(begin, end)]


@contextlib.asynccontextmanager
async def beside(work: Callable[[], Any]) -> AsyncIterator[None]:
    """Run something again and again beside the block."""
    task = asyncio.create_task(work(), name="beside")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
    if not task.cancelled():
        task.result()


@contextlib.asynccontextmanager
async def watched(worker: WorkerProcess, calls: Calls) -> AsyncIterator[None]:
    """Sample the worker's memory."""
    processes = [psutil.Process(worker.pid), *worker.engines]

    async def sample() -> None:
        while True:
            calls.memory_mb.append(sum(process.memory_info().rss for process in processes) / 2**20)
            await asyncio.sleep(SAMPLE_S)

    async with beside(sample):
        yield


@contextlib.asynccontextmanager
async def good_webhooks(stage: Stage, calls: Calls) -> AsyncIterator[None]:
    """Send good webhooks, for a room that no rule matches, and time the answers."""
    key = (stage.sfu.api_key, stage.sfu.api_secret.reveal())
    url = f"http://127.0.0.1:{stage.ports[0]}/webhooks/livekit"

    async def send(client: aiohttp.ClientSession) -> None:
        body = event("participant_joined", "somewhere", "somebody")
        headers = {"Authorization": signed(body, key), "Content-Type": "application/webhook+json"}
        begin = time.monotonic()
        try:
            async with client.post(url, data=body, headers=headers) as answer:
                await answer.read()
                calls.refused += answer.status != 200
        except aiohttp.ClientError:
            calls.refused += 1
        calls.good.append(time.monotonic() - begin)

    async def send_all() -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(10)) as client:
            while True:
                await send(client)
                await asyncio.sleep(GOOD_EVERY_S)

    async with beside(send_all):
        yield


def judge(peace: Calls, flooded: Calls, seconds: float) -> Outcome:
    """The verdicts."""
    bad = flooded.answers["bad"]
    added = max(flooded.memory_mb) - flooded.memory_mb[0]
    outcome = Outcome("A flood of webhooks during live calls", ABOUT)
    outcome.verdicts = [
        at_least(
            "webhooks with bad signatures that were answered, a second", sum(bad.values()) / seconds, 0.95 * RATE, "", 0
        ),
        at_most("ticks more than 10 ms late", max(flooded.late), 1.0, " %", 2),
        at_most("memory of control and engines, above before", added, MUCH_MB, " MB"),
        at_most("good webhooks are answered within, p99", float(np.percentile(flooded.good, 99)), SOON_S, " s", 3),
        equal(f"good webhooks refused or dropped, of {len(flooded.good)}", flooded.refused, 0),
        equal("answers to bad signatures", statuses(bad, "dropped"), "401"),
        equal("answers to what is no event", statuses(flooded.answers["malformed"], "dropped"), "400"),
        equal("answers to bodies of 10 MB", statuses(flooded.answers["huge"], "dropped"), "401, 413"),
        at_most("log lines under the flood", flooded.lines, MOST_LINES, "", 0),
    ]
    rows = [
        ["", "in peace", "under the flood"],
        ["ticks late, each call", percent(peace.late), percent(flooded.late)],
        ["gaps heard", str(len(peace.gaps)), str(len(flooded.gaps))],
        ["good webhooks, p50 / p95 / max", spread(peace.good, digits=3), spread(flooded.good, digits=3)],
        ["memory, first and most / MB", *(f"{c.memory_mb[0]:.0f} / {max(c.memory_mb):.0f}" for c in (peace, flooded))],
    ]
    got = [["", "answers"], *([kind, told(found)] for kind, found in flooded.answers.items())]
    outcome.tables = [("Both pairs of calls:", rows), ("What the flood got:", got)]
    return outcome


def statuses(found: Mapping[str, int], *but: str) -> str:
    """The statuses that occur."""
    return ", ".join(sorted(set(found) - set(but)))


def told(found: Mapping[str, int]) -> str:
    """How often each status occurs."""
    return ", ".join(f"{status}: {count}" for status, count in sorted(found.items())) or "-"


def percent(values: list[float]) -> str:
    """Shares in per cent."""
    return ", ".join(f"{value:.2f} %" for value in values)
