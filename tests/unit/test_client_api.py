"""The command line's side of the worker's API, against the real ports with a desk that behaves."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import jwt
import pytest
from aiohttp import web
from aiohttp.test_utils import RawTestServer

from connector.base.errors import ConfigError, ConnectorError, UnavailableError, UsageError
from connector.base.secrets import Secret
from connector.base.trigger import Trigger
from connector.client.api import WorkerApi, open_api
from connector.client.commands import leave_room
from connector.control.status import SessionStatus
from connector.http.models import RoomBody
from tests.http_scene import FIRST, FOREIGN, Ports, ports

KEYS = {"LIVEKIT_API_KEY": "key", "LIVEKIT_API_SECRET": "s" * 32}


async def call(server: Ports, work: Callable[[WorkerApi], object], secret: Secret = FIRST.secret) -> object:
    """Run a blocking call of the client in a thread, against ports that this loop serves."""
    assert server.at is not None
    with WorkerApi(f"http://{server.at.public}", FIRST.key, secret) as worker:
        return await asyncio.to_thread(work, worker)


async def test_rooms_are_read() -> None:
    """A served room comes with its session; names of any characters are fine."""

    def look(worker: WorkerApi) -> tuple[RoomBody, ...]:
        return (*worker.rooms(), worker.room("a/b ü"))

    async with ports("lobby", "a/b ü") as server:
        server.desk.running["lobby"] = SessionStatus("s1", "live", "a1", Trigger.WEBHOOK, 0, 2, 1.0)
        rooms = cast("tuple[RoomBody, ...]", await call(server, look))
    assert {room.room for room in rooms} >= {"lobby", "a/b ü"}
    assert [room.session.state for room in rooms if room.session is not None] == ["live"]


async def test_join_and_leave_reach_the_desk() -> None:
    """The agent that was asked for arrives; leaving ends the request, and leaving again is an error that says so."""
    async with ports("lobby") as server:

        def ask(worker: WorkerApi) -> dict[str, str | None]:
            worker.join("lobby", "a1")
            asked = dict(server.desk.requests)
            assert worker.leave("lobby").ended
            with pytest.raises(ConnectorError, match="no session and no request"):
                leave_room(worker, "lobby")
            return asked

        assert await call(server, ask) == {"lobby": "a1"}


async def test_a_refusal_is_one_sentence_of_the_worker() -> None:
    """What the worker says is what the user reads; a full worker counts as unavailable."""
    async with ports("lobby") as server:
        with pytest.raises(ConnectorError, match="rule"):
            await call(server, lambda worker: worker.join("nowhere", None))
        with pytest.raises(ConnectorError, match="must be the worker's, the clocks right"):
            await call(server, lambda worker: worker.rooms(), FOREIGN.secret)
        server.desk.full = True
        with pytest.raises(UnavailableError):
            await call(server, lambda worker: worker.join("lobby", None))


def test_no_worker_there_is_said_so() -> None:
    """A refused connection asks the right question and names the option."""
    with WorkerApi("http://127.0.0.1:9", "key", Secret("s" * 32)) as worker, pytest.raises(UnavailableError) as caught:
        worker.rooms()
    assert "is the worker running" in str(caught.value)
    assert "--api" in str(caught.value)


@asynccontextmanager
async def impostor(answer: Callable[[web.BaseRequest], web.Response]) -> AsyncIterator[WorkerApi]:
    """Something else that listens, and a client that takes it for a worker."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        return answer(request)

    server = RawTestServer(handle)
    await server.start_server()
    with WorkerApi(str(server.make_url("")), FIRST.key, FIRST.secret) as worker:
        yield worker
    await server.close()


@pytest.mark.parametrize(
    "answer",
    [
        {"text": "<html>"},
        {"status": 404, "text": ""},
        {"status": 302, "headers": {"Location": "http://127.0.0.1:9/"}},
        {"text": '{"rooms": [{}]}'},
        {"body": b" " * (17 << 20)},
    ],
)
async def test_something_else_there_is_said_so(answer: dict[str, Any]) -> None:
    """An answer of another kind of server is not mistaken for ours, a redirect is not followed, a flood is cut off."""
    async with impostor(lambda _: web.Response(**answer)) as worker:
        with pytest.raises(ConnectorError, match="check --api"):
            await asyncio.to_thread(worker.rooms)


@pytest.mark.parametrize("call", ["rooms", "room", "leave"])
async def test_the_token_allows_no_more_than_the_call(call: str) -> None:
    """One grant, one room, one minute."""
    seen: list[str] = []

    def answer(request: web.BaseRequest) -> web.Response:
        seen.append(request.headers["Authorization"].removeprefix("Bearer "))
        return web.Response()

    async with impostor(answer) as worker:
        with pytest.raises(ConnectorError):
            await asyncio.to_thread(getattr(worker, call), *([] if call == "rooms" else ["lobby"]))
    claims = jwt.decode(seen[0], FIRST.secret.reveal(), algorithms=["HS256"])
    grants = {key for key, value in claims["video"].items() if value is True and not key.startswith("can")}
    assert grants == ({"roomList"} if call == "rooms" else {"roomAdmin"})
    assert claims["video"].get("room", "") == ("" if call == "rooms" else "lobby")
    assert claims["exp"] - claims["nbf"] == 60


@pytest.mark.parametrize(
    ("listen", "url"),
    [
        ("0.0.0.0:8080", "http://127.0.0.1:8080"),
        ("[::]:8080", "http://[::1]:8080"),
        ("192.168.1.2:80", "http://192.168.1.2:80"),
    ],
)
def test_the_local_worker_is_found_in_rooms_yaml(tmp_path: Path, listen: str, url: str) -> None:
    """Without `--api` the call goes where the worker of this file listens."""
    path = tmp_path / "rooms.yaml"
    path.write_text(
        f'livekit: {{url: "ws://127.0.0.1:1"}}\nmillis: {{url: "http://127.0.0.1:1"}}\n'
        f'worker: {{listen: "{listen}"}}\nrooms: []\n'
    )
    with open_api(None, path, KEYS) as worker:
        assert worker._url == url


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:8080",
        "ftp://x",
        "http://",
        "http://[",
        "http://localhost:port",
        "http://localhost?x=1",
        "http://user:pass@host",
        "http://connector.example.com",
    ],
)
def test_a_wrong_url_is_a_usage_error(url: str) -> None:
    """`--api` wants a URL that a token may be sent to; what was given is shown without its password."""
    with pytest.raises(UsageError, match="--api") as caught:
        open_api(url, None, KEYS)
    assert "pass" not in str(caught.value)


def test_the_key_is_needed() -> None:
    """Without the LiveKit key there is no token, and the message says what it is for."""
    with pytest.raises(ConfigError, match="LIVEKIT_API_KEY"):
        open_api("http://127.0.0.1:1", None, {})


def test_any_port_is_not_known(tmp_path: Path) -> None:
    """A worker that takes any free port cannot be found by its rooms.yaml; the message says what can be done."""
    path = tmp_path / "rooms.yaml"
    path.write_text(
        'livekit: {url: "ws://127.0.0.1:1"}\nmillis: {url: "http://127.0.0.1:1"}\n'
        'worker: {listen: "127.0.0.1:0"}\nrooms: []\n'
    )
    with pytest.raises(ConfigError, match="--api"):
        open_api(None, path, KEYS)
