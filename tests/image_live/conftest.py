"""The image in a call: run by `make image-live`, which builds it."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from connector.practice.livekit import LiveKitServer
from tests.chart_live.cluster import free_port
from tests.e2e.room_scene import Scene

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder carries the marker `image_live`."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.image_live)


@pytest.fixture
def image() -> str:
    """The image that `make image-live` built."""
    name = os.environ.get("IMAGE")
    assert name, "IMAGE is not set: these tests are run by `make image-live`"
    return name


@pytest.fixture
def ports() -> tuple[int, int]:
    """Two free ports for the worker."""
    return free_port(), free_port()


@pytest_asyncio.fixture
async def scene(ports: tuple[int, int]) -> AsyncIterator[Scene]:
    """A room on a livekit-server that sends its webhooks to the worker."""
    async with LiveKitServer(webhook_urls=[f"http://127.0.0.1:{ports[0]}/webhooks/livekit"]) as server:
        scene = Scene(server, "front-desk")
        yield scene
        await scene.close()
