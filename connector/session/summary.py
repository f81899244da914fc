"""The one line that remains of a session: its stages, its losses, its sound, in the order in which people ask. Pure.

`docs/operations.md` explains every name.
"""

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from connector.audio.levels import FLOOR_DBFS
from connector.session.events import State

SummaryLine: TypeAlias = dict[str, float | int | str]


class Summary:
    """Collects, over a session's life, what its figures do not say.

    Args:
        now: Monotonic seconds at the session's start.

    Attributes:
        codec: What the last answer picked; empty before.
        leg_restarts: Agent legs made anew.
        termination_failures: Legs that could not be closed in time.
    """

    def __init__(self, now: float) -> None:
        self._start = now
        self._marks: dict[str, float] = {}
        self._states: dict[State, float] = {}
        self._state = State.JOINING
        self._since = now
        self._humans_most = 0
        self._failures = 0
        self._ambiguous = 0
        self.codec = ""
        self.leg_restarts = 0
        self.termination_failures = 0

    def mark(self, name: str, now: float, *, since: str = "") -> float | None:
        """Note when something happened for the first time.

        Args:
            name: What happened.
            now: Monotonic seconds.
            since: An earlier mark; the session's start by default.

        Returns:
            The first time: seconds since `since`. None afterwards, and when there is no such mark.
        """
        if name in self._marks:
            return None
        at = self._marks[name] = now - self._start
        before = self._marks.get(since) if since else 0.0
        return None if before is None else at - before

    def state(self, state: State, humans: int, now: float) -> None:
        """Note the state that begins now."""
        self._states[self._state] = self._states.get(self._state, 0.0) + now - self._since
        self._state, self._since = state, now
        self._humans_most = max(self._humans_most, humans)

    def agent_failure(self, *, ambiguous: bool) -> None:
        """Count a failed try of the agent leg; `ambiguous` when a billed session may have begun."""
        self._failures += 1
        self._ambiguous += ambiguous

    def close(self, now: float, figures: Mapping[str, float]) -> SummaryLine:
        """The line. What is not known (no reply was heard, no report came) is left out.

        Args:
            now: Monotonic seconds at the end.
            figures: Every counter of the session.
        """
        self.state(State.ENDED, self._humans_most, now)
        times: SummaryLine = {"duration_s": now - self._start}
        times |= {f"{name}_s": self._marks[mark] for name, mark in _MARKS.items() if mark in self._marks}
        times |= {
            "live_for_s": self._states.get(State.LIVE, 0.0),
            "recovering_for_s": self._states.get(State.RECOVERING, 0.0),
        }
        line = {name: round(value, 2) for name, value in times.items() if not isinstance(value, str)}
        people = {"humans_most": self._humans_most, "heard_most": int(figures.get("room.heard_most", 0))}
        failures = {
            "leg_restarts": self.leg_restarts,
            "agent_failures": self._failures,
            "agent_ambiguous": self._ambiguous,
            "termination_failures": self.termination_failures,
        }
        codec = {"codec": self.codec} if self.codec else {}
        return {**line, **people, **codec, **dict(_sound(figures)), **dict(_trouble(figures)), **failures}


_MARKS = {"joined": "joined", "connected": "connected", "live": "live", "first_audio": "heard"}
_LOSSES = (
    ("in_lost_pct", "receive.lost", ("receive.lost", "receive.received")),
    ("concealed_pct", "receive.concealed_samples", ("receive.concealed_samples", "receive.real_samples")),
    ("out_lost_pct", "agent.lost_towards_agent", ("agent.packets_sent",)),
    ("room_in_lost_pct", "room.lost_in", ("room.lost_in", "room.packets_in")),
    ("room_in_concealed_pct", "room.concealed_samples", ("room.decoded_samples",)),
    ("room_out_lost_pct", "room.lost_out", ("room.packets_out",)),
)
"""Name, what counts, of which sum."""
_DELAYS = (
    ("reply_delay_ms", "quality.reply_delay_s", 1000),
    ("reply_delay_most_ms", "quality.reply_delay_most_s", 1000),
    ("mix_wait_ms", "quality.mix_wait_s", 1000),
    ("mix_late_ms", "quality.mix_late_s", 1000),
    ("mix_late_most_ms", "quality.mix_late_most_s", 1000),
    ("jitter_ms", "agent.jitter_ms", 1),
    ("rtt_ms", "agent.rtt_ms", 1),
    ("room_rtt_ms", "room.rtt_ms", 1),
)


def _sound(figures: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    for name, part, whole in _LOSSES:
        total = sum(figures.get(counter, 0) for counter in whole)
        if total > 0:
            yield name, round(100 * max(0.0, figures.get(part, 0)) / total, 2)
    for name in ("gaps", "gap_ms", "gap_longest_ms"):
        yield name, int(figures.get(f"quality.{name}", 0))
    for name, counter, scale in _DELAYS:
        if counter in figures:
            yield name, round(figures[counter] * scale, 1)
    for flow in ("mix", "reply"):
        yield f"{flow}_speech_s", round(figures.get(f"quality.{flow}_speech_s", 0), 1)
        for name in (f"{flow}_dbfs", f"{flow}_peak_dbfs"):
            level = figures.get(f"quality.{name}", FLOOR_DBFS)
            if level > FLOOR_DBFS:
                yield name, round(level, 1)


def _trouble(figures: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    ticks = figures.get("tick.ticks", 0) + figures.get("tick.skipped", 0)
    if ticks:
        late = figures.get("tick.late", 0) + figures.get("tick.skipped", 0)
        yield "late_ticks_pct", round(100 * late / ticks, 2)
    yield "room_recoveries", int(figures.get("room.resumes", 0) + figures.get("room.full_reconnects", 0))
