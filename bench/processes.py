"""The bench's child processes: started on chosen cores, heard by JSON lines, ended by closing their standard input."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psutil

ROOT = Path(__file__).resolve().parent.parent
START_S = 30.0
END_S = 15.0
KILL_S = 5.0
POLL_S = 0.2


class Child:
    """One child process; use it as an async context manager.

    Args:
        command: Program and arguments.
        log: File for its standard error (appended to).
        env: Further environment variables.
        cores: The cores it may use; by default those of the bench itself.
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        *,
        env: Mapping[str, str] | None = None,
        cores: Sequence[int] | None = None,
    ) -> None:
        pin = [] if cores is None else ["taskset", "-c", ",".join(map(str, cores))]
        self._command = [*pin, *command]
        self._log = log
        self._env = {**os.environ, **(env or {})}
        self._process: asyncio.subprocess.Process | None = None
        self._read: asyncio.Task[None] | None = None
        self._told = asyncio.Condition()
        self.events: list[dict[str, Any]] = []

    @property
    def pid(self) -> int:
        """Its process id (taskset replaces itself by the program)."""
        assert self._process is not None
        return self._process.pid

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        return self._process is not None and self._process.returncode is not None

    async def wait_for(self, key: str, patience_s: float = START_S) -> Any:
        """The value of the first JSON line with `key`.

        Raises:
            RuntimeError: The process ended first, or said nothing of it in time; its log says why.
        """
        return (await self.wait_until(lambda event: key in event, key, patience_s))[key]

    async def wait_until(
        self, fits: Callable[[Mapping[str, Any]], bool], what: str, patience_s: float = START_S
    ) -> dict[str, Any]:
        """The first JSON line that fits.

        Args:
            fits: Whether a line is what is waited for.
            what: What that is, in a few words.
            patience_s: How long to wait.

        Raises:
            RuntimeError: The process ended first, or said no such thing in time; its log says why.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s), self._told:
                await self._told.wait_for(lambda: self._find(fits) is not None or self._read_done())
        found = self._find(fits)
        if found is None:
            raise RuntimeError(f"{self._command}: no {what!r} within {patience_s:.0f} s; see {self._log}")
        return found

    async def tell(self, **command: object) -> None:
        """Write one JSON line to its standard input."""
        process = self._process
        assert process is not None
        assert process.stdin is not None
        process.stdin.write(json.dumps(command).encode() + b"\n")
        await process.stdin.drain()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it is still there."""
        process = self._process
        if process is not None and process.returncode is None:
            process.send_signal(number)

    async def finish(self) -> None:
        """Close its standard input and let it end in good order; kill it when it does not."""
        process, read = self._process, self._read
        if process is None or read is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), END_S)
        except TimeoutError:
            process.kill()
            await asyncio.wait_for(process.wait(), KILL_S)
        await read

    async def __aenter__(self) -> Self:
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=self._env,
                cwd=ROOT,
            )
        self._read = asyncio.create_task(self._listen(), name="child-output")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.finish()

    def _find(self, fits: Callable[[Mapping[str, Any]], bool]) -> dict[str, Any] | None:
        return next((event for event in self.events if fits(event)), None)

    def _read_done(self) -> bool:
        process = self._process
        return process is not None and process.stdout is not None and process.stdout.at_eof()

    async def _listen(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            with contextlib.suppress(ValueError):
                event = json.loads(line)
                if isinstance(event, dict):
                    self.events.append(event)
            async with self._told:
                self._told.notify_all()
        async with self._told:
            self._told.notify_all()


async def until(condition: Callable[[], bool | Awaitable[bool]], patience_s: float) -> None:
    """Wait for something that can only be asked for.

    Raises:
        TimeoutError: It did not become true in time.
    """
    async with asyncio.timeout(patience_s):
        while True:
            answer = condition()
            if answer if isinstance(answer, bool) else await answer:
                return
            await asyncio.sleep(POLL_S)


def python(module: str, *arguments: str) -> list[str]:
    """The command of one of our modules, in this Python."""
    return [sys.executable, "-m", module, *arguments]


@contextlib.contextmanager
def confined(cores: Sequence[int], *pids: int) -> Iterator[None]:
    """Keep the bench, every child that it starts meanwhile, and the running processes `pids` on `cores`."""
    before = os.sched_getaffinity(0)
    for pid in (os.getpid(), *pids):
        pin(pid, cores)
    try:
        yield
    finally:
        for pid in (os.getpid(), *pids):
            pin(pid, before)


def pin(pid: int, cores: Iterable[int]) -> None:
    """Keep all threads of a process on `cores`; its later threads inherit that."""
    for thread in psutil.Process(pid).threads():
        with contextlib.suppress(ProcessLookupError):  # a thread that has just ended
            os.sched_setaffinity(thread.id, cores)


@dataclass(frozen=True)
class Usage:
    """What some processes used so far: CPU in ms, memory in MB (unique set size: what would be free without them)."""

    cpu_ms: float
    memory_mb: float


def usage(pids: Sequence[int]) -> Usage:
    """What the processes `pids` used together so far."""
    cpu_ms = memory_mb = 0.0
    for process in map(psutil.Process, pids):
        times = process.cpu_times()
        cpu_ms += 1000 * (times.user + times.system)
        memory_mb += process.memory_full_info().uss / 2**20
    return Usage(cpu_ms, memory_mb)
