import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from connector.practice.recorder import Recording
from connector.practice.report import Happening, write_report
from tests.practice_scene import Scene, nothing, story_of

VOID = {"meta", "br", "img", "link"}


class Outline(HTMLParser):
    """Checks that tags are balanced, and collects what the page refers to."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name in {"href", "src"}]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def outline(page: str) -> Outline:
    parser = Outline()
    parser.feed(page)
    assert parser.open == []
    return parser


def test_a_good_run_makes_a_page_that_stands_alone(tmp_path: Path) -> None:
    """The page is well formed, says that all passed, and refers to nothing but the WAVs beside it."""
    page = write_report(story_of(Scene()), tmp_path / "report").read_text()
    parsed = outline(page)
    assert "All 10 checks passed" in page
    assert parsed.links == [
        "ada-said.wav",
        "grace-said.wav",
        "agent-heard.wav",
        "agent-said.wav",
        "ada-heard.wav",
        "grace-heard.wav",
    ]
    assert all((tmp_path / "report" / link).is_file() for link in parsed.links)
    assert not parsed.tags & {"script", "link", "img", "iframe"}
    assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)", page) == []
    assert "$" not in page


def test_it_reads_in_light_and_dark(tmp_path: Path) -> None:
    """Both palettes define the same names, on the page and in the picture."""
    folder = write_report(story_of(Scene()), tmp_path).parent
    for name in ("index.html", "timeline.svg"):
        text = (folder / name).read_text()
        used = set(re.findall(r"var\((--[a-z-]+)\)", text))
        light, dark = text.split("prefers-color-scheme", 1)[0:2]
        assert used <= set(re.findall(r"(--[a-z-]+):", light))
        assert used <= set(re.findall(r"(--[a-z-]+):", dark.split("</style>")[0]))


def test_a_failed_run_says_so(tmp_path: Path) -> None:
    """The page and the JSON name what failed."""
    page = write_report(story_of(Scene(ada_to_agent=nothing)), tmp_path).read_text()
    outline(page)
    assert "2 of 10 checks failed" in page
    verdict = json.loads((tmp_path / "verdict.json").read_text())
    assert verdict["passed"] is False
    assert next(c["statement"] for c in verdict["checks"] if not c["passed"]) == "The agent heard ada"


def test_texts_are_escaped(tmp_path: Path) -> None:
    """A room's name cannot break the page."""
    story = replace(story_of(Scene()), room="<script>alert(1)</script>", happenings=[Happening(1, "ada", "a < b")])
    page = write_report(story, tmp_path).read_text()
    assert "<script>" not in page
    assert "a &lt; b" in page


def test_the_wavs_are_the_recordings(tmp_path: Path) -> None:
    """What lies beside the page can be loaded again."""
    story = story_of(Scene())
    write_report(story, tmp_path)
    assert Recording.load(tmp_path / "agent-said.wav").seconds == pytest.approx(story.lanes[3].recording.seconds)
