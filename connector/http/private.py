"""The private port: is it alive, is it ready, what are its figures. For probes and scrapers, not for the public."""

from collections.abc import Callable
from http import HTTPStatus
from typing import TypeAlias

from aiohttp import web

from connector.http.answers import bytes_answer, text_answer
from connector.http.desk import Desk
from connector.http.lag import LagMeter
from connector.http.routes import RouteName

ALIVE_S = 30.0
"""An event loop that is later than this is as good as dead (`facts/faults.md` §2)."""
READY_S = 2.0
"""One that is later than this takes no new work (`facts/faults.md`, fault 34)."""

Render: TypeAlias = Callable[[], tuple[bytes, str]]
"""The metrics' text, and its content type."""


class Private:
    """Answers the private routes.

    Args:
        desk: Knows whether it is ready.
        lag: Knows how late the event loop is.
        render: Makes the text of the metrics.
    """

    def __init__(self, desk: Desk, lag: LagMeter, render: Render) -> None:
        self._desk = desk
        self._lag = lag
        self._render = render

    async def answer(self, route: RouteName, _room: str, _request: web.BaseRequest) -> web.Response:
        """Answer one request."""
        if route is RouteName.LIVEZ:
            return self._livez()
        return self._readyz() if route is RouteName.READYZ else self._metrics()

    def _livez(self) -> web.Response:
        lag_s = self._lag.now_s()
        alive = lag_s <= ALIVE_S
        status = HTTPStatus.OK if alive else HTTPStatus.SERVICE_UNAVAILABLE
        return text_answer(status, f"{'ok' if alive else 'stuck'}: the event loop is {lag_s:.3f} s late\n")

    def _readyz(self) -> web.Response:
        readiness = self._desk.readiness()
        lag_s = self._lag.now_s()
        late = [f"the event loop is {lag_s:.3f} s late"] if lag_s > READY_S else []
        ready = readiness.ready and not late
        status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
        return text_answer(status, "\n".join(["ready" if ready else "not ready", *late, *readiness.lines]) + "\n")

    def _metrics(self) -> web.Response:
        body, content_type = self._render()
        answer = bytes_answer(HTTPStatus.OK, body, content_type=content_type)
        answer.enable_compression()
        return answer
