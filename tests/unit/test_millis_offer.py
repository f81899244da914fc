import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import pytest
import pytest_asyncio
import structlog
from aiohttp import web

from connector.base.ends import EndReason
from connector.base.errors import AgentLegError
from connector.base.legs import AudioCodec
from connector.base.secrets import Secret
from connector.millis.offer import MAX_BODY_BYTES, OfferClient
from connector.millis.options import AgentLegOptions
from connector.millis.responses import OfferOutcome
from tests.loopback.answers import BAD_ANSWERS, with_candidates
from tests.loopback.leftovers import no_sockets_left
from tests.loopback.servers import Handler, answered, millis, raw, request_read, silence

KEY = Secret("millis-offer-canary-4711")
OFFER = "v=0\r\n"


def options(url: str, **changes: object) -> AgentLegOptions:
    return replace(AgentLegOptions(url=url, key=KEY, auth="raw", agent_id="0123"), **changes)  # type: ignore[arg-type]


@pytest_asyncio.fixture(autouse=True)
async def _nothing_left() -> AsyncIterator[None]:
    async with no_sockets_left():
        yield


@pytest_asyncio.fixture
async def client() -> AsyncIterator[OfferClient]:
    client = OfferClient(connect_s=2, total_s=5)
    yield client
    await client.close()
    await client.close()


def always(make: Callable[[], web.StreamResponse]) -> Handler:
    async def handler(_request: web.Request) -> web.StreamResponse:
        return make()

    return handler


def by_form(*, raw_status: int, bearer_status: int) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        bearer = request.headers["Authorization"].startswith("Bearer ")
        status = bearer_status if bearer else raw_status
        return answered() if status == 200 else web.json_response({"detail": "no"}, status=status)

    return handler


async def failed(client: OfferClient, asked: AgentLegOptions) -> AgentLegError:
    """The error of an offer call; it is one line and never shows the key."""
    with pytest.raises(AgentLegError) as caught:
        await client.offer(asked, OFFER)
    text = str(caught.value)
    assert KEY.reveal() not in text
    assert "\n" not in text
    return caught.value


async def test_the_request_is_the_documented_one(client: OfferClient) -> None:
    """The body holds agent_id and offer and nothing else, the key stands bare, the answer comes back checked."""
    async with millis(always(answered)) as seen:
        answer = await client.offer(options(seen.url + "/"), OFFER)
    assert seen.bodies == [{"agent_id": "0123", "offer": {"sdp": OFFER, "type": "offer"}}]
    assert seen.keys == [KEY.reveal()]
    assert answer.codec is AudioCodec.OPUS
    assert client.figures.outcomes == {OfferOutcome.OK: 1}


async def test_metadata_is_sent_only_when_configured(client: OfferClient) -> None:
    """Configured metadata stands at top level."""
    async with millis(always(answered)) as seen:
        await client.offer(options(seen.url, metadata={"room": "front-desk"}), OFFER)
    assert seen.bodies[0]["metadata"] == {"room": "front-desk"}


@pytest.mark.parametrize("refusal", [401, 403, 422])
async def test_auto_tries_bearer_once_and_remembers_it(client: OfferClient, refusal: int) -> None:
    """A refused bare key is tried as Bearer once; what worked is kept, with one warning that names the setting."""
    with structlog.testing.capture_logs() as logs:
        async with millis(by_form(raw_status=refusal, bearer_status=200)) as seen:
            for _ in range(2):
                await client.offer(options(seen.url, auth="auto"), OFFER)
    assert [key.split()[0] for key in seen.keys] == [KEY.reveal(), "Bearer", "Bearer"]
    assert [entry["event"] for entry in logs] == ["millis_key_form"]
    assert "millis.auth" in logs[0]["remedy"]


async def test_auto_keeps_the_bare_key_when_it_works(client: OfferClient) -> None:
    """After the bare key worked once, a later refusal is about something else and is not tried again."""
    statuses = [200, 403]

    async def handler(_request: web.Request) -> web.StreamResponse:
        return answered() if statuses.pop(0) == 200 else web.Response(status=403)

    async with millis(handler) as seen:
        await client.offer(options(seen.url, auth="auto"), OFFER)
        error = await failed(client, options(seen.url, auth="auto"))
    assert seen.keys == [KEY.reveal()] * 2
    assert error.reason is EndReason.AGENT_REJECTED


