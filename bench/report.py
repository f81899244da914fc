"""Writes the bench's page and its JSON. Pure text: results in, Markdown out."""

import importlib.metadata
import math
import os
import platform
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Self

import numpy as np
import psutil
from pydantic import TypeAdapter

from bench.cpu import Load
from bench.loss import Outcome
from bench.processes import ROOT
from bench.verdict import Delays, Losses, Verdict
from connector.practice.livekit import VERSION

BUSY_S = 2.0
LIBRARIES = ("livekit", "aiortc", "av", "numpy")
PATHS = (
    ("person → person, the SFU alone", "sfu"),
    ("Millis → person", "{} millis_to_person"),
    ("person → Millis", "{} person_to_millis"),
    ("person → person, beside the bridge", "{} person_to_person"),
)
OUTCOME_ROWS = (
    ("audio that enters the room, % of what was sent", "delivered", 1),
    ("… decoded or restored, not concealed, %", "real", 2),
    ("200 ms pieces recognised where it enters, %", "recognised_entry", 1),
    ("200 ms pieces recognised at the person, %", "recognised", 1),
    ("audible gaps where it enters", "gaps_entry", 0),
    ("audible gaps at the person", "gaps", 0),
    ("near-silent at the person, %", "quiet", 1),
    ("delay before / ms", "delay_before", 0),
    ("delay during / ms", "delay_during", 0),
    ("delay from 5 s after / ms", "delay_after", 0),
)


@dataclass
class Results:
    """What was measured; a part that was not run is empty.

    Attributes:
        quick: Whether it was the short variant, whose figures are no evidence.
        about: By part, where and when it was measured.
    """

    quick: bool
    about: dict[str, dict[str, str]] = field(default_factory=dict)
    costs: dict[str, Load] = field(default_factory=dict)
    delays: Delays = field(default_factory=dict)
    losses: Losses = field(default_factory=dict)
    verdicts: list[Verdict] = field(default_factory=list)

    def as_json(self) -> Any:
        """Everything, as values that JSON knows: what was not measured is null."""
        return without_nan(asdict(self))

    @classmethod
    def from_json(cls, values: object) -> Self:
        """What `as_json` gave."""
        return TypeAdapter(cls).validate_python(with_nan(values))

    def completed(self, earlier: Self) -> Self:
        """These results, and those of earlier runs of the same extent for the parts that this one left out."""
        if earlier.quick != self.quick:
            return self
        return replace(
            self,
            about={**earlier.about, **self.about},
            costs=self.costs or earlier.costs,
            delays=self.delays or earlier.delays,
            losses=self.losses or earlier.losses,
        )


def without_nan(value: Any) -> Any:
    """A copy with None in place of every NaN."""
    return changed(value, lambda leaf: None if isinstance(leaf, float) and math.isnan(leaf) else leaf)


def with_nan(value: Any) -> Any:
    """A copy with NaN in place of every None."""
    return changed(value, lambda leaf: math.nan if leaf is None else leaf)


