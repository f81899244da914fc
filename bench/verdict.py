"""The lines that the bench must show, judged. Pure: results in, verdicts out."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.cpu import Load
from bench.loss import Outcome

Delays = Mapping[str, Mapping[str, float]]
Losses = Mapping[str, Mapping[str, Sequence[Outcome]]]


@dataclass(frozen=True)
class Verdict:
    """One line: what was demanded, what was found."""

    what: str
    demanded: str
    found: str
    passed: bool


def at_most(what: str, found: float, limit: float, unit: str, digits: int = 1) -> Verdict:
    """`found` must not exceed `limit`; NaN fails."""
    return Verdict(what, f"≤ {limit:.{digits}f}{unit}", f"{found:.{digits}f}{unit}", found <= limit)


def at_least(what: str, found: float, limit: float, unit: str, digits: int = 1) -> Verdict:
    """`found` must reach `limit`; NaN fails."""
    return Verdict(what, f"≥ {limit:.{digits}f}{unit}", f"{found:.{digits}f}{unit}", found >= limit)


def judge_delays(delays: Delays) -> list[Verdict]:
    """Millis → person: half of plain, SFU alone + 25 ms. Person → Millis: plain + 3 ms."""
    verdicts = []
    for kind, words in (("speech", "during speech"), ("silence", "out of silence")):
        towards, plain = delays["product millis_to_person"][kind], delays["plain millis_to_person"][kind]
        verdicts += [
            at_most(f"Millis → person, {words}: half of the plain bridge's", towards, plain / 2, " ms"),
            at_most(f"Millis → person, {words}: the SFU alone + 25 ms", towards, delays["sfu"][kind] + 25, " ms"),
            at_most(
                f"person → Millis, {words}: the plain bridge's + 3 ms",
                delays["product person_to_millis"][kind],
                delays["plain person_to_millis"][kind] + 3,
                " ms",
            ),
        ]
    return verdicts


def judge_costs(plain: Load, few: Load, many: Load) -> list[Verdict]:
    """CPU per room against the plain bridge's, ticks on time, memory per further room."""
    ticks = many.figures.get("tick_ticks", math.nan)
    late = 100 * many.figures.get("tick_late", math.nan) / ticks
    further = (many.talking.memory_mb - few.talking.memory_mb) / (many.talking.rooms - few.talking.rooms)
    return [
        at_most("CPU per room against plain, agent talking", many.talking.cpu_ms / plain.talking.cpu_ms, 0.35, "", 2),
        at_most("CPU per room against plain, agent silent", many.silent.cpu_ms / plain.silent.cpu_ms, 0.22, "", 2),
        at_most("ticks more than 10 ms late", late, 1.0, " %", 2),
        at_most("memory of a further room", further, 4.0, " MB"),
    ]


def judge_losses(losses: Losses) -> list[Verdict]:
    """Real audio, no audible gap, a delay that comes back, no harm by padding."""
    verdicts = []
    for name, outcomes in losses.items():
        product = outcomes["product"]
        if "late" in name:
            growth = max(o.delay_after - o.delay_before for o in product)
            verdicts.append(at_most(f"{name}: delay from 5 s after the last, above before", growth, 40, " ms"))
            continue
        verdicts += [
            at_least(f"{name}: real audio where it enters the room (worst seed)", min_of(product, "real"), 99, " %"),
            at_most(f"{name}: audible gaps where it enters the room", sum(o.gaps_entry for o in product), 0, "", 0),
            at_most(f"{name}: audible gaps at the person", sum(o.gaps for o in product), 0, "", 0),
        ]
    return verdicts


def min_of(outcomes: Sequence[Outcome], name: str) -> float:
    """The least value of a field; NaN when there is one."""
    values = [float(getattr(outcome, name)) for outcome in outcomes]
    return math.nan if any(math.isnan(value) for value in values) else min(values)
