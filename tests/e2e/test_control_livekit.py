"""LiveKit's rooms as the control side sees them, on a real server."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio

from connector.base.errors import ConfigError, UnavailableError
from connector.base.secrets import Secret
from connector.control.livekit import LiveKitRooms
from connector.practice.livekit import LiveKitServer
from tests.e2e.room_scene import Scene

pytestmark = pytest.mark.e2e

CALLS: dict[str, Callable[[LiveKitRooms], Awaitable[object]]] = {
    "list_rooms": lambda rooms: rooms.list_rooms(),
    "participants": lambda rooms: rooms.participants("r"),
    "remove_participant": lambda rooms: rooms.remove_participant("r", "ann"),
    "set_attributes": lambda rooms: rooms.set_attributes("r", "ann", {"a": "b"}),
    "delete_room": lambda rooms: rooms.delete_room("r"),
    "create_room": lambda rooms: rooms.create_room("r", empty_timeout_s=1, agent_name="nobody"),
}


@pytest_asyncio.fixture
async def rooms(livekit: LiveKitServer) -> AsyncIterator[LiveKitRooms]:
    """A client with the right key."""
    client = LiveKitRooms(livekit.url, livekit.api_key, livekit.api_secret)
    yield client
    await client.close()


async def test_rooms_and_who_is_in_them(scene: Scene, rooms: LiveKitRooms) -> None:
    """A room is listed by name, and its participants with kind by name, attributes and sid."""
    await scene.speaker("ann", attributes={"language": "de"})
    await scene.speaker("phone", kind="sip")
    await scene.speaker("bridge", kind="connector")
    await scene.speaker("bot", kind="agent")
    (seen,) = await rooms.list_rooms([scene.room, "no-such-room"])
    assert (seen.name, seen.participants) == (scene.room, None)
    assert seen.sid.startswith("RM_")
    assert scene.room in {room.name for room in await rooms.list_rooms()}
    people = {person.identity: person for person in await rooms.participants(scene.room)}
    assert {name: person.kind for name, person in people.items()} == {
        "ann": "STANDARD",
        "phone": "SIP",
        "bridge": "CONNECTOR",
        "bot": "AGENT",
    }
    assert people["ann"].attributes == {"language": "de"}
    assert people["ann"].sid.startswith("PA_")


async def test_no_names_means_no_rooms(scene: Scene, rooms: LiveKitRooms) -> None:
    """An empty list of names asks for nothing, not for everything."""
    await scene.speaker("ann")
    assert await rooms.list_rooms([]) == ()


async def test_what_is_not_there(rooms: LiveKitRooms) -> None:
    """A room that does not exist has nobody in it, and nobody can be removed from it."""
    assert await rooms.list_rooms(["no-such-room"]) == ()
    assert await rooms.participants("no-such-room") == ()
    assert not await rooms.remove_participant("no-such-room", "ann")
    assert not await rooms.set_attributes("no-such-room", "ann", {"a": "b"})
    await rooms.delete_room("no-such-room")


async def test_attributes_of_another(scene: Scene, rooms: LiveKitRooms) -> None:
    """Attributes that are set join those that the participant has; one who is not there is said so."""
    await scene.speaker("ann", attributes={"language": "de"})
    assert await rooms.set_attributes(scene.room, "ann", {"mood": "good"})
    (ann,) = await rooms.participants(scene.room)
    assert ann.attributes == {"language": "de", "mood": "good"}
    assert not await rooms.set_attributes(scene.room, "bob", {"mood": "good"})


async def test_removing_and_deleting(scene: Scene, rooms: LiveKitRooms) -> None:
    """A removed participant is gone, one that was not there is said so, and a deleted room is empty."""
    await scene.speaker("ann")
    await scene.speaker("bob")
    assert await rooms.remove_participant(scene.room, "ann")
    assert not await rooms.remove_participant(scene.room, "carol")
    assert [person.identity for person in await rooms.participants(scene.room)] == ["bob"]
    assert await rooms.delete_room(scene.room)
    assert await rooms.participants(scene.room) == ()


async def test_a_room_that_goes_by_itself(scene: Scene, rooms: LiveKitRooms) -> None:
    """A room that was made for a moment calls no unnamed agents, and is gone when nobody came."""
    await rooms.create_room(scene.room, empty_timeout_s=1, agent_name="nobody")
    assert [room.name for room in await rooms.list_rooms([scene.room])] == [scene.room]
    assert {d.agent_name for d in await scene.api.agent_dispatch.list_dispatch(scene.room)} == {"nobody"}
    async with asyncio.timeout(20):
        while await rooms.list_rooms([scene.room]):  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("call", CALLS)
async def test_a_refused_key_is_a_configuration_error(livekit: LiveKitServer, call: str) -> None:
    """A key or a secret that LiveKit refuses is told in one line with the remedy, never as an empty answer."""
    for key, secret in (
        ("unknown", livekit.api_secret),
        (livekit.api_key, Secret("another-servers-secret-0123456789")),
    ):
        client = LiveKitRooms(livekit.url, key, secret)
        with pytest.raises(ConfigError, match="LIVEKIT_API_SECRET") as caught:
            await CALLS[call](client)
        assert len(caught.value.problems) == 1
        assert secret.reveal() not in str(caught.value)
        await client.close()


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("answer", ["refused", "garbage", "503", "404"])
async def test_unknown_is_not_absent(call: str, answer: str) -> None:
    """No server, another one, and one that does not know: each raises, none looks like an empty room."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        status = b"200 OK" if answer == "garbage" else answer.encode() + b" Sorry"
        writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    client = LiveKitRooms(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}", "key", Secret("k" * 40))
    if answer == "refused":
        server.close()
        await server.wait_closed()
    with pytest.raises(UnavailableError) as caught:
        await CALLS[call](client)
    assert "\n" not in str(caught.value)
    await client.close()
    server.close()
    await server.wait_closed()
