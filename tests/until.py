"""Waiting for something to become true, bounded."""

import asyncio
from collections.abc import Callable


async def until(holds: Callable[[], bool], within_s: float = 20.0) -> None:
    """Wait until `holds()`; fail with TimeoutError when it does not become true."""
    async with asyncio.timeout(within_s):
        while not holds():  # noqa: ASYNC110 -- files, processes and recordings signal nothing
            await asyncio.sleep(0.01)
