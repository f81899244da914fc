"""The demo's verdict: from what each side recorded, who heard whom. Pure analysis; it knows no process and no network.

It never asks the parts whether they did well. It looks for the known voices in the recordings (`matching.py`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median

from connector.audio.frames import RATE_HZ, Samples
from connector.practice.matching import Match, find, gaps, level_change_db, sound_spans
from connector.practice.recorder import Recording
from connector.practice.sound import level_dbfs

HEARD_SHARE = 0.6
"""From this share of its windows on a piece counts as heard: 1.0 is usual, under a second voice 0.8 and more."""
STRAY_SHARE = 0.2
"""Up to this share a piece counts as absent: what windows of other speech agree on by accident."""
ALONE_SILENCE_DBFS = -50.0
"""While only the agent speaks, what it hears must stay below this."""
LEVEL_TOLERANCE_DB = 1.5
"""Speech through two Opus codecs; a tone is judged more closely by the tests."""
STOP_WITHIN_S = 0.5
"""How soon the agent falls silent after it hears somebody talk over it."""
MISSING_SHARE = 0.01
"""The share of speech that audible gaps may take."""
_LEAST_PIECE_S = 0.6
_INTERRUPTED_END_S = 0.15
_EDGE_S = 0.25


@dataclass(frozen=True)
class Spoken:
    """Something that a participant said.

    Attributes:
        who: The participant.
        clip: The clip's name.
        samples: Its samples.
        at: Monotonic time at which its first sample was given to the room.
        interrupts: Whether it was spoken over the agent.
    """

    who: str
    clip: str
    samples: Samples
    at: float
    interrupts: bool = False

    @property
    def end(self) -> float:
        """Monotonic time just after its last sample."""
        return self.at + len(self.samples) / RATE_HZ


@dataclass(frozen=True)
class Evidence:
    """What was recorded.

    Attributes:
        spoken: Everything the participants said.
        agent_heard: What the agent received.
        agent_said: What the agent sent.
        heard_by: What each participant received.
        sessions: How many sessions the agent was asked for.
        most_at_once: How many of them lived at the same time.
        ended_by: Who ended it, as the agent saw it.
    """

    spoken: tuple[Spoken, ...]
    agent_heard: Recording
    agent_said: Recording
    heard_by: dict[str, Recording]
    sessions: int = 1
    most_at_once: int = 1
    ended_by: str = "connector"


@dataclass(frozen=True)
class Check:
    """One line of the verdict: a statement, whether it holds, and the figure behind it."""

    statement: str
    passed: bool
    figure: str


@dataclass(frozen=True)
class Delays:
    """Medians in milliseconds, None where nothing was found to measure.

    Attributes:
        to_agent_ms: From a participant's sample given to the room until the agent has it.
        to_people_ms: From a sample sent by the agent until a participant has it.
        answer_ms: From the end of what a participant said until a participant hears the answer begin.
    """

    to_agent_ms: float | None = None
    to_people_ms: float | None = None
    answer_ms: float | None = None


@dataclass(frozen=True)
class Verdict:
    """The checks and the delays."""

    checks: tuple[Check, ...]
    delays: Delays = field(default_factory=Delays)

    @property
    def passed(self) -> bool:
        """Whether every check holds."""
        return all(check.passed for check in self.checks)


def verify(evidence: Evidence) -> Verdict:
    """Judge a run of the demo."""
    spans = [(a, b) for a, b in sound_spans(evidence.agent_said) if b - a >= _LEAST_PIECE_S]
    by_agent = [(s, find(s.samples, s.at, evidence.agent_heard)) for s in evidence.spoken]
    by_people = {
        who: [(a, find(evidence.agent_said.cut(a, b), a, recording)) for a, b in spans]
        for who, recording in evidence.heard_by.items()
    }
    checks = [
        *_agent_heard(by_agent),
        *_people_heard(by_people),
        _never_itself(evidence, spans),
        *_stopped(evidence, by_agent),
        _levels(evidence, by_agent),
        _unbroken(evidence, spans, by_agent, by_people),
        _one_session(evidence),
    ]
    return Verdict(tuple(checks), _delays(evidence, spans, by_agent, by_people))


def _share(matches: Iterable[Match]) -> float:
    """The smallest share of several matches; 0 when there are none."""
    return min((match.share for match in matches), default=0.0)


def _agent_heard(by_agent: list[tuple[Spoken, Match]]) -> list[Check]:
    checks = []
    for who in sorted({spoken.who for spoken, _ in by_agent}):
        mine = [match for spoken, match in by_agent if spoken.who == who]
        checks.append(_heard(f"The agent heard {who}", mine))
    together = [match for spoken, match in by_agent if _overlapped(spoken, [s for s, _ in by_agent])]
    if together:
        checks.append(_heard("The agent heard both at once", together))
    return checks


def _people_heard(by_people: dict[str, list[tuple[float, Match]]]) -> list[Check]:
    return [_heard(f"{who} heard the agent", [match for _, match in pairs]) for who, pairs in sorted(by_people.items())]


def _heard(statement: str, matches: list[Match]) -> Check:
    found = sum(match.share >= HEARD_SHARE for match in matches)
    passed = bool(matches) and found == len(matches)
    least = _share(matches)
    how_much = "whole" if least == 1 else f"at least {least:.0%} of each"
    return Check(statement, passed, f"{found} of {len(matches)} utterances, {how_much}")


def _overlapped(spoken: Spoken, others: Sequence[Spoken]) -> bool:
    return any(o.who != spoken.who and o.at < spoken.end and spoken.at < o.end for o in others)


def _never_itself(evidence: Evidence, spans: list[tuple[float, float]]) -> Check:
    """Two tests: no correlate of its own speech in what it heard, and silence there while it alone spoke."""
    statement = "The agent never heard itself"
    if not spans:
        return Check(statement, False, "it said nothing that could have come back")
    strays = [find(evidence.agent_said.cut(a, b), a, evidence.agent_heard).certain for a, b in spans]
    loudest = max((level_dbfs(evidence.agent_heard.cut(a, b)) for a, b in _alone(evidence, spans)), default=-120.0)
    passed = max(strays) <= STRAY_SHARE and loudest <= ALONE_SILENCE_DBFS
    level = "digital silence" if loudest <= -119 else f"{loudest:.0f} dBFS"  # noqa: PLR2004 -- the floor of level_dbfs
    return Check(statement, passed, f"{max(strays):.0%} of its words came back, {level}")


def _alone(evidence: Evidence, spans: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The parts of the agent's speech during which no participant speaks, with room for delays on both sides."""
    busy = sorted((s.at - _EDGE_S, s.end + 2 * _EDGE_S) for s in evidence.spoken)
    free = []
    for begin, end in spans:
        at = begin
        for first, last in busy:
            if last <= at or first >= end:
                continue
            free.append((at, first))
            at = last
        free.append((at, end))
    return [(a, b) for a, b in free if b - a >= _EDGE_S]


