"""Simulated people on a real livekit-server."""

import asyncio

import pytest

from connector.practice.speakers import Speaker
from tests.e2e.room_scene import Scene

pytestmark = pytest.mark.e2e


async def test_a_join_that_is_cancelled_is_undone(scene: Scene) -> None:
    """It goes to its end and is taken back: given up half-way, the SDK would end the process 15 s later."""
    speaker = Speaker(scene.place, "ada")
    joining = asyncio.create_task(speaker.join())
    await asyncio.sleep(0)
    await asyncio.sleep(0)  # the request has gone to the native library
    joining.cancel()
    with pytest.raises(asyncio.CancelledError):
        await joining
    assert speaker.room.local_participant.identity == "ada"
    assert not speaker.room.isconnected()
    await scene.only()
