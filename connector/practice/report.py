"""The demo's report: one self-contained HTML page, the picture as a file of its own, and the recordings beside it."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from html import escape
from pathlib import Path
from string import Template

from connector.practice.picture import DARK, LIGHT, Lane, Moment, standalone, timeline
from connector.practice.verify import Delays, Verdict

_TEMPLATE = Path(__file__).with_name("report.html")
PAGE = "index.html"


@dataclass(frozen=True)
class Happening:
    """One line of the story: when (monotonic seconds), who, what."""

    at: float
    who: str
    text: str


@dataclass(frozen=True)
class Story:
    """Everything that the page shows.

    Attributes:
        room: The room's name.
        when: When the run began, with its time zone.
        begin: Monotonic time of the left edge of the picture.
        end: Of the right edge.
        lanes: The recordings, from top to bottom.
        moments: What is marked in the picture.
        happenings: The events.
        figures: Label and value, in the order of the table.
        verdict: The checks and delays.
        footer: Versions and the like.
    """

    room: str
    when: datetime
    begin: float
    end: float
    lanes: Sequence[Lane]
    moments: Sequence[Moment]
    happenings: Sequence[Happening]
    figures: Sequence[tuple[str, str]]
    verdict: Verdict
    footer: str


def write_report(story: Story, folder: Path) -> Path:
    """Write the page, ``timeline.svg``, ``verdict.json`` and the lanes' WAVs into `folder`.

    Returns:
        The page's path.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for lane in story.lanes:
        lane.recording.save(folder / lane.file)
    picture = timeline(story.lanes, story.moments, story.begin, story.end)
    (folder / "timeline.svg").write_text(standalone(picture), encoding="utf-8")
    verdict = {"passed": story.verdict.passed, **asdict(story.verdict)}
    (folder / "verdict.json").write_text(json.dumps(verdict, indent=2) + "\n", encoding="utf-8")
    page = folder / PAGE
    page.write_text(_page(story, picture), encoding="utf-8")
    return page


def _page(story: Story, picture: str) -> str:
    passed = story.verdict.passed
    when = story.when.strftime("%Y-%m-%d %H:%M %Z").strip()
    failed = sum(not check.passed for check in story.verdict.checks)
    checks = len(story.verdict.checks)
    return Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        light=LIGHT,
        dark=DARK,
        title=f"Demo report: {'passed' if passed else 'failed'}",
        heading="Room connector: demo report",
        verdict_class="good" if passed else "bad",
        verdict_word=f"All {checks} checks passed" if passed else f"{failed} of {checks} checks failed",
        summary=f"Room <b>{escape(story.room)}</b>, {escape(when)}, {story.end - story.begin:.0f} seconds. "
        "Two people and a voice agent: a real livekit-server, the real connector, the practice agent in Millis' place.",
        tiles="\n".join(_tile(label, value) for label, value in tiles(story.verdict.delays)),
        timeline=picture,
        checks="\n".join(_check(c.statement, c.figure, passed=c.passed) for c in story.verdict.checks),
        events="\n".join(_event(h, story.begin) for h in sorted(story.happenings, key=lambda h: h.at)),
        figures="\n".join(
            f'<tr><th>{escape(label)}</th><td class="quiet">{escape(value)}</td></tr>' for label, value in story.figures
        ),
        files="\n".join(_file(lane) for lane in story.lanes),
        footer=escape(story.footer),
    )


def tiles(delays: Delays) -> list[tuple[str, str]]:
    """The headline figures: what it is, and its value with unit."""
    return [
        ("from a person to the agent", _ms(delays.to_agent_ms)),
        ("from the agent to a person", _ms(delays.to_people_ms)),
        (
            "from a question's end to its answer, 600 ms of it waiting",
            _ms(delays.answer_ms),
        ),
    ]


def _ms(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.0f} ms"


def _tile(label: str, value: str) -> str:
    return f'<div class="tile"><b>{escape(value)}</b><span>{escape(label)}</span></div>'


def _check(statement: str, figure: str, *, passed: bool) -> str:
    mark = '<span class="tick good">✓</span>' if passed else '<span class="tick bad">✗</span>'
    return f'<tr><td class="mark">{mark}</td><th>{escape(statement)}</th><td class="quiet">{escape(figure)}</td></tr>'


def _file(lane: Lane) -> str:
    name = escape(lane.file)
    what = escape(f"{lane.name} {lane.doing}")
    return f'<li><a href="{name}">{name}</a> <span class="note">{what}</span></li>'


def _event(happening: Happening, begin: float) -> str:
    who = escape(happening.who)
    return (
        f'<tr><td class="time">{happening.at - begin:.1f} s</td>'
        f'<td><span class="who {who}">{who}</span> {escape(happening.text)}</td></tr>'
    )
