"""The API over HTTP: who may, what happens, and that every answer is as its description says."""

import time
from collections.abc import AsyncIterator
from urllib.parse import quote

import httpx
import pytest
import pytest_asyncio

from tests.http_scene import FIRST, FOREIGN, SECOND, Ports, admin, lister, ports, token
from tests.openapi import assert_described

LOBBY = "/v1/rooms/lobby"


@pytest_asyncio.fixture
async def running() -> AsyncIterator[Ports]:
    """Ports whose desk serves two rooms."""
    async with ports("lobby", "büro/№ 1 & co?#%") as running:
        yield running


async def call(
    running: Ports, method: str, path: str, bearer: str | None = None, body: str | None = None
) -> httpx.Response:
    """One call; its answer must be one of those that the description names for it."""
    headers = {} if bearer is None else {"Authorization": f"Bearer {bearer}"}
    async with httpx.AsyncClient(trust_env=False) as client:
        response = await client.request(method, running.url + path, headers=headers, content=body)
    assert_described(response)
    return response


async def test_join_is_idempotent(running: Ports) -> None:
    """A request is taken, again and again; when the session runs there is nothing left to do."""
    for _ in range(2):
        response = await call(running, "POST", f"{LOBBY}/join", admin("lobby"))
        assert (response.status_code, response.json()) == (202, {"room": "lobby", "status": "accepted"})
    running.desk.serve("lobby")
    response = await call(running, "POST", f"{LOBBY}/join", admin("lobby", SECOND))
    assert (response.status_code, response.json()) == (200, {"room": "lobby", "status": "running"})
    assert running.desk.requests == {"lobby": None}
    assert running.heard.calls == [("join", 202), ("join", 202), ("join", 200)]


async def test_leave_is_idempotent(running: Ports) -> None:
    """A session ends; asking again does no harm and says that there was nothing."""
    running.desk.serve("lobby")
    answers = [await call(running, "DELETE", LOBBY, admin("lobby")) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert [answer.json()["ended"] for answer in answers] == [True, False]


@pytest.mark.parametrize("body", ['{"agent": "a1"}', '{"agent": null}', "{}", " ", None])
async def test_join_may_name_an_agent(running: Ports, body: str | None) -> None:
    """The body is optional, and so is the agent in it."""
    assert (await call(running, "POST", f"{LOBBY}/join", admin("lobby"), body)).status_code == 202
    assert running.desk.requests == {"lobby": "a1" if body and "a1" in body else None}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('{"agnet": "a1"}', "unknown key 'agnet': the only one is \"agent\""),
        ('{"agent": 7}', "agent in the body"),
        ('{"agent": ""}', "agent in the body"),
        ('{"agent": "' + "x" * 129 + '"}', "agent in the body"),
        ("[]", "the body"),
        ("nonsense", "expected nothing, or a JSON object"),
    ],
)
async def test_a_bad_body_is_explained(running: Ports, body: str, words: str) -> None:
    """An unknown key and a wrong value are 400, with what was expected."""
    response = await call(running, "POST", f"{LOBBY}/join", admin("lobby"), body)
    assert (response.status_code, response.json()["error"]["code"]) == (400, "bad_body")
    assert words in response.json()["error"]["message"]
    assert running.desk.requests == {}


async def test_a_large_body_is_refused(running: Ports) -> None:
    """More than 16 KiB is 413."""
    response = await call(running, "POST", f"{LOBBY}/join", admin("lobby"), '{"agent": "' + "x" * 16_384 + '"}')
    assert response.status_code == 413


@pytest.mark.parametrize(
    ("state", "room", "body", "status", "code"),
    [
        ("", "attic", None, 404, "no_rule"),
        ("never", "lobby", None, 403, "never"),
        ("", "lobby", '{"agent": "other"}', 403, "agent_not_allowed"),
        ("full", "lobby", None, 503, "full"),
        ("draining", "lobby", None, 503, "draining"),
    ],
)
async def test_refused_joins(running: Ports, state: str, room: str, body: str | None, status: int, code: str) -> None:
    """Every answer of control has its status and code; for a time means 503 with Retry-After."""
    setattr(running.desk, state or "unused", {"lobby"} if state == "never" else True)
    response = await call(running, "POST", f"/v1/rooms/{room}/join", admin(room), body)
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    if status == 503:
        assert (response.headers["Retry-After"], response.headers["Connection"]) == ("1", "close")