@pytest.mark.parametrize(("status", "outcome"), [(401, "auth"), (403, "auth"), (422, "config")])
async def test_a_key_refused_in_both_forms_is_rejected(client: OfferClient, status: int, outcome: str) -> None:
    """Two requests, then an end that names the key, is not retried and began nothing."""
    async with millis(by_form(raw_status=status, bearer_status=status)) as seen:
        error = await failed(client, options(seen.url, auth="auto"))
    assert len(seen.keys) == 2
    assert (error.reason, error.retryable, error.may_have_begun) == (EndReason.AGENT_REJECTED, False, False)
    assert "MILLIS_PRIVATE_KEY" in str(error)
    assert client.figures.outcomes == {outcome: 1}


@pytest.mark.parametrize(("form", "start"), [("raw", "millis"), ("bearer", "Bearer ")])
async def test_a_fixed_form_is_the_only_one(client: OfferClient, form: str, start: str) -> None:
    """With raw or bearer the other form is never tried."""
    async with millis(by_form(raw_status=401, bearer_status=401)) as seen:
        await failed(client, options(seen.url, auth=form))
    assert len(seen.keys) == 1
    assert seen.keys[0].startswith(start)


async def test_a_broken_second_try_counts_by_itself(client: OfferClient) -> None:
    """After a refusal the Bearer try decides: its 500 may have begun a session."""
    async with millis(by_form(raw_status=401, bearer_status=500)) as seen:
        error = await failed(client, options(seen.url, auth="auto"))
    assert (error.reason, error.may_have_begun) == (EndReason.AGENT_UNREACHABLE, True)


@pytest.mark.parametrize(
    ("status", "reason", "retryable", "may_have_begun"),
    [
        (400, EndReason.AGENT_REJECTED, False, False),
        (404, EndReason.AGENT_REJECTED, False, False),
        (500, EndReason.AGENT_UNREACHABLE, True, True),
        (502, EndReason.AGENT_UNREACHABLE, True, True),
        (503, EndReason.AGENT_UNREACHABLE, True, False),
        (204, EndReason.AGENT_UNREACHABLE, True, True),
    ],
)
async def test_statuses_become_errors(
    client: OfferClient, status: int, reason: EndReason, retryable: bool, may_have_begun: bool
) -> None:
    """The status decides; what the server says stands in the message."""
    async with millis(always(lambda: web.json_response({"detail": "agent unknown"}, status=status))) as seen:
        error = await failed(client, options(seen.url))
    assert (error.reason, error.retryable, error.may_have_begun) == (reason, retryable, may_have_begun)
    assert f"HTTP {status}" in str(error)
    assert ("agent unknown" in str(error)) == (status != 204)
    assert error.retry_after_s is None


@pytest.mark.parametrize(("status", "wait"), [(429, 7.0), (503, 7.0), (500, None)])
async def test_retry_after_is_honoured_where_nothing_began(
    client: OfferClient, status: int, wait: float | None
) -> None:
    """429 and 503 may ask for a wait; a 500 may not."""
    async with millis(always(lambda: web.Response(status=status, headers={"Retry-After": "7"}))) as seen:
        error = await failed(client, options(seen.url))
    assert error.retry_after_s == wait
    assert error.retryable


async def test_an_error_text_with_the_key_is_redacted(client: OfferClient) -> None:
    """A server that echoes the key does not bring it into our log."""
    async with millis(always(lambda: web.Response(status=400, text=f"bad: Bearer {KEY.reveal()}"))) as seen:
        error = await failed(client, options(seen.url))
    assert "[redacted" in str(error)


