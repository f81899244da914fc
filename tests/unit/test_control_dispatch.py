"""The connection on which LiveKit offers jobs, against a server that follows a script."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeAlias

import jwt
import pytest
import pytest_asyncio
import structlog
from aiohttp import WSMsgType, web
from livekit.protocol import agent as proto
from livekit.protocol.models import Room, ServerInfo
from structlog.typing import EventDict

from connector.base.errors import ConfigError, UnavailableError
from connector.base.secrets import Secret
from connector.control import dispatch as module
from connector.control.dispatch import BACK_OFF_CAP_S, AgentDispatch, DispatchHooks, ask_version, back_off_s
from tests.until import until

SECRET = Secret("the-secret-of-the-scripted-server-0123456789")
OTHER = Secret("another-secret-which-is-long-enough-0123456789")
Script: TypeAlias = Callable[["Talk"], Awaitable[None]]


class Talk:
    """The server's end of one connection."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self.socket = socket

    async def hear(self, kind: str) -> proto.WorkerMessage:
        """The next message of a kind; others before it are dropped."""
        async with asyncio.timeout(10):
            while True:
                frame = await self.socket.receive()
                assert frame.type is WSMsgType.BINARY, frame
                message = proto.WorkerMessage.FromString(frame.data)
                if message.WhichOneof("message") == kind:
                    return message

    async def say(self, message: proto.ServerMessage) -> None:
        await self.socket.send_bytes(message.SerializeToString())

    async def register(self) -> proto.RegisterWorkerRequest:
        hello = await self.hear("register")
        await self.say(proto.ServerMessage(register=proto.RegisterWorkerResponse(worker_id="AW_1")))
        return hello.register

    async def offer(self, job_id: str, room: str, metadata: str = "") -> bool:
        """Offer a job, as LiveKit does; whether it was taken (and then assigned)."""
        job = proto.Job(id=job_id, room=Room(name=room), metadata=metadata, agent_name="millis")
        await self.say(proto.ServerMessage(availability=proto.AvailabilityRequest(job=job)))
        answer = (await self.hear("availability")).availability
        assert answer.job_id == job_id
        if answer.available:
            await self.say(proto.ServerMessage(assignment=proto.JobAssignment(job=job, token="unused")))
        return answer.available

    async def until_closed(self) -> None:
        async for _frame in self.socket:
            pass


class ScriptedServer:
    """LiveKit's /agent, with a script for each connection; the last one repeats.

    Attributes:
        tokens: The claims of every connection's token that verified.
        refusals: How often a token did not verify.
        done: Scripts that came to their end.
    """

    def __init__(self) -> None:
        self.scripts: list[Script] = []
        self.tokens: list[dict[str, object]] = []
        self.refusals = 0
        self.done = 0
        self.port = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        token = request.headers["Authorization"].removeprefix("Bearer ")
        try:
            self.tokens.append(jwt.decode(token, SECRET.reveal(), algorithms=["HS256"], issuer="key"))
        except jwt.InvalidTokenError:
            self.refusals += 1
            return web.Response(status=401)
        assert request.query["protocol"] == "1"
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await self.scripts[min(len(self.tokens), len(self.scripts)) - 1](Talk(socket))
        self.done += 1
        await socket.close()
        return socket


@pytest_asyncio.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    """A scripted server on loopback."""
    scripted = ScriptedServer()
    app = web.Application()
    app.router.add_get("/agent", scripted.handle)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    scripted.port = runner.addresses[0][1]
    yield scripted
    await runner.cleanup()


