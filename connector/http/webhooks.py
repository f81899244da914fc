"""LiveKit's webhooks: signed, fresh, once; then a word to the desk and an answer at once. Nothing else is done here.

The answers follow what LiveKit does with them (`facts/livekit.md` §4): 503 is tried again after 1 s, and elsewhere if
the connection is closed; 401 and every other refusal is final.
"""

import time
from collections.abc import Callable, Sequence
from http import HTTPStatus

from aiohttp import web

from connector.base.trigger import Trigger
from connector.control.status import LookAnswer
from connector.http.answers import RefusedError, bytes_answer, come_again
from connector.http.bodies import BodyReader
from connector.http.connections import mark_known
from connector.http.desk import Desk
from connector.http.events import MAX_AGE_S, Left, Look, WebhookEvent, read_event, wish_of
from connector.http.models import ErrorCode
from connector.http.observer import HttpObserver, WebhookOutcome
from connector.http.replay import ReplayGuard
from connector.http.tokens import Claims, KeyPair, verify

MAX_BODY_BYTES = 2 << 20
_EXPIRES_WITHIN_S = 10 * 60.0
"""LiveKit gives 5 min; a token that lives longer was not made for a webhook."""
_UNREAD = "unknown"
_OUTCOMES: dict[int, WebhookOutcome] = {
    HTTPStatus.UNAUTHORIZED: WebhookOutcome.BAD_AUTH,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: WebhookOutcome.TOO_LARGE,
    HTTPStatus.SERVICE_UNAVAILABLE: WebhookOutcome.SHED,
}


class Webhooks:
    """Answers ``POST /webhooks/livekit``.

    Args:
        desk: What control is told.
        keys: The LiveKit keys in force, asked for each request.
        observer: Hears of every outcome.
        bodies: Reads bodies within bounds.
        wall: Wall-clock seconds.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        desk: Desk,
        keys: Callable[[], Sequence[KeyPair]],
        observer: HttpObserver,
        bodies: BodyReader,
        *,
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._desk = desk
        self._keys = keys
        self._observer = observer
        self._bodies = bodies
        self._wall = wall
        self._clock = clock
        self._replays = ReplayGuard()

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """Take one webhook.

        Raises:
            RefusedError: It is not taken.
        """
        began = self._clock()
        event: WebhookEvent | None = None
        outcome = WebhookOutcome.MALFORMED
        try:
            event = await self._read(request)
            outcome = self._act(event)
        except RefusedError as refused:
            outcome = _OUTCOMES.get(refused.status, WebhookOutcome.MALFORMED)
            raise
        finally:
            self._observer.webhook(_UNREAD if event is None else event.label, outcome)
            self._observer.webhook_handled(self._clock() - began)
        return bytes_answer(HTTPStatus.OK, b"{}", content_type="application/json")

    async def _read(self, request: web.BaseRequest) -> WebhookEvent:
        """The event, of a request whose signature is good; the body is not even received before that is known."""
        now = self._wall()
        claims = verify(request.headers.get("Authorization", ""), self._keys(), now)
        if not isinstance(claims, Claims):
            raise _not_authentic(f"token: {claims}")
        if claims.expires > now + _EXPIRES_WITHIN_S:
            raise _not_authentic("token: expires too late for a webhook")
        body = await self._bodies.read(request, MAX_BODY_BYTES)
        if not claims.covers(body):
            raise _not_authentic("the signature is not of this body")
        mark_known(request)
        event = read_event(body)
        if event is None:
            message = "the body is not a LiveKit webhook event"
            raise RefusedError(HTTPStatus.BAD_REQUEST, ErrorCode.BAD_BODY, message)
        return event

    def _act(self, event: WebhookEvent) -> WebhookOutcome:
        now, age_s = self._clock(), event.age_s(self._wall())
        self._observer.webhook_age(max(0.0, age_s))
        if abs(age_s) > MAX_AGE_S:
            return WebhookOutcome.STALE
        if self._replays.seen(event.id, now):
            return WebhookOutcome.DUPLICATE
        outcome = self._tell(event)
        self._replays.remember(event.id, now)
        return outcome

    def _tell(self, event: WebhookEvent) -> WebhookOutcome:
        """Tell the desk; what it cannot take now is not remembered, because LiveKit sends it again."""
        wish = wish_of(event)
        if isinstance(wish, Left):
            self._desk.left(wish.room, wish.identity)
            return WebhookOutcome.ACCEPTED
        if not isinstance(wish, Look):
            return WebhookOutcome.IGNORED
        answer = self._desk.look_at(wish.room, Trigger.WEBHOOK)
        if answer is LookAnswer.FULL:
            raise come_again(ErrorCode.FULL, "no capacity is left here: send it to another replica")
        if answer is LookAnswer.DRAINING:
            raise come_again(ErrorCode.DRAINING, "this worker is about to stop: send it to another replica")
        return WebhookOutcome.ACCEPTED if answer is LookAnswer.TAKEN else WebhookOutcome.IGNORED


def _not_authentic(found: str) -> RefusedError:
    message = f"not signed by the LiveKit key of this worker, or not in force ({found})"
    return RefusedError(HTTPStatus.UNAUTHORIZED, ErrorCode.NOT_AUTHENTICATED, message)
