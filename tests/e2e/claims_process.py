"""A replica as a process of its own, for a test to kill: ``python -m tests.e2e.claims_process URL NAME ROOM …``.

Prints ``held`` once it holds all rooms, and then keeps them.
"""

import asyncio
import sys

from connector.base.secrets import Secret
from connector.control.claims import ClaimOutcome
from connector.control.redis_claims import RedisClaims
from tests.e2e.claims_scene import LIVEKIT


async def main(url: str, name: str, rooms: list[str]) -> None:
    """Claim, say so, and stay."""
    claims = RedisClaims(Secret(url), livekit_url=LIVEKIT, worker_id=name)
    claims.report_load(0, 10)
    await claims.check()
    run = asyncio.create_task(claims.run())
    for room in rooms:
        assert await claims.claim(room) is ClaimOutcome.WON
    print("held", flush=True)  # noqa: T201 -- it tells the test
    await run


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
