"""What is counted and how it travels: a closed set of keys, each a plain number that only grows. Pure.

An engine counts into a `Tally`; control adds up what engines report and shows it as Prometheus metrics. A key is a
metric's name and its label values, joined by ``|``: ``rtp_packets_total|agent|in``. A histogram is one key per bucket,
not cumulative, and one for the sum: ``event_loop_lag_seconds|0.01``, ``…|inf``, ``…|sum``. All label values come from
the catalogue (`catalog.py`), so the number of keys is bounded by it.
"""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import product

SEPARATOR = "|"
OTHER = "other"
"""Where a label has this value, it stands for every unknown one."""
INFINITY = "inf"
SUM = "sum"


class Kind(StrEnum):
    """A metric's type."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Measure:
    """One metric.

    Attributes:
        name: Without the prefix ``connector_``.
        kind: Its type.
        help: What it says, for whoever reads a dashboard.
        labels: The values that each label may have; a label without values takes any (a version, a hash).
        buckets: Upper bounds of a histogram's buckets, ascending.
    """

    name: str
    kind: Kind
    help: str
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    buckets: tuple[float, ...] = ()

    @property
    def edges(self) -> tuple[str, ...]:
        """The buckets as they stand in keys."""
        return (*(f"{edge:g}" for edge in self.buckets), INFINITY)

    def series(self) -> list[tuple[str, ...]]:
        """Every combination of label values."""
        return list(product(*self.labels.values()))

    def key(self, *labels: str) -> str:
        """The key of one series.

        Raises:
            ValueError: A label value is not in the catalogue, and there is no ``other``.
        """
        if len(labels) != len(self.labels):
            raise ValueError(f"{self.name} has the labels {list(self.labels)}, not {labels}")
        return SEPARATOR.join((self.name, *(self._value(*pair) for pair in zip(self.labels, labels, strict=True))))

    def _value(self, label: str, value: str) -> str:
        values = self.labels[label]
        if value in values or not values:
            return value
        if OTHER in values:
            return OTHER
        raise ValueError(f"{self.name}: {label} cannot be {value!r}")

    def reported(self) -> list[str]:
        """Every key under which this metric travels; none for a gauge."""
        if self.kind is Kind.GAUGE:
            return []
        series = [self.key(*labels) for labels in self.series()]
        if self.kind is Kind.COUNTER:
            return series
        return [f"{key}{SEPARATOR}{part}" for key in series for part in (*self.edges, SUM)]


class Tally:
    """Counts. Every number only grows.

    Args:
        measures: The catalogue, by name.

    Attributes:
        counts: By key; what was never counted is not there.
    """

    def __init__(self, measures: Mapping[str, Measure]) -> None:
        self._measures = measures
        self.counts: dict[str, float] = {}

    def count(self, name: str, *labels: str, by: float = 1) -> None:
        """Add to a counter.

        Raises:
            KeyError: There is no such metric.
            ValueError: A label value is not in the catalogue.
        """
        self._add(self._measures[name].key(*labels), by)

    def observe(self, name: str, value: float, *labels: str) -> None:
        """Put a value into a histogram.

        Raises:
            KeyError: There is no such metric.
            ValueError: A label value is not in the catalogue.
        """
        measure = self._measures[name]
        key = measure.key(*labels)
        edge = measure.edges[bisect_left(measure.buckets, value)]
        self._add(f"{key}{SEPARATOR}{edge}", 1)
        self._add(f"{key}{SEPARATOR}{SUM}", max(0.0, value))

    def _add(self, key: str, by: float) -> None:
        self.counts[key] = self.counts.get(key, 0) + by


class Deltas:
    """Turns the totals of sources that come and go into what was added since the last report.

    A total that falls (a source whose counter cannot be read for a moment) adds nothing until it is above its highest
    again; so the deltas of a source always add up to its highest totals.
    """

    def __init__(self) -> None:
        self._seen: dict[str, dict[str, float]] = {}
        self._added: dict[str, float] = {}

    def look(self, source: str, totals: Mapping[str, float]) -> None:
        """Take the totals of a source as they stand; a source that is new begins at 0."""
        seen = self._seen.setdefault(source, {})
        for key, total in totals.items():
            more = total - seen.get(key, 0)
            if more > 0:
                seen[key] = total
                self._added[key] = self._added.get(key, 0) + more

    def end(self, source: str, totals: Mapping[str, float]) -> None:
        """Take the last totals of a source; one that begins under the same name begins at 0."""
        self.look(source, totals)
        del self._seen[source]

    def take(self) -> dict[str, float]:
        """What was added since the last call."""
        added, self._added = self._added, {}
        return added
