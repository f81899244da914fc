"""LiveKit's webhooks, over HTTP, to a desk."""

import asyncio
import gzip
import time
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from connector.base.trigger import Trigger
from connector.http.events import MAX_AGE_S
from connector.http.tokens import KeyPair
from connector.http.webhooks import MAX_BODY_BYTES
from tests.http_scene import FIRST, FOREIGN, SECOND, Ports, event, ports, raw_request, signed
from tests.until import until

PATH = "/webhooks/livekit"


@pytest_asyncio.fixture
async def running() -> AsyncIterator[Ports]:
    """Ports whose desk serves the lobby."""
    async with ports("lobby") as running:
        yield running


async def post(running: Ports, body: bytes, headers: dict[str, str] | None = None) -> httpx.Response:
    """Post a webhook, signed by the first key unless other headers are given."""
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.post(running.url + PATH, content=body, headers=signed(body) if headers is None else headers)


@pytest.mark.parametrize("pair", [FIRST, SECOND], ids=["first", "second"])
async def test_a_join_hastens_a_look(running: Ports, pair: KeyPair) -> None:
    """A good webhook of either key is a word to the desk, and answered 200."""
    body = event()
    response = await post(running, body, signed(body, pair))
    assert response.status_code == 200
    assert running.desk.looks == [("lobby", Trigger.WEBHOOK)]
    assert running.heard.webhooks == [("participant_joined", "accepted")]
    assert 0 <= running.heard.ages[0] < 5
    assert 0 < running.heard.times[0] < 5


async def test_a_leave_is_a_hint(running: Ports) -> None:
    """Leaves and ends are passed on, whatever room they are of."""
    await post(running, event("participant_left"))
    await post(running, event("room_finished", "attic"))
    assert running.desk.departures == [("lobby", "ann"), ("attic", "")]


async def test_foreign_rooms_and_other_events_are_ignored(running: Ports) -> None:
    """A room without a rule and an event of no interest are answered 200, so that LiveKit is content."""
    for body in (event(room="attic"), event("egress_started", None), event("something_new")):
        assert (await post(running, body)).status_code == 200
    assert running.desk.looks == []
    assert running.heard.webhooks == [
        ("participant_joined", "ignored"),
        ("egress_started", "ignored"),
        ("other", "ignored"),
    ]


async def test_an_event_counts_once(running: Ports) -> None:
    """The same event in a fresh envelope is answered 200 and told to nobody."""
    body = event()
    assert [(await post(running, body)).status_code for _ in range(3)] == [200, 200, 200]
    assert len(running.desk.looks) == 1
    assert [outcome for _, outcome in running.heard.webhooks] == ["accepted", "duplicate", "duplicate"]


@pytest.mark.parametrize("off_s", [-MAX_AGE_S - 5, MAX_AGE_S + 5])
async def test_a_stale_event_is_left_alone(running: Ports, off_s: float) -> None:
    """An event of more than six minutes ago, or ahead, is answered 200 and told to nobody."""
    assert (await post(running, event(createdAt=int(time.time() + off_s)))).status_code == 200
    assert running.desk.looks == []
    assert running.heard.webhooks == [("participant_joined", "stale")]


@pytest.mark.parametrize("state", ["full", "draining"])
async def test_what_cannot_be_taken_now_is_sent_elsewhere_and_taken_later(running: Ports, state: str) -> None:
    """Full and draining: 503, come again, connection closed; the same event is taken when there is room again."""
    setattr(running.desk, state, True)
    body = event()
    response = await post(running, body)
    assert (response.status_code, response.json()["error"]["code"]) == (503, state)
    assert response.headers["Retry-After"] == "1"
    assert response.headers["Connection"] == "close"
    setattr(running.desk, state, False)
    assert (await post(running, body)).status_code == 200
    assert [outcome for _, outcome in running.heard.webhooks] == ["shed", "accepted"]


async def test_bad_signatures(running: Ports) -> None:
    """No token, a foreign one, one of another body, a stale or too long one: 401, no secret in it."""
    body = event()
    for headers in (
        {},
        {"Authorization": "nonsense"},
        signed(body, FOREIGN),
        signed(event("room_started")),
        signed(body, sha256=None),
        signed(body, exp=int(time.time()) - 61),
        signed(body, exp=int(time.time()) + 3_600),
        signed(body, nbf=int(time.time()) + 120),
        {"Authorization": "Bearer " + signed(body)["Authorization"]},
    ):
        response = await post(running, body, headers)
        assert (response.status_code, response.json()["error"]["code"]) == (401, "not_authenticated")
        assert FIRST.secret.reveal() not in response.text
    assert running.desk.looks == []
    assert set(running.heard.webhooks) == {("unknown", "bad_auth")}


async def test_keys_are_asked_for_each_time(running: Ports) -> None:
    """A reload of the secrets takes effect with the next request."""
    body = event()
    running.keys[:] = [SECOND]
    assert (await post(running, body, signed(body, FIRST))).status_code == 401
    assert (await post(running, body, signed(body, SECOND))).status_code == 200


@pytest.mark.parametrize("body", [b"", b"{}", b"\x00\xff", gzip.compress(event()), event(room=None)])
async def test_a_signed_body_that_is_no_event(running: Ports, body: bytes) -> None:
    """A good signature over something else is 400."""
    headers = {**signed(body), **({"Content-Encoding": "gzip"} if body[:2] == b"\x1f\x8b" else {})}
    response = await post(running, body, headers)
    assert (response.status_code, response.json()["error"]["code"]) == (400, "bad_body")
    assert running.heard.webhooks == [("unknown", "malformed")]


@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_that_is_too_large(running: Ports, declared: bool) -> None:
    """More than 2 MiB is 413, whether its length was declared or it came in chunks; 2 MiB are read."""
    body = event(padding="x" * MAX_BODY_BYTES)

    async def chunks() -> AsyncIterator[bytes]:
        for at in range(0, len(body), 65_536):
            yield body[at : at + 65_536]

    async with httpx.AsyncClient(trust_env=False) as client:
        content = body if declared else chunks()
        response = await client.post(running.url + PATH, content=content, headers=signed(body))
        assert (response.status_code, response.json()["error"]["code"]) == (413, "too_large")
        fits = event(padding="x" * (MAX_BODY_BYTES - 2_000))
        assert (await client.post(running.url + PATH, content=fits, headers=signed(fits))).status_code == 200
    assert [outcome for _, outcome in running.heard.webhooks] == ["too_large", "accepted"]


async def test_a_bad_signature_is_answered_before_the_body_has_come(running: Ports) -> None:
    """Nothing of a body is waited for while its signature cannot be good."""
    head = raw_request("POST", PATH, {"Content-Length": "2000000", **signed(b"", FOREIGN)})
    began = asyncio.get_running_loop().time()
    answer = await running.send(head + b"x" * 1_000)
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert asyncio.get_running_loop().time() - began < 5


async def test_a_body_that_breaks_off(running: Ports) -> None:
    """A sender that goes away in the middle of its body is counted as malformed, and nothing is told to the desk."""
    body = event()
    host, _, port = running.at.public.rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(raw_request("POST", PATH, signed(body), body)[:-5])
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    await until(lambda: bool(running.heard.webhooks))
    assert running.heard.webhooks == [("unknown", "malformed")]
    assert running.desk.looks == []
