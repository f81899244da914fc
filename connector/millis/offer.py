"""The one call to Millis: an offer goes out, a checked answer or one clear error comes back.

Total limits, no redirects, no proxy and no credentials from the environment, a capped body, and not a single retry but
the one that costs nothing: the key's other form after a refusal (`facts`, millis: the documentation contradicts itself
about ``Authorization``).
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import anyio.lowlevel
import anyio.streams.tls  # httpcore, below httpx, imports it with the first TLS connection
import httpx
import structlog

from connector.base.errors import AgentLegError
from connector.base.redact import redact
from connector.millis import responses
from connector.millis.options import AgentLegOptions
from connector.millis.responses import AUTH_REFUSALS, OfferOutcome, Verdict
from connector.millis.sdp import AnswerProblem, CheckedAnswer, check_answer

OFFER_PATH = "/webrtc/offer"
CONNECT_SECONDS = 3.0
TOTAL_SECONDS = 10.0
"""Limit for one offer in all, the second form of the key included (fault 20)."""
MAX_BODY_BYTES = 256 * 1024
_MAX_ERROR_BYTES = 4 * 1024
_ERROR_BODY_SECONDS = 1.0

_log = structlog.get_logger()
_Form = Literal["raw", "bearer"]


@dataclass(slots=True)
class OfferFigures:
    """What the client counted: outcomes of offer calls, and candidates dropped from answers by cause."""

    outcomes: Counter[OfferOutcome] = field(default_factory=Counter)
    candidates_dropped: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    headers: httpx.Headers
    body: bytes
    complete: bool


class _Stream(Protocol):
    """A TCP connection of the HTTP library."""

    async def aclose(self) -> None:
        """Close it; idempotent."""


@dataclass(slots=True)
class _Progress:
    """How far a request came: once its first byte went out, a session may have begun."""

    sent: bool = False
    streams: list[_Stream] = field(default_factory=list)

    async def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Called by the HTTP library at each step (httpcore's trace extension)."""
        if event == "connection.connect_tcp.complete":
            self.streams.append(info["return_value"])
        elif event.endswith("send_request_headers.started"):
            self.sent = True

    async def close(self) -> None:
        """Close what is open; the library forgets a connection whose TLS handshake is cancelled."""
        for stream in self.streams:
            await stream.aclose()


