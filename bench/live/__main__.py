"""`python -m bench.live SCENARIO …`: runs scenarios on real parts, prints the verdicts, writes the page when asked."""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TypeAlias

from bench.__main__ import teller
from bench.live import drain, failover, flood, joins, replicas, soak
from bench.live.outcome import Outcome, load_results, page, save_results
from bench.processes import ROOT
from bench.report import surroundings

PAGE = ROOT / "docs" / "reliability.md"
RESULTS = ROOT / "bench" / "results" / "reliability.json"
LIMIT_S = 900.0
Scenario: TypeAlias = Callable[[Path, bool, Callable[[str], None]], Coroutine[None, None, Outcome]]
"""Takes a scratch folder, whether it is to be short, and somewhere to tell what it does."""
SCENARIOS: dict[str, Scenario] = {
    "joins": joins.scenario,
    "failover": failover.scenario,
    "replicas": replicas.scenario,
    "flood": flood.scenario,
    "soak": soak.scenario,
    "drain": drain.scenario,
}


async def play(name: str, folder: Path, *, quick: bool) -> Outcome:
    """Run one scenario, bounded."""
    about = surroundings()
    async with asyncio.timeout(LIMIT_S):
        outcome = await SCENARIOS[name](folder, quick, teller())
    outcome.quick, outcome.surroundings = quick, about
    return outcome


def run(name: str, *, quick: bool, keep: Path | None) -> Outcome:
    """Run one scenario in a scratch folder that goes away unless `keep` names one."""
    with tempfile.TemporaryDirectory(prefix="room-connector-live-") as temporary:
        folder = Path(temporary) if keep is None else keep / name
        folder.mkdir(parents=True, exist_ok=True)
        return asyncio.run(play(name, folder, quick=quick))


def main() -> int:
    """Read the command line, run, write; exit code 0 when every demand is met."""
    parser = argparse.ArgumentParser(prog="python -m bench.live", description=__doc__)
    parser.add_argument("scenario", nargs="+", choices=list(SCENARIOS))
    parser.add_argument("--quick", action="store_true", help="short; the figures are no evidence")
    parser.add_argument("--keep", type=Path, help="keep logs and what people heard in this (new) folder")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.relative_to(ROOT)} and its JSON")
    options = parser.parse_args()
    met = True
    for name in options.scenario:
        outcome = run(name, quick=options.quick, keep=options.keep)
        met = met and outcome.met
        print(f"\n{outcome.markdown()}\n", flush=True)
        if options.write:
            results = load_results(RESULTS) | {name: outcome}
            save_results(RESULTS, results)
            PAGE.write_text(page(results, list(SCENARIOS)))
            print(f"written: {PAGE.relative_to(ROOT)}, {RESULTS.relative_to(ROOT)}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
