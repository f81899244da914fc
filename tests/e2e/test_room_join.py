"""Joining a real server: what goes wrong is said in one line, and nothing is left behind."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from os import scandir

import pytest
from livekit import api
from livekit.rtc._ffi_client import FfiClient

from connector.base.ends import EndReason
from connector.base.errors import RoomLegError
from connector.base.secrets import Secret
from connector.practice.livekit import LiveKitServer
from connector.room import joining
from connector.room.seams import check_seams, try_seams
from connector.room.tap import switchboard
from tests.e2e.room_scene import Ears, Scene, ends, eventually, hears

pytestmark = pytest.mark.e2e

WRONG_SECRET = Secret("a-secret-of-another-server-altogether")


async def refused(scene: Scene, reason: EndReason, **options: object) -> str:
    """The one line with which a join fails; it ends with this reason, holds no secret and leaves nothing."""
    leg = scene.new_leg(Ears(), **options)  # type: ignore[arg-type]
    with pytest.raises(RoomLegError) as caught:
        await leg.join()
    line = str(caught.value)
    assert caught.value.reason is reason
    assert caught.value.retryable == (reason is EndReason.LIVEKIT_UNREACHABLE)
    assert "\n" not in line
    assert "eyJ" not in line
    assert scene.server.api_secret.reveal() not in line
    assert not joining.strays()
    return line


async def test_a_wrong_key(scene: Scene) -> None:
    """A key that the server does not know is named as the thing to check."""
    line = await refused(scene, EndReason.LIVEKIT_REJECTED, api_key="unknown-key")
    assert "check the key" in line
    assert "LIVEKIT_API_KEY" in line


async def test_a_wrong_secret(scene: Scene) -> None:
    """A secret that does not belong to the key is named as the thing to check, and the token does not leak."""
    line = await refused(scene, EndReason.LIVEKIT_REJECTED, api_secret=WRONG_SECRET)
    assert "LIVEKIT_API_SECRET does not belong to the key" in line


@pytest.mark.parametrize(
    ("url", "reason", "remedy"),
    [
        ("ws://127.0.0.1:1", EndReason.LIVEKIT_UNREACHABLE, "that the server runs"),
        ("ws://no-such-host.invalid", EndReason.LIVEKIT_UNREACHABLE, "cannot be resolved"),
        ("no address", EndReason.LIVEKIT_REJECTED, "is no address"),
    ],
    ids=["refused", "unknown-host", "garbage"],
)
async def test_a_wrong_url(scene: Scene, url: str, reason: EndReason, remedy: str) -> None:
    """An address where nothing is, that does not resolve, or that is none, is named with what to check."""
    line = await refused(scene, reason, url=url)
    assert remedy in line
    assert "livekit.url" in line


async def test_a_wrong_scheme_and_a_wrong_path(scene: Scene) -> None:
    """TLS towards a plain server, and an address with a path, are told apart."""
    tls = await refused(scene, EndReason.LIVEKIT_REJECTED, url=scene.server.url.replace("ws://", "wss://"))
    assert "begin with ws://" in tls
    path = await refused(scene, EndReason.LIVEKIT_REJECTED, url=f"{scene.server.url}/elsewhere")
    assert "no path" in path


async def test_a_room_that_may_not_be_made(room_name: str) -> None:
    """A server that does not create rooms by itself says so, and what to do."""
    async with LiveKitServer(options={"room": {"auto_create": False}}) as server:
        scene = Scene(server, room_name)
        line = await refused(scene, EndReason.LIVEKIT_REJECTED)
        assert "auto_create is off" in line
        await scene.close()


@asynccontextmanager
async def silent_server() -> AsyncIterator[str]:
    """An address that takes connections and never answers; they are cut at the end."""
    writers: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _reader, writer: writers.append(writer), "127.0.0.1", 0)
    yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
    for writer in writers:
        writer.transport.abort()
    await server.wait_closed()


async def test_a_server_that_never_answers(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A join without an answer ends at the deadline, and what goes on behind it ends with the connection."""
    monkeypatch.setattr(joining, "JOIN_DEADLINE_S", 0.2)
    async with silent_server() as url:
        leg = scene.new_leg(Ears(), url=url)
        with pytest.raises(RoomLegError, match="not done after") as caught:
            await leg.join()
        assert (caught.value.reason, caught.value.retryable) == (EndReason.LIVEKIT_UNREACHABLE, True)
        assert len(joining.strays()) == 1
    await eventually(lambda: not joining.strays())


