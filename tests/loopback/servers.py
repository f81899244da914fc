"""HTTP endpoints on loopback that stand where Millis stands: a well-behaved one, and one that speaks raw TCP."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.loopback.answers import good_answer

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Seen:
    """What reached the endpoint.

    Attributes:
        url: Its base URL.
        keys: The Authorization header of each request.
        bodies: The JSON of each request.
    """

    url: str = ""
    keys: list[str] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)


def answered(sdp: object = None, kind: object = "answer") -> web.Response:
    """A 200 with an answer."""
    return web.json_response({"answer": {"sdp": good_answer() if sdp is None else sdp, "type": kind}})


@asynccontextmanager
async def millis(handler: Handler) -> AsyncIterator[Seen]:
    """Serve ``POST /webrtc/offer`` with `handler` on a free port of 127.0.0.1."""
    seen = Seen()

    async def offer(request: web.Request) -> web.StreamResponse:
        seen.keys.append(request.headers.get("Authorization", ""))
        seen.bodies.append(json.loads(await request.text()))
        return await handler(request)

    app = web.Application()
    app.router.add_post("/webrtc/offer", offer)
    runner = web.AppRunner(app, handle_signals=False, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    seen.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield seen
    finally:
        await runner.cleanup()


@asynccontextmanager
async def serving(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Serve any path and method with `handler` on a free port of 127.0.0.1; yields the base URL."""
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handler)
    runner = web.AppRunner(app, handle_signals=False, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    try:
        yield f"http{'s' if tls else ''}://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def raw(talk: Talk) -> AsyncIterator[str]:
    """Serve raw TCP with `talk` on a free port; yields ``127.0.0.1:port``. Connections are cut when the body ends."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await talk(reader, writer)
        except asyncio.CancelledError:
            return  # the server's end; asyncio would log it as an error
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def request_read(reader: asyncio.StreamReader) -> None:
    """Read one HTTP request with a Content-Length to its end."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.decode().split("\r\n") if line.lower().startswith("content-length:"))
    await reader.readexactly(int(length.split(":")[1]))


async def silence(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Accept and never say a word."""
    await asyncio.Event().wait()
