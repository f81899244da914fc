"""Engine processes as control sees them: spawned, spoken to over a pipe, replaced when they die.

An engine is a fresh interpreter (never a fork: native threads do not survive one). Control and engine share one
socket pair; either side learns of the other's death by its end of file. What an engine served when it died is
reported as ended with `engine_lost`, so that the reconcile pass serves those rooms again.
"""

import asyncio
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from connector.base.ends import EndReason
from connector.base.errors import ConnectorError, UnavailableError
from connector.base.redact import redact
from connector.control.observer import Observer
from connector.control.placement import EngineLoad, Leak, Limits, Refusal, leak, place
from connector.messages.outbox import Outbox
from connector.messages.types import (
    MAX_LINE_BYTES,
    Configure,
    EndSession,
    EngineBeat,
    Ready,
    SessionEnded,
    SessionState,
    Shutdown,
    StartSession,
    ToEngine,
    UpdateSession,
    decode_to_control,
)

READY_WITHIN_S = 30.0
BEAT_WITHIN_S = 5.0
"""An engine beats every second. One that hangs for longer has lost the audio of its calls: its rooms are better off
with a neighbour. (Where control itself is frozen too, the engine's own watchdog ends it.)"""
CLOSE_WITHIN_S = 12.0
"""An engine closes its sessions within 10 s."""
_HOPELESS: dict[int | None, ConnectorError] = {
    kind.exit_code: kind("the engine could not start; its last log line says why")
    for kind in (UnavailableError, ConnectorError)
}
"""Exit codes with which no engine will ever start here."""
_RESTART_AFTER_S = (0.1, 1.0, 5.0, 15.0)


@dataclass(slots=True)
class EngineEvents:
    """Where the supervisor reports to; `on_change` when an engine became ready or is gone."""

    on_state: Callable[[SessionState], None]
    on_ended: Callable[[SessionEnded], None]
    on_change: Callable[[], None]
    observer: Observer = field(default_factory=Observer)


@dataclass(slots=True)
class EngineProcess:
    """One running engine.

    Attributes:
        index: Its place among the engines; a replacement has the same.
        sessions: The rooms that it serves, by session id.
        ready: Whether it said that it can take sessions.
        retiring: It leaks: it takes no more sessions and is replaced when it is empty.
        beat: Its last beat.
    """

    index: int
    process: asyncio.subprocess.Process
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    sessions: dict[str, str] = field(default_factory=dict)
    ready: bool = False
    retiring: bool = False
    beat: EngineBeat = field(default_factory=lambda: EngineBeat(sessions=0))
    _outbox: Outbox = field(default_factory=Outbox)
    _filled: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, message: ToEngine) -> None:
        """Queue a message; never blocks."""
        self._outbox.put(message)
        self._filled.set()

    @property
    def load(self) -> EngineLoad:
        """As it is judged for new sessions."""
        ready = self.ready and not self.retiring
        return EngineLoad(self.index, ready, len(self.sessions), self.beat.late_share, self.beat.memory_mb)

    async def write(self) -> None:
        """Write what is queued, until the pipe breaks."""
        try:
            while True:
                await self._filled.wait()
                self._filled.clear()
                self.writer.write(self._outbox.take())
                await self.writer.drain()
        except ConnectionError:
            return


