"""A real livekit-server for all tests of this folder, and a room of its own for each."""

import itertools
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from connector.practice.livekit import LiveKitServer
from tests.e2e.room_scene import Scene

_rooms = itertools.count(1)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def livekit() -> AsyncIterator[LiveKitServer]:
    """The server."""
    async with LiveKitServer() as server:
        yield server


@pytest.fixture
def room_name() -> str:
    """A room that no other test uses."""
    return f"room-{next(_rooms)}"


@pytest_asyncio.fixture
async def scene(livekit: LiveKitServer, room_name: str) -> AsyncIterator[Scene]:
    """A room of the server, empty at first; everybody has left at the end."""
    scene = Scene(livekit, room_name)
    yield scene
    await scene.close()


@pytest_asyncio.fixture
async def own_scene(room_name: str) -> AsyncIterator[Scene]:
    """A room on a server of its own, that the test may stop and restart."""
    async with LiveKitServer() as server:
        scene = Scene(server, room_name)
        yield scene
        await scene.close()
