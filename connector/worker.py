"""The worker: one control process with its engines, from start to drain. Wires the parts; decides nothing itself."""

import asyncio
import signal
import socket
import time
import uuid

import structlog

from connector.base.cores import allowed_cores
from connector.base.ends import EndReason
from connector.base.errors import ConnectorError
from connector.base.memory import allowed_memory_mb
from connector.base.redact import redact
from connector.base.trigger import Trigger
from connector.config.model import Config
from connector.config.rules import RuleBook
from connector.config.secrets import Credentials
from connector.control.claims import ClaimEvents, Claims, MemoryClaims
from connector.control.desk import Desk
from connector.control.engines import EngineEvents, Engines
from connector.control.life import Life
from connector.control.livekit import LiveKitRooms
from connector.control.observer import Observer
from connector.control.orders import configure_order
from connector.control.ports import LifeActions
from connector.control.reconcile import Reconciler, Timing

_CLOSE_WITHIN_S = 15.0
"""Engines end their sessions within 10 s, and themselves within 12 s."""
_MOST_ENGINES = 8


class Worker:
    """Runs until a signal ends it. Make it inside a running event loop.

    Args:
        config: rooms.yaml.
        credentials: The secrets.
    """

    def __init__(self, config: Config, credentials: Credentials) -> None:
        self._config = config
        self._worker_id = f"{socket.gethostname()[:40]}-{uuid.uuid4().hex[:8]}"
        self._observer = Observer()
        self._livekit = LiveKitRooms(
            config.livekit.url,
            credentials.livekit_api_key.reveal(),
            credentials.livekit_api_secret,
        )
        self._claims: Claims = MemoryClaims()
        self._engines = Engines(
            engine_count(config.worker.engines),
            configure_order(config, self._worker_id),
            memory_mb=allowed_memory_mb(),
        )
        self._life = Life(self._engines, self._claims, self._observer)
        self._reconciler = Reconciler(
            RuleBook(config.rules),
            self._livekit,
            self._life,
            observer=self._observer,
            worker_id=self._worker_id,
            timing=Timing(config.worker.reconcile_every),
        )
        self.desk = Desk(self._reconciler, self._life, self._engines, problems=lambda: (), now=time.monotonic)
        self._drain = asyncio.Event()
        self._now = asyncio.Event()
        self._log = structlog.get_logger()
        self._connect()

    def _connect(self) -> None:
        life, reconciler = self._life, self._reconciler
        life.connect(
            LifeActions(
                look_at=reconciler.look_at,
                look_at_later=reconciler.look_at_later,
                close_room=self._close_room,
                answers=self._answers,
            )
        )
        self._engines.listen(
            EngineEvents(life.on_state, life.on_ended, reconciler.look_at_all, observer=self._observer)
        )
        self._claims.listen(ClaimEvents(lost=life.claim_lost, hint=self._on_hint))

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT; the first drains, the second ends every call now."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal, number)
        try:
            async with asyncio.TaskGroup() as group:
                engines = group.create_task(self._engines.run(), name="engines")
                if not await self._first_ready(engines):
                    return
                self._log.info("worker_ready", worker=self._worker_id, rules=len(self._config.rules))
                helpers = [
                    group.create_task(self._reconciler.run(), name="reconcile"),
                    group.create_task(self._claims.run(), name="claims"),
                ]
                await self._drain.wait()
                await self._finish_calls()
                await self._stop_engines(engines)
                for helper in helpers:
                    helper.cancel()
        finally:
            await self._life.close()
            await self._claims.close()
            await self._livekit.close()
        self._log.info("worker_stopped", worker=self._worker_id)

    def _on_hint(self, room: str) -> None:
        if room:
            self._reconciler.look_at(room, Trigger.WEBHOOK)
        else:
            self._reconciler.look_at_all()

    async def _close_room(self, room: str) -> None:
        try:
            await self._livekit.delete_room(room)
        except ConnectorError as error:
            self._log.warning("room_not_closed", room=redact(room), error=redact(error))

    async def _answers(self, room: str, identity: str) -> bool:
        raise NotImplementedError

    async def _first_ready(self, engines: asyncio.Task[None]) -> bool:
        """Whether an engine is ready before somebody wants us to leave."""
        ready = asyncio.create_task(self._engines.wait_ready())
        leave = asyncio.create_task(self._drain.wait())
        await asyncio.wait({ready, leave, engines}, return_when=asyncio.FIRST_COMPLETED)
        leave.cancel()
        ready.cancel()
        if self._drain.is_set():
            await self._stop_engines(engines)
            return False
        return True

    def _on_signal(self, number: int) -> None:
        if self._drain.is_set():
            self._now.set()
        else:
            self._log.info("draining", signal=signal.Signals(number).name, calls=len(self._life.running))
        self._life.drain()
        self._drain.set()

    async def _finish_calls(self) -> None:
        """Let live calls finish, for as long as the drain time allows or until a second signal."""
        idle = asyncio.create_task(self._life.idle.wait())
        now = asyncio.create_task(self._now.wait())
        limit = self._config.worker.drain_timeout
        await asyncio.wait({idle, now}, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        idle.cancel()
        now.cancel()
        self._life.end_all(EndReason.DRAINED)

    async def _stop_engines(self, engines: asyncio.Task[None]) -> None:
        self._engines.stop()
        try:
            async with asyncio.timeout(_CLOSE_WITHIN_S):
                await asyncio.shield(engines)
        except TimeoutError:
            self._log.error("engines_killed", pids=self._engines.pids)
            engines.cancel()


def engine_count(setting: int | str | None) -> int:
    """How many engines to run.

    Args:
        setting: The configured number, or ``auto``: as many as the cores that this process may use, at least two (so
            that one can take over from the other) and at most eight.
    """
    if isinstance(setting, int):
        return setting
    return min(_MOST_ENGINES, max(2, allowed_cores()))
