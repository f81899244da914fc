"""How late the event loop is: a task that sleeps a little and looks how much later it woke."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable

import structlog

EVERY_S = 0.25
WARN_S = 0.25
_WARN_EVERY_S = 10.0


class LagMeter:
    """Measures the lag of the event loop that it runs on.

    Attributes:
        last_s: The newest measurement, in seconds.
        max_s: The largest so far.

    Args:
        on_lag: Hears of every measurement; must not block.
        clock: Monotonic seconds.
        every_s: Seconds between measurements.
    """

    def __init__(
        self,
        on_lag: Callable[[float], None] | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        every_s: float = EVERY_S,
    ) -> None:
        self.last_s = self.max_s = 0.0
        self._on_lag = on_lag
        self._clock = clock
        self._every_s = every_s
        self._due: float | None = None
        self._warn_after = float("-inf")
        self._log = structlog.get_logger()

    def now_s(self) -> float:
        """The lag as it is now: the newest measurement, or more when the next one is overdue already."""
        overdue = 0.0 if self._due is None else self._clock() - self._due
        return max(self.last_s, overdue)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Measure for as long as the context lasts."""
        task = asyncio.create_task(self._run(), name="loop-lag")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})
            self._due = None

    def measured(self, lag_s: float) -> None:
        """Take one measurement."""
        self.last_s = lag_s
        self.max_s = max(self.max_s, lag_s)
        if self._on_lag is not None:
            self._on_lag(lag_s)
        if lag_s > WARN_S and self._clock() >= self._warn_after:
            self._warn_after = self._clock() + _WARN_EVERY_S
            self._log.warning("event_loop_late", lag_s=round(lag_s, 3), max_s=round(self.max_s, 3))

    async def _run(self) -> None:
        while True:
            self._due = self._clock() + self._every_s
            await asyncio.sleep(self._every_s)
            self.measured(max(0.0, self._clock() - self._due))
