"""Asking listed connectors whether they live, on a real livekit-server."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio

from connector.base.legs import AgentState
from connector.control.livekit import LiveKitRooms
from connector.control.probe import answers
from connector.practice.livekit import LiveKitServer
from tests.e2e.room_scene import Ears, Scene

pytestmark = pytest.mark.e2e
AGENT = "millis-agent"


@pytest_asyncio.fixture
async def rooms(livekit: LiveKitServer) -> AsyncIterator[LiveKitRooms]:
    """A client with the right key."""
    client = LiveKitRooms(livekit.url, livekit.api_key, livekit.api_secret)
    yield client
    await client.close()


@asynccontextmanager
async def process(server: LiveKitServer, room: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A leg that has joined, in a process of its own; killed at the end at the latest."""
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.e2e.leg_process", server.url, server.api_key, room),
        env={**os.environ, "LIVEKIT_API_SECRET": server.api_secret.reveal()},
        stdout=asyncio.subprocess.PIPE,
    )
    assert running.stdout is not None
    try:
        async with asyncio.timeout(20):
            while await running.stdout.readline() != b"joined\n":  # what comes before it is the log
                assert not running.stdout.at_eof()
        yield running
    finally:
        if running.returncode is None:
            running.kill()
        await running.wait()


async def test_a_living_leg_answers(scene: Scene, rooms: LiveKitRooms) -> None:
    """A leg answers again and again, also while it has its own attributes to write; somebody else does not."""
    await scene.speaker("ann")
    leg = await scene.leg(Ears())
    took = []
    for state in (AgentState.LISTENING, AgentState.SPEAKING) * 3:
        leg.set_agent_state(state)
        began = time.monotonic()
        assert await answers(rooms, scene.room, AGENT)
        took.append(time.monotonic() - began)
    assert max(took) < 1.0, took
    assert not await answers(rooms, scene.room, "ann")
    assert not await answers(rooms, scene.room, "nobody")
    attributes = (await scene.listed())[AGENT].attributes
    assert attributes["connector.answer"] == attributes["connector.ask"]


async def test_two_who_ask_at_once_both_learn_it(scene: Scene, rooms: LiveKitRooms) -> None:
    """Two replicas that ask at the same moment, so that one question replaces the other, are both answered."""
    await scene.leg(Ears())
    found = await asyncio.gather(*(answers(rooms, scene.room, AGENT) for _ in range(4)))
    assert found == [True] * 4


async def test_a_hostile_question_is_not_repeated(scene: Scene, rooms: LiveKitRooms) -> None:
    """What is too long or not printable never comes back, and the next question is answered as ever."""
    await scene.leg(Ears())
    for text in ("x" * 65, "line\nbreak"):
        assert await rooms.set_attributes(scene.room, AGENT, {"connector.ask": text})
    assert await answers(rooms, scene.room, AGENT)
    assert len((await scene.listed())[AGENT].attributes["connector.answer"]) == 16


async def test_a_killed_process_is_listed_and_does_not_answer(scene: Scene, rooms: LiveKitRooms) -> None:
    """LiveKit lists a participant whose process was killed for a while: it is found dead within a second."""
    async with process(scene.server, scene.room) as running:
        assert await answers(rooms, scene.room, AGENT)
        running.kill()
        await running.wait()
        assert AGENT in await scene.listed()
        began = time.monotonic()
        assert not await answers(rooms, scene.room, AGENT)
        assert time.monotonic() - began < 1.5
        assert AGENT in await scene.listed()


async def test_a_stopped_process_does_not_answer(scene: Scene, rooms: LiveKitRooms) -> None:
    """A process that stands still does not answer, and does once it goes on."""
    async with process(scene.server, scene.room) as running:
        os.kill(running.pid, signal.SIGSTOP)
        assert not await answers(rooms, scene.room, AGENT)
        os.kill(running.pid, signal.SIGCONT)
        assert await answers(rooms, scene.room, AGENT, within_s=5.0)
