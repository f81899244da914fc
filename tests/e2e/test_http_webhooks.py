"""A real livekit-server posts its webhooks to the public port, signed by the first or the second key."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from livekit import api

from connector.base.trigger import Trigger
from connector.http.tokens import KeyPair
from connector.practice.livekit import LiveKitServer
from tests.e2e.room_scene import Scene
from tests.http_scene import FIRST, SECOND, Ports, ports
from tests.until import until

pytestmark = pytest.mark.e2e


@asynccontextmanager
async def posting(room: str, before: tuple[KeyPair, ...] = ()) -> AsyncIterator[tuple[Ports, Scene]]:
    """A port, a server that posts to it with a key that comes after `before`, and a room there."""
    async with ports(room) as running, LiveKitServer(webhook_urls=[f"{running.url}/webhooks/livekit"]) as server:
        running.keys[:] = [*before, KeyPair(server.api_key, server.api_secret)]
        scene = Scene(server, room)
        try:
            yield running, scene
        finally:
            await scene.close()


@pytest.mark.parametrize("before", [(), (FIRST,)], ids=["first", "second"])
async def test_a_real_join_hastens_a_look(room_name: str, before: tuple[KeyPair, ...]) -> None:
    """Room, join and publication of a person each come through with a good signature of either key."""
    async with posting(room_name, before) as (running, scene):
        await scene.speaker("ann", hz=440)
        await until(lambda: len(running.desk.looks) >= 3)
        assert set(running.desk.looks) == {(room_name, Trigger.WEBHOOK)}
        names = {name for name, outcome in running.heard.webhooks if outcome == "accepted"}
        assert names == {"room_started", "participant_joined", "track_published"}
        assert max(running.heard.ages) < 10


async def test_agents_need_no_look(room_name: str) -> None:
    """The join of an agent, as our own is, is heard and ignored; a phone's is not."""
    async with posting(room_name) as (running, scene):
        await scene.speaker("phone", kind="sip")
        await until(lambda: ("participant_joined", "accepted") in running.heard.webhooks)
        looks = len(running.desk.looks)
        await scene.speaker("millis-agent", kind="agent")
        await until(lambda: ("participant_joined", "ignored") in running.heard.webhooks)
        assert len(running.desk.looks) == looks


async def test_leaves_and_ends_are_hints(room_name: str) -> None:
    """Who leaves is named, and the end of the room is told."""
    async with posting(room_name) as (running, scene):
        ann = await scene.speaker("ann")
        await until(lambda: ("participant_joined", "accepted") in running.heard.webhooks)
        await ann.leave()
        await until(lambda: (room_name, "ann") in running.desk.departures)
        await scene.api.room.delete_room(api.DeleteRoomRequest(room=room_name))
        await until(lambda: (room_name, "") in running.desk.departures)
        assert running.desk.departures.index((room_name, "ann")) < running.desk.departures.index((room_name, ""))


async def test_a_full_worker_is_asked_again(room_name: str) -> None:
    """The real server sends again what was refused for now, and the same event is then taken."""
    async with posting(room_name) as (running, scene):
        running.desk.full = True
        await scene.speaker("ann")
        await until(lambda: ("room_started", "shed") in running.heard.webhooks)
        running.desk.full = False
        await until(lambda: ("room_started", "accepted") in running.heard.webhooks)
        assert running.heard.webhooks.count(("room_started", "accepted")) == 1


async def test_a_key_that_is_not_ours_is_refused(room_name: str) -> None:
    """A server with another key is refused, and its refusal is final: nothing reaches the desk."""
    async with posting(room_name) as (running, scene):
        running.keys[:] = [FIRST, SECOND]
        await scene.speaker("ann", hz=440)
        await until(lambda: len(running.heard.webhooks) >= 3)
        assert set(running.heard.webhooks) == {("unknown", "bad_auth")}
        assert running.desk.looks == []
