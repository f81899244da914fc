"""A room leg as a process of its own, for a test to kill or stop: ``python -m tests.e2e.leg_process URL KEY ROOM``.

The secret comes in LIVEKIT_API_SECRET. Prints ``joined`` once it has joined, and then stays.
"""

import asyncio
import os
import sys

from connector.base.secrets import Secret
from connector.room.leg import LiveKitRoomLeg, RoomLegOptions
from tests.e2e.room_scene import Ears


async def main(url: str, api_key: str, room: str) -> None:
    """Join, say so, and stay."""
    options = RoomLegOptions(
        url=url,
        api_key=api_key,
        api_secret=Secret(os.environ["LIVEKIT_API_SECRET"]),
        room=room,
        identity="millis-agent",
        name="Agent",
        worker_id="worker-1",
    )
    await LiveKitRoomLeg(options, Ears()).join()
    print("joined", flush=True)  # noqa: T201 -- it tells the test
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
