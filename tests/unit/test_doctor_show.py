"""How findings are shown."""

import io
import json

from rich.console import Console

from connector.doctor.finding import Finding, Verdict, fine, left_out, warning
from connector.doctor.show import Board, as_json

NAMES = ("a", "bee", "c")


def console(*, terminal: bool) -> tuple[Console, io.StringIO]:
    stream = io.StringIO()
    return Console(file=stream, force_terminal=terminal, width=60, highlight=False), stream


def test_lines_come_in_order_each_as_soon_as_it_can() -> None:
    """A finding waits for those before it; a mark, the check's name and the text make one line, however long."""
    out, stream = console(terminal=False)
    with Board(NAMES, out) as board:
        board.done(1, [warning("bee", "odd: mend it"), left_out("bee", "and that")])
        assert stream.getvalue() == ""
        board.done(0, [fine("a", "well " * 20)])
        assert len(stream.getvalue().splitlines()) == 3
        board.done(2, [Finding("c", Verdict.FAILED, "[bold]gone[/bold]", 69)])
    assert stream.getvalue().splitlines() == [
        f"✓ a    {'well ' * 20}",
        "! bee  odd: mend it",
        "- bee  and that",
        "✗ c    [bold]gone[/bold]",
    ]


def test_a_terminal_sees_colours_and_what_is_being_looked_at() -> None:
    """Below the lines stands what is still missing."""
    out, stream = console(terminal=True)
    with Board(NAMES, out) as board:
        board.done(1, [fine("bee", "well")])
        board.done(0, [fine("a", "well")])
    assert "looking at: a, c" in stream.getvalue()
    assert "\x1b[32m✓" in stream.getvalue()


def test_without_a_console_nothing_is_shown() -> None:
    """For JSON the board only listens."""
    with Board(NAMES, None) as board:
        board.done(0, [fine("a", "well")])


def test_json_holds_everything() -> None:
    """Verdicts, texts and the exit code."""
    report = json.loads(as_json([fine("a", "well"), Finding("b", Verdict.FAILED, "gone", 69)]))
    assert report == {
        "ok": False,
        "exit_code": 69,
        "findings": [
            {"check": "a", "verdict": "ok", "text": "well"},
            {"check": "b", "verdict": "failed", "text": "gone"},
        ],
    }
