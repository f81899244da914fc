"""The operations page is as the program: every metric with its words, every figure of the summary line."""

from pathlib import Path

import pytest

from connector.base.catalog import MEASURES
from connector.base.measures import Measure
from tests.unit.test_session_summary import FIGURES, busy

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
EVERYTHING = FIGURES | {
    "quality.reply_delay_most_s": 0.1,
    "quality.mix_wait_s": 0.01,
    "quality.mix_late_most_s": 0.02,
    "quality.reply_dbfs": -20.0,
    "quality.reply_peak_dbfs": -10.0,
    "room.rtt_ms": 4.0,
}


def row(measure: Measure) -> str:
    """A metric's row of the table."""
    labels = ", ".join(f"`{label}`" for label in measure.labels) or "-"
    return f"| `connector_{measure.name}` | {measure.kind.value} | {labels} | {measure.help} |"


def section(title: str) -> str:
    """A section of the page."""
    assert f"\n## {title}\n" in PAGE
    return PAGE.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


@pytest.mark.parametrize("name", MEASURES)
def test_every_metric_is_on_the_page(name: str) -> None:
    """With its type, its labels and the words of its help text: the page and `/metrics` say the same."""
    assert row(MEASURES[name]) in section("Metrics")


def test_no_metric_is_on_the_page_that_is_not_there() -> None:
    """A metric that was renamed leaves no row behind."""
    rows = [line for line in section("Metrics").splitlines() if line.startswith("| `connector_")]
    assert rows == [row(measure) for measure in MEASURES.values()]


def test_every_figure_of_the_summary_line_is_explained() -> None:
    """The table names what a session's line can hold, in its order, and nothing else."""
    summary = busy()
    summary.mark("live", 11.5)
    line = summary.close(31.0, EVERYTHING)
    rows = [text for text in section("The summary line").splitlines() if text.startswith("| `")]
    named = [name.strip("` ") for text in rows for name in text.split("|")[1].split(",")]
    told_by_control = ["session", "room", "reason", "result", "cause", "detail"]
    assert named == [*told_by_control, *line]