class Control:
    """The control side: takes rooms while there is room, and remembers what it was told."""

    def __init__(self, port: int) -> None:
        self.asked: list[tuple[str, str | None]] = []
        self.gone: list[str] = []
        self.free = True
        self.unwanted: set[str] = set()
        self.now = 0.0
        self.credentials = ("key", SECRET)
        hooks = DispatchHooks(self.on_job, self.gone.append, lambda: self.free, lambda: 0.5, self.wanted)
        url = f"ws://127.0.0.1:{port}"
        self.dispatch = AgentDispatch(url, "millis", lambda: self.credentials, hooks, clock=lambda: self.now)
        self.logs: list[EventDict] = []

    def wanted(self, room: str) -> bool:
        return room not in self.unwanted

    def on_job(self, room: str, agent: str | None) -> bool:
        if room == "bug":
            raise RuntimeError("a bug")
        self.asked.append((room, agent))
        return self.free

    def lines(self, event: str) -> list[EventDict]:
        return [line for line in self.logs if line["event"] == event]


@pytest_asyncio.fixture
async def control(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Control]:
    """The client, running; it retries quickly."""
    monkeypatch.setattr(module, "BACK_OFF_CAP_S", 0.05)
    monkeypatch.setattr(module, "_TICK_S", 0.02)
    side = Control(server.port)
    with structlog.testing.capture_logs() as side.logs:
        task = asyncio.create_task(side.dispatch.run(), name="dispatch")
        yield side
        assert not task.done()
        task.cancel()
        await asyncio.wait([task])


async def test_a_job_from_its_offer_to_its_end(server: ScriptedServer, control: Control) -> None:
    """Register, offer, yes, running, ended: what LiveKit sees of one room, with a token that registers and no more."""

    async def script(talk: Talk) -> None:
        assert (await talk.register()).agent_name == "millis"
        status = (await talk.hear("update_worker")).update_worker
        assert (status.status, round(status.load, 3)) == (proto.WorkerStatus.WS_AVAILABLE, 0.325)
        assert await talk.offer("AJ_1", "lobby", '{"agent": "a7"}')
        assert (await talk.hear("update_job")).update_job.status == proto.JobStatus.JS_RUNNING
        control.dispatch.job_ended("lobby")
        update = (await talk.hear("update_job")).update_job
        assert (update.job_id, update.status) == ("AJ_1", proto.JobStatus.JS_SUCCESS)
        server.done += 1
        await talk.until_closed()

    server.scripts = [script]
    await until(lambda: server.done == 1)
    assert control.dispatch.registered
    assert control.asked == [("lobby", "a7")]
    grants = {"agent": True, "canPublish": False, "canPublishData": False, "canSubscribe": False}
    assert server.tokens[0]["video"] == grants


async def test_a_room_that_is_not_wanted_any_more_has_no_jobs(server: ScriptedServer, control: Control) -> None:
    """Without being told, the connection notices that a job's room is neither served nor to be served."""

    async def script(talk: Talk) -> None:
        await talk.register()
        for job_id, room in (("AJ_1", "lobby"), ("AJ_2", "attic")):
            assert await talk.offer(job_id, room)
            assert (await talk.hear("update_job")).update_job.status == proto.JobStatus.JS_RUNNING
        control.unwanted.add("lobby")
        update = (await talk.hear("update_job")).update_job
        assert (update.job_id, update.status) == ("AJ_1", proto.JobStatus.JS_SUCCESS)
        server.done += 1
        await talk.until_closed()

    server.scripts = [script]
    await until(lambda: server.done == 1)


async def test_a_deleted_dispatch_lets_the_agent_leave(server: ScriptedServer, control: Control) -> None:
    """A termination is told for the room once no other dispatch asks for it."""

    async def script(talk: Talk) -> None:
        await talk.register()
        for number in (1, 2):
            assert await talk.offer(f"AJ_{number}", "lobby")
        for number in (1, 2):
            await talk.say(proto.ServerMessage(termination=proto.JobTermination(job_id=f"AJ_{number}")))
        await talk.until_closed()

    server.scripts = [script]
    await until(lambda: control.gone == ["lobby"])


