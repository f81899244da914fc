"""Loss: what remains of the agent's speech when packets are lost, come late, or are nothing but padding.

The agent says dense speech (no pauses, so every silence is a gap); the network towards the bridge is bad by a seed.
Both bridges meet the same pattern at the same time, each in a room of its own. Recorded at two places: where the audio
enters the room (what the bridge hands to the SDK) and at a person.
"""

import asyncio
import math
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench import opus, signals
from bench.bridges import IDENTITY, Bridge
from bench.delay import hears_agent, sent_at
from bench.recording import RATE_HZ, Recording
from bench.stage import Stage

CLEAN_S = 8.0
"""Before the first impairment: the delay to compare with."""
AFTER_S = 12.0
"""After the last impairment: the delay must come back within the first 5 s of it."""
RECOVER_S = 5.0
PIECE_S = 0.2
RECOGNISED = 0.7
"""Least correlation of a 200 ms piece with what was sent, to count as having arrived."""

MakeBridge = Callable[[Stage, list[str], str, Path], Bridge]


@dataclass(frozen=True)
class Scenario:
    """What happens to the agent's packets; `flags` are the load generator's."""

    name: str
    flags: tuple[str, ...]
    impaired_s: float
    seed: int


def scenarios(seeds: int, impaired_s: float) -> list[Scenario]:
    """5 % independent loss for every seed; 1 % of packets 200 ms late; 2 % followed by a padding-only packet."""
    lost = [Scenario("5 % lost", ("-loss", "0.05"), impaired_s, seed) for seed in range(1, seeds + 1)]
    return [
        *lost,
        Scenario("1 % 200 ms late", ("-late", "0.01", "-late-by", "200ms"), impaired_s, 1),
        Scenario("2 % padding-only", ("-padding", "0.02"), impaired_s / 2, 1),
    ]


@dataclass(frozen=True)
class Outcome:
    """What one bridge made of one scenario.

    Attributes:
        delivered: Samples that entered the room while impaired, per cent of those sent; concealment counts here.
        real: Decoded or restored, per cent of the packets sent, by the bridge's own count; NaN where it has none.
        recognised_entry: 200 ms pieces of the speech found again where it enters the room, per cent.
        recognised: The same at the person.
        gaps_entry: Audible gaps (> 60 ms of near-silence inside speech) where it enters the room.
        gaps: The same at the person.
        quiet: Near-silent 10 ms windows at the person, per cent.
        delay_before: Median delay to the person before the impairment, ms.
        delay_during: While impaired.
        delay_after: From 5 s after the last impairment on.
    """

    delivered: float
    real: float
    recognised_entry: float
    recognised: float
    gaps_entry: int
    gaps: int
    quiet: float
    delay_before: float
    delay_during: float
    delay_after: float


@dataclass(frozen=True)
class Arrived:
    """The delays (ms) of the pieces of speech that were recognised, by the time they were sent; the share of all."""

    at: list[float]
    delays: list[float]
    share: float

    def median(self, start: float, end: float) -> float:
        """The median delay of the pieces sent in a span; NaN when none arrived."""
        inside = [delay for at, delay in zip(self.at, self.delays, strict=True) if start <= at < end]
        return float(np.median(inside)) if inside else float("nan")


def arrived(
    heard: Recording, speech: signals.Samples, when: Callable[[int], float | None], start: float, end: float
) -> Arrived:
    """Look for every 200 ms piece of the looped speech that was sent between `start` and `end`."""
    size = round(PIECE_S * RATE_HZ)
    at, delays, sent = [], [], 0
    for first in range(0, round((end - start + CLEAN_S + 10) * RATE_HZ), size):
        moment = when(first)
        if moment is None or not start <= moment < end:
            continue
        sent += 1
        piece = np.take(speech, range(first, first + size), mode="wrap").astype(np.float64)
        window = heard.samples[heard.index_at(moment - 0.03) : heard.index_at(moment + 0.95) + size]
        found, score = signals.find(window, piece)
        if score >= RECOGNISED:
            at.append(moment)
            delays.append(1000 * (heard.time_of(heard.index_at(moment - 0.03) + found) - moment))
    return Arrived(at, delays, 100 * len(at) / max(1, sent))


