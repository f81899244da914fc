"""The API: join, leave, rooms. A caller shows a LiveKit access token; the desk does the work."""

import json
import time
from collections.abc import Callable, Sequence
from http import HTTPStatus

from aiohttp import web

from connector.base.trigger import Trigger
from connector.control.status import JoinAnswer
from connector.http.answers import RefusedError, bytes_answer, come_again, json_answer
from connector.http.bodies import BodyReader
from connector.http.connections import mark_known
from connector.http.desk import Desk
from connector.http.models import (
    JOIN_REFUSALS,
    ErrorCode,
    Joining,
    Leaving,
    RoomsBody,
    join_request,
    room_body,
)
from connector.http.openapi import document
from connector.http.routes import RouteName
from connector.http.tokens import Claims, KeyPair, TokenProblem, verify

MAX_BODY_BYTES = 16 * 1024
_SCHEME = "bearer "
_CHALLENGE = {"WWW-Authenticate": "Bearer"}
_REMEDIES = {
    TokenProblem.MISSING: "no token: send a LiveKit access token as Authorization: Bearer …",
    TokenProblem.SHAPE: "that is not a LiveKit access token",
    TokenProblem.SIGNATURE: "the token is not signed by the LiveKit key of this worker",
    TokenProblem.CLAIMS: "the token lacks iss or exp, or they are not as LiveKit makes them",
    TokenProblem.EXPIRED: "the token has expired: make a new one, or check both clocks",
    TokenProblem.EARLY: "the token is not valid yet: check both clocks",
}


class Api:
    """Answers the API's routes.

    Args:
        desk: Does what is asked.
        keys: The LiveKit keys in force, asked for each request.
        bodies: Reads bodies within bounds.
        wall: Wall-clock seconds.
    """

    def __init__(
        self,
        desk: Desk,
        keys: Callable[[], Sequence[KeyPair]],
        bodies: BodyReader,
        *,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._desk = desk
        self._keys = keys
        self._bodies = bodies
        self._wall = wall
        self._document = json.dumps(document(), ensure_ascii=False).encode()

    async def answer(self, route: RouteName, room: str, request: web.BaseRequest) -> web.Response:
        """Answer one call.

        Args:
            route: What is asked.
            room: The room of the path, if it has one.
            request: The call.

        Raises:
            RefusedError: It is refused.
        """
        if route is RouteName.OPENAPI:
            return bytes_answer(HTTPStatus.OK, self._document, content_type="application/json")
        claims = self._claims(request)
        mark_known(request)
        if route is RouteName.JOIN:
            return await self._join(claims, room, request)
        if route is RouteName.LEAVE:
            return self._leave(claims, room)
        return self._rooms(claims) if route is RouteName.ROOMS else self._room(claims, room)

    def _claims(self, request: web.BaseRequest) -> Claims:
        given = request.headers.get("Authorization", "")
        token = given[len(_SCHEME) :].strip() if given[: len(_SCHEME)].lower() == _SCHEME else ""
        claims = verify(token, self._keys(), self._wall())
        if isinstance(claims, Claims):
            return claims
        raise RefusedError(HTTPStatus.UNAUTHORIZED, ErrorCode.NOT_AUTHENTICATED, _REMEDIES[claims], headers=_CHALLENGE)

    async def _join(self, claims: Claims, room: str, request: web.BaseRequest) -> web.Response:
        _need(claims.administers(room), "roomAdmin for exactly this room")
        asked = join_request(await self._bodies.read(request, MAX_BODY_BYTES))
        if isinstance(asked, str):
            raise RefusedError(HTTPStatus.BAD_REQUEST, ErrorCode.BAD_BODY, asked)
        answer = self._desk.join(room, asked.agent, Trigger.REQUEST)
        if answer is JoinAnswer.ACCEPTED:
            return json_answer(HTTPStatus.ACCEPTED, Joining(room=room, status="accepted"))
        if answer is JoinAnswer.RUNNING:
            return json_answer(HTTPStatus.OK, Joining(room=room, status="running"))
        status, code, message = JOIN_REFUSALS[answer]
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            raise come_again(code, message)
        raise RefusedError(status, code, message)

    def _leave(self, claims: Claims, room: str) -> web.Response:
        _need(claims.administers(room), "roomAdmin for exactly this room")
        return json_answer(HTTPStatus.OK, Leaving(room=room, ended=self._desk.leave(room)))

    def _rooms(self, claims: Claims) -> web.Response:
        _need(claims.room_list, "roomList")
        return json_answer(HTTPStatus.OK, RoomsBody(rooms=tuple(room_body(room) for room in self._desk.rooms())))

    def _room(self, claims: Claims, room: str) -> web.Response:
        _need(claims.room_list or claims.administers(room), "roomList, or roomAdmin for exactly this room")
        status = self._desk.room(room)
        if status is None:
            message = "nothing is known of this room, and no rule of rooms.yaml matches it"
            raise RefusedError(HTTPStatus.NOT_FOUND, ErrorCode.UNKNOWN_ROOM, message)
        return json_answer(HTTPStatus.OK, room_body(status))


def _need(holds: bool, grant: str) -> None:  # noqa: FBT001 - reads as a sentence where it is called
    if not holds:
        message = f"the token does not allow this: it needs the grant {grant}"
        raise RefusedError(HTTPStatus.FORBIDDEN, ErrorCode.NOT_ALLOWED, message)
