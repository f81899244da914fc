"""Both servers, from start to stop: the public port for LiveKit and callers, the private one for probes."""

import asyncio
import contextlib
import errno
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

import structlog
from aiohttp import web

from connector.base.errors import ConfigError, ConnectorError, UnavailableError
from connector.base.redact import redact
from connector.config.net_kinds import split_address
from connector.http.api import Api
from connector.http.bodies import BodyReader
from connector.http.connections import Admission, GuardedServer
from connector.http.desk import Desk
from connector.http.lag import LagMeter
from connector.http.observer import Deaf, HttpObserver
from connector.http.port import Port
from connector.http.private import Private, Render
from connector.http.routes import PRIVATE, PUBLIC, RouteName
from connector.http.tokens import KeyPair
from connector.http.webhooks import Webhooks

_FINISH_S = 2.0
"""How long requests that are at work may go on when the servers stop."""
_CLOSE_S = 0.2
"""How long those that were cut off by that have to end."""
_ACCEPT_TURNS = 4
"""Turns of the event loop from an accept to its connection: asyncio loses one when it is closed in between."""
_BACKLOG = 512
_MOST_PRIVATE = 50


@dataclass(frozen=True, slots=True)
class Listening:
    """Where the servers listen.

    Attributes:
        public: ``host:port``, with the real port where 0 was asked for.
        private: The same.
    """

    public: str
    private: str


class HttpServers:
    """The two servers of a worker.

    Args:
        listen: ``host:port`` of the public one (`worker.listen`).
        private_listen: ``host:port`` of the private one (`worker.private_listen`).
        desk: Control.
        keys: The LiveKit keys in force, asked for each request, so that a reload of secrets takes effect.
        render: Makes the text of ``/metrics``.
        observer: Hears of requests.
        lag: The meter of the event loop's lag; it runs while the servers do.
    """

    def __init__(
        self,
        listen: str,
        private_listen: str,
        *,
        desk: Desk,
        keys: Callable[[], Sequence[KeyPair]],
        render: Render,
        observer: HttpObserver | None = None,
        lag: LagMeter | None = None,
    ) -> None:
        observer = observer or Deaf()
        bodies = BodyReader()
        self.lag = lag or LagMeter()
        self._listen = listen
        self._private_listen = private_listen
        self._webhooks = Webhooks(desk, keys, observer, bodies)
        self._api = Api(desk, keys, bodies)
        self._public = Port(PUBLIC, self._answer_public, _api_only(observer))
        self._private = Port(PRIVATE, Private(desk, self.lag, render).answer)
        self._log = structlog.get_logger()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Listening]:
        """Serve for as long as the context lasts; requests at work at its end may finish, within 2 s.

        Raises:
            UnavailableError: An address is in use.
            ConfigError: An address cannot be listened on: it is not this machine's, or not allowed.
        """
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(self.lag.running())
            private = await self._start(
                stack, "worker.private_listen", self._private_listen, self._private, _MOST_PRIVATE
            )
            public = await self._start(stack, "worker.listen", self._listen, self._public)
            self._log.info("http_listening", public=public, private=private)
            yield Listening(public, private)

    async def _start(
        self, stack: contextlib.AsyncExitStack, setting: str, address: str, port: Port, most: int | None = None
    ) -> str:
        stack.callback(port.close)
        admission = Admission() if most is None else Admission(most)
        server = GuardedServer(port.handle, admission)
        host, number = split_address(address)
        try:
            listener = await asyncio.get_running_loop().create_server(server, host, number, backlog=_BACKLOG)
        except OSError as error:
            raise _cannot_listen(setting, address, error) from None
        stack.push_async_callback(_stop, listener, server)
        shown = f"[{host}]" if ":" in host else host
        return f"{shown}:{listener.sockets[0].getsockname()[1]}"

    async def _answer_public(self, route: RouteName, room: str, request: web.BaseRequest) -> web.Response:
        if route is RouteName.WEBHOOK:
            return await self._webhooks.answer(request)
        return await self._api.answer(route, room, request)


async def _stop(listener: asyncio.Server, server: GuardedServer) -> None:
    loop = asyncio.get_running_loop()
    for listening in listener.sockets:
        loop.remove_reader(listening.fileno())
    for _ in range(_ACCEPT_TURNS):
        await asyncio.sleep(0)
    listener.close()
    await server.finish(_FINISH_S)
    server.pre_shutdown()
    await server.shutdown(_CLOSE_S)


def _api_only(observer: HttpObserver) -> Callable[[str, int], None]:
    """Webhooks have figures of their own."""

    def answered(route: str, status: int) -> None:
        if route != RouteName.WEBHOOK:
            observer.api(route, status)

    return answered


def _cannot_listen(setting: str, address: str, error: OSError) -> ConnectorError:
    where = f"{setting}: cannot listen on {address}"
    if error.errno == errno.EADDRINUSE:
        return UnavailableError(f"{where}: the address is in use: is another worker running? Else set another port")
    if isinstance(error, socket.gaierror):
        return ConfigError([f"{where}: the host name is not known: {redact(error.strerror)}"])
    if error.errno == errno.EADDRNOTAVAIL or "could not bind on any address" in str(error):  # Python 3.13's own words
        return ConfigError([f"{where}: no interface of this machine has that address: 0.0.0.0 is every one"])
    if error.errno in (errno.EACCES, errno.EPERM):
        return ConfigError([f"{where}: not permitted: ports below 1024 are reserved, set a higher one"])
    return UnavailableError(f"{where}: {redact(error.strerror or error)}")
