"""The engine's clock: one timer for the 20 ms ticks of every session.

Each session says when it wants to be called next; the clock sleeps until the earliest of them, and the few
milliseconds longer that bring others in. One timer instead of one task per session keeps the event loop's bookkeeping
out of the tick.
"""

import asyncio
import contextvars
import time
from collections.abc import Callable

import structlog

from connector.audio.ticks import EARLY_S
from connector.base.redact import redact

_AHEAD_S = 0.0003
"""Asked for so much earlier: the loop rounds its waits up to whole milliseconds, half of one on average. Less than
`EARLY_S`, so that what was waited for is due by then."""
_TOGETHER_S = 0.003
"""Sessions that are due this soon after the first one are waited for: one wake-up for all, with the caches still warm.
The frames of all rooms come together every 10 ms, so their ticks mostly do."""
_RETRY_S = 0.02


class EngineClock:
    """Calls every registered `run(now) -> next` at its time, on the event loop's thread.

    Each runs in the context in which it was added, so that its log lines say which session they belong to.

    Attributes:
        failures: Ticks that raised; the session goes on with its next tick.
    """

    def __init__(self) -> None:
        self._due: dict[int, tuple[Callable[[float], float], contextvars.Context, float]] = {}
        self._own_context = contextvars.Context()
        self._next_key = 0
        self._timer: asyncio.TimerHandle | None = None
        self.failures = 0

    def now(self) -> float:
        """Monotonic seconds; callable from any thread."""
        return time.monotonic()

    def add(self, run: Callable[[float], float]) -> Callable[[], None]:
        """Call `run` at the next wake-up and then at each time that it returns; the result ends that."""
        key = self._next_key
        self._next_key += 1
        self._due[key] = (run, contextvars.copy_context(), 0.0)
        self._schedule()

        def remove() -> None:
            self._due.pop(key, None)
            if not self._due:
                self._cancel()

        return remove

    def _schedule(self) -> None:
        self._cancel()
        if self._due:
            loop = asyncio.get_running_loop()
            first = min(due for _, _, due in self._due.values())
            at = max(due for _, _, due in self._due.values() if due <= first + _TOGETHER_S)
            self._timer = loop.call_later(
                max(0.0, at - _AHEAD_S - time.monotonic()), self._wake, context=self._own_context
            )

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wake(self) -> None:
        for key, (run, context, due) in list(self._due.items()):
            now = time.monotonic()
            if due > now + EARLY_S or key not in self._due:
                continue
            try:
                following = context.run(run, now)
            except Exception as error:  # noqa: BLE001 - one broken session must not stop the others' audio
                self.failures += 1
                following = now + _RETRY_S
                if self.failures.bit_count() == 1:
                    context.run(self._tell, error)
            if key in self._due:
                self._due[key] = (run, context, following)
        self._schedule()

    def _tell(self, error: Exception) -> None:
        structlog.get_logger().error("tick_failed", failures=self.failures, error=redact(error), exc_info=error)