async def test_what_cannot_be_served_is_refused(server: ScriptedServer, control: Control) -> None:
    """A job that control does not take, and one that makes no sense, are answered with no; the latter with a line."""

    async def script(talk: Talk) -> None:
        await talk.register()
        assert (await talk.hear("update_worker")).update_worker.status == proto.WorkerStatus.WS_AVAILABLE
        control.free = False
        assert (await talk.hear("update_worker")).update_worker.status == proto.WorkerStatus.WS_FULL
        assert not await talk.offer("AJ_1", "lobby")
        assert not await talk.offer("AJ_2", "attic", "{oops")
        server.done += 1
        await talk.until_closed()

    server.scripts = [script]
    await until(lambda: server.done == 1)
    assert control.asked == [("lobby", None)]
    (line,) = control.lines("job_refused")
    assert (line["room"], line["log_level"]) == ("attic", "warning")
    assert "give an agent id, or" in line["why"]


async def test_a_lost_connection_is_made_again(server: ScriptedServer, control: Control) -> None:
    """The server goes away, drains, or talks nonsense: one line each, and we register again."""

    async def leave(talk: Talk) -> None:
        await talk.register()

    async def nonsense(talk: Talk) -> None:
        await talk.register()
        await talk.socket.send_bytes(b"\xff\xff\xff")
        await talk.until_closed()

    async def words(talk: Talk) -> None:
        await talk.register()
        await talk.socket.send_str("hello")
        await talk.until_closed()

    async def stay(talk: Talk) -> None:
        await talk.register()
        await talk.until_closed()

    server.scripts = [leave, nonsense, words, stay]
    await until(lambda: len(server.tokens) == 4 and control.dispatch.registered)
    found = [line["error"] for line in control.lines("dispatch_lost")]
    assert len(found) == 3
    assert "the server closed it" in found[0]
    assert "no message of LiveKit's agent protocol" in found[1]
    assert "no message (TEXT)" in found[2]


async def test_a_mute_server_is_left(server: ScriptedServer, control: Control) -> None:
    """A server that never confirms us, or from which nothing comes for 30 s, is left and tried again."""

    async def never_confirms(talk: Talk) -> None:
        await talk.hear("register")
        control.now += 11
        await talk.until_closed()

    async def goes_mute(talk: Talk) -> None:
        await talk.register()
        await talk.hear("update_worker")
        control.now += 31
        await talk.until_closed()

    async def stay(talk: Talk) -> None:
        await talk.register()
        await talk.until_closed()

    server.scripts = [never_confirms, goes_mute, stay]
    await until(lambda: len(server.tokens) == 3 and control.dispatch.registered)
    assert ["nothing comes" in line["error"] for line in control.lines("dispatch_lost")] == [True, True]


async def test_a_refused_key_is_said_once_and_a_new_one_is_used_at_once(
    server: ScriptedServer, control: Control
) -> None:
    """401 is one line that names the variable and no secret; it is not tried again before the credentials change."""

    async def stay(talk: Talk) -> None:
        await talk.register()
        await talk.until_closed()

    server.scripts = [stay]
    await until(lambda: control.dispatch.registered)
    control.credentials = ("key", OTHER)
    control.now += 31  # the connection is found dead
    await until(lambda: server.refusals == 1)
    await until(lambda: len(control.lines("dispatch_lost")) == 2)
    line = control.lines("dispatch_lost")[-1]["error"]
    assert "LIVEKIT_API_KEY" in line
    assert OTHER.reveal() not in line
    server.scripts = [stay]
    control.credentials = ("key", SECRET)
    await until(lambda: control.dispatch.registered)
    assert server.refusals == 1


async def test_an_outage_is_one_line(server: ScriptedServer, control: Control, unused_tcp_port: int) -> None:
    """However often it is tried, the same trouble is said once."""
    control.credentials = ("key", SECRET)

    async def stay(talk: Talk) -> None:
        await talk.register()
        await talk.until_closed()

    server.scripts = [stay]
    await until(lambda: control.dispatch.registered)
    hooks = DispatchHooks(control.on_job, control.gone.append, lambda: True)
    tries = 0

    def credentials() -> tuple[str, Secret]:
        nonlocal tries
        tries += 1
        return "key", SECRET

    lost = AgentDispatch(f"ws://127.0.0.1:{unused_tcp_port}", "millis", credentials, hooks)
    task = asyncio.create_task(lost.run())
    await until(lambda: tries >= 4)
    task.cancel()
    await asyncio.wait([task])
    (line,) = control.lines("dispatch_lost")
    assert "no connection" in line["error"]


