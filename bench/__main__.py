"""`python -m bench`: runs the parts, prints the verdicts, writes the page and its JSON when asked."""

import argparse
import asyncio
import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import cpu, delay, loss, verdict
from bench.bridges import Bridge, PlainBridge
from bench.processes import ROOT
from bench.product import ProductBridge
from bench.report import Results, page, surroundings
from bench.stage import Stage, staged

PAGE = ROOT / "docs" / "performance.md"
RESULTS = ROOT / "bench" / "results" / "latest.json"
KINDS: dict[str, type[PlainBridge | ProductBridge]] = {"plain": PlainBridge, "product": ProductBridge}


@dataclass(frozen=True)
class Extent:
    """How much is measured; the short variant only shows that everything works.

    Attributes:
        rooms: The product's numbers of rooms, few and many.
        plain_rooms: The plain bridge's.
        rounds: Of the CPU bench.
        cpu_s: Seconds of each CPU measurement.
        runs: Of the delay bench.
        delay_s: Seconds of each of its measurements.
        seeds: Of the loss bench.
        impaired_s: Seconds of bad network.
    """

    rooms: tuple[int, int]
    plain_rooms: int
    rounds: int
    cpu_s: float
    runs: int
    delay_s: float
    seeds: int
    impaired_s: float


FULL = Extent(rooms=(2, 10), plain_rooms=2, rounds=2, cpu_s=30, runs=7, delay_s=20, seeds=5, impaired_s=60)
QUICK = Extent(rooms=(1, 3), plain_rooms=1, rounds=1, cpu_s=8, runs=1, delay_s=16, seeds=1, impaired_s=12)
SETTLE_S = 8.0


def make_bridge(name: str, *, record: bool = False) -> delay.MakeBridge:
    """How the delay and loss benches start the bridge called `name`."""

    def make(stage: Stage, rooms: list[str], agent_url: str, folder: Path) -> Bridge:
        return KINDS[name](stage, rooms, agent_url, folder, record=record)

    return make


def make_pinned(name: str) -> cpu.MakeBridge:
    """How the CPU bench starts it: on chosen cores."""

    def make(stage: Stage, rooms: list[str], agent_url: str, folder: Path, cores: Sequence[int]) -> Bridge:
        return KINDS[name](stage, rooms, agent_url, folder, cores=cores)

    return make


def teller() -> Callable[[str], None]:
    """Prints a step with the time since the start."""
    start = time.monotonic()

    def say(text: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - start), 60)
        print(f"[{minutes:2d}:{seconds:02d}] {text}", flush=True)

    return say


async def measure_costs(
    stage: Stage, names: Sequence[str], extent: Extent, say: Callable[[str], None]
) -> dict[str, cpu.Load]:
    """The CPU bench: by bridge and number of rooms. The bridges take turns: a machine's speed changes by the minute."""
    loads = defaultdict(list)
    for turn in range(extent.rounds):
        for name in names:
            # Few rooms are only there for the memory of a further one: once is enough.
            for rooms in (extent.plain_rooms,) if name == "plain" else extent.rooms[min(turn, 1) :]:
                say(f"cost, round {turn + 1} of {extent.rounds}: {name}, rooms: {rooms}")
                load = await cpu.load(stage, make_pinned(name), f"{name}-{turn}", rooms, extent.cpu_s, SETTLE_S)
                loads[f"{name} {rooms}"].append(load)
    return {name: cpu.averaged(rounds) for name, rounds in loads.items()}


async def measure(options: argparse.Namespace) -> Results:
    """Run the chosen parts with the chosen bridges."""
    extent = QUICK if options.quick else FULL
    say, names = teller(), options.bridge
    results = Results(quick=options.quick, about=dict.fromkeys(options.part, surroundings()))
    async with staged(extent.delay_s - 2, options.keep) as stage:
        if "cpu" in options.part:
            results.costs = await measure_costs(stage, names, extent, say)
        if "delay" in options.part:
            bridges = {name: make_bridge(name) for name in names}
            results.delays = await delay.bench(stage, bridges, runs=extent.runs, seconds=extent.delay_s, say=say)
        if "loss" in options.part:
            bridges = {name: make_bridge(name, record=True) for name in names}
            results.losses = await loss.bench(stage, bridges, seeds=extent.seeds, impaired_s=extent.impaired_s, say=say)
    say("done")
    if options.write and RESULTS.exists():
        results = results.completed(Results.from_json(json.loads(RESULTS.read_text())))
    if set(names) == set(KINDS):
        results.verdicts = judge(results, extent)
    return results


def judge(results: Results, extent: Extent) -> list[verdict.Verdict]:
    """The verdicts of the parts that were run."""
    verdicts = []
    if results.losses:
        verdicts += verdict.judge_losses(results.losses)
    if results.delays:
        verdicts += verdict.judge_delays(results.delays)
    if results.costs:
        few, many = (results.costs[f"product {rooms}"] for rooms in extent.rooms)
        verdicts += verdict.judge_costs(results.costs[f"plain {extent.plain_rooms}"], few, many)
    return verdicts


def main() -> int:
    """Read the command line, run, write; exit code 0 when every demand is met."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few minutes; the figures are no evidence")
    parts = ["cpu", "delay", "loss"]
    parser.add_argument("--part", nargs="+", choices=parts, default=parts, help="only these; cpu alone takes 7 minutes")
    parser.add_argument("--bridge", nargs="+", choices=list(KINDS), default=list(KINDS), help="only these, no verdicts")
    parser.add_argument("--keep", type=Path, help="keep logs and recordings in this folder")
    parser.add_argument(
        "--write",
        action="store_true",
        help=f"write {PAGE.relative_to(ROOT)} and {RESULTS.relative_to(ROOT)}; parts that are not run stay as they are",
    )
    options = parser.parse_args()
    results = asyncio.run(measure(options))
    text = page(results)
    print(f"\n{text}")
    if options.write:
        PAGE.write_text(text)
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(results.as_json(), indent=1) + "\n")
        print(f"written: {PAGE.relative_to(ROOT)}, {RESULTS.relative_to(ROOT)}")
    return 0 if all(line.passed for line in results.verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