async def test_a_redirect_is_not_followed(client: OfferClient) -> None:
    """The key does not travel to another host."""
    async with millis(always(answered)) as other:
        headers = {"Location": other.url + "/webrtc/offer"}
        async with millis(always(lambda: web.Response(status=307, headers=headers))) as seen:
            error = await failed(client, options(seen.url))
    assert other.keys == []
    assert (error.reason, error.may_have_begun) == (EndReason.AGENT_UNREACHABLE, True)
    assert "millis.url" in str(error)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b"<html>busy</html>", "not JSON"),
        (b"", "empty body"),
        (b'{"answer": {"sdp": ', "not JSON"),
        (b'{"detail": "queued"}', "without an answer object"),
        (b'{"answer": {"type": "answer"}}', "without sdp"),
        (b'{"answer": {"sdp": "v=0", "type": "pranswer"}}', "type: "),
        (b'{"x": "' + b"x" * MAX_BODY_BYTES + b'"}', "more than 256 KiB"),
    ],
)
async def test_useless_bodies_may_have_begun_a_session(client: OfferClient, body: bytes, found: str) -> None:
    """A 200 without a usable answer is ambiguous: a session may run that nobody talks to."""
    async with millis(always(lambda: web.Response(body=body, content_type="text/html"))) as seen:
        error = await failed(client, options(seen.url))
    assert (error.reason, error.retryable, error.may_have_begun) == (EndReason.AGENT_UNREACHABLE, True, True)
    assert found in str(error)
    assert client.figures.outcomes == {OfferOutcome.BAD_ANSWER: 1}


@pytest.mark.parametrize(("check", "what", "sdp"), [bad for bad in BAD_ANSWERS if bad[1] != "private"])
async def test_bad_descriptions_end_the_try(client: OfferClient, check: str, what: str, sdp: object) -> None:
    """Every answer that fails a check becomes one error that names the check."""
    async with millis(always(lambda: answered(sdp))) as seen:
        error = await failed(client, options(seen.url))
    assert (error.reason, error.may_have_begun) == (EndReason.AGENT_UNREACHABLE, True)
    assert f"cannot be used: {check}: " in str(error)


async def test_dropped_candidates_add_up(client: OfferClient) -> None:
    """The client counts what it left out of answers."""
    sdp = with_candidates("1 1 udp 1 127.0.0.1 5000 typ host", "2 1 udp 1 x.local 5000 typ host")
    async with millis(always(lambda: answered(sdp))) as seen:
        for _ in range(2):
            await client.offer(options(seen.url), OFFER)
    assert client.figures.candidates_dropped == {"local_name": 2}


async def test_nobody_listens(client: OfferClient) -> None:
    """A refused connection has begun nothing and may be tried again."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        error = await failed(client, options(f"http://127.0.0.1:{unused.getsockname()[1]}"))
    assert (error.reason, error.retryable, error.may_have_begun) == (EndReason.AGENT_UNREACHABLE, True, False)
    assert "millis.url" in str(error)
    assert client.figures.outcomes == {OfferOutcome.UNREACHABLE: 1}


async def test_a_tls_handshake_that_stalls_has_begun_nothing() -> None:
    """The connect limit covers TLS, and no byte of the request is out before it is done."""
    client = OfferClient(connect_s=0.1, total_s=5)
    async with raw(silence) as address:
        error = await failed(client, options(f"https://{address}"))
    await client.close()
    assert (error.retryable, error.may_have_begun) == (True, False)


async def test_the_total_limit_counts_before_sending_too() -> None:
    """A total limit that runs out while connecting has begun nothing either."""
    client = OfferClient(connect_s=5, total_s=0.1)
    async with raw(silence) as address:
        error = await failed(client, options(f"https://{address}"))
    await client.close()
    assert not error.may_have_begun
    assert client.figures.outcomes == {OfferOutcome.UNREACHABLE: 1}


async def test_no_answer_in_time_is_ambiguous() -> None:
    """The limit ran out after the offer was sent: a session may have begun."""
    client = OfferClient(connect_s=5, total_s=0.2)
    async with raw(silence) as address:
        error = await failed(client, options(f"http://{address}"))
    await client.close()
    assert (error.reason, error.retryable, error.may_have_begun) == (EndReason.AGENT_UNREACHABLE, True, True)
    assert "within 0.2 s" in str(error)
    assert client.figures.outcomes == {OfferOutcome.TIMEOUT: 1}


async def test_a_dripping_body_meets_the_total_limit() -> None:
    """A server that sends byte by byte cannot hold the call beyond its limit."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_read(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.01)

    client = OfferClient(connect_s=5, total_s=0.3)
    async with raw(drip) as address:
        error = await failed(client, options(f"http://{address}"))
    await client.close()
    assert error.may_have_begun


