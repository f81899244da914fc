"""The worker: one control process with its engines, from start to drain. Wires the parts; decides nothing itself."""

import asyncio
import contextlib
import signal
import socket
import time
import uuid
from pathlib import Path

import structlog

from connector.base.cores import allowed_cores
from connector.base.ends import EndReason
from connector.base.errors import ConnectorError
from connector.base.memory import allowed_memory_mb
from connector.base.redact import redact
from connector.base.secrets import Secret
from connector.base.trigger import Trigger
from connector.config.digest import config_hash
from connector.config.load import Loaded
from connector.config.model import ClaimStore, Config
from connector.config.rules import RuleBook
from connector.config.secrets import Credentials
from connector.control.claims import ClaimEvents, Claims, MemoryClaims
from connector.control.desk import Desk
from connector.control.dispatch import AgentDispatch, DispatchHooks
from connector.control.engines import EngineEvents, Engines
from connector.control.events import EventPoster
from connector.control.life import Life
from connector.control.livekit import LiveKitRooms
from connector.control.metrics import Metrics
from connector.control.observer import Observer, Observers
from connector.control.orders import configure_order
from connector.control.ports import LifeActions
from connector.control.probe import answers
from connector.control.reconcile import Reconciler, Timing
from connector.control.redis_claims import RedisClaims
from connector.control.reload import ConfigWatch
from connector.control.secret_watch import SecretWatch
from connector.control.status import JoinAnswer
from connector.http.lag import LagMeter
from connector.http.server import HttpServers
from connector.http.tokens import KeyPair, livekit_keys

_CLOSE_WITHIN_S = 15.0
"""Engines end their sessions within 10 s, and themselves within 12 s."""
_MOST_ENGINES = 8


