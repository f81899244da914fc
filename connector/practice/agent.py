"""The practice agent: stands in for Millis with the same HTTP call and real WebRTC sessions, and remembers everything.

`PracticeAgent` runs inside a test or, by `run_practice_agent`, as a process of its own. What it answers over HTTP is
what `facts/millis.md` says, plus a window for tests: ``GET /sessions``, ``DELETE /sessions/{id}``.
"""

import asyncio
import contextlib
import ipaddress
import signal
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import urlsplit

import structlog
from aiohttp import web

from connector.base.errors import UnavailableError, UsageError
from connector.base.redact import redact
from connector.base.secrets import Secret
from connector.practice.agent_call import Habits, PracticeCall
from connector.practice.agent_faults import Fault, FaultPlan, spoil

_MAX_BODY = 1 << 20
_HUGE = 4 << 20
_REMEMBERED = 500
_log = structlog.get_logger()


@dataclass(frozen=True)
class PracticeOptions:
    """How a practice agent is to be.

    Attributes:
        listen: ``host:port`` of its HTTP server; port 0 takes a free one.
        key: The key that a caller must show; None accepts every key, but one must be there.
        auth: In which form: bare, after ``Bearer``, or either.
        habits: How it behaves in a call.
        faults: What it does wrong.
        record: A folder for the recordings of each call, written when it ends; None keeps them in memory.
    """

    listen: str = "127.0.0.1:0"
    key: Secret | None = None
    auth: Literal["any", "raw", "bearer"] = "any"
    habits: Habits = field(default_factory=Habits)
    faults: tuple[Fault, ...] = ()
    record: Path | None = None


class PracticeAgent:
    """The agent, as an async context manager.

    Attributes:
        sessions: Every call so far, the oldest first (the newest 500 are remembered).
        offers: How many offers came, refused ones included.
        opened: How many of them were answered.
        most_at_once: The highest number of calls that were open at the same time.
    """

    def __init__(self, options: PracticeOptions | None = None) -> None:
        self.options = options or PracticeOptions()
        self.sessions: deque[PracticeCall] = deque(maxlen=_REMEMBERED)
        self.offers = self.opened = 0
        self.most_at_once = 0
        self._host, self._port = _address(self.options.listen)
        self._plan = FaultPlan(self.options.faults)
        self._runner: web.AppRunner | None = None
        self._open: set[PracticeCall] = set()
        self._saving: set[asyncio.Task[None]] = set()
        self._habits = replace(self.options.habits, loopback_only=is_loopback(self.options.listen))

    @property
    def url(self) -> str:
        """Where it listens; the value for ``millis.url``."""
        return f"http://{self._host}:{self._port}"

    @property
    def live(self) -> list[PracticeCall]:
        """The calls that are connected now."""
        return [call for call in self.sessions if call.live]

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=_MAX_BODY)
        app.router.add_post("/webrtc/offer", self._offer)
        app.router.add_get("/sessions", self._list)
        app.router.add_delete("/sessions/{id}", self._delete)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1.0)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise UnavailableError(f"practice agent: cannot listen on {self.options.listen}: {redact(error)}") from None
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.gather(*(call.hang_up("stopped") for call in list(self._open)))
        if self._runner is not None:
            await self._runner.cleanup()
        if self._saving:
            await asyncio.wait(self._saving)

    async def hang_up(self, call: PracticeCall) -> None:
        """End a call from the agent's side, as Millis may at any time."""
        await call.hang_up()

    async def until(self, holds: Callable[["PracticeAgent"], bool], within_s: float = 10.0) -> None:
        """Wait until something is true of this agent; looks at it every 10 ms.

        Raises:
            TimeoutError: It did not become true.
        """
        async with asyncio.timeout(within_s):
            while not holds(self):  # noqa: ASYNC110 -- what is waited for may be a level or a length: nothing signals it
                await asyncio.sleep(0.01)

    async def _offer(self, request: web.Request) -> web.StreamResponse:
        self.offers += 1
        faults = self._plan.take()
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        if "status" in faults:
            return _status(faults["status"])
        if "reset" in faults:
            _reset(request)
        if "redirect" in faults:
            raise web.HTTPTemporaryRedirect(location="/webrtc/offer")
        body = await _body(request)
        if isinstance(body, web.Response):
            return body
        if "stall" in faults:
            await asyncio.Event().wait()
        return await self._answered(body, faults)

    async def _answered(self, body: tuple[str, str], faults: dict[str, Fault]) -> web.StreamResponse:
        agent_id, sdp = body
        call = PracticeCall(agent_id, self._habits, faults, self._call_ended)
        try:
            answer = await call.answer(sdp)
        except ValueError as error:
            return web.json_response({"detail": f"offer cannot be answered: {error}"}, status=HTTPStatus.BAD_REQUEST)
        self.opened += 1
        self.sessions.append(call)
        self._open.add(call)
        self.most_at_once = max(self.most_at_once, len(self._open))
        _log.info("practice_session_opened", call=call.id, agent_id=agent_id)
        if "huge" in faults:
            return web.json_response({"answer": {"sdp": answer, "type": "answer"}, "padding": "x" * _HUGE})
        if "useless" in faults:
            useless = spoil(answer, faults["useless"].value)
            return web.Response(body=useless) if isinstance(useless, bytes) else web.json_response(useless)
        return web.json_response({"answer": {"sdp": answer, "type": "answer"}})

    def _refusal(self, request: web.Request) -> web.Response | None:
        """What a caller without the right key is told, as a FastAPI server would."""
        given = request.headers.get("Authorization")
        if given is None:
            detail = [{"loc": ["header", "authorization"], "msg": "field required", "type": "value_error.missing"}]
            return web.json_response({"detail": detail}, status=HTTPStatus.UNPROCESSABLE_ENTITY)
        bearer = given.startswith("Bearer ")
        wrong_form = self.options.auth == ("raw" if bearer else "bearer")
        wrong_key = self.options.key is not None and given.removeprefix("Bearer ") != self.options.key.reveal()
        if wrong_form or wrong_key:
            return web.json_response({"detail": "Invalid API key"}, status=HTTPStatus.UNAUTHORIZED)
        return None

    async def _list(self, request: web.Request) -> web.Response:
        refusal = self._refusal(request) if self.options.key is not None else None
        return refusal or web.json_response(self.figures())

    async def _delete(self, request: web.Request) -> web.Response:
        refusal = self._refusal(request) if self.options.key is not None else None
        if refusal is not None:
            return refusal
        wanted = request.match_info["id"]
        call = next((call for call in self._open if call.id == wanted), None)
        if call is None:
            return web.json_response({"detail": "no such open session"}, status=HTTPStatus.NOT_FOUND)
        await call.hang_up()
        return web.Response(status=HTTPStatus.NO_CONTENT)

    def figures(self) -> dict[str, Any]:
        """What ``GET /sessions`` shows."""
        return {
            "offers": self.offers,
            "opened": self.opened,
            "open": len(self._open),
            "live": len(self.live),
            "most_at_once": self.most_at_once,
            "sessions": [call.figures() for call in self.sessions],
        }

    def _call_ended(self, call: PracticeCall) -> None:
        self._open.discard(call)
        _log.info("practice_session_closed", call=call.id, closed_by=call.closed_by)
        if self.options.record is not None:
            task = asyncio.create_task(
                self._save(call, self.options.record / f"session-{call.id}"), name="practice-save"
            )
            self._saving.add(task)
            task.add_done_callback(self._saving.discard)

    async def _save(self, call: PracticeCall, folder: Path) -> None:
        try:
            await asyncio.to_thread(call.save, folder)
        except OSError as error:
            _log.warning("practice_recording_not_saved", call=call.id, error=redact(error))
        call.forget_audio()


