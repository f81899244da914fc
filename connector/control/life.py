"""The life of this worker's sessions as control sees it: claimed, placed on an engine, ended, remembered.

The reconcile pass decides which rooms are to be served; here a session is really started, at most one for a room, and
what its end means for the room is kept: history, requests, claims, the circuit towards Millis.
"""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import replace
from typing import Any

import structlog

from connector.base.ends import EndReason
from connector.base.redact import redact
from connector.base.trigger import Trigger
from connector.config.model import RoomRule
from connector.control import session_log
from connector.control.claims import ClaimOutcome, Claims
from connector.control.desired import Verdict, Why
from connector.control.history import History, LastEnd, ended_since
from connector.control.key_gate import KeyGate
from connector.control.observer import Observer
from connector.control.orders import start_order, update_order
from connector.control.placement import Refusal
from connector.control.ports import Hosts, LifeActions
from connector.control.requests import Request, Requests
from connector.control.rule_changes import SessionChange, SessionUpdate, session_updates
from connector.control.seen import RoomSeen
from connector.control.sessions import Running, RunningSessions
from connector.messages.types import SessionEnded, SessionState

_AFTER_END_S = 1.0
"""After an end the room is looked at again soon: its reason may allow a new session."""
_RENEW_REQUEST_S = 300.0
_PROBE_PAUSE_S = 10.0
"""A replica that answered from inside a room is not asked again before that."""


