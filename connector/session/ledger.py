"""Adds up what the legs and the parts of a session count, as flat numbers named ``part.counter``. Pure."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass

_NEWEST = frozenset(
    {
        "offer_s",
        "connect_s",
        "ice_s",
        "dtls_s",
        "jitter_ms",
        "jitter_out_ms",
        "rtt_ms",
        "humans",
        "heard",
        "stalled",
        "over_cap",
        "public_streams",
        "recovery_gap_s",
        "delay_ms",
        "target_ms",
        "clocked",
    },
)
"""What is no counter: of several legs the newest that has it counts."""
_MOST = frozenset({"heard_most"})


def numbers(part: str, figures: object) -> dict[str, float]:
    """The numbers of a dataclass by ``part.field``, those of a list by ``part.field.0``, …; the rest is left out."""
    if not is_dataclass(figures):
        return {}
    out: dict[str, float] = {}
    for field in fields(figures):
        value = getattr(figures, field.name)
        if isinstance(value, int | float):
            out[f"{part}.{field.name}"] = value
        elif isinstance(value, list):
            out |= {f"{part}.{field.name}.{place}": item for place, item in enumerate(value)}
    return out


def merged(old: Mapping[str, float], new: Mapping[str, float]) -> dict[str, float]:
    """The figures of one leg and of the one after it: counters add up, of a momentary value the newest stands."""
    out = {**old, **new}
    for name in old.keys() & new.keys():
        last = name.rpartition(".")[2]
        if last in _MOST:
            out[name] = max(old[name], new[name])
        elif last not in _NEWEST:
            out[name] = old[name] + new[name]
    return out


class Ledger:
    """The figures of all legs that a session had so far."""

    def __init__(self) -> None:
        self._closed: dict[str, float] = {}

    def close(self, part: str, figures: object) -> None:
        """A leg is over; these are its last figures."""
        self._closed = merged(self._closed, numbers(part, figures))

    def totals(self, live: Mapping[str, object]) -> dict[str, float]:
        """The figures of the legs that are closed and of those that live.

        Args:
            live: The figures of each that lives, by part.
        """
        out = dict(self._closed)
        for part, figures in live.items():
            out = merged(out, numbers(part, figures))
        return out
