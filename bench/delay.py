"""Delays: one ruler for the SFU alone, the plain bridge and the product.

A person and an agent each play the ruler; a second person and the agent record. SFU alone: person → person without any
bridge in the room. Millis → person and person → Millis go through a bridge.
"""

import asyncio
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench import opus, signals
from bench.bridges import IDENTITY, Bridge
from bench.processes import Child, until
from bench.recording import RATE_HZ, Recording
from bench.stage import Agents, Stage

SETTLE_S = 3.0
"""Left out at the start: jitter buffers find their depth."""
PERSON_FRAME = 480
HEARD_WITHIN_S = 30.0

MakeBridge = Callable[[Stage, list[str], str, Path], Bridge]


def medians(runs: Sequence[signals.Delays]) -> dict[str, float]:
    """The median of the runs' medians, ms, over speech and out of silence; the chirps found and missed."""
    out = {
        "found": float(sum(len(run.speech) + len(run.silence) for run in runs)),
        "missed": float(sum(run.missed for run in runs)),
    }
    for name in ("speech", "silence"):
        each = [float(np.median(getattr(run, name))) for run in runs if getattr(run, name)]
        out[name] = float(np.median(each)) if each else math.nan
    return out


def spoken_at(path: Path, after: float) -> Callable[[int], float | None]:
    """When a person handed the sample at an index to the SDK; None before `after` or never."""
    times = np.load(path)

    def when(index: int) -> float | None:
        frame = index // PERSON_FRAME
        if frame >= len(times):
            return None
        at = float(times[frame]) / 1e9 + index % PERSON_FRAME / RATE_HZ
        return at if at >= after else None

    return when


def sent_at(path: Path, after: float) -> Callable[[int], float | None]:
    """When an agent sent the packet that holds the sample at an index; None before `after` or never."""
    log = opus.read_sent(path)
    times = dict(zip(log["position"].tolist(), log["time"].tolist(), strict=True))

    def when(index: int) -> float | None:
        time_ns = times.get(index // opus.PACKET)
        if time_ns is None:
            return None
        at = time_ns / 1e9 + index % opus.PACKET / RATE_HZ
        return at if at >= after else None

    return when


def measured(heard: Recording, when: Callable[[int], float | None], length: int) -> signals.Delays:
    """All delays of a ruler in a recording, but for its last second."""
    if not len(heard.times):
        return signals.Delays([], [], 0)
    end = heard.time_of(len(heard.samples) - 1) - 1.0

    def before_end(index: int) -> float | None:
        at = when(index)
        return at if at is not None and at < end else None

    return signals.ruler_delays(heard, before_end, length, rounds=4)


async def sfu_alone(stage: Stage, seconds: float, name: str) -> signals.Delays:
    """Person → person, nobody else in the room."""
    folder = stage.scratch(name)
    async with (
        stage.person(name, "grace", folder),
        stage.person(name, "ada", folder, speak=stage.prepared.ruler_samples),
    ):
        await asyncio.sleep(SETTLE_S + seconds)
    return person_to_person(stage, folder)


def person_to_person(stage: Stage, folder: Path) -> signals.Delays:
    """Delays of what grace heard from ada."""
    heard = Recording.load(folder / "heard-grace-from-ada.npz")
    after = float(heard.times[0]) / 1e9 + SETTLE_S
    return measured(heard, spoken_at(folder / "spoken-ada.npy", after), stage.prepared.ruler_length)


@dataclass(frozen=True)
class BridgedDelays:
    """Delays through one bridge in one run."""

    millis_to_person: signals.Delays
    person_to_millis: signals.Delays
    person_to_person: signals.Delays


async def bridged(stage: Stage, make: MakeBridge, seconds: float, name: str) -> BridgedDelays:
    """Both ways through a bridge, at the same time."""
    folder = stage.scratch(name)
    async with (
        stage.agents(stage.prepared.ruler, folder, "-record", str(folder)) as agents,
        stage.person(name, "grace", folder) as grace,
        stage.person(name, "ada", folder, speak=stage.prepared.ruler_samples),
    ):
        bridge = make(stage, [name], agents.url, folder)
        async with bridge:
            await hears_agent(grace)
            await asyncio.sleep(SETTLE_S + seconds)
    return read(stage, folder, agents)


async def hears_agent(person: Child) -> None:
    """Wait until a person has subscribed to the bridge's track."""
    await until(lambda: any(event.get("hears") == IDENTITY for event in person.events), HEARD_WITHIN_S)


def read(stage: Stage, folder: Path, agents: Agents) -> BridgedDelays:
    """Find the chirps in the recordings of one run."""
    length = stage.prepared.ruler_length
    from_agent = Recording.load(folder / f"heard-grace-from-{IDENTITY}.npz")
    after = float(from_agent.times[0]) / 1e9 + SETTLE_S
    to_agent = opus.read_received(agents.folder / "received-0.bin")
    return BridgedDelays(
        millis_to_person=measured(from_agent, sent_at(folder / "sent-0.bin", after), length),
        person_to_millis=measured(to_agent, spoken_at(folder / "spoken-ada.npy", after), length),
        person_to_person=person_to_person(stage, folder),
    )


async def bench(
    stage: Stage,
    bridges: Mapping[str, MakeBridge],
    *,
    runs: int,
    seconds: float,
    say: Callable[[str], None],
) -> dict[str, dict[str, float]]:
    """All delays by path ("sfu", "plain millis_to_person", …), out of `runs` interleaved runs."""
    rows: dict[str, list[signals.Delays]] = defaultdict(list)
    for run in range(runs):
        say(f"delay, run {run + 1} of {runs}: the SFU alone")
        rows["sfu"].append(await sfu_alone(stage, seconds, f"delay-sfu-{run}"))
        for name, make in bridges.items():
            say(f"delay, run {run + 1} of {runs}: {name}")
            found = await bridged(stage, make, seconds, f"delay-{name}-{run}")
            rows[f"{name} millis_to_person"].append(found.millis_to_person)
            rows[f"{name} person_to_millis"].append(found.person_to_millis)
            rows[f"{name} person_to_person"].append(found.person_to_person)
    return {name: medians(delays) for name, delays in rows.items()}
