"""LiveKit's agent dispatch: a connection to the server on which it offers jobs, each a request for a room.

Token room configuration, SIP dispatch rules and dispatches made over LiveKit's API end up here. A job is a hint and
no more: LiveKit loses jobs silently (no worker there, all busy, an answer slower than 3 s), so what was taken is
served by the reconcile pass like any other request, with our own token and identity. The conversation itself is
`jobs.JobBook`.
"""

import asyncio
import importlib.metadata
import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from typing import TypeAlias

import aiohttp
import structlog
from google.protobuf.message import DecodeError
from livekit import api
from livekit.protocol import agent as proto
from yarl import URL

from connector.base.errors import ConfigError, UnavailableError
from connector.base.redact import redact
from connector.base.secrets import Secret
from connector.control.jobs import JobBook, JobEvent, Offer, Refused, Registered, Terminated

BACK_OFF_FIRST_S, BACK_OFF_CAP_S = 0.5, 15.0
REFUSED_RETRY_S = 60.0
"""How long a refused key rests, unless it changes."""
_STEADY_S = 10.0
"""A connection that lasted so long was no failure: the next one is tried at once."""
_TICK_S = 0.5
_CONNECT_S = 10.0
_SEND_S = 5.0
_CLOSE_S = 2.0
_REGISTER_S = 10.0
_MAX_MESSAGE = 1 << 20
_Socket: TypeAlias = aiohttp.ClientWebSocketResponse
_TOKEN_TTL = timedelta(minutes=10)
_REFUSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_CLOSED = (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSING, aiohttp.WSMsgType.CLOSED)


def _no_load() -> float:
    return 0.0


def _always(_room: str) -> bool:
    return True


@dataclass(frozen=True)
class DispatchHooks:
    """What dispatch asks and tells; called on the event loop, must return at once and not raise.

    Attributes:
        on_job: Somebody asks for an agent in a room (name, Millis agent or None for the rule's own): whether it will be
            served. Asked anew for every dispatch, also when the room is served already: it must be idempotent.
        on_terminate: The last dispatch that asked for this room was deleted: the agent is to leave.
        available: Whether one more room would be taken now; LiveKit offers nothing while it is not so.
        load: How busy we are, 0 to 1.
        wanted: Whether a room of a job is served or still to be served; once it is not, the job is reported as done.
    """

    on_job: Callable[[str, str | None], bool]
    on_terminate: Callable[[str], None]
    available: Callable[[], bool]
    load: Callable[[], float] = field(default=_no_load)
    wanted: Callable[[str], bool] = field(default=_always)