class Worker:
    """Runs until a signal ends it. Make it inside a running event loop.

    Args:
        path: rooms.yaml, to be watched.
        loaded: What was read from it.
        credentials: The secrets.
    """

    def __init__(self, path: Path, loaded: Loaded, credentials: Credentials) -> None:
        config = self._config = loaded.config
        self._worker_id = f"{socket.gethostname()[:40]}-{uuid.uuid4().hex[:8]}"
        self._metrics = Metrics()
        self._secrets = SecretWatch(config, credentials, self._on_credentials)
        self._events = self._event_poster(config)
        observer = Observers([self._metrics, *([self._events] if self._events is not None else [])])
        self._livekit = LiveKitRooms(
            config.livekit.url, credentials.livekit_api_key.reveal(), credentials.livekit_api_secret
        )
        self._claims = claims_of(config, credentials, self._worker_id, self._metrics)
        self._engines = Engines(
            engine_count(config.worker.engines),
            configure_order(config, self._worker_id),
            memory_mb=allowed_memory_mb(),
        )
        self._life = Life(self._engines, self._claims, observer)
        self._dispatch = self._agent_dispatch(config)
        self._reconciler = Reconciler(
            RuleBook(config.rules),
            self._livekit,
            self._life,
            observer=observer,
            worker_id=self._worker_id,
            timing=Timing(config.worker.reconcile_every),
        )
        self._files = ConfigWatch(path, loaded, self._on_config, observer)
        self._desk = Desk(self._reconciler, self._life, self._engines, problems=self._problems, now=time.monotonic)
        self._servers = HttpServers(
            config.worker.listen,
            config.worker.private_listen,
            desk=self._desk,
            keys=self._livekit_keys,
            render=self._metrics.render,
            observer=self._metrics,
            lag=LagMeter(self._metrics.loop_lag),
        )
        self._drain = asyncio.Event()
        self._now = asyncio.Event()
        self._log = structlog.get_logger()
        self._connect(observer)

    def _connect(self, observer: Observer) -> None:
        life, reconciler = self._life, self._reconciler
        life.connect(
            LifeActions(reconciler.look_at, reconciler.look_at_later, self._close_room, self._answers),
        )
        self._engines.listen(EngineEvents(life.on_state, life.on_ended, self._on_engines_changed, observer))
        self._claims.listen(ClaimEvents(lost=life.claim_lost, hint=self._on_hint))

    def _event_poster(self, config: Config) -> EventPoster | None:
        url = config.worker.events.url
        if url is None:
            return None
        return EventPoster(url, self._events_secret, worker_id=self._worker_id, report=self._metrics)

    def _agent_dispatch(self, config: Config) -> AgentDispatch | None:
        name = config.worker.agent_name
        if name is None:
            return None
        hooks = DispatchHooks(
            on_job=self._on_job,
            on_terminate=self._on_job_deleted,
            available=lambda: self._life.accepting,
            load=lambda: self._life.load,
            wanted=self._life.wants,
        )
        return AgentDispatch(config.livekit.url, name, self._dispatch_key, hooks)

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT; the first drains, the second ends every call now.

        Raises:
            UnavailableError: An address is in use, or the claim store is not there.
            ConfigError: An address, LiveKit's key or the claim store's URL is wrong.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal, number)
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self._livekit.close)
            stack.push_async_callback(self._claims.close)
            if isinstance(self._claims, RedisClaims):
                await self._claims.check()
            await stack.enter_async_context(self._servers.running())
            await self._serve()
            if self._events is not None:
                await self._events.close()
        self._log.info("worker_stopped", worker=self._worker_id)

    async def _serve(self) -> None:
        async with asyncio.TaskGroup() as group:
            claims = group.create_task(self._claims.run(), name="claims")
            engines = group.create_task(self._engines.run(), name="engines")
            if not await self._first_ready(engines):
                claims.cancel()
                return
            self._log.info("worker_ready", worker=self._worker_id, rules=len(self._config.rules))
            self._metrics.configured(config_hash(self._config))
            helpers = [
                group.create_task(work, name=name)
                for name, work in (
                    ("reconcile", self._reconciler.run()),
                    ("config", self._files.run()),
                    ("secrets", self._secrets.run()),
                    *([("dispatch", self._dispatch.run())] if self._dispatch is not None else []),
                )
            ]
            await self._drain.wait()
            await self._finish_calls()
            await self._stop_engines(engines)
            await self._life.close()
            for helper in (claims, *helpers):
                helper.cancel()

    def _problems(self) -> tuple[str, ...]:
        secrets = self._secrets.problem
        return (*self._files.lines, *((secrets,) if secrets is not None else ()))

    def _livekit_keys(self) -> tuple[KeyPair, ...]:
        return livekit_keys(self._secrets.credentials)

    def _events_secret(self) -> Secret:
        secret = self._secrets.credentials.events_secret
        if secret is None:
            raise RuntimeError("credentials without an events secret are never accepted while events.url is set")
        return secret

    def _dispatch_key(self) -> tuple[str, Secret]:
        credentials = self._secrets.credentials
        return credentials.livekit_api_key.reveal(), credentials.livekit_api_secret

    def _on_credentials(self, new: Credentials) -> None:
        self._livekit.use_key(new.livekit_api_key.reveal(), new.livekit_api_secret)
        self._life.key.new_key()
        self._reconciler.look_at_all()

    def _on_config(self, new: Config) -> None:
        self._reconciler.rules = RuleBook(new.rules)
        self._life.apply_rules(new.rules)
        self._reconciler.look_at_all()

    def _on_engines_changed(self) -> None:
        self._life.report_load()
        self._reconciler.look_at_all()

    def _on_hint(self, room: str) -> None:
        if room:
            self._reconciler.look_at(room, Trigger.WEBHOOK)
        else:
            self._reconciler.look_at_all()

    def _on_job(self, room: str, agent: str | None) -> bool:
        return self._desk.join(room, agent, Trigger.DISPATCH) in (JoinAnswer.ACCEPTED, JoinAnswer.RUNNING)

    def _on_job_deleted(self, room: str) -> None:
        self._desk.leave(room)

    async def _close_room(self, room: str) -> None:
        try:
            await self._livekit.delete_room(room)
        except ConnectorError as error:
            self._log.warning("room_not_closed", room=redact(room), error=redact(error))

    async def _answers(self, room: str, identity: str) -> bool:
        try:
            return await answers(self._livekit, room, identity)
        except ConnectorError as error:
            self._log.warning("takeover_unknown", room=redact(room), error=redact(error))
            return True  # unknown is not dead

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


def claims_of(config: Config, credentials: Credentials, worker_id: str, observer: Observer) -> Claims:
    """The claim store that the configuration asks for."""
    if config.worker.claims is ClaimStore.MEMORY or credentials.redis_url is None:
        return MemoryClaims()
    return RedisClaims(credentials.redis_url, livekit_url=config.livekit.url, worker_id=worker_id, observer=observer)


def engine_count(setting: int | str | None) -> int:
    """How many engines to run.

    Args:
        setting: The configured number, or ``auto``: as many as the cores that this process may use, at least two (so
            that one can take over from the other) and at most eight.
    """
    if isinstance(setting, int):
        return setting
    return min(_MOST_ENGINES, max(2, allowed_cores()))