def real_share(figures: Mapping[str, float], impaired_s: float) -> float:
    """Audio decoded or restored, per cent of what was sent while impaired, by the receive path's own counters.

    Whatever was concealed or left out in the whole session is charged to the impaired time.
    """
    if not figures:
        return math.nan
    missing = figures["receive_concealed_samples"] + figures["receive_skipped_samples"]
    return 100 * (1 - missing / (impaired_s * RATE_HZ))


def judge(stage: Stage, scenario: Scenario, folder: Path, room: str, bridge: Bridge) -> Outcome:
    """Read the recordings of one bridge."""
    sent = opus.read_sent(folder / "sent-0.bin")
    when = sent_at(folder / "sent-0.bin", 0.0)
    first = float(sent["time"][0]) / 1e9
    bad, good = first + CLEAN_S, first + CLEAN_S + scenario.impaired_s
    last = float(sent["time"][-1]) / 1e9
    end = min(good + AFTER_S, last - 1.5)
    entry = Recording.load(bridge.entry(room))
    heard = Recording.load(folder / f"heard-grace-from-{IDENTITY}.npz")
    speech = stage.prepared.speech_samples
    whole = arrived(heard, speech, when, first + 2, end)
    gap_count, quiet = signals.gaps(heard.played(bad, good))
    return Outcome(
        delivered=100 * len(entry.between(bad, good)) / RATE_HZ / (good - bad),
        real=real_share(bridge.figures(), scenario.impaired_s),
        recognised_entry=arrived(entry, speech, when, bad, good).share,
        recognised=arrived(heard, speech, when, bad, good).share,
        gaps_entry=signals.gaps(entry.played(bad, good))[0],
        gaps=gap_count,
        quiet=quiet,
        delay_before=whole.median(first + 2, bad),
        delay_during=whole.median(bad, good),
        delay_after=whole.median(good + RECOVER_S, end),
    )


async def run(stage: Stage, scenario: Scenario, bridges: Mapping[str, MakeBridge]) -> dict[str, Outcome]:
    """One scenario, all bridges at the same time."""
    slug = f"loss-{scenario.flags[0].strip('-')}-{scenario.seed}"
    places: dict[str, tuple[Path, str, Bridge]] = {}
    async with AsyncExitStack() as stack:
        for name, make in bridges.items():
            room = f"{slug}-{name}"
            folder = stage.scratch(room)
            flags = (*scenario.flags, "-seed", str(scenario.seed), "-impair-from", f"{CLEAN_S}s")
            flags += ("-impair-until", f"{CLEAN_S + scenario.impaired_s}s", "-record", str(folder))
            agents = await stack.enter_async_context(stage.agents(stage.prepared.speech, folder, *flags))
            grace = await stack.enter_async_context(stage.person(room, "grace", folder))
            bridge = await stack.enter_async_context(make(stage, [room], agents.url, folder))
            await hears_agent(grace)
            places[name] = (folder, room, bridge)
        await asyncio.sleep(CLEAN_S + scenario.impaired_s + AFTER_S + 2)
    return {name: judge(stage, scenario, *place) for name, place in places.items()}


async def bench(
    stage: Stage,
    bridges: Mapping[str, MakeBridge],
    *,
    seeds: int,
    impaired_s: float,
    say: Callable[[str], None],
) -> dict[str, dict[str, list[Outcome]]]:
    """All scenarios: outcomes by scenario and bridge, one per seed."""
    found: dict[str, dict[str, list[Outcome]]] = {}
    for scenario in scenarios(seeds, impaired_s):
        say(f"loss: {scenario.name}, seed {scenario.seed}, {impaired_s:.0f} s")
        for name, outcome in (await run(stage, scenario, bridges)).items():
            found.setdefault(scenario.name, {}).setdefault(name, []).append(outcome)
    return found
