"""Replicas on one real Redis: each a store of claims at work, with what it reported."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from connector.base.secrets import Secret
from connector.control.claims import ClaimEvents, ClaimOutcome
from connector.control.observer import Observer
from connector.control.redis_claims import RedisClaims
from tests.until import until

LIVEKIT = "ws://127.0.0.1:7880"


class Counting(Observer):
    """Counts leases that could not be renewed."""

    def __init__(self) -> None:
        self.renew_failures = 0

    def claim_renew_failed(self) -> None:
        self.renew_failures += 1


class Replica:
    """A store at work.

    Args:
        url: The Redis.
        name: Its worker id.
        livekit: The LiveKit that it serves.
        ahead_s: How far its monotonic clock is ahead of ours.
    """

    def __init__(self, url: Secret, name: str, *, livekit: str = LIVEKIT, ahead_s: float = 0.0) -> None:
        self.observer = Counting()
        self.claims = RedisClaims(
            url,
            livekit_url=livekit,
            worker_id=name,
            observer=self.observer,
            clock=lambda: time.monotonic() + ahead_s,
        )
        self.claims.report_load(0, 10)
        self.lost: list[str] = []
        self.hints: list[str] = []
        self.claims.listen(ClaimEvents(lost=self.lost.append, hint=self.hints.append))
        self._run: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Check, and run."""
        await self.claims.check()
        self._run = asyncio.create_task(self.claims.run())

    async def stop_running(self) -> None:
        """Renew nothing any more, as a replica that stands still."""
        if self._run is not None:
            self._run.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._run
            self._run = None

    async def close(self) -> None:
        """End in good order."""
        await self.stop_running()
        await self.claims.close()

    async def wins(self, *rooms: str) -> None:
        """Claim rooms, and win each."""
        for room in rooms:
            assert await self.claims.claim(room) is ClaimOutcome.WON, room

    async def loses(self, *rooms: str) -> None:
        """Claim rooms, and lose each to somebody else."""
        for room in rooms:
            assert await self.claims.claim(room) is ClaimOutcome.LOST, room

    async def wins_in_time(self, room: str, within_s: float) -> float:
        """Claim a room again and again until it is won; returns the seconds that it took."""
        began = time.monotonic()
        async with asyncio.timeout(within_s):
            while await self.claims.claim(room) is not ClaimOutcome.WON:  # noqa: ASYNC110 -- a lease runs out silently
                await asyncio.sleep(0.02)
        return time.monotonic() - began


@asynccontextmanager
async def replicas(*made: Replica) -> AsyncIterator[None]:
    """Replicas at work that know of each other; closed at the end."""
    try:
        for replica in made:
            await replica.start()
        await until(lambda: all(replica.claims.figures().replicas >= len(made) - 1 for replica in made), 5)
        yield
    finally:
        for replica in made:
            await replica.close()
