"""How findings are shown: one line each in a fixed order as soon as they can be, or one JSON object at the end."""

import json
from collections.abc import Iterable, Sequence
from typing import Self

from rich.console import Console
from rich.status import Status
from rich.text import Text

from connector.doctor.finding import Finding, Verdict, exit_code

_MARKS = {
    Verdict.OK: ("✓", "green"),
    Verdict.WARNING: ("!", "yellow"),
    Verdict.FAILED: ("✗", "bold red"),
    Verdict.LEFT_OUT: ("-", "dim"),
}


def line(finding: Finding, width: int) -> Text:
    """A finding as one line; colours fall away when piped."""
    mark, style = _MARKS[finding.verdict]
    text = Text.assemble((mark, style), f" {finding.check:<{width}}  ")
    return text.append(finding.text, "dim" if finding.verdict is Verdict.LEFT_OUT else "")


def as_json(findings: Sequence[Finding]) -> str:
    """All findings for machines."""
    code = exit_code(findings)
    listed = [{"check": f.check, "verdict": f.verdict.value, "text": f.text} for f in findings]
    return json.dumps({"ok": code == 0, "exit_code": code, "findings": listed}, indent=2, ensure_ascii=False)


class Board:
    """Shows findings in the order of their checks, each as soon as all before it are there. Context manager.

    On a terminal a line below says what is still being looked at.

    Args:
        names: Every check, in order.
        console: Where to; None shows nothing.
    """

    def __init__(self, names: Sequence[str], console: Console | None) -> None:
        self._names = names
        self._width = max(len(name) for name in names)
        self._console = console
        self._waiting: dict[int, Sequence[Finding]] = {}
        self._next = 0
        self._pending = set(names)
        live = console is not None and console.is_terminal
        self._status = Status("", console=console) if live else None

    def __enter__(self) -> Self:
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status is not None:
            self._status.stop()

    def done(self, index: int, findings: Sequence[Finding]) -> None:
        """A check is done."""
        self._waiting[index] = findings
        self._pending.discard(self._names[index])
        while self._next in self._waiting:
            self._show(self._waiting.pop(self._next))
            self._next += 1
        if self._status is not None:
            self._status.update(f"looking at: {', '.join(name for name in self._names if name in self._pending)}")

    def _show(self, findings: Iterable[Finding]) -> None:
        if self._console is not None:
            for finding in findings:
                self._console.print(line(finding, self._width), soft_wrap=True)
