"""How late an event loop runs what is due: the one number that says whether a process is overloaded."""

import asyncio
from collections.abc import Callable

EVERY_S = 0.1


async def watch_lag(report: Callable[[float], None], every_s: float = EVERY_S) -> None:
    """Measure for ever, until cancelled.

    Args:
        report: Takes each lag, in seconds.
        every_s: Seconds between two measurements.
    """
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + every_s
        await asyncio.sleep(every_s)
        report(max(0.0, loop.time() - due))
