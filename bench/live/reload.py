"""rooms.yaml changes under live calls: a wrong file changes what is said about it alone, a right one its keys."""

import asyncio
import json
import statistics
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
from livekit import api

from bench.live.agent import Counted
from bench.live.heard import Heard
from bench.live.outcome import equal, spread
from bench.live.stage import Stage, staged
from bench.verdict import Verdict, at_most
from tests.worker_process import WorkerProcess

ROOMS = ("reload-quiet", "reload-hum")
HUM_HZ = 440.0
GAIN_DB = -12.0
CALM_S = 3.0
TAKEN_S = 2.0
FAILED = 'connector_config_reload_total{result="error"}'


@dataclass(frozen=True)
class Said:
    """What a worker and the agent say at one moment.

    Attributes:
        ready: Status and text of `/readyz`.
        rooms: The body of ``GET /v1/rooms``.
        failed: The metric of failed reloads.
        level_dbfs: The hum at the agent.
        counted: What the agent counted.
    """

    ready: tuple[int, str]
    rooms: str
    failed: float
    level_dbfs: float
    counted: Counted


@dataclass(frozen=True)
class Reloaded:
    """What there is to know about the reloads.

    Attributes:
        before: What was said before.
        wrong: The same while the file was wrong.
        right: The same once it was right again, with another gain and another agent.
        logged: The events logged because of the wrong file.
        took: How long after each write the worker had logged it, in seconds.
        heard: What was heard in the quiet room all the time, its end left out, and from when until when.
        agents: The agents of all calls so far after one room was left and opened again.
    """

    before: Said
    wrong: Said
    right: Said
    logged: list[str]
    took: list[float]
    heard: tuple[list[Heard], float, float]
    agents: list[str]


async def change(folder: Path, say: Callable[[str], None]) -> Reloaded:
    """Change the file under two live calls."""
    async with staged(folder, webhooks=1) as stage, stage.worker("worker", rooms_yaml(stage, "first", 0.0)) as worker:
        quiet = await stage.crowd.join(ROOMS[0])
        hummer = await stage.crowd.join(ROOMS[1], hum=HUM_HZ)
        begin = await quiet.audible() + 0.5
        await stage.agent.until(lambda counted: counted.live == 2)
        await asyncio.sleep(CALM_S)
        before, known = await said(stage, worker), len(worker.lines)
        say("rooms.yaml becomes wrong under two live calls")
        took = [await put(worker, rooms_yaml(stage, "first", 0.0) + "nonsense: 1\n", "reload_failed")]
        await asyncio.sleep(CALM_S)
        wrong = await said(stage, worker)
        logged = [json.loads(line)["event"] for line in worker.lines[known:]]
        say("rooms.yaml is right again, with another gain and another agent")
        took.append(await put(worker, rooms_yaml(stage, "second", GAIN_DB), "reloaded"))
        await asyncio.sleep(CALM_S)
        right = await said(stage, worker)
        heard = (await quiet.heard(), begin, time.monotonic())
        await stage.delete(hummer.room)
        await stage.agent.until(lambda counted: counted.live == 1)
        await stage.crowd.join(hummer.room, hum=HUM_HZ)
        counted = await stage.agent.until(lambda counted: counted.live == 2)
    return Reloaded(before, wrong, right, logged, took, heard, [call["agent_id"] for call in counted.sessions])


def rooms_yaml(stage: Stage, agent: str, gain_db: float) -> str:
    """The file with this agent for all rooms and this gain for everybody."""
    rules = [{"room": room, "agent": agent, "listen": {"gain_db": {"*": gain_db}}} for room in ROOMS]
    return stage.rooms_yaml(rules, port=stage.ports[0])


async def put(worker: WorkerProcess, text: str, event: str) -> float:
    """Write the file, and wait until the worker says so.

    Returns:
        How long that took, in seconds.
    """
    known = len(worker.events(event))
    begin = time.monotonic()
    await asyncio.to_thread(worker.config.write_text, text)
    await worker.until(lambda worker: len(worker.events(event)) > known)
    return time.monotonic() - begin


async def said(stage: Stage, worker: WorkerProcess) -> Said:
    """Ask the worker and the agent."""
    public, private = await worker.listening()
    token = api.AccessToken(stage.sfu.api_key, stage.sfu.api_secret.reveal()).with_identity("bench")
    token.with_grants(api.VideoGrants(room_list=True))
    async with httpx.AsyncClient(timeout=10) as client:
        ready = await client.get(f"{private}/readyz")
        metrics = (await client.get(f"{private}/metrics")).text
        rooms = await client.get(f"{public}/v1/rooms", headers={"Authorization": f"Bearer {token.to_jwt()}"})
        rooms.raise_for_status()
    failed = [float(line.split()[-1]) for line in metrics.splitlines() if line.startswith(FAILED)]
    levels = []
    for _ in range(9):
        counted = await stage.agent.counted()
        levels.append(max(call["heard_level_dbfs"] for call in counted.sessions if call["live"]))
        await asyncio.sleep(0.05)
    text = ready.text.replace(str(worker.config), "rooms.yaml")
    return Said((ready.status_code, text), rooms.text, sum(failed), statistics.median(levels), counted)


def judge(reloaded: Reloaded) -> list[Verdict]:
    """The verdicts."""
    before, wrong, right = reloaded.before, reloaded.wrong, reloaded.right
    tracks, begin, end = reloaded.heard
    gaps = [gap for heard in tracks for gap in heard.gaps(begin, end)]
    changed = abs(right.level_dbfs - before.level_dbfs - GAIN_DB)
    return [
        at_most(
            "reload: longest time until the worker has taken or refused a file", max(reloaded.took), TAKEN_S, " s", 2
        ),
        equal("… log lines of a wrong file", ", ".join(sorted(set(reloaded.logged))), "reload_failed"),
        equal("… its metric", wrong.failed - before.failed, 1.0),
        equal("… `/readyz` while it is wrong", (wrong.ready[0], "nonsense" in wrong.ready[1]), (200, True)),
        equal("… `GET /v1/rooms` changes by it", wrong.rooms != before.rooms, False),
        at_most("… the agent hears a level that differs by", abs(wrong.level_dbfs - before.level_dbfs), 1, " dB"),
        equal("… `/readyz` once it is right again", right.ready, before.ready),
        at_most("… a gain of -12 dB, heard by the agent, is off by", changed, 1, " dB"),
        equal("… offers up to then", right.counted.offers, before.counted.offers),
        equal("… agents of the calls", counts(reloaded.agents), "first 2, second 1"),
        at_most("… gaps of more than 60 ms in the other call", len(gaps), 0, "", 0),
    ]


def counts(names: list[str]) -> str:
    """How often each name occurs."""
    return ", ".join(f"{name} {count}" for name, count in sorted(Counter(names).items()))


def tables(reloaded: Reloaded) -> list[tuple[str, list[list[str]]]]:
    """What the worker said."""
    tracks, begin, end = reloaded.heard
    rows = [["", "", ""], ["while the file was wrong", str(reloaded.wrong.ready[0]), reloaded.wrong.ready[1].strip()]]
    rows.append(["once it was right again", str(reloaded.right.ready[0]), reloaded.right.ready[1].strip()])
    rows = [[cell.replace("\n", "; ") for cell in row] for row in rows]
    gaps = [["", "p50 / p95 / max"], ["gaps", spread([gap for heard in tracks for gap in heard.gaps(begin, end)])]]
    return [("`/readyz` under a reload:", rows), ("The call that nothing was changed for:", gaps)]
