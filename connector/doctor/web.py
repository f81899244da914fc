"""What answers over HTTP: Millis (no session is started), and the worker's own public port."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import httpx

from connector.base.errors import ConnectorError, UnavailableError
from connector.base.redact import redact
from connector.config.net_kinds import split_address
from connector.doctor.finding import Finding, fine, left_out, warning

MILLIS, WEBHOOKS = "Millis", "webhooks"
_TOTAL_S = 8.0
_CONNECT_S = 5.0
_MAX_BODY = 1 << 20
_ANY = ("0.0.0.0", "::")  # noqa: S104 - compared with, not bound to
_TLS: tuple[tuple[str, str], ...] = (
    ("not yet valid", "this machine's clock may be wrong"),
    ("expired", "the certificate is too old, or this machine's clock is wrong"),
    ("self-signed", "something in between re-signs TLS, or the address is not the one that was meant"),
    ("self signed", "something in between re-signs TLS, or the address is not the one that was meant"),
    ("unable to get local issuer", "something in between re-signs TLS, or the address is not the one that was meant"),
    ("mismatch", "the certificate is for another host: check the address"),
    (
        "wrong version number",
        "what listens there does not speak TLS: check whether the address should begin with http:",
    ),
    ("record layer", "what listens there does not speak TLS: check whether the address should begin with http:"),
)
"""What stands in OpenSSL's text, and what it means."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, whatever it says.

    Attributes:
        status: Its status.
        headers: Its headers.
        body: At most 1 MiB of it.
        sent: Wall-clock seconds when the request went out.
        got: Wall-clock seconds when its head was there.
    """

    status: int
    headers: httpx.Headers
    body: bytes
    sent: float
    got: float


async def fetch(method: str, url: str, *, total_s: float = _TOTAL_S) -> Answer:
    """One request without credentials, redirects, or a proxy from the environment: as the worker itself calls.

    Raises:
        UnavailableError: Nobody answered; TLS trouble is named, with what it may mean.
    """
    timeout = httpx.Timeout(total_s, connect=_CONNECT_S)
    headers = {"User-Agent": "room-connector-doctor", "Accept-Encoding": "identity"}
    body = bytearray()
    try:
        async with httpx.AsyncClient(timeout=timeout, trust_env=False, headers=headers) as client:
            sent = time.time()
            async with client.stream(method, url) as response:
                got = time.time()
                async for chunk in response.aiter_raw():
                    body += chunk
                    if len(body) >= _MAX_BODY:
                        break
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise UnavailableError(_no_answer(url, error)) from None
    return Answer(response.status_code, response.headers, bytes(body[:_MAX_BODY]), sent, got)


def _no_answer(url: str, error: Exception) -> str:
    found = redact(error) or type(error).__name__
    where = redact(url)
    if "ssl" in found.lower() or "certificate" in found.lower():
        meaning = next((text for mark, text in _TLS if mark in found), "check the address, and what stands in between")
        return f"no TLS connection with {where}: {meaning} ({found})"
    if isinstance(error, httpx.TimeoutException):
        return f"no answer from {where} in time: check the address, the resolver and the firewall ({found})"
    return f"no connection with {where}: check the address, the resolver and the firewall ({found})"


async def look_at_millis(url: str) -> Sequence[Finding]:
    """Whether Millis can be reached. Any answer will do; the call that starts a session is never made.

    Raises:
        UnavailableError: It cannot.
    """
    answer = await fetch("HEAD", url)
    how = "TLS" if url.startswith("https:") else "HTTP"
    return [fine(MILLIS, f"{redact(url)} answers over {how} (status {answer.status}); no session was started")]


async def look_at_webhooks(listen: str, livekit_host: str) -> Sequence[Finding]:
    """Whether a worker answers here, and where LiveKit must post to.

    Args:
        listen: `worker.listen`.
        livekit_host: The host in `livekit.url`.

    Raises:
        ConnectorError: Something else listens there.
    """
    host, port = split_address(listen)
    goal = f"LiveKit must post to http(s)://<this host>:{port}/webhooks/livekit, or what leads there"
    if port == 0:
        return [left_out(WEBHOOKS, "worker.listen has port 0, any free one: name one that LiveKit can post to")]
    local = "127.0.0.1" if host in _ANY else f"[{host}]" if ":" in host else host
    try:
        answer = await fetch("GET", f"http://{local}:{port}/openapi.json", total_s=_CONNECT_S)
    except UnavailableError:
        return [left_out(WEBHOOKS, f"no worker runs here on {listen}; when it does, {goal}")]
    if b'"openapi"' not in answer.body or b"/webhooks/livekit" not in answer.body:
        raise ConnectorError(f"something else than a worker answers on {listen}: change worker.listen")
    found = [fine(WEBHOOKS, f"a worker answers on {listen}; {goal}")]
    if _is_loopback(host) and not _is_loopback(livekit_host):
        found.append(
            warning(WEBHOOKS, f"worker.listen is {listen}: LiveKit on {redact(livekit_host)} cannot post there itself")
        )
    return found


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")
