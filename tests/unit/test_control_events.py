"""Outgoing webhooks, received by a real HTTP server on loopback and verified by the reference library."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
from structlog.testing import capture_logs

from connector.base.ends import EndReason
from connector.base.secrets import Secret
from connector.base.trigger import Trigger
from connector.control import events
from connector.control.events import MAX_ATTEMPTS, EventPoster, retry_wait
from connector.control.observer import Observer
from connector.messages.types import SessionEnded
from tests.unit.test_control_lifecycle import start, state
from tests.until import until

SECRET = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
OTHER = "whsec_ZZZyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="

Answer = Callable[["Receiver", dict[str, Any]], Awaitable[web.Response] | web.Response]


def ok(_receiver: "Receiver", _event: dict[str, Any]) -> web.Response:
    return web.Response(status=204)


class Receiver:
    """Verifies what is posted, keeps it, and answers as it is told."""

    def __init__(self) -> None:
        self.answer: Answer = ok
        self.secret = SECRET
        self.got: list[dict[str, Any]] = []
        self.ids: list[str] = []
        self.forged = 0
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        try:
            event = Webhook(self.secret).verify(await request.read(), dict(request.headers))
        except WebhookVerificationError:
            self.forged += 1
            return web.Response(status=401)
        self.got.append(event)
        self.ids.append(request.headers["webhook-id"])
        answer = self.answer(self, event)
        return answer if isinstance(answer, web.Response) else await answer

    def types(self, session: str = "s1") -> list[str]:
        return [event["type"].removeprefix("session.") for event in self.got if event["data"]["session"] == session]


class Counts(Observer):
    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()

    def event_posted(self, outcome: str) -> None:
        self.outcomes[outcome] += 1


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/hooks", receiver.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hooks"
    try:
        yield receiver
    finally:
        await runner.cleanup()


@asynccontextmanager
async def posting(
    url: str, counts: Counts, *, secret: Callable[[], Secret] = lambda: Secret(SECRET), rand: float = 0.0
) -> AsyncIterator[EventPoster]:
    poster = EventPoster(url, secret, worker_id="worker-1", report=counts, rand=lambda: rand)
    try:
        yield poster
    finally:
        await poster.close()


def live(poster: EventPoster, session: str = "s1") -> None:
    poster.session_started(start(session), Trigger.WEBHOOK)
    poster.session_state(state("live", session=session))


def end(poster: EventPoster, session: str = "s1") -> None:
    poster.session_ended(SessionEnded(session_id=session, room="front-desk", reason=EndReason.ROOM_EMPTY))


async def test_a_session_is_told_in_order_and_signed() -> None:
    """Start, live and end arrive as such, in order, each with an id of its own and a valid signature."""
    counts = Counts()
    async with receiving() as receiver, posting(receiver.url, counts) as poster:
        live(poster)
        end(poster)
        await until(lambda: counts.outcomes["ok"] == 3)
    assert receiver.types() == ["started", "live", "ended"]
    assert receiver.got[2]["data"]["reason"] == "room_empty"
    assert len(set(receiver.ids)) == 3
    assert all(name.startswith("msg_") for name in receiver.ids)
    assert (receiver.forged, counts.outcomes) == (0, Counter(ok=3))


async def test_a_failed_post_is_tried_again_with_the_same_id() -> None:
    """Whatever is no 2xx is tried again; later events of the session wait, so that their order is kept."""
    counts, statuses = Counts(), iter([500, 302, 401, 200])

    def fail_first(_receiver: Receiver, _event: dict[str, Any]) -> web.Response:
        return web.Response(status=next(statuses, 200), headers={"Location": "/elsewhere"})

    async with receiving() as receiver, posting(receiver.url, counts) as poster:
        receiver.answer = fail_first
        live(poster)
        await until(lambda: counts.outcomes["ok"] == 2)
    assert receiver.types() == ["started"] * 4 + ["live"]
    assert len(set(receiver.ids[:4])) == 1
    assert counts.outcomes == Counter(retried=3, ok=2)


async def test_tries_are_used_up() -> None:
    """A receiver that never takes an event is given up for it after the last try; the next event has its own tries."""
    counts = Counts()

    def refuse_starts(_receiver: Receiver, event: dict[str, Any]) -> web.Response:
        return web.Response(status=503 if event["type"] == "session.started" else 200)

    with capture_logs() as logs:
        async with receiving() as receiver, posting(receiver.url, counts) as poster:
            receiver.answer = refuse_starts
            live(poster)
            await until(lambda: counts.outcomes["ok"] == 1)
    assert receiver.types() == ["started"] * MAX_ATTEMPTS + ["live"]
    assert counts.outcomes == Counter(retried=MAX_ATTEMPTS - 1, failed=1, ok=1)
    assert [entry["event"] for entry in logs] == ["event_post_failed", "event_not_posted"]


async def test_one_session_does_not_wait_for_another() -> None:
    """An event that hangs or is refused holds up its own session only."""
    counts, release = Counts(), asyncio.Event()

    async def hang_on_s1(_receiver: Receiver, event: dict[str, Any]) -> web.Response:
        if event["data"]["session"] == "s1":
            await release.wait()
        return web.Response()

    async with receiving() as receiver, posting(receiver.url, counts) as poster:
        receiver.answer = hang_on_s1
        live(poster)
        live(poster, "s2")
        end(poster, "s2")
        await until(lambda: receiver.types("s2") == ["started", "live", "ended"])
        assert receiver.types("s1") == ["started"]
        release.set()
        await until(lambda: counts.outcomes["ok"] == 5)


async def test_gone_stops_all_posting() -> None:
    """410 ends it for good: what waits and what comes later is dropped, with one line that says what to do."""
    counts = Counts()
    with capture_logs() as logs:
        async with receiving() as receiver, posting(receiver.url, counts) as poster:
            receiver.answer = lambda _receiver, _event: web.Response(status=410)
            live(poster)
            await until(lambda: poster.waiting == 0)
            end(poster)
            live(poster, "s2")
    assert len(receiver.got) == 1
    assert counts.outcomes == Counter(dropped=5)
    assert [entry["event"] for entry in logs] == ["events_stopped"]
    assert "restart" in logs[0]["remedy"]


async def test_a_rotated_secret_signs_from_the_next_try_on() -> None:
    """The secret is asked for each time, so even a try that was refused for the old one succeeds with the new."""
    counts, secrets = Counts(), [Secret(SECRET)]
    async with receiving() as receiver, posting(receiver.url, counts, secret=lambda: secrets[-1]) as poster:
        receiver.secret = OTHER
        poster.session_started(start(), Trigger.WEBHOOK)
        await until(lambda: receiver.forged > 0)
        secrets.append(Secret(OTHER))
        await until(lambda: counts.outcomes["ok"] == 1)
    assert receiver.types() == ["started"]


async def test_a_receiver_that_is_away_costs_only_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    """The queue is bounded over all sessions, the oldest go first, each is counted, and the log has few lines."""
    monkeypatch.setattr(events, "MAX_WAITING", 10)
    counts, away = Counts(), [True]

    def maybe(_receiver: Receiver, _event: dict[str, Any]) -> web.Response:
        return web.Response(status=503 if away[0] else 200)

    with capture_logs() as logs:
        async with receiving() as receiver, posting(receiver.url, counts, rand=0.005) as poster:
            receiver.answer = maybe
            for number in range(20):
                poster.session_started(start(f"s{number}"), Trigger.RECONCILE)
            assert poster.waiting == 10
            assert counts.outcomes["dropped"] == 10
            away[0] = False
            await until(lambda: poster.waiting == 0)
    assert {e["data"]["session"] for e in receiver.got} >= {f"s{number}" for number in range(10, 20)}
    assert counts.outcomes["ok"] == 10
    assert [entry["event"] for entry in logs if entry["event"] == "events_dropped"] == ["events_dropped"]


async def test_a_flapping_session_is_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is dropped leaves nothing behind in its session's lane, and the newest events still arrive in order."""
    monkeypatch.setattr(events, "MAX_WAITING", 4)
    counts = Counts()
    async with receiving() as receiver, posting(receiver.url, counts) as poster:
        poster.session_started(start(), Trigger.RECONCILE)
        for number in range(50):
            poster.session_state(state("recovering" if number % 2 else "live"))
        end(poster)
        assert [len(lane) for lane in poster._lanes.values()] == [4]
        await until(lambda: poster.waiting == 0)
    assert receiver.types() == ["recovering", "live", "recovering", "ended"]
    assert counts.outcomes == Counter(dropped=48, ok=4)


