"""The engine's clock: one timer for the 20 ms ticks of every session.

Each session says when it wants to be called next; the clock sleeps until the earliest of them, and the few
milliseconds longer that bring others in. One timer instead of one task per session keeps the event loop's bookkeeping
out of the tick.

The sessions of a wake-up are worked off stage by stage: all mix, then all encode, then all send. Each stage then finds
its code in the processor's caches; a session at a time, each pushes the others' out.
"""

import asyncio
import contextvars
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import zip_longest
from typing import TypeVar

import structlog

from connector.audio.ticks import EARLY_S, TickGrid
from connector.base.redact import redact

_AHEAD_S = 0.0003
"""Asked for so much earlier: the loop rounds its waits up to whole milliseconds, half of one on average. Less than
`EARLY_S`, so that what was waited for is due by then."""
_TOGETHER_S = 0.003
"""Sessions that are due this soon after the first one are waited for: one wake-up for all, with the caches still warm.
The frames of all rooms come together every 10 ms, and their ticks every 20 (`TickGrid`)."""
_RETRY_S = 0.02
_T = TypeVar("_T")


@dataclass(slots=True)
class _Session:
    """Who is called, and when next."""

    run: Callable[[float], float]
    stages: tuple[Callable[[], None], ...]
    context: contextvars.Context
    due: float = 0.0


class EngineClock:
    """Calls every registered `run(now) -> next` at its time, on the event loop's thread, and its stages after it.

    Each runs in the context in which it was added, so that its log lines say which session they belong to.

    Attributes:
        failures: Ticks that raised; the session goes on with its next tick.
        grid: Where the sessions' ticks are.
    """

    def __init__(self) -> None:
        self._sessions: dict[int, _Session] = {}
        self._own_context = contextvars.Context()
        self._next_key = 0
        self._timer: asyncio.TimerHandle | None = None
        self.failures = 0
        self.grid = TickGrid(time.monotonic())

    def now(self) -> float:
        """Monotonic seconds; callable from any thread."""
        return time.monotonic()

    def add(self, run: Callable[[float], float], *stages: Callable[[], None]) -> Callable[[], None]:
        """Call `run` at the next wake-up and then at each time that it returns, and `stages` in order after each `run`.

        A stage begins when the one before is done for every session of the wake-up.

        Returns:
            What ends that.
        """
        key = self._next_key
        self._next_key += 1
        self._sessions[key] = _Session(run, stages, contextvars.copy_context())
        self._schedule()

        def remove() -> None:
            self._sessions.pop(key, None)
            if not self._sessions:
                self._cancel()

        return remove

    def _schedule(self) -> None:
        self._cancel()
        if self._sessions:
            loop = asyncio.get_running_loop()
            first = min(session.due for session in self._sessions.values())
            at = max(session.due for session in self._sessions.values() if session.due <= first + _TOGETHER_S)
            self._timer = loop.call_later(
                max(0.0, at - _AHEAD_S - time.monotonic()), self._wake, context=self._own_context
            )

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wake(self) -> None:
        ran = []
        for key, session in list(self._sessions.items()):
            now = time.monotonic()
            if session.due <= now + EARLY_S and key in self._sessions:
                following = self._call(session, session.run, now)
                session.due = now + _RETRY_S if following is None else following
                ran.append((key, session))
        for stages in zip_longest(*(session.stages for _, session in ran)):
            for (key, session), stage in zip(ran, stages, strict=True):
                if stage is not None and key in self._sessions:
                    self._call(session, stage)
        self._schedule()

    def _call(self, session: _Session, work: Callable[..., _T], *arguments: float) -> _T | None:
        """What `work` returns, None when it raised."""
        try:
            return session.context.run(work, *arguments)
        except Exception as error:  # noqa: BLE001 - one broken session must not stop the others' audio
            self.failures += 1
            if self.failures.bit_count() == 1:
                session.context.run(self._tell, error)
            return None

    def _tell(self, error: Exception) -> None:
        structlog.get_logger().error("tick_failed", failures=self.failures, error=redact(error), exc_info=error)
