"""Bodies within bounds of size, time and memory."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import RawTestServer

from connector.http.answers import RefusedError
from connector.http.bodies import BodyReader


@asynccontextmanager
async def server(reader: BodyReader, most: int = 1_000) -> AsyncIterator[RawTestServer]:
    """A server that says how long a body was, and 100 when it begins to read one."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        try:
            return web.Response(text=str(len(await reader.read(request, most))))
        except RefusedError as refused:
            return refused.answer()

    running = RawTestServer(handle)
    await running.start_server(lingering_time=0.1)
    yield running
    await running.close()


async def talk(running: RawTestServer, sent: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Send a head, and when it is being answered what there is of the body."""
    reader, writer = await asyncio.open_connection(running.host, running.port)
    head, end, body = sent.partition(b"\r\n\r\n")
    writer.write(b"POST / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n" + head + end)
    await reader.readuntil(b"Continue\r\n\r\n")
    writer.write(body)
    return reader, writer


async def answer(connection: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> bytes:
    """All that comes back."""
    reader, writer = connection
    async with asyncio.timeout(10):
        text = await reader.read()
    writer.close()
    await writer.wait_closed()
    return text


@pytest.mark.parametrize(
    ("sent", "status", "words"),
    [
        (b"Content-Length: 0\r\n\r\n", b"200", b"0"),
        (b"Content-Length: 5\r\n\r\nhello", b"200", b"5"),
        (b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", b"200", b"5"),
        (b"Content-Length: 1000\r\n\r\n" + b"x" * 1_000, b"200", b"1000"),
        (b"Content-Length: 1001\r\n\r\n", b"413", b"larger than 1000 bytes"),
        (b"Transfer-Encoding: chunked\r\n\r\n3e9\r\n" + b"x" * 1_001 + b"\r\n", b"413", b"larger than 1000 bytes"),
        (b"Content-Length: 9\r\n\r\nhello", b"408", b"did not come within 0.2 s"),
    ],
)
async def test_sizes_and_times(sent: bytes, status: bytes, words: bytes) -> None:
    """A body is read up to its bound, in its time, declared or in chunks; else the answer says what was wrong."""
    async with server(BodyReader(within_s=0.2)) as running:
        text = await answer(await talk(running, sent))
    assert text.startswith(b"HTTP/1.1 " + status)
    assert words in text


async def test_all_bodies_share_a_budget() -> None:
    """What waits for its rest holds memory; past the budget others come again later, and all of it is given back."""
    full = b"Content-Length: 900\r\n\r\n" + b"x" * 600
    async with server(BodyReader(budget=1_000, within_s=5)) as running:
        waiting = await talk(running, full)
        refused = await until_refused(lambda: talk(running, full + b"x" * 300))
        assert b'"busy"' in refused
        assert b"Retry-After: 1" in refused
        waiting[1].write(b"x" * 300)
        assert (await answer(waiting)).endswith(b"900")
        assert (await answer(await talk(running, full + b"x" * 300))).endswith(b"900")


async def until_refused(
    begin: Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]],
) -> bytes:
    """The first answer of 503; before the other body has come, this one is simply taken."""
    async with asyncio.timeout(10):
        while True:
            text = await answer(await begin())
            if text.startswith(b"HTTP/1.1 503"):
                return text
