"""Tells whether something of a test is still open."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psutil

_STEPS = 100
_STEP_SECONDS = 0.02


def open_sockets() -> set[int]:
    """File descriptors of this process's internet sockets."""
    return {connection.fd for connection in psutil.Process().net_connections("inet")}


@asynccontextmanager
async def no_sockets_left() -> AsyncIterator[None]:
    """Fail when the body leaves an internet socket open for 2 s."""
    before = open_sockets()
    yield
    for _ in range(_STEPS):
        if not open_sockets() - before:
            return
        await asyncio.sleep(_STEP_SECONDS)
    raise AssertionError(f"sockets left over: {sorted(open_sockets() - before)}")