async def test_a_late_success_leaves_again(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A join that succeeds after its deadline does not leave a ghost in the room."""
    monkeypatch.setattr(joining, "JOIN_DEADLINE_S", 0.0)
    leg = scene.new_leg(Ears())
    with pytest.raises(RoomLegError, match="not done after"):
        await leg.join()
    await eventually(lambda: not joining.strays())
    await scene.only()


async def test_a_cancelled_join_leaves_again(scene: Scene) -> None:
    """A join whose caller is cancelled half-way does not leave a ghost either, nor do later legs suffer."""
    leg = scene.new_leg(Ears())
    before = switchboard.figures.joins
    join = asyncio.create_task(leg.join())
    await eventually(lambda: switchboard.figures.joins > before)
    join.cancel()
    with pytest.raises(asyncio.CancelledError):
        await join
    await leg.close()
    await eventually(lambda: not joining.strays())
    await scene.only()
    again = await scene.leg(Ears())
    await again.settled()


async def test_a_leg_closed_while_it_joins(scene: Scene) -> None:
    """Closing a leg under a running join makes the join fail, and nobody stays in the room."""
    leg = scene.new_leg(Ears())
    before = switchboard.figures.joins
    join = asyncio.create_task(leg.join())
    await eventually(lambda: switchboard.figures.joins > before)
    await leg.close()
    with pytest.raises(RoomLegError, match="closed meanwhile"):
        await join
    await scene.only()


async def test_a_fenced_leg_is_settled_at_once(scene: Scene) -> None:
    """With a lease held, nothing has to be waited for after the join."""
    leg = scene.new_leg(Ears(), fenced=True)
    await leg.join()
    settled = asyncio.create_task(leg.settled())
    await asyncio.sleep(0)
    assert settled.done()


async def test_close_leaves_nothing(scene: Scene) -> None:
    """After close there is no participant, task, tap, input, event queue or SDK room."""
    await scene.speaker("ann", hz=440)
    tasks = asyncio.all_tasks()
    for _ in range(3):
        ears = Ears()
        leg = await scene.leg(ears)
        await hears(ears, ann=440)
        assert leg._room is not None
        room, events = weakref.ref(leg._room), leg._room._ffi_queue
        await leg.close()
        await leg.close()
        assert asyncio.all_tasks() == tasks
        assert switchboard.figures.taps_open == 0
        assert not ears.open_now
        assert all(queue is not events for queue, _, _ in FfiClient.instance.queue._subscribers)
        await scene.only("ann")
        gc.collect()
        assert room() is None


async def test_rooms_do_not_pile_up(scene: Scene) -> None:
    """However often rooms are joined, left and deleted under us, native threads and open files do not grow."""
    sizes: list[tuple[int, ...]] = []
    for turn in range(8):
        leg = await scene.leg(Ears())
        if turn % 2:
            await scene.api.room.delete_room(api.DeleteRoomRequest(room=scene.room))
            await ends(leg)
        await leg.close()
        sizes.append(tuple(len(list(scandir(f"/proc/self/{kind}"))) for kind in ("task", "fd")))
    (threads, files), (threads_later, files_later) = sizes[1], sizes[-1]
    assert threads_later <= threads + 3
    assert files_later <= files + 3


async def test_the_seams_fit() -> None:
    """Every seam has the expected shape and works when used: nothing falls back."""
    assert check_seams() == ()
    assert await try_seams() == ()
