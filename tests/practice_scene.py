"""A made-up run of the demo: what each side would have recorded, with faults on request."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from connector.audio.frames import RATE_HZ, Samples
from connector.practice.picture import Lane, Moment
from connector.practice.recorder import Recording
from connector.practice.report import Happening, Story
from connector.practice.sound import load_clip, shift_pitch, to_samples
from connector.practice.verify import Evidence, Spoken, verify

START = 1_000.0
SECONDS = 29.0
TO_AGENT_S = 0.09
TO_PEOPLE_S = 0.06
STOPS_AFTER_S = 0.12

Placed = tuple[Samples, float]


def lay(pieces: list[Placed], *, start: float = START, seconds: float = SECONDS) -> Recording:
    """Sum pieces at their times into one recording."""
    wide = np.zeros(round(seconds * RATE_HZ))
    for samples, at in pieces:
        first = round((at - start) * RATE_HZ)
        wide[first : first + len(samples)] += samples[: max(0, len(wide) - first)]
    return Recording(to_samples(wide), start)


def nothing(pieces: list[Placed]) -> list[Placed]:
    """A fault: nothing of it gets through."""
    return pieces[:0]


@dataclass
class Scene:
    """The people's words, the agent's, and who hears what.

    Attributes:
        ada_to_agent: Changes what of ada reaches the agent.
        agent_to_grace: Changes what of the agent reaches grace.
        agent_to_agent: How loud the agent hears itself, as a factor; 0 = not at all.
        stops_after_s: How long the agent goes on when talked over.
    """

    ada_to_agent: Callable[[list[Placed]], list[Placed]] = field(default=lambda pieces: pieces)
    agent_to_grace: Callable[[list[Placed]], list[Placed]] = field(default=lambda pieces: pieces)
    agent_to_agent: float = 0.0
    stops_after_s: float = STOPS_AFTER_S

    def spoken(self) -> tuple[Spoken, ...]:
        """Who says what, and when."""
        return (
            Spoken("ada", "ada-asks", load_clip("ada-asks"), START + 3.0),
            Spoken("grace", "grace-asks", load_clip("grace-asks"), START + 10.5),
            Spoken("ada", "ada-together", load_clip("ada-together"), START + 16.5),
            Spoken("grace", "grace-together", load_clip("grace-together"), START + 16.6),
            Spoken("grace", "grace-interrupts", load_clip("grace-interrupts"), START + 20.5, interrupts=True),
        )

    def said(self) -> list[Placed]:
        """What the agent says: a greeting, each utterance again in a lower voice; the reply to both is broken off."""
        spoken = self.spoken()
        mixed = lay([(s.samples, s.at) for s in spoken[2:4]]).cut(spoken[2].at, spoken[3].end)
        broken_off = spoken[4].at + TO_AGENT_S + self.stops_after_s
        reply = (shift_pitch(mixed, -4), START + 19.2)
        return [
            (load_clip("agent-greets"), START + 0.5),
            (shift_pitch(spoken[0].samples, -4), START + 6.6),
            (shift_pitch(spoken[1].samples, -4), START + 13.3),
            (reply[0][: round((broken_off - reply[1]) * RATE_HZ)], reply[1]),
            (shift_pitch(spoken[4].samples, -4), START + 22.9),
        ]

    def evidence(self) -> Evidence:
        """What was recorded."""
        spoken, said = self.spoken(), self.said()
        ada = self.ada_to_agent([(s.samples, s.at + TO_AGENT_S) for s in spoken if s.who == "ada"])
        grace = [(s.samples, s.at + TO_AGENT_S) for s in spoken if s.who == "grace"]
        itself = [(to_samples(samples * self.agent_to_agent), at + 0.2) for samples, at in said]
        to_people = [(samples, at + TO_PEOPLE_S) for samples, at in said]
        heard = {
            "ada": lay(to_people + [(s.samples, s.at + 0.05) for s in spoken if s.who == "grace"]),
            "grace": lay(self.agent_to_grace(to_people) + [(s.samples, s.at + 0.05) for s in spoken if s.who == "ada"]),
        }
        return Evidence(spoken, lay(ada + grace + itself), lay(said), heard)


def story_of(scene: Scene) -> Story:
    """What the report of such a run is made from."""
    evidence = scene.evidence()
    both, over = evidence.spoken[2], evidence.spoken[4]
    people = {who: lay([(s.samples, s.at) for s in evidence.spoken if s.who == who]) for who in ("ada", "grace")}
    voices = tuple((s.at, s.end + 0.2, s.who) for s in evidence.spoken)
    replies = tuple((at, at + len(samples) / RATE_HZ + 0.1, "agent") for samples, at in scene.said())
    lanes = [
        Lane("ada", "speaks", "ada", people["ada"], "ada-said.wav"),
        Lane("grace", "speaks", "grace", people["grace"], "grace-said.wav"),
        Lane("agent", "hears", "mix", evidence.agent_heard, "agent-heard.wav", voices),
        Lane("agent", "says", "agent", evidence.agent_said, "agent-said.wav"),
        Lane("ada", "hears", "mix", evidence.heard_by["ada"], "ada-heard.wav", voices + replies),
        Lane("grace", "hears", "mix", evidence.heard_by["grace"], "grace-heard.wav", voices + replies),
    ]
    return Story(
        room="front-desk",
        when=datetime(2026, 1, 2, 12, 30, tzinfo=UTC),
        begin=START,
        end=START + SECONDS,
        lanes=lanes,
        moments=[
            Moment(START + 0.5, START + 2.5, "the agent greets"),
            Moment(both.at, both.end, "both at once"),
            Moment(over.at, over.end, "grace talks over the agent"),
        ],
        happenings=[
            Happening(s.at, s.who, "talks over the agent" if s.interrupts else "speaks") for s in evidence.spoken
        ],
        figures=[("Sessions", "1"), ("Packets lost", "0")],
        verdict=verify(evidence),
        footer="connector 0.1.0",
    )
