"""The worker: one control process with its engines, from start to drain."""

import asyncio
import signal
import socket
import uuid

import structlog

from connector.base.cores import allowed_cores
from connector.base.ends import EndReason
from connector.config.model import Config
from connector.config.secrets import Credentials
from connector.control.engines import EngineEvents, Engines
from connector.control.livekit import LiveKitRooms
from connector.control.orders import configure_order
from connector.control.reconcile import Reconciler

_CLOSE_WITHIN_S = 15.0
"""Engines end their sessions within 10 s, and themselves within 12 s."""
_MOST_ENGINES = 8


class Worker:
    """Runs until a signal ends it.

    Args:
        config: rooms.yaml.
        credentials: The secrets.
    """

    def __init__(self, config: Config, credentials: Credentials) -> None:
        self._config = config
        self._worker_id = f"{socket.gethostname()[:40]}-{uuid.uuid4().hex[:8]}"
        self._livekit = LiveKitRooms(
            config.livekit.url,
            credentials.livekit_api_key.reveal(),
            credentials.livekit_api_secret,
        )
        self._reconciler = Reconciler(
            config.rules,
            self._livekit,
            worker_id=self._worker_id,
            every_s=config.worker.reconcile_every,
        )
        self._engines = Engines(
            engine_count(config.worker.engines),
            configure_order(config, self._worker_id),
            EngineEvents(self._reconciler.on_state, self._reconciler.on_ended, self._reconciler.hasten),
        )
        self._reconciler.engines = self._engines
        self._drain = asyncio.Event()
        self._now = asyncio.Event()
        self._log = structlog.get_logger()

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
                passes = group.create_task(self._reconciler.run(), name="reconcile")
                await self._drain.wait()
                await self._finish_calls()
                passes.cancel()
                await self._stop_engines(engines)
        finally:
            await self._livekit.close()
        self._log.info("worker_stopped", worker=self._worker_id)

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
            self._log.info("draining", signal=signal.Signals(number).name, calls=len(self._reconciler.running))
        self._reconciler.drain()
        self._drain.set()

    async def _finish_calls(self) -> None:
        """Let live calls finish, for as long as the drain time allows or until a second signal."""
        idle = asyncio.create_task(self._reconciler.idle.wait())
        now = asyncio.create_task(self._now.wait())
        limit = self._config.worker.drain_timeout
        await asyncio.wait({idle, now}, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        idle.cancel()
        now.cancel()
        for running in list(self._reconciler.running.values()):
            self._engines.end_session(running.session_id, EndReason.DRAINED)

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
