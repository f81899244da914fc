"""What the demo shows while it runs: a live picture on a terminal, plain lines when piped."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from connector.practice.recorder import Recording
from connector.practice.report import Happening, tiles
from connector.practice.sound import level_dbfs
from connector.practice.verify import Spoken, Verdict

_COLOURS = {"ada": "dark_orange3", "grace": "dark_cyan", "agent": "slate_blue1"}
_LINES = 9
_BAR = 24
_BAR_FROM_DBFS, _BAR_TO_DBFS = -50.0, -10.0
_GLANCE_S = 0.05


class Show:
    """Tells what happens, as a context manager.

    Attributes:
        happenings: Everything told so far, for the report.
        agent_hears_dbfs: The level that the agent hears now; whoever watches it sets this.
        agent_says_dbfs: The level at which it speaks now.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.happenings: list[Happening] = []
        self.agent_hears_dbfs = self.agent_says_dbfs = -120.0
        self._console = console or Console(highlight=False)
        self._begin = time.monotonic()
        self._waiting = ""
        self._spinner = Spinner("dots")
        self._speaking: dict[str, Recording] = {}
        terminal = self._console.is_terminal
        self._live = (
            Live(get_renderable=self._picture, console=self._console, refresh_per_second=10) if terminal else None
        )

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._waiting = ""
        self.agent_hears_dbfs = self.agent_says_dbfs = -120.0
        if self._live is not None:
            self._live.stop()

    def happened(self, at: float, who: str, text: str) -> None:
        """Tell something that happened at a monotonic time."""
        self.happenings.append(Happening(at, who, text))
        if self._live is None:
            self._line(f"{max(at - self._begin, 0):5.1f} s  {who:<9} {text}")

    def speaks(self, spoken: Spoken, words: str) -> None:
        """Tell that a participant begins to speak."""
        self._speaking[spoken.who] = Recording(spoken.samples, spoken.at)
        self.happened(spoken.at, spoken.who, f"{'talks over the agent' if spoken.interrupts else 'says'}: “{words}”")

    def waiting(self, text: str) -> None:
        """Tell what is being waited for; an empty text: nothing."""
        self._waiting = text
        if text and self._live is None:
            self._line(f"{time.monotonic() - self._begin:5.1f} s  … {text}")

    def verdict(self, verdict: Verdict) -> None:
        """Print the checks as a table, and the delays."""
        if self._console.is_terminal:
            self._console.print(_verdict_table(verdict))
        else:
            width = max(len(check.statement) for check in verdict.checks)
            for check in verdict.checks:
                self._line(f"{'ok  ' if check.passed else 'FAIL'}  {check.statement:<{width}}  {check.figure}")
        for label, value in tiles(verdict.delays):
            self._line(f"{value:>9}  {label}")

    def say(self, text: str) -> None:
        """Print a line as it is."""
        self._line(text)

    def _line(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _picture(self) -> RenderableType:
        now = time.monotonic()
        lanes = Table.grid(padding=(0, 2))
        for who, recording in sorted(self._speaking.items()):
            lanes.add_row(_name(who), "speaks", _bar(level_dbfs(recording.cut(now - _GLANCE_S, now)), _COLOURS[who]))
        lanes.add_row(_name("agent"), "hears", _bar(self.agent_hears_dbfs, "white"))
        lanes.add_row(_name("agent"), "says", _bar(self.agent_says_dbfs, _COLOURS["agent"]))
        lines = [
            Text.assemble((f"{max(h.at - self._begin, 0):5.1f} s  ", "dim"), _name(h.who), f" {h.text}")
            for h in self.happenings[-_LINES:]
        ]
        parts: list[RenderableType] = [lanes, Text(""), *lines]
        if self._waiting:
            self._spinner.update(text=escape(f"{self._waiting} … {now - self._begin:.0f} s"))
            parts.append(self._spinner)
        return Group(*parts)


def _name(who: str) -> Text:
    return Text(f"{who:<9}", style=f"bold {_COLOURS.get(who, 'white')}")


def _bar(dbfs: float, colour: str) -> Text:
    share = (dbfs - _BAR_FROM_DBFS) / (_BAR_TO_DBFS - _BAR_FROM_DBFS)
    filled = round(min(max(share, 0.0), 1.0) * _BAR)
    return Text.assemble(("━" * filled, colour), ("─" * (_BAR - filled), "dim"))


def _verdict_table(verdict: Verdict) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for check in verdict.checks:
        mark = Text("✓", style="bold green") if check.passed else Text("✗", style="bold red")
        table.add_row(mark, Text(check.statement), Text(check.figure, style="dim"))
    return table