class Life:
    """Starts and ends sessions.

    Args:
        engines: Where sessions run.
        claims: The right to serve a room.
        observer: Told of every session.
        now: Monotonic seconds.
    """

    def __init__(
        self, engines: Hosts, claims: Claims, observer: Observer, *, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._engines = engines
        self._claims = claims
        self._observer = observer
        self._now = now
        self._actions: LifeActions | None = None
        self.key = KeyGate(observer)
        self._starting: set[str] = set()
        self._kept: set[str] = set()
        self._answered_at: dict[str, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._log = structlog.get_logger()
        self.history = History()
        self.requests = Requests()
        self.running = RunningSessions()
        self.draining = False
        self.idle = asyncio.Event()
        self.idle.set()

    def connect(self, actions: LifeActions) -> None:
        """Where to turn to; called once, before anything else."""
        self._actions = actions

    @property
    def _do(self) -> LifeActions:
        if self._actions is None:
            raise RuntimeError("connect() comes first")
        return self._actions

    @property
    def shared_claims(self) -> bool:
        """Whether other replicas respect our claims, and we theirs."""
        return self._claims.shared

    async def learn_requests(self) -> None:
        """Take in the requests that reached other replicas, and drop those that nobody waits for any more."""
        if self._claims.shared:
            self.requests.merge(await self._claims.requests())
            self._renew_requests()
        for room in self.requests.expire(self._now(), self.running.by_room):
            self._log.info("request_expired", room=redact(room))
            self._soon(self._claims.remember_request(room, None))

    def _renew_requests(self) -> None:
        """Keep the requests of running sessions alive in the store, for the replica that may take them over."""
        now = self._now()
        for room in self.running.by_room.keys() & self.requests.by_room.keys():
            request = self.requests.by_room[room]
            if now - request.at > _RENEW_REQUEST_S:
                renewed = replace(request, at=now)
                self.requests.ask(room, renewed)
                self._soon(self._claims.remember_request(room, renewed))

    async def learn_ends(self, rooms: Iterable[str]) -> None:
        """Take in how the sessions of these rooms ended at other replicas, and what follows from that here."""
        if not self._claims.shared:
            return
        ends = await self._claims.ends(frozenset({*rooms, *self.requests.by_room}))
        self.history.merge(ends)
        for room, end in ends.items():
            request, running = self.requests.by_room.get(room), self.running.by_room.get(room)
            if request is not None and end.at > request.at:
                self.requests.ended(room, end.reason)
            if running is not None and end.reason is EndReason.REQUESTED and end.at > running.since:
                self._end(running, EndReason.REQUESTED)  # somebody asked another replica to end it

    def forget(self, seen: Iterable[str], *, before: float) -> None:
        """Forget rooms that did not exist any more at `before`, in monotonic seconds."""
        there = {*seen, *self.running.by_room}
        self.history.forget(there, before=before)
        self._answered_at = {room: at for room, at in self._answered_at.items() if room in there}
        held = sum(end.held_until is not None and self._now() < end.held_until for end in self.history.ends.values())
        self._observer.room_held(held)

    def may_start(self, verdict: Verdict) -> bool:
        """Whether a start is worth a try: the room is to be served, or a won lease may show that it is free."""
        wanted = verdict.serve or (verdict.why is Why.SERVED_ELSEWHERE and self._claims.shared)
        return wanted and verdict.agent is not None

    async def start(self, verdict: Verdict, room: RoomSeen, trigger: Trigger) -> Why:
        """Try to start a session.

        Returns:
            `Why.SERVE` when there is one now, otherwise why not.
        """
        if room.name in self.running or room.name in self._starting:
            return Why.SERVE
        refusal = self._refusal(verdict)
        if refusal is not None:
            return refusal
        self._starting.add(room.name)
        try:
            return await self._start(verdict, room, trigger)
        except BaseException:  # whatever broke: a claim without a session would lock everybody out of the room
            if room.name not in self.running:
                self._soon(self._claims.release(room.name))
            raise
        finally:
            self._starting.discard(room.name)

    async def _start(self, verdict: Verdict, room: RoomSeen, trigger: Trigger) -> Why:
        begin, last = self._now(), self.history.ends.get(room.name)
        outcome = await self._claims.claim(room.name)
        self._observer.claim(outcome.value)
        if outcome is not ClaimOutcome.WON:
            return Why.CLAIMS_UNAVAILABLE if outcome is ClaimOutcome.ERROR else Why.CLAIMED_ELSEWHERE
        self._observer.claim_took(self._now() - begin)
        await self.learn_ends([room.name])
        if ended_since(last, self.history.ends.get(room.name)):  # elsewhere, while we waited for the claim
            await self._claims.release(room.name)
            self._do.look_at(room.name, trigger)
            return Why.CLAIMED_ELSEWHERE
        return await self._claimed(verdict, room, trigger)

    def _refusal(self, verdict: Verdict) -> Why | None:
        if self.draining:
            return Why.DRAINING
        if verdict.why is Why.SERVED_ELSEWHERE:
            answered = self._answered_at.get(verdict.room)
            if answered is not None and self._now() < answered + _PROBE_PAUSE_S:
                return verdict.why
        if self.key.closed_until(self._now()) is not None:
            return Why.CIRCUIT_OPEN
        refused = isinstance(self._engines.room_for_one(rescue=self._is_rescue(verdict)), Refusal)
        return Why.FULL if refused else None

    def _is_rescue(self, verdict: Verdict) -> bool:
        """Whether the room was served until its engine or its worker died."""
        last = self.history.ends.get(verdict.room)
        return verdict.why is Why.SERVED_ELSEWHERE or (last is not None and last.reason is EndReason.ENGINE_LOST)

    async def _claimed(self, verdict: Verdict, room: RoomSeen, trigger: Trigger) -> Why:
        why = Why.SERVE
        if verdict.why is Why.SERVED_ELSEWHERE and verdict.rule is not None:
            if await self._do.answers(room.name, verdict.rule.participant.identity):
                self._answered_at[room.name] = self._now()
                why = Why.SERVED_ELSEWHERE
            else:
                self._log.warning("takeover", room=redact(room.name), found="its worker does not answer in the room")
                trigger = Trigger.FAILOVER
        if why is Why.SERVE:
            why = self._place(verdict, room, trigger)
        if why is not Why.SERVE:
            await self._claims.release(room.name)
            if why is not Why.SERVED_ELSEWHERE:
                await self._claims.tell(room.name)  # another replica may have room for it
        return why

    def _place(self, verdict: Verdict, room: RoomSeen, trigger: Trigger) -> Why:
        """The last step, without a pause between the decision and its mark."""
        rule, agent = verdict.rule, verdict.agent
        if self.draining or rule is None or agent is None:
            return Why.DRAINING
        if self.key.closed_until(self._now()) is not None:
            return Why.CIRCUIT_OPEN
        session_id = uuid.uuid4().hex[:12]
        request = self.requests.by_room.get(room.name)
        order = start_order(
            rule,
            room,
            agent,
            session_id,
            trigger=trigger if request is None else request.trigger,
            requested=request is not None,
            fenced=self._claims.shared,
        )
        engine = self._engines.start_session(order, rescue=self._is_rescue(verdict))
        if isinstance(engine, Refusal):
            self._log.warning("no_engine_takes_it", room=redact(room.name), why=engine.value)
            return Why.FULL
        trigger = Trigger(order.trigger)
        running = Running(session_id, room.name, room.sid, rule, agent, trigger, engine, time.time(), self._now())
        self.running.add(running)
        self.key.started(session_id)
        self.idle.clear()
        self.report_load()
        self._observer.session_started(order, trigger)
        session_log.started(running)
        return Why.SERVE

    async def release_idle(self, rooms: Iterable[str]) -> None:
        """Give back the claims that were kept for a new session after an engine was lost, where none came of it."""
        for room in self._kept.intersection(rooms):
            if room not in self._starting:
                self._kept.discard(room)
                if room not in self.running:
                    await self._claims.release(room)
                    await self._claims.tell(room)

    def stop_redundant(self) -> None:
        """End the sessions whose rule is gone and whose time to leave has come."""
        now = self._now()
        for running in self.running.by_room.values():
            if running.orphan_until is not None and now >= running.orphan_until:
                self._end(running, EndReason.RULE_REMOVED)

    def apply_rules(self, rules: Sequence[RoomRule]) -> None:
        """A reload of rooms.yaml: tell the running sessions what it means for them."""
        in_force = {room: running.rule for room, running in self.running.by_room.items()}
        for room, update in session_updates(rules, in_force).items():
            self._apply(self.running.by_room[room], update)

    def _apply(self, running: Running, update: SessionUpdate) -> None:
        if update.change is SessionChange.ORPHANED:
            if running.orphan_until is None:
                running.orphan_until = self._now() + update.rule.leave_after
                self._do.look_at_later(running.room, update.rule.leave_after)
            return
        running.rule, running.orphan_until = update.rule, None
        if update.change is SessionChange.UPDATE:
            self._engines.update_session(update_order(update.rule, running.session_id))

    def on_state(self, message: SessionState) -> None:
        """An engine reports a session's state."""
        running = self.running.on_state(message)
        if running is None:
            return
        self.key.on_state(message)
        if message.state == "live":
            self.history.live(message.room)
        self._observer.session_state(message)
        session_log.state(message)

    def on_ended(self, message: SessionEnded) -> None:
        """A session is over: remember how, and look at the room again."""
        running = self.running.on_ended(message)
        if running is None:
            return
        now = self._now()
        end = self.history.ended(message, room_sid=running.room_sid, agent=running.agent, now=now)
        self.key.on_ended(message, now)
        session_log.ended(message)
        self._observer.session_ended(message)
        if message.delete_room:
            self._soon(self._do.close_room(message.room))
        if self.requests.ended(message.room, message.reason):
            self._soon(self._claims.remember_request(message.room, None))
        if message.reason is EndReason.ENGINE_LOST and not self.draining:
            self._kept.add(message.room)
            self._do.look_at(message.room, Trigger.FAILOVER)  # the claim is kept for the next engine
            self._do.look_at_later(message.room, _AFTER_END_S)
        else:
            self._soon(self._let_go(message.room, end))
            self._do.look_at_later(message.room, _AFTER_END_S)
        self.report_load()
        if not self.running:
            self.idle.set()

    async def _let_go(self, room: str, end: LastEnd) -> None:
        """Tell the other replicas how it ended before the room is free for them."""
        await self._claims.remember_end(room, end)
        if room not in self.running and room not in self._starting:
            await self._claims.release(room)
            await self._claims.tell(room)

    def claim_lost(self, room: str) -> None:
        """Another replica holds the claim of a room of ours: ours ends."""
        running = self.running.by_room.get(room)
        if running is not None:
            self._end(running, EndReason.CLAIM_LOST)

    def ask(self, room: str, request: Request) -> bool:
        """Take a request for a room and look at it at once; False when there are too many requests."""
        if not self.requests.ask(room, request):
            return False
        if self._claims.shared:
            self._soon(self._share_request(room, request))
        self._do.look_at(room, request.trigger)
        return True

    async def _share_request(self, room: str, request: Request) -> None:
        await self._claims.remember_request(room, request)
        await self._claims.tell(room)

    def end_room(self, room: str, reason: EndReason) -> bool:
        """End a room's session, withdraw its request; whether there was either."""
        withdrawn = self.requests.withdraw(room)
        if withdrawn:
            self._soon(self._claims.remember_request(room, None))
        running = self.running.by_room.get(room)
        if running is not None:
            self._end(running, reason)
        return withdrawn or running is not None

    def leave_alone(self, room: str) -> None:
        """Do not serve a room that is not served now for the rest of its life, unless somebody asks for it."""
        ended = SessionEnded(session_id="", room=room, reason=EndReason.REQUESTED)
        end = self.history.ended(ended, room_sid="", agent="", now=self._now())

        async def share() -> None:
            await self._claims.remember_end(room, end)
            await self._claims.tell(room)

        self._soon(share())

    def end_all(self, reason: EndReason) -> None:
        """End every session."""
        for running in self.running.by_room.values():
            self._end(running, reason)

    def drain(self) -> None:
        """Start no session any more."""
        self.draining = True
        self.report_load()

    async def close(self) -> None:
        """Wait, bounded, for what is still to be said to others."""
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=2.0)
        for task in self._tasks:
            task.cancel()

    def _end(self, running: Running, reason: EndReason) -> None:
        if running.ending is None:
            running.ending = reason
            self._engines.end_session(running.session_id, reason)

    def wants(self, room: str) -> bool:
        """Whether a room is served here, or asked for."""
        return room in self.running or room in self.requests.by_room

    @property
    def accepting(self) -> bool:
        """Whether one more room would be taken now."""
        return not self.draining and not isinstance(self._engines.room_for_one(), Refusal)

    @property
    def load(self) -> float:
        """How busy the engines are, 0 to 1."""
        return min(1.0, len(self.running) / self._engines.capacity) if self._engines.capacity else 1.0

    def report_load(self) -> None:
        """Tell the claim store and the observer how busy this worker is; to be called when capacity changes."""
        total = self._engines.capacity
        self._claims.report_load(len(self.running), 0 if self.draining else total)
        self._observer.capacity(total, available=self.accepting, draining=self.draining)

    def _soon(self, work: Coroutine[Any, Any, None] | Awaitable[None]) -> None:
        async def run() -> None:
            await work

        task = asyncio.create_task(run(), name="life")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