async def test_another_service_under_the_address_is_named(control: Control, server: ScriptedServer) -> None:
    """A proxy that does not pass /agent on is told with its status and what to check."""

    async def stay(talk: Talk) -> None:
        await talk.register()
        await talk.until_closed()

    server.scripts = [stay]
    await until(lambda: control.dispatch.registered)
    hooks = DispatchHooks(control.on_job, control.gone.append, lambda: True)
    url = f"ws://127.0.0.1:{server.port}/elsewhere"
    task = asyncio.create_task(AgentDispatch(url, "millis", lambda: ("key", SECRET), hooks).run())
    await until(lambda: bool(control.lines("dispatch_lost")))
    task.cancel()
    await asyncio.wait([task])
    assert "status 404 instead of a WebSocket: check livekit.url" in control.lines("dispatch_lost")[0]["error"]


async def test_a_bug_in_what_it_calls_does_not_end_it(server: ScriptedServer, control: Control) -> None:
    """An exception out of a hook is logged, and the connection is made again."""

    async def script(talk: Talk) -> None:
        await talk.register()
        job = proto.Job(id="AJ_1", room=Room(name="bug"), agent_name="millis")
        await talk.say(proto.ServerMessage(availability=proto.AvailabilityRequest(job=job)))
        await talk.until_closed()

    async def stay(talk: Talk) -> None:
        await talk.register()
        await talk.until_closed()

    server.scripts = [script, stay]
    await until(lambda: len(server.tokens) == 2 and control.dispatch.registered)
    assert len(control.lines("dispatch_failed")) == 1


async def test_the_version_is_asked_for_in_a_short_visit(server: ScriptedServer) -> None:
    """One registration under a name that nobody dispatches; the answer's version; the connection is closed."""
    names: list[str] = []

    async def script(talk: Talk) -> None:
        names.append((await talk.hear("register")).register.agent_name)
        hello = proto.RegisterWorkerResponse(worker_id="AW_1", server_info=ServerInfo(version="1.13.5"))
        await talk.say(proto.ServerMessage(register=hello))
        await talk.until_closed()

    server.scripts = [script]
    assert await ask_version(f"ws://127.0.0.1:{server.port}", "key", SECRET, "visitor") == "1.13.5"
    await until(lambda: server.done == 1)
    assert names == ["visitor"]


async def test_a_visit_that_is_not_answered(server: ScriptedServer, unused_tcp_port: int) -> None:
    """A refused key, a server that closes, another service and nobody at all: one clear error each."""

    async def leave(talk: Talk) -> None:
        await talk.hear("register")

    server.scripts = [leave]
    url = f"ws://127.0.0.1:{server.port}"
    with pytest.raises(ConfigError, match="check LIVEKIT_API_KEY"):
        await ask_version(url, "key", OTHER, "visitor")
    with pytest.raises(UnavailableError, match="the server closed it"):
        await ask_version(url, "key", SECRET, "visitor")
    with pytest.raises(UnavailableError, match="status 404"):
        await ask_version(f"{url}/elsewhere", "key", SECRET, "visitor")
    with pytest.raises(UnavailableError, match="no connection"):
        await ask_version(f"ws://127.0.0.1:{unused_tcp_port}", "key", SECRET, "visitor")


def test_the_waits_double_up_to_a_cap() -> None:
    """Full jitter below 0.5, 1, 2 … 15 s, however long it lasts."""
    assert [back_off_s(n) for n in range(7)] == [0.5, 1, 2, 4, 8, BACK_OFF_CAP_S, BACK_OFF_CAP_S]
    assert back_off_s(10**6) == BACK_OFF_CAP_S
