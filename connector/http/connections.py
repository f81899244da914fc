"""Connections with bounds: how many, how long for a head, how long in all. Slow senders make room, they do not fill up.

aiohttp bounds neither. `GuardedServer` is its server with connections that do: each waits for a head (then it may be
dropped for a newcomer, the one that waits longest first), or is at work on a request (then it may not).
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Protocol

from aiohttp import web

from connector.http.answers import RefusedError
from connector.http.models import ErrorCode

MOST_CONNECTIONS = 200
HEAD_S = 5.0
"""From the connection, or from the first byte of a further request, to the complete head."""
WORK_S = 30.0
"""From the complete head to the complete answer; a body has 10 s of it."""
IDLE_S = 30.0
MAX_HEAD_BYTES = 16 * 1024
_MAX_HEADERS = 64
_MAX_WAITING_BYTES = 64 * 1024
"""All lines of a head, and what of a body may come before the head's work begins (aiohttp pauses at 32 KiB)."""
_READ_BYTES = 16 * 1024
_LINGER_S = 0.25
"""How long the rest of a refused body is thrown away, so that its sender sees the answer."""


class Droppable(Protocol):
    """A connection, as `Admission` sees it."""

    known: bool
    """Whether it has shown a good signature."""

    def drop(self) -> None:
        """Close it at once."""


class Admission:
    """Decides who stays when there are too many connections.

    Args:
        most: How many may be open.
    """

    def __init__(self, most: int = MOST_CONNECTIONS) -> None:
        self._most = most
        self._waiting: dict[Droppable, None] = {}
        self._working: set[Droppable] = set()

    def __len__(self) -> int:
        return len(self._waiting) + len(self._working)

    def enter(self, connection: Droppable) -> bool:
        """Take a new connection in, at the cost of the one that has waited longest if need be.

        Those that never showed a good signature go first.

        Returns:
            False when every connection is at work: then the new one is not taken.
        """
        if len(self) >= self._most:
            strangers = (waiting for waiting in self._waiting if not waiting.known)
            longest = next(strangers, next(iter(self._waiting), None))
            if longest is None:
                return False
            self.leave(longest)
            longest.drop()
        self._waiting[connection] = None
        return True

    def work(self, connection: Droppable) -> None:
        """A connection has sent a complete head."""
        if connection in self._waiting:
            del self._waiting[connection]
            self._working.add(connection)

    def wait(self, connection: Droppable) -> None:
        """A connection has been answered."""
        if connection in self._working:
            self._working.remove(connection)
            self._waiting[connection] = None

    def leave(self, connection: Droppable) -> None:
        """A connection is gone."""
        self._waiting.pop(connection, None)
        self._working.discard(connection)


class Connection(web.RequestHandler):
    """One connection of a `GuardedServer`.

    Attributes:
        known: Whether a request on it has shown a good signature.
    """

    def __init__(self, server: "GuardedServer", admission: Admission, **options: Any) -> None:
        super().__init__(server, **options)
        self.known = False
        self._server = server
        self._admission = admission
        self._idle = self._working = False
        self._came = 0
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Enter, or be turned away."""
        super().connection_made(transport)
        if self._server.stopping or not self._admission.enter(self):
            self.drop()
            return
        self._within(HEAD_S)

    def data_received(self, data: bytes) -> None:
        """Bound the time of a further head, and the size of every one."""
        if self._idle:
            self._idle = False
            self._came = 0
            self._within(HEAD_S)
        if not self._working:
            if self._came > _MAX_WAITING_BYTES:
                self.drop()
                return
            self._came += len(data)
        super().data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Leave."""
        self._admission.leave(self)
        self._clear()
        super().connection_lost(exc)

    def work(self) -> None:
        """A head is complete, its answer is being made."""
        self._admission.work(self)
        self._working = True
        self._within(WORK_S)

    def rest(self) -> None:
        """The answer is made; it is sent, and the next request may come."""
        self._admission.wait(self)
        self._working, self._idle = False, True
        self._within(IDLE_S)

    def drop(self) -> None:
        """Close it without a word."""
        self._clear()
        if isinstance(self.transport, asyncio.Transport):
            self.transport.abort()

    def handle_error(
        self,
        request: web.BaseRequest,  # noqa: ARG002 - aiohttp's signature
        status: int = 500,
        exc: BaseException | None = None,  # noqa: ARG002
        message: str | None = None,  # noqa: ARG002
    ) -> web.StreamResponse:
        """The answer to what is no HTTP; aiohttp's own would quote the bytes, and log a trace for each."""
        code = ErrorCode.INTERNAL if status >= HTTPStatus.INTERNAL_SERVER_ERROR else ErrorCode.BAD_REQUEST
        return RefusedError(status, code, "this is not a request that can be answered", close=True).answer()

    def _within(self, seconds: float) -> None:
        self._clear()
        if self.transport is not None:
            self._deadline = asyncio.get_running_loop().call_later(seconds, self.drop)

    def _clear(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class GuardedServer(web.Server):
    """aiohttp's server with guarded connections.

    Attributes:
        stopping: It takes no new connections; aiohttp would not see again one that was accepted at the last moment.

    Args:
        handler: Answers a request; `RefusedError` is its business.
        admission: Bounds the connections.
    """

    def __init__(
        self, handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], admission: Admission
    ) -> None:
        super().__init__(self._handle)
        self.stopping = False
        self._answer = handler
        self._admission = admission
        self._at_work = 0
        self._calm = asyncio.Event()
        self._calm.set()

    def __call__(self) -> Connection:
        """One more connection."""
        return Connection(
            self,
            self._admission,
            loop=asyncio.get_running_loop(),
            access_log=None,
            max_line_size=MAX_HEAD_BYTES,
            max_field_size=MAX_HEAD_BYTES,
            max_headers=_MAX_HEADERS,
            read_bufsize=_READ_BYTES,
            auto_decompress=False,  # a body is judged as it was signed, and never grows
            lingering_time=_LINGER_S,
        )

    async def finish(self, within_s: float) -> None:
        """Wait until no request is at work; aiohttp itself stops receiving bodies as soon as it is shut down."""
        self.stopping = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._calm.wait()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = request.protocol
        assert isinstance(connection, Connection)
        connection.work()
        self._at_work += 1
        self._calm.clear()
        try:
            return await self._answer(request)
        finally:
            connection.rest()
            self._at_work -= 1
            if self._at_work == 0:
                self._calm.set()


def mark_known(request: web.BaseRequest) -> None:
    """A good signature was seen on this connection: in a crowd it is the last to be dropped."""
    if isinstance(request.protocol, Connection):
        request.protocol.known = True
