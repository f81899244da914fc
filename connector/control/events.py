"""Outgoing lifecycle webhooks: what happens to sessions, posted in the Standard Webhooks format.

Control calls an observer and goes on; messages wait here, at most a thousand, the oldest dropped first. Each session
has a lane of its own, so that its events arrive in order and one that is refused holds up no other session's.
See https://github.com/standard-webhooks/standard-webhooks and docs/events.md.
"""

import asyncio
import random
import time
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx
import structlog
from standardwebhooks.webhooks import Webhook

from connector.base.redact import redact
from connector.base.secrets import Secret
from connector.base.trigger import Trigger
from connector.control.lifecycle import Event, Lifecycle
from connector.control.observer import Observer
from connector.messages.types import SessionEnded, SessionState, StartSession

MAX_WAITING = 1_000
MAX_ATTEMPTS = 8
"""With waits of at most 5, 10, 20, 40, 80, 160 and 300 s: a receiver may be away for some five minutes."""
FIRST_WAIT_S, MAX_WAIT_S = 5.0, 300.0
CONNECT_S, TOTAL_S = 3.0, 10.0
"""`facts/faults.md` §2, HTTP."""
FLUSH_S = 1.5
_AT_ONCE = 8
_LOG_EVERY_S = 60.0
_GONE = 410

_log = structlog.get_logger()


@dataclass(slots=True)
class _Message:
    """An event on its way; its id stays the same over all attempts, so that a receiver can tell a repetition."""

    id: str
    event: Event
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class _Answer:
    """What became of one attempt."""

    status: int | None
    error: str = ""
    retry_after_s: float = 0.0

    @property
    def ok(self) -> bool:
        return self.status is not None and 200 <= self.status < 300  # noqa: PLR2004 - RFC 9110


