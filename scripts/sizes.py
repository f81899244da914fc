"""Writes the table of sizes in docs/kubernetes.md from what `make bench` measured (bench/results/latest.json).

Run by `make reference`; tests/chart/test_docs.py holds the page against it.
"""

import json
import sys
from pathlib import Path

from connector.config.model import Worker

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "kubernetes.md"
RESULTS = ROOT / "bench" / "results" / "latest.json"
BEGIN, END = "<!-- sizes: made by `make reference` from bench/results/latest.json -->\n", "<!-- /sizes -->"
CORES = (1, 2, 4, 8)
_LIMIT_FACTOR = 1.5
_STEP_MB = 256


def table() -> str:
    """The table, for pods of so many whole cores, each with one engine that is full."""
    measured = json.loads(RESULTS.read_text())
    cost, about = measured["costs"]["product 10"]["talking"], measured["about"]["cpu"]
    rooms: int = Worker().max_sessions
    what = (
        f"One engine with {cost['rooms']} rooms, two people and a talking agent in each: {cost['cpu_ms']:.0f} ms of CPU"
        f"\nper room and second, {cost['memory_mb']:.0f} MB with its control process (measured on {about['date']};"
        " [the whole measurement](performance.md)).\n"
    )
    heads = ("`resources.requests.cpu`", "engines", "rooms", "cores used when full", "memory when full", "memory limit")
    lines = [what, f"| {' | '.join(heads)} |", "|---|---|---|---|---|---|"]
    for cores in CORES:
        memory = cores * cost["memory_mb"]
        limit = -(-int(memory * _LIMIT_FACTOR) // _STEP_MB) * _STEP_MB
        used = cores * rooms * cost["cpu_ms"] / 1000
        lines.append(f"| {cores} | {cores} | {cores * rooms} | {used:.1f} | {memory:.0f} MB | {limit}Mi |")
    return "\n".join(lines) + "\n"


def rendered() -> str:
    """The whole page with the table put in."""
    before, rest = PAGE.read_text().split(BEGIN)
    _, after = rest.split(END)
    return before + BEGIN + table() + END + after


if __name__ == "__main__":
    PAGE.write_text(rendered())
    sys.stdout.write(f"wrote the sizes in {PAGE.relative_to(ROOT)}\n")
