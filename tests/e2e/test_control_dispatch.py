"""LiveKit's agent dispatch on a real server: what its users do reaches us as a request for a room."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Self

import pytest
import pytest_asyncio
import structlog
from livekit import api, rtc
from structlog.typing import EventDict

from connector.base.secrets import Secret
from connector.control.dispatch import AgentDispatch, DispatchHooks
from connector.practice.livekit import LiveKitServer
from connector.room import seams
from tests.e2e.room_scene import Scene
from tests.until import until

pytestmark = pytest.mark.e2e

NAME = "millis"


class Control:
    """The control side: requests by room, as the worker keeps them."""

    def __init__(self, server: LiveKitServer, secret: Secret | None = None, agent_name: str = NAME) -> None:
        self.requests: dict[str, str | None] = {}
        self.asked: list[str] = []
        self.gone: list[str] = []
        self.free = True
        self.logs: list[EventDict] = []
        hooks = DispatchHooks(self.on_job, self.gone.append, lambda: self.free, lambda: 0.5)
        credentials = (server.api_key, secret or server.api_secret)
        self.dispatch = AgentDispatch(server.url, agent_name, lambda: credentials, hooks)
        self._task: asyncio.Task[None] | None = None

    def on_job(self, room: str, agent: str | None) -> bool:
        self.asked.append(room)
        self.requests.setdefault(room, agent)
        return True

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self.dispatch.run(), name="dispatch")
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        assert not self._task.done()
        self._task.cancel()
        await asyncio.wait([self._task])

    async def registered(self) -> None:
        await until(lambda: self.dispatch.registered)


@pytest_asyncio.fixture
async def control(livekit: LiveKitServer) -> AsyncIterator[Control]:
    """A registered worker."""
    async with Control(livekit) as side:
        await side.registered()
        yield side


async def create(scene: Scene, metadata: str = "", room: str = "", name: str = NAME) -> str:
    """Dispatch the agent into a room, as a user's back-end does; returns the dispatch's id."""
    request = api.CreateAgentDispatchRequest(agent_name=name, room=room or scene.room, metadata=metadata)
    return (await scene.api.agent_dispatch.create_dispatch(request)).id


async def job_states(scene: Scene) -> list[tuple[int, str]]:
    """Status and identity of every job of our name in the room, as ListDispatch shows it."""
    listed = await scene.api.agent_dispatch.list_dispatch(scene.room)
    ours = [dispatch for dispatch in listed if dispatch.agent_name == NAME]
    return [(job.state.status, job.state.participant_identity) for d in ours for job in d.state.jobs]


async def test_a_dispatch_over_the_api_is_a_request(scene: Scene, control: Control) -> None:
    """CreateDispatch arrives with the agent that its metadata names; nobody joins by it; LiveKit shows it running."""
    await create(scene, '{"agent": "6f1c0c6e"}')
    await until(lambda: control.requests == {scene.room: "6f1c0c6e"})
    async with asyncio.timeout(15):
        while not (states := await job_states(scene)):  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.05)
    ((status, identity),) = states
    assert status == api.JobStatus.JS_RUNNING
    assert identity.startswith("agent-AJ_")
    assert await scene.listed() == {}


async def test_a_token_with_room_configuration_is_a_request(scene: Scene, control: Control) -> None:
    """A participant whose token names our agent brings the request with its join."""
    agents = [api.RoomAgentDispatch(agent_name=NAME, metadata="7a90e1d2")]
    token = api.AccessToken(scene.server.api_key, scene.server.api_secret.reveal()).with_identity("ada")
    token.with_grants(api.VideoGrants(room_join=True, room=scene.room))
    token.with_room_config(api.RoomConfiguration(agents=agents))
    seams.install()
    room = rtc.Room()
    await room.connect(scene.server.url, token.to_jwt())
    await until(lambda: control.requests == {scene.room: "7a90e1d2"})
    await room.disconnect()


async def test_a_name_that_is_not_ours_brings_nothing(scene: Scene, control: Control) -> None:
    """Dispatches under other names, and rooms without any, go past us."""
    await scene.speaker("ada")
    await create(scene, name="somebody-else")
    await create(scene, room=f"{scene.room}-2")
    await until(lambda: bool(control.asked))
    assert control.asked == [f"{scene.room}-2"]


async def test_deleting_the_last_dispatch_lets_the_agent_leave(scene: Scene, control: Control) -> None:
    """Two dispatches for a room are one request; only when the second is deleted too the agent is to leave.

    LiveKit itself throws nobody out: the participant that serves the room stays until we let it go.
    """
    first, second = await create(scene), await create(scene)
    await scene.speaker("millis-agent", kind="agent")
    await until(lambda: len(control.asked) == 2)
    assert control.requests == {scene.room: None}
    await scene.api.agent_dispatch.delete_dispatch(first, scene.room)
    await until(lambda: _held(control) == 1)
    assert control.gone == []
    await scene.api.agent_dispatch.delete_dispatch(second, scene.room)
    await until(lambda: control.gone == [scene.room])
    assert set(await scene.listed()) == {"millis-agent"}


async def test_an_agent_that_is_replaced_or_leaves_ends_no_request(scene: Scene, control: Control) -> None:
    """A takeover by another worker, and the agent's leaving, are no deleted dispatch; the session's end is told."""
    dispatch = await create(scene)
    await until(lambda: len(control.asked) == 1)
    await _settled(scene)
    await scene.speaker("millis-agent", kind="agent")
    successor = await scene.speaker("millis-agent", kind="agent")
    await successor.leave()
    await scene.only()
    control.dispatch.job_ended(scene.room)
    await until(lambda: _held(control) == 0)
    await scene.api.agent_dispatch.delete_dispatch(dispatch, scene.room)
    await create(scene, room=f"{scene.room}-later")
    await until(lambda: len(control.asked) == 2)
    assert control.gone == []


async def test_a_full_worker_is_offered_nothing(own_scene: Scene) -> None:
    """While we are full, a dispatch is lost and never offered later; when there is room again, the next one comes."""
    async with Control(own_scene.server) as control:
        await control.registered()
        control.free = False
        await until(lambda: control.dispatch._book._told == (False, 0.5))
        await create(own_scene)
        await until(lambda: "no servers available (received 1 responses)" in own_scene.server.log_path.read_text())
        control.free = True
        await until(lambda: control.dispatch._book._told == (True, 0.5))
        assert control.asked == []
        later = await _asked_for(own_scene, control)
        assert control.asked == [later]


async def test_after_a_restart_of_the_server_it_registers_again(own_scene: Scene) -> None:
    """A server that is killed and comes back offers jobs again, without anybody's help."""
    async with Control(own_scene.server) as control:
        await control.registered()
        await own_scene.server.kill()
        await until(lambda: not control.dispatch.registered)
        await own_scene.server.start()
        await control.registered()
        await create(own_scene)
        await until(lambda: control.asked == [own_scene.room])


