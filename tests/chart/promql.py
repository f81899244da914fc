"""PromQL in the chart: what it asks for, held against the product's catalogue of metrics."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from connector.base.catalog import MEASURES
from connector.base.measures import Kind

PREFIX = "connector_"
TARGET_LABELS = frozenset({"namespace", "pod"})
"""Labels that Prometheus adds to whatever it scrapes from a pod."""
_SELECTOR = re.compile(rf"\b{PREFIX}([a-z0-9_]+)(?:{{([^}}]*)}})?")
_MATCHER = re.compile(r'([a-z_]+)\s*(=~|!~|!=|=)\s*"([^"]*)"')


@dataclass(frozen=True)
class Selector:
    """One use of a metric of ours.

    Attributes:
        name: The metric, without prefix and without a histogram's suffix.
        labels: For each matcher the label, and the values that it names.
    """

    name: str
    labels: tuple[tuple[str, tuple[str, ...]], ...]


def selectors(expr: str) -> Iterator[Selector]:
    """Every selector of one of our metrics in a query."""
    for name, inside in _SELECTOR.findall(expr):
        matchers = _MATCHER.findall(inside)
        labels = tuple((label, tuple(value.split("|"))) for label, _, value in matchers if label not in TARGET_LABELS)
        yield Selector(_base(name), labels)


def _base(name: str) -> str:
    for suffix in ("_bucket", "_sum", "_count"):
        plain = name.removesuffix(suffix)
        if plain != name and plain in MEASURES and MEASURES[plain].kind is Kind.HISTOGRAM:
            return plain
    return name


def grouped_by(expr: str) -> set[str]:
    """The labels by which a query groups."""
    return {label.strip() for group in re.findall(r"\bby \(([^)]*)\)", expr) for label in group.split(",")}


def wrong(expr: str) -> list[str]:
    """What a query names that the product does not have: metrics, labels, their values, labels to group by."""
    found: list[str] = []
    known = set(TARGET_LABELS) | {"le"}
    for selector in selectors(expr):
        measure = MEASURES.get(selector.name)
        if measure is None:
            found.append(f"no metric {selector.name}")
            continue
        known |= set(measure.labels)
        for label, values in selector.labels:
            allowed = measure.labels.get(label)
            if allowed is None:
                found.append(f"{selector.name} has no label {label}")
            elif allowed:
                found += [f"{selector.name}: {label} is never {value}" for value in values if value not in allowed]
    return found + [f"nothing has the label {label}" for label in grouped_by(expr) - known]