def changed(value: Any, change: Callable[[Any], Any]) -> Any:
    """A copy with every value changed that is no container; a tuple becomes a list."""
    if isinstance(value, dict):
        return {key: changed(item, change) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [changed(item, change) for item in value]
    return change(value)


def surroundings() -> dict[str, str]:
    """Commit, machine, versions, date, and how busy the machine was with other things before the start."""
    dirty = git("status", "--porcelain", "--untracked-files=no", "--", "connector", "bench", ":!bench/results")
    about = {
        "commit": git("rev-parse", "--short=12", "HEAD") + (" with local changes" if dirty else ""),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "cores": str(len(os.sched_getaffinity(0))),
        "busy with other things": f"{psutil.cpu_percent(BUSY_S):.0f} %",
        "machine": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
        "livekit-server": VERSION,
    }
    return about | {name: importlib.metadata.version(name) for name in LIBRARIES}


def git(*arguments: str) -> str:
    """What git says, or "unknown" outside a clone."""
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else "unknown"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def page(results: Results) -> str:
    """The whole page."""
    parts = [INTRODUCTION]
    if results.quick:
        parts.append("**The short variant: its figures show that the bench works, no more.**")
    parts += abouts(results.about)
    if results.verdicts:
        rows = [[v.what, v.demanded, v.found, "yes" if v.passed else "**NO**"] for v in results.verdicts]
        parts += ["## Demanded and found", table(["", "demanded", "found", "met"], rows)]
    if results.costs:
        parts += ["## Cost", COST, cost_table(results.costs)]
    if results.delays:
        parts += ["## Delay", DELAY, delay_table(results.delays)]
    if results.losses:
        parts += ["## Loss", LOSS]
        parts += [part for name, found in results.losses.items() for part in (f"### {name}", loss_table(found))]
    return "\n\n".join(parts) + "\n"


def abouts(about: Mapping[str, Mapping[str, str]]) -> list[str]:
    """A line for each run that the parts come from."""
    runs: dict[str, list[str]] = {}
    for part, values in about.items():
        runs.setdefault(", ".join(f"{name} {value}" for name, value in values.items()), []).append(part)
    return [f"{', '.join(parts)}: {run}." for run, parts in runs.items()]


def cost_table(costs: Mapping[str, Load]) -> str:
    """CPU and memory by bridge and number of rooms."""
    rows = []
    for name, load in costs.items():
        for mode, cost in (("talking", load.talking), ("silent", load.silent)):
            values = [f"{cost.cpu_ms:.1f}", f"{cost.core:.0f} %", f"{cost.memory_mb:.0f}", f"{cost.sent_late:.2f} %"]
            rows.append([name, str(cost.rooms), mode, *values, f"{cost.heard_hz:.1f}"])
    head = [
        "bridge",
        "rooms",
        "agent",
        "CPU ms per room-second",
        "of the core",
        "memory / MB",
        "late packets",
        "packets/s",
    ]
    return table(head, rows)


def delay_table(delays: Delays) -> str:
    """Medians by path and bridge."""
    rows = []
    for words, key in PATHS:
        names = [""] if "{}" not in key else ["plain", "product"]
        for name in names:
            row = delays.get(key.format(name))
            if row is not None:
                found = f"{row['found']:.0f} / {row['missed']:.0f}"
                rows.append([words, name, f"{row['speech']:.1f}", f"{row['silence']:.1f}", found])
    return table(["path", "bridge", "during speech / ms", "out of silence / ms", "chirps found / missed"], rows)


def loss_table(found: Mapping[str, Sequence[Outcome]]) -> str:
    """Median and range over the seeds by bridge."""
    rows = []
    for words, name, digits in OUTCOME_ROWS:
        rows.append([words, *(spread([getattr(o, name) for o in outcomes], digits) for outcomes in found.values())])
    return table(["", *found], rows)


def spread(values: Sequence[float], digits: int) -> str:
    """The median, and the range when there are several; a dash for what was not measured."""
    known = [value for value in values if not np.isnan(value)]
    if not known:
        return "-"
    middle = f"{np.median(known):.{digits}f}"
    return middle if len(known) == 1 else f"{middle} ({min(known):.{digits}f} … {max(known):.{digits}f})"


INTRODUCTION = """# Performance

Written by `make bench`; do not edit. The product beside a plain bridge (`bench/plain_bridge.py`: LiveKit's AudioMixer
and AudioStream, stock aiortc track and receiver, a process per room) and beside the SFU alone; what is compared was
measured in one run on one machine. Figures of different runs or machines do not compare; the relations do."""
COST = """The bridge's processes alone on one core; SFU, people and agents on the others. Two people talk in every room
(prepared packets). Late packets: reached the agent more than 10 ms behind the 20 ms grid, whoever is to blame. Means of
interleaved rounds."""
DELAY = """A chirp each second, found by a matched filter. The time of a sample is the arrival of its packet or frame
plus its offset in it, at both ends. Medians of the runs' medians."""
LOSS = """The agent says speech without pauses; the network between the agent and the bridge is bad by a seed, and both
bridges meet the same pattern at the same time. An audible gap is more than 60 ms of near-silence. Median (range) over
the seeds."""