async def test_a_wrong_secret_is_one_clear_line(livekit: LiveKitServer) -> None:
    """LiveKit refuses it with 401; the line names the variable and shows no secret."""
    wrong = Secret("another-servers-secret-0123456789abcdef")
    with structlog.testing.capture_logs() as logs:
        async with Control(livekit, wrong) as control:
            await until(lambda: bool(logs))
            assert not control.dispatch.registered
    (line,) = logs
    assert "LiveKit refused the key (status 401): check LIVEKIT_API_KEY" in line["error"]
    assert wrong.reveal() not in line["error"]


def _held(control: Control) -> int:
    return len(control.dispatch._book._jobs)


async def _asked_for(scene: Scene, control: Control) -> str:
    """Dispatch the agent into new rooms, as LiveKit may lose a job, until we are asked for one; returns that room."""
    number = 1
    async with asyncio.timeout(20):
        while True:
            number += 1
            room = f"{scene.room}-{number}"
            await create(scene, room=room)
            with contextlib.suppress(TimeoutError):
                await until(lambda: bool(control.asked), 2)
                return room


async def _settled(scene: Scene) -> None:
    """Wait until LiveKit has noted the job; before, it would not connect it with a participant at all."""
    async with asyncio.timeout(15):
        while not await job_states(scene):  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.05)
