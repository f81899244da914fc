"""Which engine takes the next session, and when none may: before a session would harm the others. Pure.

Numbers: one core carries about ten rooms, a room costs about 3.3 MB on top of 120 MB (`facts/media.md` §1); a listener
hears ticks that come late, so an engine that is late already gets nothing more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

LATE_SHARE = 0.02
"""An engine with more of its ticks over 10 ms late takes no further session (the aim is below 0.01); one without any
session has nobody to harm, and the ticks were those of sessions that have ended."""
BASE_MB, SESSION_MB = 300.0, 8.0
"""An engine that is larger than this (about twice what it should need) leaks: it gets no more sessions and is replaced
when it is empty; at `KILL_FACTOR` times as much it is ended at once, and its rooms go to a neighbour."""
KILL_FACTOR = 2.0
MEMORY_SHARE = 0.85
"""Of the memory that the worker may use; above it no session starts, because the kernel would end live calls."""


class Refusal(StrEnum):
    """Why no engine takes a session."""

    NO_ENGINE = "no_engine"
    MAX_SESSIONS = "max_sessions"
    LATE = "late"
    MEMORY = "memory"


@dataclass(frozen=True, slots=True)
class EngineLoad:
    """One engine as control last heard of it.

    Attributes:
        index: Its place among the engines.
        ready: Whether it can take sessions at all.
        sessions: How many it has.
        late_share: Share of its ticks that came more than 10 ms late in the last seconds, 0 to 1.
        memory_mb: Its resident memory.
    """

    index: int
    ready: bool
    sessions: int
    late_share: float = 0.0
    memory_mb: float = 0.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds the engines.

    Attributes:
        max_sessions: For each engine.
        memory_mb: What all processes of the worker may use together; None when unknown.
    """

    max_sessions: int
    memory_mb: float | None = None

    @property
    def leaks_at_mb(self) -> float:
        """From this size on an engine is taken to leak."""
        return BASE_MB + SESSION_MB * self.max_sessions


def place(loads: Sequence[EngineLoad], limits: Limits, *, rescue: bool = False) -> int | Refusal:
    """The engine for one more session: the least loaded of those that it would not harm.

    Args:
        loads: The engines.
        limits: What bounds them.
        rescue: The session takes the place of one whose engine or worker died. The machine carried that one too, and
            the start of a new engine makes its neighbours late just then: an engine that is late is better than none.

    Returns:
        The engine's index, or why there is none.
    """
    ready = [load for load in loads if load.ready]
    if not ready:
        return Refusal.NO_ENGINE
    if limits.memory_mb is not None and sum(load.memory_mb for load in loads) > MEMORY_SHARE * limits.memory_mb:
        return Refusal.MEMORY
    fitting = [load for load in ready if load.sessions < limits.max_sessions]
    if not fitting:
        return Refusal.MAX_SESSIONS
    fitting = [load for load in fitting if load.memory_mb <= limits.leaks_at_mb]
    if not fitting:
        return Refusal.MEMORY
    on_time = [load for load in fitting if load.late_share <= LATE_SHARE or not load.sessions]
    if not on_time and not rescue:
        return Refusal.LATE
    fitting = on_time or fitting
    return min(fitting, key=lambda load: (load.sessions, load.late_share > LATE_SHARE / 2, load.index)).index


class Leak(StrEnum):
    """What an engine's size asks for."""

    NONE = "none"
    RETIRE = "retire"
    END = "end"


def leak(memory_mb: float, limits: Limits) -> Leak:
    """Judge an engine by its size."""
    if memory_mb > KILL_FACTOR * limits.leaks_at_mb:
        return Leak.END
    return Leak.RETIRE if memory_mb > limits.leaks_at_mb else Leak.NONE
