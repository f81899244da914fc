"""The lag of an event loop."""

import asyncio
import time

from connector.base.lag import watch_lag
from tests.until import until


async def test_a_blocked_loop_shows_its_lag() -> None:
    """What holds the loop up for 80 ms is seen as a lag of nearly that, and a lag is never negative."""
    lags: list[float] = []
    watching = asyncio.create_task(watch_lag(lags.append, 0.01))
    await until(lambda: len(lags) > 0)
    before = len(lags)
    time.sleep(0.08)  # noqa: ASYNC251 - the fault under test
    await until(lambda: len(lags) > before + 1)
    watching.cancel()
    await asyncio.wait({watching})
    assert max(lags[before:]) > 0.06
    assert min(lags) >= 0