def _address(listen: str) -> tuple[str, int]:
    """Host and port of ``host:port``."""
    try:
        parts = urlsplit(f"//{listen}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or port is None:
        raise UsageError(f"--listen {listen}: give host:port, for example 127.0.0.1:8090")
    return host, port


def is_loopback(listen: str) -> bool:
    """Whether only this machine can reach such a listener.

    Raises:
        UsageError: It is not ``host:port``.
    """
    host, _ = _address(listen)
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def _body(request: web.Request) -> tuple[str, str] | web.Response:
    """Agent id and offer of a request, or the refusal."""
    try:
        body = await request.json()
        agent_id, offer = body["agent_id"], body["offer"]
        sdp, kind = offer["sdp"], offer["type"]
    except (ValueError, KeyError, TypeError) as error:
        detail = [{"loc": ["body"], "msg": f"not as documented: {type(error).__name__}", "type": "value_error"}]
        return web.json_response({"detail": detail}, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    if not isinstance(agent_id, str) or not agent_id or not isinstance(sdp, str) or kind != "offer":
        detail = [{"loc": ["body"], "msg": "agent_id and an offer are needed", "type": "value_error"}]
        return web.json_response({"detail": detail}, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    return agent_id, sdp


def _status(fault: Fault) -> web.Response:
    code, _, wait = fault.value.partition(":")
    headers = {"Retry-After": wait} if wait else {}
    return web.json_response({"detail": "scripted fault"}, status=int(code), headers=headers)


def _reset(request: web.Request) -> None:
    """Break the connection under a request."""
    if request.transport is not None:
        request.transport.abort()


async def run_practice_agent(options: PracticeOptions) -> int:
    """Run a practice agent until SIGINT or SIGTERM; then hang up every call and save what was recorded.

    Returns:
        The exit code.

    Raises:
        UnavailableError: The address cannot be listened on.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        async with PracticeAgent(options) as agent:
            if options.key is None and not is_loopback(options.listen):
                _log.warning("practice_agent_accepts_every_key", hint="set MILLIS_PRIVATE_KEY")
            with contextlib.suppress(BrokenPipeError):
                sys.stdout.write(f"The practice agent listens on {agent.url}\n")
                sys.stdout.flush()
            await stop.wait()
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
    return 0
