"""docs/troubleshooting.md against the words of the product."""

import ast
import re
from enum import StrEnum
from pathlib import Path

import pytest

from connector.base.causes import Cause
from connector.base.ends import EndReason
from connector.control.desired import Why
from connector.room.seams import shape_problems

PAGE = Path("docs/troubleshooting.md").read_text()


def section(title: str) -> str:
    """The text below a heading, down to the next of its level or above."""
    level, _, _ = title.partition(" ")
    found = re.search(rf"^{re.escape(title)}$(.*?)(?=^#{{1,{len(level)}}} |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    assert found is not None, title
    return found[1]


def entries(text: str) -> dict[str, list[str]]:
    """Rows of the tables in a text by the words in code in their first cell."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:3] == "| `"]
    return {word: row[1:] for row in rows for word in re.findall(r"`([^`]+)`", row[0])}


@pytest.mark.parametrize(
    ("title", "words"),
    [("## Why a session ended", EndReason), ("## A room is not served", Why), ("### Causes", Cause)],
)
def test_every_word_of_a_closed_set_has_an_entry(title: str, words: type[StrEnum]) -> None:
    """Each reason, verdict and cause has a row with cause and remedy, and no row is about a word that is gone."""
    rows = entries(section(title).split("\n### ")[0])
    assert sorted(rows) == sorted(words)
    assert [word for word, cells in rows.items() if not all(cells)] == []


def test_end_reasons_stand_with_their_class() -> None:
    """The class on the page is that of the code."""
    rows = entries(section("## Why a session ended").split("\n### ")[0])
    assert {word: cells[0] for word, cells in rows.items()} == {reason: reason.result for reason in EndReason}


def test_fallbacks_are_those_of_the_seams() -> None:
    """Every text that a fallback can have is explained; here, with the pinned library, none is in force."""
    source = Path("connector/room/seams.py").read_text()
    for words in entries(section("## Fallbacks of the LiveKit library")):
        assert words in source, words
    assert [str(problem) for problem in shape_problems()] == []


def test_events_in_the_tables_are_real() -> None:
    """No row is about an event that the product does not log."""
    texts = {
        node.value
        for path in Path("connector").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    rows = entries(section("## Other lines in the log")) | entries(section("## Lifecycle events do not arrive"))
    events = {word for word in rows if re.fullmatch(r"[a-z]+(_[a-z]+)+|takeover|replaced", word)}
    assert len(events) > 20
    assert sorted(events - texts) == []


def logged() -> set[str]:
    """The warnings and errors that the product logs, its practice parts apart."""
    calls = [
        node
        for path in Path("connector").rglob("*.py")
        if "practice" not in path.parts
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
    ]
    return {
        call.args[0].value
        for call in calls
        if isinstance(call.func, ast.Attribute)
        and call.func.attr in ("warning", "error", "exception", "warn")
        and call.args
        and isinstance(call.args[0], ast.Constant)
        and isinstance(call.args[0].value, str)
        and re.fullmatch(r"[a-z]+(_[a-z]+)*", call.args[0].value)
    }


def test_every_warning_is_explained() -> None:
    """Whatever the product logs as a warning or an error stands on the page, in code."""
    assert len(logged()) > 40
    assert sorted(name for name in logged() if f"`{name}`" not in PAGE) == []


def test_links_lead_somewhere() -> None:
    """Each link inside the documentation names a page and a heading that are there."""
    pages = [Path("docs") / name for name in ("troubleshooting.md", "events.md", "configuration.md")]
    for page in pages:
        for target, anchor in re.findall(r"\]\(([\w./-]*\.md)?(?:#([\w-]+))?\)", page.read_text()):
            other = (page.parent / target if target else page).read_text()
            headings = re.findall(r"^#+ (.*)$", other, re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert not anchor or anchor in anchors, (page.name, target, anchor)
