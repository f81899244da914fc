import io
import time

import pytest
from rich.console import Console

from connector.practice.show import Show
from connector.practice.sound import load_clip
from connector.practice.verify import Check, Delays, Spoken, Verdict

LONG = "x" * 200
VERDICT = Verdict(
    (Check("All is [well]", True, LONG), Check("Nothing is lost", False, "2 gaps")), Delays(95.4, None, 800)
)


def told(show: Show, spoken_at: float) -> None:
    with show:
        show.waiting("waiting for something")
        show.speaks(Spoken("ada", "ada-asks", load_clip("ada-asks"), spoken_at), "Hello [b]there[/b]")
        show.happened(spoken_at, "agent", "answers")
    show.verdict(VERDICT)


def test_piped_it_is_plain_lines() -> None:
    """No control codes, no cut lines, no markup read into texts."""
    out = io.StringIO()
    told(Show(Console(file=out)), time.monotonic())
    lines = out.getvalue().splitlines()
    assert "\x1b" not in out.getvalue()
    assert any("… waiting for something" in line for line in lines)
    assert any("ada" in line and "says: “Hello [b]there[/b]”" in line for line in lines)
    assert f"ok    All is [well]    {LONG}" in lines
    assert "FAIL  Nothing is lost  2 gaps" in lines
    assert any(line.strip() == "95 ms  from a person to the agent" for line in lines)
    assert any("not measured" in line for line in lines)


def test_on_a_terminal_it_is_a_live_picture() -> None:
    """Lanes with levels, the last happenings, and the verdict with its marks."""
    out = io.StringIO()
    show = Show(Console(file=out, force_terminal=True, width=100))
    show.agent_hears_dbfs = -20.0
    told(show, time.monotonic() - 1.0)
    text = out.getvalue()
    assert "\x1b" in text
    for part in ("hears", "speaks", "answers", "━", "✓", "✗"):
        assert part in text


def test_what_was_told_is_kept_for_the_report() -> None:
    """Everything that happened is on record, in order, with its times."""
    show = Show(Console(file=io.StringIO()))
    show.happened(5.0, "agent", "greets")
    show.speaks(Spoken("grace", "x", load_clip("grace-interrupts"), 6.0, interrupts=True), "Stop")
    assert [(h.at, h.who) for h in show.happenings] == [(5.0, "agent"), (6.0, "grace")]
    assert show.happenings[1].text == "talks over the agent: “Stop”"


def test_a_failure_inside_ends_the_picture() -> None:
    """The terminal is itself again after an error."""
    out = io.StringIO()
    with pytest.raises(RuntimeError), Show(Console(file=out, force_terminal=True)):
        raise RuntimeError
    assert out.getvalue().endswith(("\x1b[?25h", "\n"))
