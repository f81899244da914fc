"""The reconcile pass: look at LiveKit, compare with what runs, stop what is redundant, start what is missing.

A pass is the only thing that starts sessions; whatever else happens merely hastens the next one. Rooms that existed
before this worker did are found by the first pass, and what could not be learnt changes nothing. Passes over single
rooms (hinted at by a trigger) run beside the pass over all of them; a room is decided about and marked in one step
of the event loop, so it is never started twice.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from typing import Any

import structlog

from connector.base.errors import ConfigError, ConnectorError
from connector.base.redact import redact
from connector.base.trigger import Trigger
from connector.config.rules import RuleBook
from connector.control.desired import Known, Verdict, Why, desired, worth_a_look
from connector.control.hints import Hints
from connector.control.life import Life
from connector.control.observer import Observer
from connector.control.ports import LiveKitView
from connector.control.seen import RoomSeen

_JITTER = 0.2
"""Passes of many workers must not fall into step."""
_LOOKS_AT_ONCE = 16
_PASSES_AT_ONCE = 8
_LIVEKIT_SILENT_LOG_S = 60.0
_SOON_S = 2.0


@dataclass(frozen=True, slots=True)
class Timing:
    """How often passes run.

    Attributes:
        every_s: Seconds between passes over everything.
        now: Monotonic seconds.
        wall: Wall-clock seconds.
    """

    every_s: float
    now: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time


class Reconciler:
    """Compares desired with running, and acts.

    Args:
        rules: The rules of rooms.yaml.
        livekit: Shows rooms.
        life: Starts and ends sessions, remembers how they ended.
        observer: Told of every pass.
        worker_id: Ours, for `connector.worker`.
        timing: How often, by which clocks.
    """

    def __init__(
        self,
        rules: RuleBook,
        livekit: LiveKitView,
        life: Life,
        *,
        observer: Observer,
        worker_id: str,
        timing: Timing,
    ) -> None:
        self.rules = rules
        self._livekit = livekit
        self._life = life
        self._observer = observer
        self._worker_id = worker_id
        self._timing = timing
        self._hints = Hints()
        self._wake = asyncio.Event()
        self._log = structlog.get_logger()
        self._verdicts: dict[str, Verdict] = {}
        self._unserved_since: dict[str, float] = {}
        self._livekit_silent_at: float | None = None

    @property
    def verdicts(self) -> Mapping[str, Verdict]:
        """The last verdict of every room that exists and is not served here."""
        return self._verdicts

    async def run(self) -> None:
        """Pass after pass, until cancelled.

        Raises:
            ConfigError: LiveKit refuses our key on the very first pass; later that is only logged.
        """
        try:
            await self.one_pass(first=True)
        except ConfigError:
            raise
        except Exception as error:  # noqa: BLE001 - the task boundary
            self._log.exception("pass_failed", error=redact(error))
        slots, full_slot = asyncio.Semaphore(_PASSES_AT_ONCE), asyncio.Semaphore(1)
        next_full = self._next_full()
        async with asyncio.TaskGroup() as group:
            while True:
                await self._wait(next_full)
                await slots.acquire()  # while every slot is taken, hints wait in their bounded box
                rooms, everything = self._hints.take(self._timing.now())
                group.create_task(self._guarded(slots, self.one_pass(rooms)), name="reconcile-hinted")
                if (everything or self._timing.now() >= next_full) and not full_slot.locked():
                    await full_slot.acquire()
                    group.create_task(self._guarded(full_slot, self.one_pass()), name="reconcile")
                    next_full = self._next_full()

    def look_at(self, room: str, trigger: Trigger) -> None:
        """Look at a room at once."""
        self._hints.add(room, trigger)
        self._observer.rooms_to_look_at(len(self._hints))
        self._wake.set()

    def look_at_all(self) -> None:
        """Look at everything at once."""
        self._hints.add_all()
        self._wake.set()

    def look_at_later(self, room: str, seconds: float) -> None:
        """Look at a room in a while."""
        self._hints.at(room, self._timing.now() + seconds)
        self._wake.set()

    async def one_pass(self, hinted: Mapping[str, Trigger] | None = None, *, first: bool = False) -> None:
        """Look once, and act.

        Args:
            hinted: Only these rooms, with what hinted at them; None looks at everything.
            first: The worker has just started: a key that LiveKit refuses is an error.

        Raises:
            ConfigError: LiveKit refuses our key, on the first pass.
        """
        if hinted is not None and not hinted:
            return
        begin = self._timing.now()
        await self._life.learn_requests()
        try:
            seen = await self._look(hinted)
        except ConnectorError as error:
            self._observer.pass_done(self._timing.now() - begin, ok=False, full=hinted is None)
            if first and isinstance(error, ConfigError):
                raise
            self._livekit_silent(error)
            return
        self._livekit_silent_at = None
        await self._life.learn_ends({*seen, *(hinted or {})})
        verdicts = self._judge(seen)
        if hinted is None:
            self._life.forget(seen, before=begin)
        self._life.stop_redundant()
        await self._start_missing(verdicts, seen, hinted or {})
        await self._life.release_idle([*verdicts, *(hinted or {})])
        self._remember(verdicts, hinted)
        self._observer.pass_done(self._timing.now() - begin, ok=True, full=hinted is None)

    def _judge(self, seen: Mapping[str, RoomSeen]) -> dict[str, Verdict]:
        now = self._timing.now()
        known = Known(
            requests=self._life.requests.by_room,
            history=self._life.history.ends,
            worker_id=self._worker_id,
            now=now,
            wall=self._timing.wall(),
            circuit_until=self._life.key.closed_until(now),
        )
        return desired(self.rules, [room for room in seen.values() if room.name not in self._life.running], known)

    async def _start_missing(
        self, verdicts: dict[str, Verdict], seen: Mapping[str, RoomSeen], hinted: Mapping[str, Trigger]
    ) -> None:
        """Start what is to be served; a verdict that could not be carried out is replaced by why."""

        async def start(name: str) -> None:
            verdict = verdicts[name]
            trigger = hinted.get(name, Trigger.RECONCILE)
            verdicts[name] = replace(verdict, why=await self._life.start(verdict, seen[name], trigger))

        wanted = [name for name, verdict in verdicts.items() if self._life.may_start(verdict)]
        await asyncio.gather(*(start(name) for name in wanted))

    def _remember(self, verdicts: Mapping[str, Verdict], hinted: Mapping[str, Trigger] | None) -> None:
        for name, verdict in verdicts.items():
            self._note(verdict)
            if verdict.why in _SOON:
                self._hints.at(name, self._timing.now() + _SOON_S)
            elif verdict.again_at is not None and verdict.why not in (Why.SERVE, Why.CLAIMED_ELSEWHERE):
                self._hints.at(name, verdict.again_at)
        if hinted is None:
            self._verdicts = dict(verdicts)
            self._report_unserved()
        else:
            for name in hinted:
                self._verdicts.pop(name, None)
            self._verdicts.update(verdicts)

    def _report_unserved(self) -> None:
        """Rooms that the rules want served; those whose session is not live are unserved."""
        now, running = self._timing.now(), self._life.running.by_room
        wanted = {name for name, verdict in self._verdicts.items() if verdict.why in _WANTED}
        wanted |= {name for name, session in running.items() if session.state != "live"}
        self._unserved_since = {name: self._unserved_since.get(name, now) for name in wanted}
        oldest = max((now - since for since in self._unserved_since.values()), default=0.0)
        live = sum(session.state == "live" for session in running.values())
        self._observer.rooms_judged(len(wanted) + live, len(wanted), oldest)

    def _note(self, verdict: Verdict) -> None:
        """Say once why a room that a rule matches is not served."""
        before = self._verdicts.get(verdict.room)
        if verdict.why in (Why.SERVE, Why.NO_RULE) or (before is not None and before.why is verdict.why):
            return
        alarming = verdict.why in _ALARMING or (verdict.why is Why.SERVED_ELSEWHERE and not self._life.shared_claims)
        (self._log.warning if alarming else self._log.info)(
            "room_not_served",
            room=redact(verdict.room),
            why=verdict.why.value,
            humans=verdict.humans,
            detail=_MEMORY_WARNING if alarming and verdict.why is Why.SERVED_ELSEWHERE else verdict.detail,
        )

    def _livekit_silent(self, error: ConnectorError) -> None:
        now = self._timing.now()
        if self._livekit_silent_at is None or now - self._livekit_silent_at > _LIVEKIT_SILENT_LOG_S:
            self._livekit_silent_at = now
            self._log.warning("livekit_unknown", error=redact(error))

    async def _look(self, hinted: Mapping[str, Trigger] | None) -> dict[str, RoomSeen]:
        """The rooms with who is in them; a room whose people could not be learnt says so."""
        slots = asyncio.Semaphore(_LOOKS_AT_ONCE)

        async def people(room: RoomSeen) -> RoomSeen:
            requested = room.name in self._life.requests.by_room
            if room.name in self._life.running or not worth_a_look(self.rules.match(room.name), requested=requested):
                return room
            async with slots:
                try:
                    return replace(room, participants=await self._livekit.participants(room.name))
                except ConnectorError as error:
                    self._log.warning("participants_unknown", room=redact(room.name), error=redact(error))
                    return room

        names = self._names() if hinted is None else sorted(hinted)
        rooms = await self._livekit.list_rooms(names)
        return {room.name: room for room in await asyncio.gather(*(people(room) for room in rooms))}

    def _names(self) -> list[str] | None:
        """The rooms to ask for; None asks for all, because a pattern may match any."""
        if self.rules.has_patterns:
            return None
        return sorted({*self.rules.exact_rooms, *self._life.requests.by_room, *self._life.running.by_room})

    def _next_full(self) -> float:
        return self._timing.now() + self._timing.every_s * random.uniform(1 - _JITTER, 1 + _JITTER)

    async def _wait(self, next_full: float) -> None:
        """Return when something is to be looked at."""
        while not self._hints.waiting:
            due = min(next_full, self._hints.next_at() or next_full)
            left = due - self._timing.now()
            if left <= 0:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._wake.wait()
            self._wake.clear()

    async def _guarded(self, slots: asyncio.Semaphore, work: Coroutine[Any, Any, None]) -> None:
        """The task boundary: one pass that breaks must not end the worker, or the calls. Frees the slot that it has."""
        try:
            await work
        except Exception as error:  # noqa: BLE001 - the task boundary
            self._log.exception("pass_failed", error=redact(error))
        finally:
            slots.release()


_WANTED = frozenset(
    {
        Why.SERVE,
        Why.NO_AGENT,
        Why.REJECTED,
        Why.WAITING,
        Why.HELD,
        Why.CIRCUIT_OPEN,
        Why.CLAIMS_UNAVAILABLE,
        Why.FULL,
    },
)
"""Somebody is waiting for an agent there."""
_SOON = frozenset({Why.FULL, Why.CLAIMS_UNAVAILABLE})
"""What may change without anybody telling us."""
_MEMORY_WARNING = (
    "another worker serves it: right while one replaces the other, wrong for good: more than one replica needs"
    " worker.claims: redis"
)
_ALARMING = frozenset({Why.NO_AGENT, Why.REJECTED, Why.HELD, Why.CIRCUIT_OPEN, Why.CLAIMS_UNAVAILABLE, Why.FULL})