async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read the request, then cut the connection."""
    await request_read(reader)
    writer.transport.abort()


async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer with something that is not HTTP."""
    await request_read(reader)
    writer.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
    await writer.drain()


async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Promise more of a body than comes."""
    await request_read(reader)
    writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"answer"')
    await writer.drain()
    writer.close()


@pytest.mark.parametrize("talk", [reset, nonsense, half])
async def test_a_broken_reply_is_ambiguous(
    client: OfferClient, talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
) -> None:
    """Whatever breaks after the request went out may have begun a session."""
    async with raw(talk) as address:
        error = await failed(client, options(f"http://{address}"))
    assert (error.reason, error.retryable, error.may_have_begun) == (EndReason.AGENT_UNREACHABLE, True, True)
    assert client.figures.outcomes == {OfferOutcome.AMBIGUOUS: 1}


async def test_a_refusal_with_a_stalling_body_is_still_a_refusal(client: OfferClient) -> None:
    """The status of an error decides, its body is only for the message."""

    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_read(reader)
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 10\r\n\r\n")
        await asyncio.Event().wait()

    async with raw(stall) as address:
        error = await failed(client, options(f"http://{address}"))
    assert (error.reason, error.may_have_begun) == (EndReason.AGENT_REJECTED, False)


async def test_a_huge_error_body_is_not_read(client: OfferClient) -> None:
    """Of an error at most a few KiB are read and 300 characters shown."""
    async with millis(always(lambda: web.Response(status=500, body=b"x" * 5_000_000))) as seen:
        error = await failed(client, options(seen.url))
    assert len(str(error)) < 600


async def test_proxies_of_the_environment_are_not_used(client: OfferClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment can redirect neither the call nor its credentials."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://user:secret@127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    own = OfferClient()
    async with millis(always(answered)) as seen:
        await own.offer(options(seen.url), OFFER)
    await own.close()
    assert seen.keys == [KEY.reveal()]


async def test_a_key_outside_ascii_is_sent_as_utf8(client: OfferClient) -> None:
    """A key with unusual letters reaches the server instead of failing here."""
    async with millis(always(answered)) as seen:
        await client.offer(options(seen.url, key=Secret("schlüssel-4711")), OFFER)
    assert seen.keys[0].encode("utf-8", "surrogateescape").decode() == "schlüssel-4711"


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_cancelling_an_offer_leaves_nothing(client: OfferClient, scheme: str) -> None:
    """A call that is given up closes its connection, also in the middle of a TLS handshake."""
    reached = asyncio.Event()

    async def listen(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        reached.set()
        while await reader.read(100_000):
            pass

    async with raw(listen) as address:
        task = asyncio.create_task(client.offer(options(f"{scheme}://{address}"), OFFER))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert not client.figures.outcomes


FIRST_CALL = """
import asyncio, sys
import connector.engine.__main__
from connector.base.errors import AgentLegError
from connector.millis.offer import OfferClient
from connector.millis.options import AgentLegOptions
from connector.base.secrets import Secret

async def main():
    client = OfferClient()
    await client.warm()
    known = set(sys.modules)
    try:
        await client.offer(AgentLegOptions(url=sys.argv[1], key=Secret("k"), auth="raw", agent_id="a"), "v=0")
    except AgentLegError:
        print(sorted(set(sys.modules) - known))

asyncio.run(main())
"""


def test_the_first_call_of_a_warm_client_loads_nothing() -> None:
    """What is loaded late would hold up every session of the process."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    arguments = [sys.executable, "-c", FIRST_CALL, f"http://127.0.0.1:{port}"]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]", done.stderr