def _stopped(evidence: Evidence, by_agent: list[tuple[Spoken, Match]]) -> list[Check]:
    """Barge-in: some time after the interruption arrives the agent is silent, although it had been speaking."""
    checks = []
    for spoken, match in by_agent:
        if not spoken.interrupts:
            continue
        arrived = spoken.at + match.lag_s
        spans = [
            (a, b)
            for a, b in sound_spans(evidence.agent_said, join_s=_INTERRUPTED_END_S, least_s=0.05)
            if a < arrived < b + _EDGE_S
        ]
        took = max((b - arrived for _, b in spans), default=None)
        statement = f"It stopped when {spoken.who} talked over it"
        if took is None or match.share < HEARD_SHARE:
            checks.append(Check(statement, False, "it was not speaking, or did not hear her"))
        else:
            checks.append(Check(statement, took <= STOP_WITHIN_S, f"{max(took, 0) * 1000:.0f} ms after it heard her"))
    return checks


def _levels(evidence: Evidence, by_agent: list[tuple[Spoken, Match]]) -> Check:
    everything = [spoken for spoken, _ in by_agent]
    changes = [
        level_change_db(spoken.samples, spoken.at, evidence.agent_heard, match.lag_s)
        for spoken, match in by_agent
        if match.share >= HEARD_SHARE and not _overlapped(spoken, everything)
    ]
    worst = max(changes, key=abs, default=float("inf"))
    figure = f"within {abs(worst):.1f} dB" if changes else "nobody was heard alone"
    return Check("Voices arrive as loud as they left", abs(worst) <= LEVEL_TOLERANCE_DB, figure)


def _unbroken(
    evidence: Evidence,
    spans: list[tuple[float, float]],
    by_agent: list[tuple[Spoken, Match]],
    by_people: dict[str, list[tuple[float, Match]]],
) -> Check:
    found: list[tuple[float, float]] = []
    seconds = 0.0
    for spoken, match in by_agent:
        if match.share < HEARD_SHARE:
            continue
        found += gaps(spoken.samples, spoken.at, evidence.agent_heard, match.lag_s)
        seconds += spoken.end - spoken.at
    for who, pairs in by_people.items():
        for (begin, end), (_, match) in zip(spans, pairs, strict=True):
            if match.share < HEARD_SHARE:
                continue
            found += gaps(evidence.agent_said.cut(begin, end), begin, evidence.heard_by[who], match.lag_s)
            seconds += end - begin
    missing = sum(length for _, length in found)
    figure = f"{len(found)} audible gaps, {missing * 1000:.0f} ms in {seconds:.0f} s of speech"
    return Check("Nothing is missing inside speech", seconds > 0 and missing <= MISSING_SHARE * seconds, figure)


def _one_session(evidence: Evidence) -> Check:
    passed = (evidence.sessions, evidence.most_at_once, evidence.ended_by) == (1, 1, "connector")
    figure = f"{evidence.sessions} opened, {evidence.most_at_once} at once, ended by {evidence.ended_by or 'nobody'}"
    return Check("One session, and the connector ended it", passed, figure)


def _delays(
    evidence: Evidence,
    spans: list[tuple[float, float]],
    by_agent: list[tuple[Spoken, Match]],
    by_people: dict[str, list[tuple[float, Match]]],
) -> Delays:
    to_agent = [match.lag_s for _, match in by_agent if match.share >= HEARD_SHARE]
    to_people = [match.lag_s for pairs in by_people.values() for _, match in pairs if match.share >= HEARD_SHARE]
    way_back = median(to_people) if to_people else 0.0
    answers = []
    for spoken in evidence.spoken:
        after = [begin for begin, _ in spans if begin > spoken.end]
        if after and not any(spoken.end < other.at < min(after) for other in evidence.spoken):
            answers.append(min(after) + way_back - spoken.end)
    return Delays(_median_ms(to_agent), _median_ms(to_people), _median_ms(answers) if to_people else None)


def _median_ms(seconds: list[float]) -> float | None:
    return median(seconds) * 1000 if seconds else None