class OfferClient:
    """Makes offer calls; one per engine.

    It keeps no connection open between calls: a kept one that the server has just closed could not be told from a
    reset after sending, which would count as a session that may have begun.

    Args:
        connect_s: Limit in seconds for DNS, TCP and, again, TLS.
        total_s: Limit in seconds for the whole call.
        wall_clock: Seconds since the epoch, for Retry-After dates without a Date beside them.
    """

    def __init__(
        self,
        *,
        connect_s: float = CONNECT_SECONDS,
        total_s: float = TOTAL_SECONDS,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._total_s = total_s
        self._wall_clock = wall_clock
        self._works: _Form | None = None
        self._figures = OfferFigures()
        self._http = httpx.AsyncClient(
            timeout=httpx.Timeout(total_s, connect=connect_s),
            limits=httpx.Limits(max_keepalive_connections=0),
            follow_redirects=False,
            trust_env=False,
            headers={"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "room-connector"},
        )

    @property
    def figures(self) -> OfferFigures:
        """The counters of this client."""
        return self._figures

    async def warm(self) -> None:
        """Load what the HTTP library would load with the first call: 20 ms in which no session would be heard."""
        await anyio.lowlevel.checkpoint()

    async def close(self) -> None:
        """Release the HTTP client; idempotent."""
        await self._http.aclose()

    async def offer(self, options: AgentLegOptions, sdp: str) -> CheckedAnswer:
        """Send an offer and check the answer.

        Args:
            options: Where to, with which key, for which agent.
            sdp: A fully gathered offer.

        Returns:
            The answer, checked and rewritten.

        Raises:
            AgentLegError: With the end reason, whether to try again, whether a session may have begun, and how long
                the server asked to wait.
        """
        progress = _Progress()
        try:
            async with asyncio.timeout(self._total_s):
                reply = await self._exchange(options, sdp, progress)
        except (TimeoutError, httpx.TimeoutException) as error:
            raise self._not_answered(options, progress, error, responses.TIMED_OUT) from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:
            raise self._not_answered(options, progress, error, responses.RESET) from None
        finally:
            await progress.close()
        return self._judge(reply, options)

    async def _exchange(self, options: AgentLegOptions, sdp: str, progress: _Progress) -> _Reply:
        """One POST, or two when the key's form is still open and the first one is refused."""
        if options.auth != "auto":
            return await self._post(options, sdp, options.auth, progress)
        form: _Form = self._works or "raw"
        reply = await self._post(options, sdp, form, progress)
        if self._works is None and reply.status in AUTH_REFUSALS:
            progress.sent = False  # that one was refused, so it began nothing
            form = "bearer"
            reply = await self._post(options, sdp, form, progress)
        if self._works is None and responses.carries_answer(reply.status):
            self._remember(form)
        return reply

    def _remember(self, form: _Form) -> None:
        self._works = form
        if form == "bearer":
            _log.warning("millis_key_form", works=form, remedy="set millis.auth: bearer to save the refused first try")

    async def _post(self, options: AgentLegOptions, sdp: str, form: _Form, progress: _Progress) -> _Reply:
        key = options.key.reveal()
        body: dict[str, object] = {"agent_id": options.agent_id, "offer": {"sdp": sdp, "type": "offer"}}
        if options.metadata:
            body["metadata"] = dict(options.metadata)
        request = self._http.build_request(
            "POST",
            options.url.rstrip("/") + OFFER_PATH,
            json=body,
            headers=[(b"Authorization", (f"Bearer {key}" if form == "bearer" else key).encode())],
            extensions={"trace": progress.trace, "timeout": self._http.timeout.as_dict()},
        )
        response = await self._http.send(request, stream=True)
        try:
            if responses.carries_answer(response.status_code):
                content, complete = await _read(response, MAX_BODY_BYTES)
            else:
                content, complete = await _read_error(response), True
        finally:
            await response.aclose()
        return _Reply(response.status_code, response.headers, content, complete)

    def _not_answered(
        self, options: AgentLegOptions, progress: _Progress, error: Exception, verdict: Verdict
    ) -> AgentLegError:
        why = redact(error) or type(error).__name__
        if not progress.sent:
            self._figures.outcomes[responses.NOT_CONNECTED.outcome] += 1
            return responses.NOT_CONNECTED.error(f"Cannot reach Millis at {redact(options.host)}: {why}")
        self._figures.outcomes[verdict.outcome] += 1
        if verdict is responses.TIMED_OUT:
            return verdict.error(f"Millis did not answer the offer within {self._total_s:g} s")
        return verdict.error(f"The connection to Millis broke after the offer was sent: {why}")

    def _judge(self, reply: _Reply, options: AgentLegOptions) -> CheckedAnswer:
        verdict = responses.judge_status(reply.status)
        if verdict is not None:
            self._figures.outcomes[verdict.outcome] += 1
            detail = responses.describe_body(reply.body)
            wait = None
            if reply.status in {429, 503}:
                headers = reply.headers
                wait = responses.retry_after(headers.get("retry-after"), headers.get("date"), self._wall_clock())
            what = f"Millis refused the offer with HTTP {reply.status}{': ' if detail else ''}{detail}"
            raise verdict.error(what, retry_after_s=wait)
        answer = self._answer(reply, options)
        if isinstance(answer, str):
            self._figures.outcomes[OfferOutcome.BAD_ANSWER] += 1
            raise responses.BAD_ANSWER.error(f"Millis' answer cannot be used: {answer}")
        self._figures.outcomes[OfferOutcome.OK] += 1
        return answer

    def _answer(self, reply: _Reply, options: AgentLegOptions) -> CheckedAnswer | str:
        """The checked answer, or what is wrong."""
        if not reply.complete:
            return f"more than {MAX_BODY_BYTES // 1024} KiB"
        found = responses.read_answer(reply.body)
        if isinstance(found, str):
            return found
        checked = check_answer(*found, private_host=options.private_host)
        if isinstance(checked, AnswerProblem):
            return f"{checked.check}: {redact(checked.found)}"
        self._figures.candidates_dropped.update(checked.dropped)
        return checked


async def _read(response: httpx.Response, limit: int) -> tuple[bytes, bool]:
    """Read at most `limit` bytes of a body, as it comes over the wire; False when there was more."""
    content = bytearray()
    async for chunk in response.aiter_raw():
        content += chunk
        if len(content) > limit:
            return bytes(content[:limit]), False
    return bytes(content), True


async def _read_error(response: httpx.Response) -> bytes:
    """What there is of an error body: the status decides, so a body that breaks or stalls changes nothing."""
    try:
        async with asyncio.timeout(_ERROR_BODY_SECONDS):
            content, _ = await _read(response, _MAX_ERROR_BYTES)
    except (TimeoutError, httpx.HTTPError):
        return b""
    return content