class EventPoster(Observer):
    """Posts the lifecycle of sessions to one receiver. Make it inside a running event loop; `close` it.

    Args:
        url: Where to post.
        secret: Gives the signing secret of the moment (``whsec_…``), so that it can be rotated.
        worker_id: Which worker this is.
        report: Told of what becomes of each message, by `event_posted`.
        rand: Uniform in [0, 1), for the jitter of waits.
        clock: Monotonic seconds.
        wall: Wall-clock seconds.
    """

    def __init__(
        self,
        url: str,
        secret: Callable[[], Secret],
        *,
        worker_id: str,
        report: Observer,
        rand: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._url = url
        self._secret = secret
        self._report = report
        self._rand = rand
        self._wall = wall
        self._lifecycle = Lifecycle(worker_id)
        self._waiting: dict[str, _Message] = {}
        self._lanes: dict[str, deque[_Message]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._closing = asyncio.Event()
        self._off = False
        self._lost = 0
        self._complaints = _Seldom(clock)
        self._losses = _Seldom(clock)
        self._http = httpx.AsyncClient(
            timeout=httpx.Timeout(TOTAL_S, connect=CONNECT_S),
            limits=httpx.Limits(max_connections=_AT_ONCE, max_keepalive_connections=0),
            follow_redirects=False,
            trust_env=False,
            headers={"Content-Type": "application/json", "User-Agent": "room-connector"},
        )

    @property
    def waiting(self) -> int:
        """Messages that are not delivered yet, nor given up."""
        return len(self._waiting)

    def session_started(self, start: StartSession, trigger: Trigger) -> None:
        """See `Observer`."""
        self._put(self._lifecycle.started(start, trigger, self._wall()))

    def session_state(self, state: SessionState) -> None:
        """See `Observer`."""
        self._put(self._lifecycle.state(state, self._wall()))

    def session_ended(self, ended: SessionEnded) -> None:
        """See `Observer`."""
        self._put(self._lifecycle.ended(ended, self._wall()))

    async def close(self) -> None:
        """Try everything that waits once more, drop what is left, and end; takes at most 2 s. Idempotent."""
        self._closing.set()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=FLUSH_S)
        self._off = True
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        while self._waiting:
            self._drop_oldest("the worker stopped before the receiver took them")
        await self._http.aclose()

    def _put(self, event: Event | None) -> None:
        if event is None:
            return
        if self._off:
            self._report.event_posted("dropped")
            return
        if len(self._waiting) >= MAX_WAITING:
            self._drop_oldest(f"more than {MAX_WAITING} wait: is the receiver at worker.events.url slow, or away?")
        message = _Message(f"msg_{uuid.uuid4().hex}", event)
        self._waiting[message.id] = message
        lane = self._lanes.get(event.session)
        if lane is not None:
            lane.append(message)
            return
        self._lanes[event.session] = deque([message])
        task = asyncio.create_task(self._serve(event.session), name=f"events-{event.session}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _drop_oldest(self, why: str) -> None:
        oldest = next(iter(self._waiting.values()))
        self._remove(oldest)
        self._lost += 1
        self._report.event_posted("dropped")
        self._losses.warn("events_dropped", why=why, total=self._lost)

    def _remove(self, message: _Message) -> None:
        """Take a message out; the oldest of all is the oldest of its lane."""
        del self._waiting[message.id]
        self._lanes[message.event.session].popleft()

    async def _serve(self, session: str) -> None:
        """Deliver what one session has to tell, one after the other."""
        lane = self._lanes[session]
        while lane:
            await self._deliver(lane[0])
        del self._lanes[session]

    async def _deliver(self, message: _Message) -> None:
        """Try until the message is delivered, given up, or dropped by somebody else."""
        while message.id in self._waiting:
            async with self._slots:
                answer = await self._attempt(message) if message.id in self._waiting else None
            if answer is None or message.id not in self._waiting:
                return
            message.attempts += 1
            if answer.ok:
                self._remove(message)
                self._report.event_posted("ok")
            elif answer.status == _GONE:
                self._give_up_all()
            elif message.attempts >= MAX_ATTEMPTS or self._closing.is_set():
                self._remove(message)
                self._lost += 1
                self._report.event_posted("failed")
                self._losses.warn("event_not_posted", error=answer.error, attempts=message.attempts, total=self._lost)
            else:
                self._report.event_posted("retried")
                self._complaints.warn("event_post_failed", error=answer.error, attempt=message.attempts)
                await self._pause(max(retry_wait(message.attempts, self._rand), answer.retry_after_s))

    async def _attempt(self, message: _Message) -> _Answer:
        try:
            async with asyncio.timeout(TOTAL_S):
                headers = self._signed(message)
                request = self._http.stream("POST", self._url, content=message.event.body, headers=headers)
                async with request as response:
                    status = response.status_code
                    return _Answer(status, f"HTTP {status}", _seconds(response.headers.get("retry-after")))
        except TimeoutError:
            return _Answer(None, f"no answer within {TOTAL_S:.0f} s")
        except Exception as error:  # noqa: BLE001 - the task boundary: whatever one receiver does, posting goes on
            return _Answer(None, f"{type(error).__name__}: {redact(error)}")

    def _signed(self, message: _Message) -> dict[str, str]:
        """The three headers; the timestamp is that of the attempt."""
        now = datetime.fromtimestamp(int(self._wall()), UTC)
        return {
            "webhook-id": message.id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(self._secret().reveal()).sign(message.id, now, message.event.body),
        }

    async def _pause(self, seconds: float) -> None:
        """Wait, but not while everybody leaves."""
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            return

    def _give_up_all(self) -> None:
        self._off = True
        count = len(self._waiting)
        for message in list(self._waiting.values()):
            self._remove(message)
            self._report.event_posted("dropped")
        remedy = "the receiver wants no more events: correct worker.events.url or remove it, and restart the worker"
        _log.error("events_stopped", status=_GONE, dropped=count, remedy=remedy)


class _Seldom:
    """Warns at most once a minute."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._next = float("-inf")

    def warn(self, event: str, **values: object) -> None:
        """Log a warning, unless one was logged within the last minute."""
        if self._clock() >= self._next:
            self._next = self._clock() + _LOG_EVERY_S
            _log.warning(event, **values)


def retry_wait(attempts: int, rand: Callable[[], float]) -> float:
    """Seconds to wait after so many failed attempts: exponential back-off with full jitter.

    Args:
        attempts: At least 1.
        rand: Uniform in [0, 1).
    """
    return min(MAX_WAIT_S, FIRST_WAIT_S * 2.0 ** (attempts - 1)) * rand()


def _seconds(retry_after: str | None) -> float:
    """A Retry-After header in seconds, at most `MAX_WAIT_S`; 0 when it is missing or a date."""
    text = (retry_after or "").strip()
    return min(float(text[:9]), MAX_WAIT_S) if text.isascii() and text.isdigit() else 0.0
