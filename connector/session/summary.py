"""What one session will be remembered by: its stages, its counters, one flat set of figures."""

from dataclasses import asdict, is_dataclass

from connector.session.events import State


class Summary:
    """Collects figures over a session's life.

    Args:
        now: Monotonic seconds at the session's start.

    Attributes:
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
        self._figures: dict[str, float] = {}
        self.termination_failures = 0

    def mark(self, name: str, now: float) -> None:
        """Note when something happened for the first time."""
        self._marks.setdefault(name, now - self._start)

    def state(self, state: State, humans: int, now: float) -> None:
        """Note the state that begins now."""
        self._states[self._state] = self._states.get(self._state, 0.0) + now - self._since
        self._state, self._since = state, now
        self._humans_most = max(self._humans_most, humans)

    def agent_failure(self, *, ambiguous: bool) -> None:
        """Count a failed try of the agent leg; `ambiguous` when a billed session may have begun."""
        self._failures += 1
        self._ambiguous += ambiguous

    def add(self, part: str, figures: object) -> None:
        """Add a leg's counters; those of several legs of one session add up."""
        if not is_dataclass(figures) or isinstance(figures, type):
            return
        for name, value in asdict(figures).items():
            if isinstance(value, int | float):
                key = f"{part}.{name}"
                self._figures[key] = self._figures.get(key, 0) + value

    def close(self, now: float, core: dict[str, float]) -> dict[str, float]:
        """All figures: times in seconds since the start, durations in seconds, counters as they are.

        Args:
            now: Monotonic seconds at the end.
            core: The audio core's figures.
        """
        self.state(State.ENDED, self._humans_most, now)
        out: dict[str, float] = {"duration_s": now - self._start}
        out |= {f"{name}_s": value for name, value in self._marks.items()}
        out |= {f"{state}_for_s": value for state, value in self._states.items() if value}
        out |= {
            "humans_most": self._humans_most,
            "agent_failures": self._failures,
            "agent_ambiguous": self._ambiguous,
            "termination_failures": self.termination_failures,
        }
        out |= self._figures | core
        return {name: round(value, 3) for name, value in out.items()}
