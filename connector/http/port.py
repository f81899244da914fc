"""One port: its routes, its errors in one shape, its refusals counted into the log."""

import time
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

import structlog
from aiohttp import web

from connector.http.answers import RefusedError
from connector.http.events import MAX_ROOM_CHARS
from connector.http.models import ErrorCode
from connector.http.refusals import RefusalCount
from connector.http.routes import BadRoom, Found, NotFound, OtherMethod, Route, RouteName, find

Answerer = Callable[[RouteName, str, web.BaseRequest], Awaitable[web.Response]]
"""Route, room of the path, request."""
NO_ROUTE = "none"


class Port:
    """Answers every request of one port; nothing gets past it but an answer.

    Args:
        routes: What there is.
        answer: Answers what was found; may raise `RefusedError`.
        answered: Hears of every answer: route (or ``none``) and status.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        routes: tuple[Route, ...],
        answer: Answerer,
        answered: Callable[[str, int], None] = lambda _route, _status: None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._routes = routes
        self._answer = answer
        self._answered = answered
        self._clock = clock
        self._refusals = RefusalCount()
        self._log = structlog.get_logger()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        found = find(self._routes, request.method, request.rel_url.raw_path)
        name = found.name if isinstance(found, Found) else NO_ROUTE
        try:
            response = await self._found(found, request)
        except RefusedError as refused:
            response = refused.answer()
            self._note(f"{name}_{refused.code}")
        except Exception:  # noqa: BLE001 - the boundary of one request: the next must be answered all the same
            self._log.exception("http_request_failed", route=name)
            message = "a fault in the worker; its log says more"
            response = RefusedError(HTTPStatus.INTERNAL_SERVER_ERROR, ErrorCode.INTERNAL, message).answer()
        self._answered(name, response.status)
        return response

    async def _found(
        self, found: Found | NotFound | BadRoom | OtherMethod, request: web.BaseRequest
    ) -> web.StreamResponse:
        if isinstance(found, Found):
            return await self._answer(found.name, found.room, request)
        raise _nothing_there(found)

    def close(self) -> None:
        """Log the refusals that no line has told yet."""
        self._tell(self._refusals.rest())

    def _note(self, kind: str) -> None:
        self._tell(self._refusals.note(kind, self._clock()))

    def _tell(self, counts: Mapping[str, int]) -> None:
        if counts:
            self._log.warning("http_refused", **counts)


def _nothing_there(found: NotFound | BadRoom | OtherMethod) -> RefusedError:
    if isinstance(found, OtherMethod):
        allowed = ", ".join(found.allowed)
        message = f"this path takes {allowed}"
        return RefusedError(
            HTTPStatus.METHOD_NOT_ALLOWED, ErrorCode.METHOD_NOT_ALLOWED, message, headers={"Allow": allowed}
        )
    if isinstance(found, BadRoom):
        message = f"the room's name is not text in UTF-8 of at most {MAX_ROOM_CHARS} characters"
        return RefusedError(HTTPStatus.BAD_REQUEST, ErrorCode.BAD_ROOM, message)
    return RefusedError(HTTPStatus.NOT_FOUND, ErrorCode.NOT_FOUND, "there is nothing under this path")
