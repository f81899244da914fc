"""Claims in Redis: leases that all replicas respect.

The decisions are in `leases`, `replicas` and `sharing`, the atomic steps in `redis_scripts`, the connection in
`redis_link`, hints and notes in `redis_hints` and `redis_notes`; here they meet. An outage of Redis stops new claims
and nothing else: what we hold counts as held, and is taken again, if nobody else has it, with the first answer.
"""

import asyncio
import contextlib
import random
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from connector.base.errors import ConnectorError
from connector.base.redact import redact
from connector.base.secrets import Secret
from connector.control import redis_scripts, sharing
from connector.control.claims import ClaimEvents, ClaimOutcome
from connector.control.history import LastEnd
from connector.control.leases import GAP_S, LEASE_S, LOOK_S, RENEW_S, Contact, Leases, Renewal
from connector.control.observer import Observer
from connector.control.redis_hints import HintLine
from connector.control.redis_link import RedisLink
from connector.control.redis_notes import RedisNotes
from connector.control.replicas import Load, Replicas
from connector.control.requests import Request

_log = structlog.get_logger()

_LEASE_MS = round(LEASE_S * 1000)
_LEAST_LEFT_MS = round((LEASE_S - GAP_S) * 1000)
"""Our own key in Redis lives shorter than this when we have not renewed for `GAP_S`."""
_DUE_S = RENEW_S - LOOK_S / 2


@dataclass(frozen=True, slots=True)
class RedisFigures:
    """What happened between us and Redis since the start.

    Attributes:
        outages: Times that a renewal got no answer, after one that did.
        failed_calls: Other calls that got no answer.
        garbage: Entries in Redis that could not be read.
        taken_again: Leases that were gone when they were renewed, and that nobody else had taken.
        lost: Leases that another replica holds now.
        replicas: Other replicas that live.
    """

    outages: int = 0
    failed_calls: int = 0
    garbage: int = 0
    taken_again: int = 0
    lost: int = 0
    replicas: int = 0


