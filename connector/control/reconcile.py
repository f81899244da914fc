"""The reconcile pass: look at LiveKit, compare with what runs, start what is missing.

A pass is the only thing that starts sessions; whatever else happens merely hastens the next one. Rooms that existed
before this worker did are found by the first pass, and what could not be learnt changes nothing.
"""

import asyncio
import contextlib
import random
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from connector.base.ends import EndReason, ResultClass
from connector.base.errors import ConfigError, ConnectorError
from connector.base.redact import redact
from connector.config.model import RoomRule
from connector.control.desired import Verdict, Why, desired
from connector.control.engines import Engines
from connector.control.history import LastEnd
from connector.control.orders import start_order
from connector.control.seen import ParticipantSeen, RoomSeen
from connector.messages.types import SessionEnded, SessionState

_JITTER = 0.2
"""Passes of many workers must not fall into step."""
_LOOKS_AT_ONCE = 16
_AFTER_END_S = 1.0
"""After an end the room is looked at again soon: its reason may allow a new session."""


class LiveKitView(Protocol):
    """What a pass asks of LiveKit."""

    async def list_rooms(self, names: Iterable[str]) -> Sequence[RoomSeen]:
        """Those of the named rooms that exist. Raises `ConnectorError` when that could not be learnt."""

    async def participants(self, room: str) -> tuple[ParticipantSeen, ...]:
        """Who is in a room now. Raises `ConnectorError` when that could not be learnt."""

    async def delete_room(self, room: str) -> bool:
        """Close a room; everybody in it is disconnected. Raises `ConnectorError`."""


@dataclass(slots=True)
class Running:
    """A session of ours, as its engine last described it."""

    session_id: str
    room: str
    room_sid: str
    started: float
    state: str = "joining"
    humans: int = 0


class Reconciler:
    """Compares desired with running.

    Args:
        rules: The rules of rooms.yaml, in order.
        livekit: Shows rooms.
        worker_id: Ours, for `connector.worker`.
        every_s: Seconds between passes.
    """

    def __init__(self, rules: Sequence[RoomRule], livekit: LiveKitView, *, worker_id: str, every_s: float) -> None:
        self._rules = rules
        self._livekit = livekit
        self._worker_id = worker_id
        self._every_s = every_s
        self._history: dict[str, LastEnd] = {}
        self._wake = asyncio.Event()
        self._draining = False
        self._log = structlog.get_logger()
        self._verdicts: dict[str, Verdict] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self.engines: Engines | None = None
        self.running: dict[str, Running] = {}
        self.idle = asyncio.Event()
        self.idle.set()

    async def run(self) -> None:
        """Pass after pass, until cancelled.

        Raises:
            ConfigError: LiveKit refuses our key on the very first pass; later that is only logged.
        """
        await self.one_pass(first=True)
        while True:
            wait = self._every_s * random.uniform(1 - _JITTER, 1 + _JITTER)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._wake.wait()
            self._wake.clear()
            await self.one_pass()

    def hasten(self) -> None:
        """Look again at once."""
        self._wake.set()

    def drain(self) -> None:
        """Start no session any more."""
        self._draining = True

    async def one_pass(self, *, first: bool = False) -> None:
        """Look once, and act."""
        if self._draining:
            return
        names = sorted({rule.room for rule in self._rules if not rule.is_pattern} | set(self.running))
        try:
            rooms = await self._look(names)
        except ConnectorError as error:
            if first and isinstance(error, ConfigError):
                raise
            self._log.warning("livekit_unknown", error=str(error))
            return
        self._forget(rooms)
        seen = {room.name: room for room in rooms}
        now = time.monotonic()
        verdicts = desired(self._rules, rooms, self._history, worker_id=self._worker_id, now=now, wall=time.time())
        for name, verdict in verdicts.items():
            if name not in self.running:
                self._note(verdict)
                if verdict.serve and verdict.rule is not None:
                    self._start(verdict.rule, seen[name], now)
        self._verdicts = verdicts

    def on_state(self, message: SessionState) -> None:
        """An engine reports a session's state."""
        running = self.running.get(message.room)
        if running is not None and running.session_id == message.session_id:
            running.state, running.humans = message.state, message.humans
            self._log.info("session_state", session=message.session_id, room=message.room, state=message.state)

    def on_ended(self, message: SessionEnded) -> None:
        """A session is over: remember how, and look at the room again."""
        running = self.running.get(message.room)
        if running is None or running.session_id != message.session_id:
            return
        del self.running[message.room]
        last = self._history.get(message.room)
        failed = message.reason.result is not ResultClass.SUCCESS
        failures = (last.failures if last else 0) + 1 if failed else 0
        self._history[message.room] = LastEnd(message.reason, time.monotonic(), running.room_sid, failures)
        self._log.info(
            "session_ended",
            session=message.session_id,
            room=message.room,
            reason=message.reason.value,
            result=message.reason.result.value,
            detail=message.detail,
            **{name.replace(".", "_"): value for name, value in message.summary.items()},
        )
        if message.delete_room:
            task = asyncio.create_task(self._close_room(message.room), name=f"close-{message.session_id}")
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        if not self.running:
            self.idle.set()
        if message.reason is EndReason.ENGINE_LOST:
            self._wake.set()
        else:
            asyncio.get_running_loop().call_later(_AFTER_END_S, self._wake.set)

    async def _close_room(self, room: str) -> None:
        try:
            await self._livekit.delete_room(room)
        except ConnectorError as error:
            self._log.warning("room_not_closed", room=room, error=str(error))

    def _start(self, rule: RoomRule, room: RoomSeen, now: float) -> None:
        session_id = uuid.uuid4().hex[:12]
        order = start_order(rule, room, str(rule.agent), session_id, trigger="reconcile")
        if self.engines is None or not self.engines.start_session(order):
            self._log.warning("room_not_served", room=redact(room.name), why="no_engine_free")
            return
        self.running[room.name] = Running(session_id, room.name, room.sid, now)
        self.idle.clear()
        self._log.info("session_started", session=session_id, room=room.name, trigger=order.trigger)

    def _note(self, verdict: Verdict) -> None:
        """Say once why a room that a rule matches is not served."""
        before = self._verdicts.get(verdict.room)
        if verdict.why is not Why.SERVE and (before is None or before.why is not verdict.why):
            self._log.info("room_not_served", room=redact(verdict.room), why=verdict.why.value, humans=verdict.humans)

    async def _look(self, names: Sequence[str]) -> list[RoomSeen]:
        """The named rooms with who is in them; a room whose people could not be learnt says so."""
        slots = asyncio.Semaphore(_LOOKS_AT_ONCE)

        async def people(room: RoomSeen) -> RoomSeen:
            async with slots:
                try:
                    return replace(room, participants=await self._livekit.participants(room.name))
                except ConnectorError as error:
                    self._log.warning("participants_unknown", room=room.name, error=str(error))
                    return room

        return await asyncio.gather(*(people(room) for room in await self._livekit.list_rooms(names)))

    def _forget(self, rooms: Sequence[RoomSeen]) -> None:
        """A room that is gone has no history: its next life starts anew."""
        there = {room.name for room in rooms} | set(self.running)
        for name in self._history.keys() - there:
            del self._history[name]