class AgentDispatch:
    """Keeps a connection to LiveKit on which it offers jobs.

    Args:
        url: The LiveKit server (``wss://…``).
        agent_name: The configured `worker.agent_name`.
        credentials: Gives the key in force and its secret; asked before every connection.
        hooks: Where jobs go.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        url: str,
        agent_name: str,
        credentials: Callable[[], tuple[str, Secret]],
        hooks: DispatchHooks,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = _agent_url(url)
        self._where = redact(url)
        self._credentials = credentials
        self._hooks = hooks
        self._clock = clock
        self._agent_name = agent_name
        self._book = JobBook(agent_name, importlib.metadata.version("room-connector"))
        self._outbox: list[proto.WorkerMessage] = []
        self._complained: str | None = None
        self._log = structlog.get_logger()

    @property
    def registered(self) -> bool:
        """Whether LiveKit can offer jobs now."""
        return self._book.registered

    def job_ended(self, room: str) -> None:
        """Tell LiveKit, soon, that the jobs of a room are over: its session ended, or its request was withdrawn.

        Not needed where `wanted` tells the same.
        """
        self._outbox += self._book.end(room)  # at most one message for each job, of which the book holds so many

    async def run(self) -> None:
        """Stay connected until cancelled. Never raises: without dispatch everything else still works."""
        failures = 0
        async with aiohttp.ClientSession() as session:
            while True:
                began = self._clock()
                try:
                    steady = await self._one_connection(session) and self._clock() - began >= _STEADY_S
                except Exception:  # noqa: BLE001 - the task's boundary: the rooms must be served on
                    self._log.exception("dispatch_failed")
                    steady = False
                failures = 0 if steady else failures + 1
                await asyncio.sleep(random.uniform(0, back_off_s(failures)))

    async def _one_connection(self, session: aiohttp.ClientSession) -> bool:
        """Connect, talk until it ends, and say why it ended; whether jobs could come meanwhile."""
        used = self._credentials()
        registered = False
        try:
            await self._connect_and_converse(session, *used)
        except _EndedError as error:
            registered = self._book.registered
            self._complain(error.kind, f"agent dispatch at {self._where}: the connection ended: {error}")
        except aiohttp.WSServerHandshakeError as error:
            self._complain(
                f"status-{error.status}", f"agent dispatch at {self._where}: {_handshake_text(error.status)}"
            )
            if error.status in _REFUSED:
                await self._until_changed(used)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            registered = self._book.registered
            found = redact(error) or type(error).__name__
            self._complain("unreachable", f"agent dispatch at {self._where}: no connection: {found}")
        finally:
            self._book.close()
            self._outbox.clear()
        return registered

    async def _connect_and_converse(self, session: aiohttp.ClientSession, key: str, secret: Secret) -> None:
        socket = await _connect(session, self._url, key, secret)
        try:
            await self._converse(socket)
        finally:
            await socket.close()

    async def _converse(self, socket: _Socket) -> None:
        """Register and take jobs; ends only by `_EndedError` or an error of the socket."""
        book = self._book
        deadline = self._clock() + _REGISTER_S
        await _send(socket, [book.open(self._clock())])
        while True:
            message = await _receive(socket, _TICK_S)
            now = self._clock()
            if message is not None:
                step = book.receive(message, now)
                await _send(socket, step.send)
                for event in step.events:
                    await self._act(socket, event)
            await _send(socket, self._due())
            if book.silent(now) or (not book.registered and now > deadline):
                raise _EndedError("silent", "nothing comes from the server any more")

    def _due(self) -> list[proto.WorkerMessage]:
        """What is to be told by now: jobs that are over, our status, a ping."""
        for room in self._book.rooms:
            if not self._hooks.wanted(room):
                self.job_ended(room)
        out, self._outbox = self._outbox, []
        available, load = self._hooks.available(), self._hooks.load()
        return [*out, *self._book.tick(self._clock(), available=available, load=load)]

    async def _act(self, socket: _Socket, event: JobEvent) -> None:
        match event:
            case Offer():
                taken = self._hooks.on_job(event.room, event.agent)
                await _send(socket, [self._book.answer(event, taken=taken, now=self._clock())])
                self._log.info("job_taken" if taken else "job_not_taken", room=event.room, job=event.job_id)
            case Refused():
                self._log.warning("job_refused", room=event.room, job=redact(event.job_id), why=event.why)
            case Terminated():
                self._log.info("job_terminated", room=event.room)
                self._hooks.on_terminate(event.room)
            case Registered():
                self._complained = None
                self._log.info("dispatch_registered", agent_name=self._agent_name, server=event.server)

    def _complain(self, kind: str, text: str) -> None:
        """Say it once; again only when something else is wrong, or after it was well."""
        if kind != self._complained:
            self._complained = kind
            self._log.warning("dispatch_lost", error=text)

    async def _until_changed(self, used: tuple[str, Secret]) -> None:
        """Rest, unless other credentials come into force."""
        until = self._clock() + random.uniform(REFUSED_RETRY_S / 2, REFUSED_RETRY_S)
        while self._clock() < until and self._credentials() == used:  # noqa: ASYNC110 - files of secrets signal nothing
            await asyncio.sleep(_TICK_S)


async def ask_version(url: str, key: str, secret: Secret, name: str) -> str:
    """Register as a worker for a moment, and tell the version that the server gives.

    Args:
        url: The LiveKit server.
        key: The id of its key.
        secret: The key's secret.
        name: An agent name that nobody dispatches.

    Raises:
        ConfigError: LiveKit refuses the key.
        UnavailableError: It cannot be reached, or does not confirm.
    """
    book = JobBook(name, "")
    what = f"agent dispatch at {redact(url)}"
    try:
        async with asyncio.timeout(_REGISTER_S), aiohttp.ClientSession() as session:
            socket = await _connect(session, _agent_url(url), key, secret)
            try:
                await _send(socket, [book.open(0.0)])
                while True:
                    message = await _receive(socket, _REGISTER_S)
                    for event in book.receive(message, 0.0).events if message is not None else ():
                        if isinstance(event, Registered):
                            return event.server
            finally:
                await socket.close()
    except aiohttp.WSServerHandshakeError as error:
        if error.status in _REFUSED:
            raise ConfigError([f"{what}: {_handshake_text(error.status)}"]) from None
        raise UnavailableError(f"{what}: {_handshake_text(error.status)}") from None
    except (_EndedError, aiohttp.ClientError, OSError, TimeoutError) as error:
        raise UnavailableError(f"{what}: no connection: {redact(error) or type(error).__name__}") from None


def back_off_s(failures: int) -> float:
    """The longest wait before the next try, after so many that failed; the wait itself is anything up to it."""
    return min(BACK_OFF_CAP_S, BACK_OFF_FIRST_S * 2.0 ** min(failures, 10))


class _EndedError(Exception):
    """Why a connection ended; `kind` tells one cause from another."""

    def __init__(self, kind: str, found: str) -> None:
        super().__init__(found)
        self.kind = kind


def _agent_url(url: str) -> URL:
    return URL(url) / "agent" % {"protocol": "1"}


async def _connect(session: aiohttp.ClientSession, url: URL, key: str, secret: Secret) -> _Socket:
    async with asyncio.timeout(_CONNECT_S):
        return await session.ws_connect(
            url,
            headers={"Authorization": f"Bearer {_worker_token(key, secret)}"},
            timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_S),
            max_msg_size=_MAX_MESSAGE,
        )


async def _send(socket: _Socket, messages: Iterable[proto.WorkerMessage]) -> None:
    for message in messages:
        async with asyncio.timeout(_SEND_S):
            await socket.send_bytes(message.SerializeToString())


async def _receive(socket: _Socket, within_s: float) -> proto.ServerMessage | None:
    """The next message; None when none came in time."""
    try:
        frame = await socket.receive(within_s)
    except TimeoutError:
        return None
    if frame.type is not aiohttp.WSMsgType.BINARY:
        if frame.type in _CLOSED:
            raise _EndedError("closed", f"the server closed it (code {socket.close_code})")
        raise _EndedError("garbage", f"what came is no message ({frame.type.name})")
    try:
        return proto.ServerMessage.FromString(frame.data)
    except DecodeError:
        raise _EndedError("garbage", "what came is no message of LiveKit's agent protocol") from None


def _handshake_text(status: int) -> str:
    if status in _REFUSED:
        return (
            f"LiveKit refused the key (status {status}): check LIVEKIT_API_KEY, LIVEKIT_API_SECRET and this machine's"
            " clock; until then no dispatch arrives"
        )
    hint = "check livekit.url, and that a proxy in between lets /agent through as a WebSocket"
    return f"status {status} instead of a WebSocket: {hint}"


def _worker_token(key: str, secret: Secret) -> str:
    """May register as an agent worker, and nothing else."""
    grants = api.VideoGrants(agent=True, can_publish=False, can_publish_data=False, can_subscribe=False)
    return api.AccessToken(key, secret.reveal()).with_grants(grants).with_ttl(_TOKEN_TTL).to_jwt()