class RedisClaims:
    """`Claims` of one among many replicas. Make it inside a running event loop; `check` it, `run` it, `close` it.

    Until `report_load` was called it counts as full, and comes last.
    """

    shared = True

    def __init__(
        self,
        url: Secret,
        *,
        livekit_url: str,
        worker_id: str,
        observer: Observer | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare a store; nothing is sent yet.

        Args:
            url: ``REDIS_URL``.
            livekit_url: Replicas that serve the same LiveKit must spell it alike: only then they share leases.
            worker_id: Ours; different for every process that ever runs.
            observer: Is told of leases that could not be renewed.
            clock: Monotonic seconds.

        Raises:
            ConfigError: The URL is no Redis URL.
        """
        self._link = RedisLink(url)
        self._link.on_failure = self._look_soon
        self._worker_id = worker_id
        self._observer = observer or Observer()
        self._clock = clock
        self._keys = sharing.Keys(livekit_url)
        self._mark = f"{worker_id}:{secrets.token_hex(4)}:"
        self._shared_clock = sharing.SharedClock(time.time() - clock())
        self._leases, self._contact, self._replicas = Leases(), Contact(), Replicas(worker_id)
        self._notes = RedisNotes(self._link, self._keys, self._shared_clock, clock)
        self._hints = HintLine(self._link, self._keys.hints, self._on_hint, lambda: self._events.hint(""))
        self._events = ClaimEvents(lost=lambda _room: None, hint=lambda _room: None)
        self._load = Load(0, 0)
        self._published: Load | None = None
        self._turn: asyncio.Task[bool] | None = None
        self._one_at_a_time = asyncio.Lock()
        self._wake = asyncio.Event()
        self._asking, self._asked = 0, asyncio.Event()
        self._closed = False
        self._outages = self._garbage = self._taken_again = self._lost = 0
        script = self._link.client.register_script
        self._claim_script, self._release_script = script(redis_scripts.CLAIM), script(redis_scripts.RELEASE)
        self._beat_script, self._look_script = script(redis_scripts.BEAT), script(redis_scripts.LOOK)

    async def check(self) -> None:
        """See whether Redis is there, lets us in, and does all that we need. Await it before `run`.

        Raises:
            UnavailableError: It is not there.
            ConfigError: It refuses us, or is of a kind that does not fit.
        """
        await self._beat()
        await self._hints.open()

    def figures(self) -> RedisFigures:
        """The counters now."""
        return RedisFigures(
            outages=self._outages,
            failed_calls=self._link.failed_attempts,
            garbage=self._garbage + self._notes.garbage,
            taken_again=self._taken_again,
            lost=self._lost,
            replicas=len(self._replicas.others),
        )

    def listen(self, events: ClaimEvents) -> None:
        """See `Claims`."""
        self._events = events

    def report_load(self, sessions: int, capacity: int) -> None:
        """See `Claims`."""
        self._load = Load(max(0, sessions), max(0, capacity))

    async def run(self) -> None:
        """See `Claims`."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep(), name="claims-keep")
            group.create_task(self._hints.run(), name="claims-hints")

    async def claim(self, room: str) -> ClaimOutcome:
        """See `Claims`. Waits up to 0.6 s, so that a less loaded replica comes first, and up to 1.5 s for Redis."""
        if room in self._leases.held:
            return ClaimOutcome.WON if self._leases.sure(room) else ClaimOutcome.LOST
        if self._contact.heard_at is None:
            await self._do_turn()
        if not self._contact.may_claim(self._clock()):
            return ClaimOutcome.ERROR
        await asyncio.sleep(self._replicas.delay_s(room, self._own_load()))
        if self._closed:
            return ClaimOutcome.ERROR
        self._asking += 1
        try:
            return await self._ask_for(room)
        finally:
            self._asking -= 1
            self._asked.set()

    async def release(self, room: str) -> None:
        """See `Claims`. If Redis does not answer, the lease is given back later, or runs out."""
        if self._leases.drop(room):
            await self._give_back()

    async def tell(self, room: str) -> None:
        """See `Claims`."""
        hint = sharing.dump_hint(self._worker_id, room)
        await self._link.attempt(lambda: self._link.client.publish(self._keys.hints, hint), "telling other replicas")

    async def remember_end(self, room: str, end: LastEnd) -> None:
        """See `Claims`. It is kept for a day."""
        await self._notes.remember_end(room, end)

    async def remember_request(self, room: str, request: Request | None) -> None:
        """See `Claims`. It is kept for 15 min from now, unless it is remembered again."""
        await self._notes.remember_request(room, request)

    async def ends(self, rooms: frozenset[str]) -> Mapping[str, LastEnd]:
        """See `Claims`."""
        return await self._notes.ends(rooms)

    async def requests(self) -> Mapping[str, Request]:
        """See `Claims`."""
        return await self._notes.requests()

    async def close(self) -> None:
        """See `Claims`. Takes some 10 s at most, when Redis does not answer; the leases run out then."""
        self._closed = True
        if self._turn is not None:
            await asyncio.wait({self._turn})
        while self._asking:
            self._asked.clear()
            await self._asked.wait()
        for room in tuple(self._leases.held):
            self._leases.drop(room)
        await self._give_back()
        client, own = self._link.client, self._keys.replica(self._worker_id)
        await self._link.attempt(lambda: client.delete(own), "leaving")
        name = sharing.dump_room(self._worker_id)
        await self._link.attempt(lambda: client.srem(self._keys.replicas, name), "leaving")
        await self.tell("")
        await self._hints.close()
        await self._link.close()

    async def _ask_for(self, room: str) -> ClaimOutcome:
        number, asked, answer = self._leases.next_number(), self._clock(), None
        keys = [self._keys.lease(room), self._keys.replica(self._worker_id)]
        try:
            answer = await self._link.attempt(
                lambda: self._claim_script(keys, [self._mark, number, _LEASE_MS, _LEAST_LEFT_MS]), "claiming a room"
            )
        finally:
            if answer is None:
                self._leases.unsure(room, number)
        if answer == b"lost":
            return ClaimOutcome.LOST
        if answer == b"won" and self._leases.won(room, number, asked=asked, now=self._clock()) and not self._closed:
            return ClaimOutcome.WON
        self._look_soon()
        return ClaimOutcome.ERROR

    async def _give_back(self) -> None:
        async with self._one_at_a_time:  # a renewal on its way would take again what is deleted here
            leaving = dict(self._leases.leaving)
            keys, args = [self._keys.lease(room) for room in leaving], [self._mark, *leaving.values()]
            if leaving and await self._link.attempt(lambda: self._release_script(keys, args), "releasing") is not None:
                self._leases.left(leaving)

    async def _keep(self) -> None:
        """Renew every two seconds and look for the others every second; after a failure try again soon."""
        while True:
            answered = await self._do_turn()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S if answered else self._contact.back_off_s(random.random())):
                    await self._wake.wait()
            self._wake.clear()

    async def _do_turn(self) -> bool:
        """One turn. It goes on to its end when whoever waits for it is cancelled: `close` must come after it."""
        if self._closed:
            return False
        if self._turn is None or self._turn.done():
            self._turn = asyncio.create_task(self._one_turn(), name="claims-turn")
        return await asyncio.shield(self._turn)

    async def _one_turn(self) -> bool:
        try:
            await self._ask_redis()
        except ConnectorError as error:
            await self._failed(error)
            return False
        if self._leases.leaving:
            await self._give_back()
        if self._contact.grace_ended(self._clock()):
            self._events.hint("")
        return True

    async def _ask_redis(self) -> None:
        heard_at = self._contact.heard_at
        due = self._contact.lost_at is not None or heard_at is None or self._clock() - heard_at >= _DUE_S
        if due or self._own_load() != self._published:
            await self._beat()
        else:
            look = self._look_script([self._keys.replicas], [self._keys.replica_prefix])
            self._saw(await self._link.ask(look, "looking for replicas"))

    async def _beat(self) -> None:
        """Renew all leases, publish our load, see who lives. Raises `ConnectorError`."""
        async with self._one_at_a_time:
            held, load, asked = dict(self._leases.held), self._own_load(), self._clock()
            keys = [self._keys.replica(self._worker_id), self._keys.replicas, *map(self._keys.lease, held)]
            args = [sharing.dump_room(self._worker_id), sharing.dump_load(load), self._mark, _LEASE_MS]
            beat = self._beat_script(keys, [*args, self._keys.replica_prefix, *held.values()])
            told, known, results, living = await self._link.ask(beat, "renewing leases")
            now = self._clock()
            away = self._contact.heard(asked, now, known=bool(known))
            lost = self._leases.renewed(held, results, asked=asked)
        self._link.silent = False
        self._published = load
        self._shared_clock.learn(int(told[0]) + int(told[1]) / 1e6, asked=asked, now=now)
        if away is not None:
            _log.info("redis_back", redis=self._link.where, away_s=round(away, 1), rooms=len(held))
        self._tell_of(lost, results)
        self._saw(living)

    def _tell_of(self, lost: Sequence[str], results: Sequence[int]) -> None:
        self._taken_again += sum(result == Renewal.TAKEN_AGAIN for result in results)
        for room in lost:
            self._lost += 1
            self._observer.claim_renew_failed()
            _log.warning("lease_lost", room=redact(room), hint="another replica holds it now")
            self._events.lost(room)

    async def _failed(self, error: ConnectorError) -> None:
        self._link.silent = True
        if self._leases.held:
            self._observer.claim_renew_failed()
        if self._contact.failed(self._clock()):
            self._outages += 1
            _log.warning("redis_lost", error=str(error), rooms=len(self._leases.held), hint="no new room is claimed")
        await self._link.forget_connections()

    def _saw(self, living: Sequence[bytes]) -> None:
        loads = {
            sharing.read_room(name): sharing.read_load(load) for name, load in zip(*[iter(living)] * 2, strict=True)
        }
        self._garbage += sum(load is None for load in loads.values())
        gone = self._replicas.seen(loads)
        if gone and self._contact.may_claim(self._clock()):
            _log.info("replicas_gone", replicas=sorted(redact(name) for name in gone))
            self._events.hint("")

    def _on_hint(self, text: bytes) -> None:
        hint = sharing.read_hint(text)
        if hint is None:
            self._garbage += 1
        elif hint[0] != self._worker_id:
            self._events.hint(hint[1])

    def _look_soon(self) -> None:
        self._wake.set()

    def _own_load(self) -> Load:
        """Our load; rooms that we hold count, even if the last report did not know them."""
        return Load(max(self._load.sessions, len(self._leases.held)), self._load.capacity)
