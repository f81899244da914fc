"""A circuit breaker: when Millis or LiveKit refuses our key, every room would fail alike, so all of them wait. Pure.

Open for five minutes after a refusal (`facts/faults.md` row 16); then one session tries, and the others wait for what
becomes of it. A new key closes it at once.
"""

OPEN_FOR_S = 300.0


class Circuit:
    """Open, half-open or closed. Time is monotonic seconds."""

    def __init__(self) -> None:
        self._open_until: float | None = None
        self._probe: str | None = None

    def is_open(self, now: float) -> bool:
        """Whether no session may start now."""
        return self._open_until is not None and (now < self._open_until or self._probe is not None)

    @property
    def closed(self) -> bool:
        """Whether nothing was refused since the last success."""
        return self._open_until is None

    @property
    def again_at(self) -> float | None:
        """When a session may try again."""
        return self._open_until

    def started(self, session_id: str) -> None:
        """A session starts; while the circuit is half-open it is the one that tries."""
        if self._open_until is not None:
            self._probe = session_id

    def refused(self, now: float) -> None:
        """The key was refused."""
        self._open_until, self._probe = now + OPEN_FOR_S, None

    def succeeded(self) -> None:
        """The key was accepted."""
        self._open_until = self._probe = None

    def ended(self, session_id: str) -> None:
        """The session that tried is over, without a word on the key."""
        if self._probe == session_id:
            self._probe = None

    def reset(self) -> None:
        """There is a new key."""
        self._open_until = self._probe = None