async def test_closing_tries_what_waits_once_more() -> None:
    """A message in back-off goes out at the end instead of being lost, in far less than its wait."""
    counts, statuses = Counts(), iter([503])

    def fail_once(_receiver: Receiver, _event: dict[str, Any]) -> web.Response:
        return web.Response(status=next(statuses, 200))

    async with receiving() as receiver:
        receiver.answer = fail_once
        async with posting(receiver.url, counts, rand=0.999) as poster:
            live(poster)
            await until(lambda: counts.outcomes["retried"] == 1)
            end(poster)
        assert receiver.types() == ["started", "started", "live", "ended"]
    assert counts.outcomes == Counter(retried=1, ok=3)


async def test_closing_does_not_wait_for_a_receiver_that_hangs() -> None:
    """Within 2 s it is over; what was not taken is dropped and counted; whatever comes later is dropped too."""
    counts, hanging = Counts(), asyncio.Event()

    async def hang(_receiver: Receiver, _event: dict[str, Any]) -> web.Response:
        await hanging.wait()
        return web.Response()

    async with receiving() as receiver, posting(receiver.url, counts) as poster:
        receiver.answer = hang
        live(poster)
        await until(lambda: len(receiver.got) == 1)
        async with asyncio.timeout(2.0):
            await poster.close()
        assert counts.outcomes == Counter(dropped=2)
        end(poster)
        assert counts.outcomes == Counter(dropped=3)
        hanging.set()