async def spawn(index: int) -> EngineProcess:
    """Start an engine process; it is usable at once, and serves once it has said `Ready`."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "connector.engine",
            "--fd",
            str(theirs.fileno()),
            pass_fds=(theirs.fileno(),),
            stdin=asyncio.subprocess.DEVNULL,
        )
    reader, writer = await asyncio.open_connection(sock=ours, limit=MAX_LINE_BYTES)
    return EngineProcess(index, process, reader, writer)


class Engines:
    """Keeps a number of engines running and places sessions on them.

    Args:
        count: How many engines.
        configure: The first message to each.
        memory_mb: What all processes of the worker may use together; None when unknown.
    """

    def __init__(self, count: int, configure: Configure, *, memory_mb: float | None = None) -> None:
        self._count = count
        self._configure = configure
        self._limits = Limits(configure.max_sessions, memory_mb)
        self._wired: EngineEvents | None = None
        self._engines: dict[int, EngineProcess] = {}
        self._leaving = asyncio.Event()
        self._one_ready = asyncio.Event()
        self._log = structlog.get_logger()
        self.lost = 0

    async def run(self) -> None:
        """Keep the engines running until cancelled or, after `stop()`, until all are gone."""
        async with asyncio.TaskGroup() as group:
            for index in range(self._count):
                group.create_task(self._keep(index), name=f"engine-{index}")

    async def wait_ready(self) -> None:
        """Return once an engine can take a session."""
        await self._one_ready.wait()

    @property
    def pids(self) -> list[int]:
        """Process ids of the running engines."""
        return [engine.process.pid for engine in self._engines.values()]

    @property
    def capacity(self) -> int:
        """Sessions that fit into the engines that are ready."""
        return sum(self._limits.max_sessions for engine in self._engines.values() if engine.load.ready)

    def listen(self, events: EngineEvents) -> None:
        """Where sessions' states and ends are reported; called once, before `run`."""
        self._wired = events

    @property
    def _events(self) -> EngineEvents:
        if self._wired is None:
            raise RuntimeError("listen() comes first")
        return self._wired

    def room_for_one(self, *, rescue: bool = False) -> int | Refusal:
        """The engine that would take the next session, or why none would; `rescue` as for `place`."""
        return place([engine.load for engine in self._engines.values()], self._limits, rescue=rescue)

    def start_session(self, start: StartSession, *, rescue: bool = False) -> int | Refusal:
        """Place a session on the least loaded engine.

        Returns:
            The engine's index, or why none takes it.
        """
        index = self.room_for_one(rescue=rescue)
        if isinstance(index, Refusal):
            return index
        engine = self._engines[index]
        engine.sessions[start.session_id] = start.room
        engine.put(start)
        return index

    def update_session(self, update: UpdateSession) -> None:
        """Change a live session; an unknown one is ignored."""
        for engine in self._engines.values():
            if update.session_id in engine.sessions:
                engine.put(update)

    def end_session(self, session_id: str, reason: EndReason) -> None:
        """Ask for the end of a session; an unknown one is ignored."""
        for engine in self._engines.values():
            if session_id in engine.sessions:
                engine.put(EndSession(session_id=session_id, reason=reason))

    def stop(self) -> None:
        """Let every engine close its calls and leave."""
        self._leaving.set()
        for engine in self._engines.values():
            engine.put(Shutdown())

    async def _keep(self, index: int) -> None:
        deaths = 0
        while not self._leaving.is_set():
            engine = await spawn(index)
            self._engines[index] = engine
            engine.put(self._configure)
            was_ready = await self._attend(engine)
            del self._engines[index]
            self._events.observer.engine_lost(index, len(engine.sessions))
            self._bury(engine)
            self._events.on_change()
            if self._leaving.is_set():
                return
            if engine.retiring:
                self._log.info("engine_replaced", engine=index, memory_mb=round(engine.beat.memory_mb))
                deaths = 0
                continue
            deaths = 0 if was_ready else deaths + 1
            self.lost += 1
            if not self._one_ready.is_set() and engine.process.returncode in _HOPELESS:
                raise _HOPELESS[engine.process.returncode]
            wait = _RESTART_AFTER_S[min(deaths, len(_RESTART_AFTER_S) - 1)]
            self._log.error("engine_lost", engine=index, exit_code=engine.process.returncode, restart_in_s=wait)
            await asyncio.sleep(wait)

    async def _attend(self, engine: EngineProcess) -> bool:
        """Exchange messages with one engine until it is gone; whether it ever was ready."""
        writing = asyncio.create_task(engine.write(), name=f"engine-{engine.index}-write")
        try:
            await self._listen(engine)
        finally:
            writing.cancel()
            engine.writer.close()
            await self._reap(engine)
        return engine.ready

    async def _listen(self, engine: EngineProcess) -> None:
        while True:
            limit = BEAT_WITHIN_S if engine.ready else READY_WITHIN_S
            try:
                async with asyncio.timeout(limit):
                    line = await engine.reader.readline()
            except TimeoutError:
                self._log.error("engine_silent", engine=engine.index, limit_s=limit)
                engine.process.kill()
                return
            except ConnectionError:
                return
            if not line.endswith(b"\n"):
                return
            try:
                message = decode_to_control(line)
            except ValueError as error:
                self._log.error("engine_unintelligible", engine=engine.index, error=redact(error))
                engine.process.kill()
                return
            self._take(engine, message)

    def _take(self, engine: EngineProcess, message: Ready | SessionState | SessionEnded | EngineBeat) -> None:
        match message:
            case Ready():
                engine.ready = True
                self._one_ready.set()
                self._events.observer.engine_ready(engine.index)
                self._events.on_change()
                self._log.info("engine_ready", engine=engine.index, pid=message.pid, opus=message.opus)
            case SessionState():
                self._events.on_state(message)
            case SessionEnded():
                engine.sessions.pop(message.session_id, None)
                self._events.on_ended(message)
                self._retire_when_empty(engine)
            case EngineBeat():
                engine.beat = message
                self._events.observer.engine_beat(engine.index, message)
                self._judge_size(engine)

    def _judge_size(self, engine: EngineProcess) -> None:
        """Replace an engine that leaks: when it is empty, or at once before it takes the others' memory."""
        match leak(engine.beat.memory_mb, self._limits):
            case Leak.END:
                self._log.error("engine_too_large", engine=engine.index, memory_mb=round(engine.beat.memory_mb))
                engine.process.kill()
            case Leak.RETIRE if not engine.retiring:
                self._log.warning("engine_leaks", engine=engine.index, memory_mb=round(engine.beat.memory_mb))
                engine.retiring = True
                self._retire_when_empty(engine)

    @staticmethod
    def _retire_when_empty(engine: EngineProcess) -> None:
        if engine.retiring and not engine.sessions:
            engine.put(Shutdown())

    async def _reap(self, engine: EngineProcess) -> None:
        """The pipe is closed: the engine is leaving or broken; make sure that it is gone."""
        try:
            async with asyncio.timeout(CLOSE_WITHIN_S):
                await engine.process.wait()
        except TimeoutError:
            engine.process.kill()
            await engine.process.wait()
        finally:
            if engine.process.returncode is None:
                engine.process.kill()

    def _bury(self, engine: EngineProcess) -> None:
        for session_id, room in engine.sessions.items():
            self._events.on_ended(SessionEnded(session_id=session_id, room=room, reason=EndReason.ENGINE_LOST))
        engine.sessions.clear()
