"""What a scenario hands back, and the page that is made of it: figures in, Markdown out."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.report import table, without_nan
from bench.verdict import Verdict


@dataclass
class Outcome:
    """The result of one scenario.

    Attributes:
        title: Its heading.
        about: What was done, in a few sentences.
        verdicts: What was demanded and found.
        tables: Further figures: a caption, then the head and the rows.
        quick: Whether it was the short variant, whose figures are no evidence.
        surroundings: Commit, date, machine.
    """

    title: str
    about: str
    verdicts: list[Verdict] = field(default_factory=list)
    tables: list[tuple[str, list[list[str]]]] = field(default_factory=list)
    quick: bool = False
    surroundings: dict[str, str] = field(default_factory=dict)

    @property
    def met(self) -> bool:
        """Whether every demand is met, and there was one."""
        return bool(self.verdicts) and all(verdict.passed for verdict in self.verdicts)

    def markdown(self) -> str:
        """Its section of the page."""
        parts = [f"## {self.title}", self.about]
        if self.quick:
            parts.append("**The short variant: its figures show that the scenario works, no more.**")
        parts.append(", ".join(f"{name} {value}" for name, value in self.surroundings.items()) + ".")
        rows = [[v.what, v.demanded, v.found, "yes" if v.passed else "**NO**"] for v in self.verdicts]
        parts.append(table(["", "demanded", "found", "met"], rows))
        for caption, lines in self.tables:
            parts += [caption, table(lines[0], lines[1:])]
        return "\n\n".join(parts)


def equal(what: str, found: object, demanded: object) -> Verdict:
    """`found` must be exactly what is demanded."""
    return Verdict(what, str(demanded), str(found), found == demanded)


def spread(values: Sequence[float], unit: str = " s", digits: int = 2) -> str:
    """Median, 95th percentile and highest of some figures."""
    if not values:
        return "-"
    middle, high, top = (float(np.percentile(values, share)) for share in (50, 95, 100))
    return f"{middle:.{digits}f} / {high:.{digits}f} / {top:.{digits}f}{unit}"


def p95(values: Sequence[float]) -> float:
    """The 95th percentile; NaN of nothing."""
    return float(np.percentile(values, 95)) if values else float("nan")


def load_results(path: Path) -> dict[str, Outcome]:
    """The results of earlier runs, by scenario."""
    if not path.exists():
        return {}
    return {name: _outcome(found) for name, found in json.loads(path.read_text()).items()}


def save_results(path: Path, results: Mapping[str, Outcome]) -> None:
    """Write what `load_results` reads."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(without_nan({name: asdict(found) for name, found in results.items()}), indent=1) + "\n")


def _outcome(found: dict[str, Any]) -> Outcome:
    verdicts = [Verdict(**verdict) for verdict in found.pop("verdicts")]
    tables = [(caption, lines) for caption, lines in found.pop("tables")]
    return Outcome(**found, verdicts=verdicts, tables=tables)


def page(results: Mapping[str, Outcome], order: Sequence[str]) -> str:
    """The whole page, in a given order of the scenarios."""
    return "\n\n".join([INTRODUCTION, *(results[name].markdown() for name in order if name in results)]) + "\n"


INTRODUCTION = """# Reliability

Written by `python -m bench.live … --write` (`make joins`, `make failover`, …); do not edit. Everything is real but
Millis: livekit-server, worker, engines, Redis, people through LiveKit's SDK. The practice agent stands in for Millis
and hums without an end, so that whatever is missing is a gap. Each section names the commit that it was measured at.
What people hear is measured where they hear it: RMS of 10 ms above -40 dBFS is audible; times share one clock."""