async def test_nobody_there_is_one_line_and_no_secret() -> None:
    """A refused connection is retried like any failure; the log names the error and never the secret."""
    counts = Counts()
    with capture_logs() as logs:
        async with posting("http://127.0.0.1:9/hooks", counts) as poster:
            poster.session_started(start(), Trigger.WEBHOOK)
            await until(lambda: counts.outcomes["failed"] == 1)
    assert [entry["event"] for entry in logs] == ["event_post_failed", "event_not_posted"]
    assert "Connect" in logs[0]["error"]
    assert SECRET not in repr(logs)


async def test_a_receiver_can_ask_for_patience() -> None:
    """`Retry-After` in seconds is kept to: the next try is not made at once."""
    counts = Counts()
    async with receiving() as receiver, posting(receiver.url, counts) as poster:
        receiver.answer = lambda _receiver, _event: web.Response(status=429, headers={"Retry-After": "300"})
        poster.session_started(start(), Trigger.WEBHOOK)
        await until(lambda: counts.outcomes["retried"] == 1)
        receiver.answer = ok
        live(poster, "s2")
        await until(lambda: receiver.types("s2") == ["started", "live"])
        assert receiver.types("s1") == ["started"]


@given(st.integers(1, 50), st.floats(0, 1, exclude_max=True))
def test_waits_grow_and_are_bounded(attempts: int, chance: float) -> None:
    """Full jitter: anything from nothing up to 5 s, doubling, never over five minutes."""
    assert 0 <= retry_wait(attempts, lambda: chance) <= min(300, 5 * 2 ** (attempts - 1))
    assert retry_wait(attempts, lambda: 0.5) <= retry_wait(attempts + 1, lambda: 0.5)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 0),
        ("", 0),
        ("7", 7),
        ("9999999999999", 300),
        ("-1", 0),
        ("soon", 0),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 0),
    ],
)
def test_retry_after_is_read_in_seconds(header: str | None, seconds: float) -> None:
    """Dates and nonsense count as nothing; the wait is bounded."""
    assert events._seconds(header) == seconds
