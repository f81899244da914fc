"""How long after a person's `connect()` the agent is audible: by webhook, by passes alone, and at its start."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.live.crowd import Person
from bench.live.outcome import Outcome, p95, spread
from bench.live.stage import Stage, staged, subfolder
from bench.verdict import at_most
from tests.worker_process import WorkerProcess, logged_at

BY_WEBHOOK_S = 0.9
EVERY_S = 1.0
JITTER = 1.2
"""A pass may come this much later than `reconcile_every` says."""
FIRST_PASS_S = 1.0
"""More than a pass over a few rooms takes, and far less than the time until the next one."""
RULE = [{"room": "join-*", "agent": "practice"}]
SESSION_STAGES = {
    "the connector has joined": "joined_s",
    "the agent leg is connected": "connected_s",
    "the agent's first sound is on its way into the room": "first_audio_s",
}
"""What the summary line of a session calls its stages."""
ABOUT = """One person after the other calls `connect()` to a room that does not exist yet; the agent greets as soon as
it is connected. The time is taken from that call until the first audible 20 ms at the person. First with LiveKit's
webhooks, then without any and a pass each second; last, rooms with people in them before the worker starts, with
`reconcile_every: 60s`, so that only the first pass can serve them in time."""


async def scenario(folder: Path, quick: bool, say: Callable[[str], None]) -> Outcome:  # noqa: FBT001 - see Scenario
    """Run it."""
    with_hooks, without = subfolder(folder, "webhooks"), subfolder(folder, "passes")
    async with staged(with_hooks, webhooks=1) as stage:
        config = stage.rooms_yaml(RULE, port=stage.ports[0])
        async with stage.worker("worker", config) as worker:
            by_webhook = await one_by_one(stage, worker, 4 if quick else 50, say)
    async with staged(without) as stage:
        config = stage.rooms_yaml(RULE, worker={"reconcile_every": f"{EVERY_S:.0f}s"})
        async with stage.worker("worker", config) as worker:
            by_pass = await one_by_one(stage, worker, 4 if quick else 20, say)
        before = await there_before(stage, 1 if quick else 5, say)
    return judge(by_webhook, by_pass, before)


async def one_by_one(
    stage: Stage, worker: WorkerProcess, joins: int, say: Callable[[str], None]
) -> list[dict[str, float]]:
    """Let people join one after the other.

    Returns:
        For each join the stages, in seconds since the person's `connect()`.
    """
    found = []
    for number in range(joins):
        room = f"join-{number}"
        person = await stage.crowd.join(room)
        audible_at = await person.audible()
        await stage.delete(room)
        ended = await ended_in(worker, room)
        await person.leave()
        stages = stages_of(stage, worker, person, ended)
        stages["the agent is audible to the person"] = audible_at - person.connecting_at
        found.append(stages)
        if number % 10 == 9:
            say(f"{number + 1} of {joins} joins, the last one in {audible_at - person.connecting_at:.2f} s")
    return found


async def ended_in(worker: WorkerProcess, room: str) -> Mapping[str, Any]:
    """Wait for the end of the room's session; its event."""

    def ends() -> list[dict[str, Any]]:
        return [event for event in worker.events("session_ended") if event["room"] == room]

    await worker.until(lambda _: bool(ends()))
    return ends()[-1]


def stages_of(stage: Stage, worker: WorkerProcess, person: Person, ended: Mapping[str, Any]) -> dict[str, float]:
    """What happened when on the way, as far as the logs tell."""
    (started,) = [event for event in worker.events("session_started") if event["room"] == person.room]
    began = logged_at(started) - person.connecting_at
    stages = {"`connect()` has returned": person.joined_at - person.connecting_at}
    for event, at in webhooks(stage.folder / "livekit.log", person.room):
        stages.setdefault(f"webhook {event} is sent", at - person.connecting_at)
    stages["the session is started"] = began
    stages |= {words: began + float(ended[name]) for words, name in SESSION_STAGES.items() if name in ended}
    return stages


def webhooks(log: Path, room: str) -> Iterator[tuple[str, float]]:
    """When the server sent the room's first webhooks, in monotonic seconds, by its log."""
    offset = time.time() - time.monotonic()
    for line in log.read_text().splitlines():
        if '"sent webhook"' in line and f'"room":"{room}"' in line:
            sent = json.loads(line)
            if sent["event"] in ("room_started", "participant_joined"):
                yield sent["event"], sent["ts"] - sent["sendDuration"] - offset


async def there_before(stage: Stage, rooms: int, say: Callable[[str], None]) -> dict[str, list[float]]:
    """Start a worker after the people.

    Returns:
        How long after the worker was ready each session was started and each agent was audible, in seconds.
    """
    people = await stage.crowd.in_rooms([f"join-before-{number}" for number in range(rooms)])
    say(f"{rooms} people wait; a worker starts")
    config = stage.rooms_yaml(RULE, worker={"reconcile_every": "60s"})
    async with stage.worker("late", config) as worker:
        audible_at = await asyncio.gather(*(person.audible() for person in people))
        await worker.until(lambda worker: bool(worker.events("worker_ready")))
        (ready,) = worker.events("worker_ready")
        started_at = [logged_at(event) for event in worker.events("session_started")]
        for person in people:
            await person.leave()
        stages = {"the session is started": started_at, "the agent is audible to the person": audible_at}
        return {words: [at - logged_at(ready) for at in when] for words, when in stages.items()}


def judge(
    by_webhook: list[dict[str, float]], by_pass: list[dict[str, float]], before: dict[str, list[float]]
) -> Outcome:
    """The verdicts."""
    heard, heard_by_pass = (
        [stages["the agent is audible to the person"] for stages in s] for s in (by_webhook, by_pass)
    )
    outcome = Outcome("From a person's connect() to the agent's first sound", ABOUT)
    outcome.verdicts = [
        at_most(f"by webhook, p95 of {len(heard)}", p95(heard), BY_WEBHOOK_S, " s", 2),
        at_most(
            f"without webhooks, p95 of {len(by_pass)}: one pass + 1 s",
            p95(heard_by_pass),
            EVERY_S * JITTER + 1,
            " s",
            2,
        ),
        at_most(
            "rooms older than the worker: the last is served after",
            max(before["the session is started"]),
            FIRST_PASS_S,
            " s",
            2,
        ),
    ]
    for words, joins in (("By webhook", by_webhook), ("Without webhooks", by_pass)):
        rows = [[name, spread([stages[name] for stages in joins if name in stages])] for name in joins[0]]
        rows.insert(0, ["since the person's `connect()`", "p50 / p95 / max"])
        outcome.tables.append((f"{words}, in {len(joins)} joins:", rows))
    rows = [
        ["since the worker was ready", "p50 / p95 / max"],
        *([words, spread(took)] for words, took in before.items()),
    ]
    outcome.tables.append(("Rooms that were there before the worker:", rows))
    return outcome