async def test_rooms_are_shown(running: Ports) -> None:
    """A list for who may list; one room also for its own administrator; all that is known stands in it."""
    running.desk.serve("lobby")
    listed = (await call(running, "GET", "/v1/rooms", lister())).json()["rooms"]
    assert [room["room"] for room in listed] == ["büro/№ 1 & co?#%", "lobby"]
    for bearer in (lister(), admin("lobby")):
        one = (await call(running, "GET", LOBBY, bearer)).json()
        assert one == listed[1]
    assert one["session"]["state"] == "live"
    assert one["session"]["trigger"] == "webhook"
    assert listed[0]["session"] is None
    assert (await call(running, "GET", "/v1/rooms/attic", lister())).status_code == 404


async def test_any_room_name_works(running: Ports) -> None:
    """A slash, a question mark, letters of any language: percent-encoded in the path, literal in the answer."""
    room = "büro/№ 1 & co?#%"
    path = f"/v1/rooms/{quote(room, safe='')}"
    assert (await call(running, "POST", f"{path}/join", admin(room))).json()["room"] == room
    assert (await call(running, "GET", path, admin(room))).json()["room"] == room
    assert (await call(running, "DELETE", path, admin(room))).json() == {"room": room, "ended": True}
    assert (await call(running, "GET", "/v1/rooms/%FF", lister())).json()["error"]["code"] == "bad_room"
    assert (await call(running, "GET", "/v1/rooms/" + "x" * 257, lister())).json()["error"]["code"] == "bad_room"


@pytest.mark.parametrize(
    ("bearer", "words"),
    [
        (None, "send a LiveKit access token"),
        ("nonsense", "not a LiveKit access token"),
        (admin("lobby", FOREIGN), "not signed by the LiveKit key"),
        (token(exp=int(time.time()) - 99, video={"roomAdmin": True, "room": "lobby"}), "has expired"),
        (token(nbf=int(time.time()) + 999, exp=int(time.time()) + 9_999), "not valid yet"),
        (token(exp=None), "lacks iss or exp"),
    ],
)
async def test_who_is_not_known(running: Ports, bearer: str | None, words: str) -> None:
    """Without a good token every call is 401, with the remedy."""
    for method, path in (("POST", f"{LOBBY}/join"), ("DELETE", LOBBY), ("GET", LOBBY), ("GET", "/v1/rooms")):
        response = await call(running, method, path, bearer)
        assert (response.status_code, response.json()["error"]["code"]) == (401, "not_authenticated")
        assert words in response.json()["error"]["message"]
        assert response.headers["WWW-Authenticate"] == "Bearer"
    assert running.desk.requests == {}


async def test_the_scheme_is_bearer(running: Ports) -> None:
    """The bare token of a webhook is no caller's; the word Bearer may be written anyhow."""
    async with httpx.AsyncClient(trust_env=False, base_url=running.url) as client:
        bare = await client.get("/v1/rooms", headers={"Authorization": lister()})
        lower = await client.get("/v1/rooms", headers={"Authorization": f"bearer {lister()}"})
    assert (bare.status_code, lower.status_code) == (401, 200)


@pytest.mark.parametrize(
    ("method", "path", "bearer"),
    [
        ("POST", f"{LOBBY}/join", admin("attic")),
        ("POST", f"{LOBBY}/join", lister()),
        ("POST", f"{LOBBY}/join", token(video={"roomJoin": True, "room": "lobby"})),
        ("POST", f"{LOBBY}/join", token(video={"roomAdmin": True})),
        ("DELETE", LOBBY, admin("Lobby")),
        ("GET", LOBBY, admin("attic")),
        ("GET", "/v1/rooms", admin("lobby")),
        ("GET", "/v1/rooms", token()),
    ],
)
async def test_who_may_not(running: Ports, method: str, path: str, bearer: str) -> None:
    """A grant for another room, or of another kind, is 403 and says which one it takes."""
    response = await call(running, method, path, bearer)
    assert (response.status_code, response.json()["error"]["code"]) == (403, "not_allowed")
    assert "it needs the grant" in response.json()["error"]["message"]
    assert running.desk.requests == {}


async def test_unknown_rooms_are_not_told_to_strangers(running: Ports) -> None:
    """Who may not look at a room learns nothing of it, not even whether a rule matches."""
    known = await call(running, "GET", LOBBY, admin("elsewhere"))
    unknown = await call(running, "GET", "/v1/rooms/attic", admin("elsewhere"))
    assert known.json() == unknown.json()


async def test_the_keys_in_force_decide(running: Ports) -> None:
    """A key that was taken out is not accepted any more."""
    running.keys[:] = [SECOND]
    assert (await call(running, "GET", "/v1/rooms", lister(FIRST))).status_code == 401
    assert (await call(running, "GET", "/v1/rooms", lister(SECOND))).status_code == 200
