"""A real worker as a process of its own: started, its log read, killed with its engines, ended by its pid."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import psutil

from tests.canaries import leaks

KEY = "practice-key-of-the-tests"


class WorkerProcess:
    """`connector run` on one rooms.yaml. Async context manager.

    Args:
        config: The file.
        livekit_key: Id and secret of LiveKit's key.
        environ: Variables that differ from the right ones.

    Attributes:
        lines: What it has written to its log so far.
    """

    def __init__(self, config: Path, livekit_key: tuple[str, str], environ: Mapping[str, str] | None = None) -> None:
        self.config = config
        self._environ = {
            **os.environ,
            "LIVEKIT_API_KEY": livekit_key[0],
            "LIVEKIT_API_SECRET": livekit_key[1],
            "MILLIS_PRIVATE_KEY": KEY,
            "CONNECTOR_LOG": "json",
            "PYTHONWARNINGS": "default",
            **(environ or {}),
        }
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._grew = asyncio.Event()
        self._events: dict[str, list[dict[str, Any]]] = {}
        self.lines: list[str] = []

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "connector",
            "run",
            "--config",
            str(self.config),
            env=self._environ,
            stdin=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        self._reader = asyncio.create_task(self._read(), name="worker-log")
        return self

    async def __aexit__(self, *_: object) -> None:
        process = self._running
        try:
            async with asyncio.timeout(20):
                if process.returncode is None and not self.events("draining"):
                    process.send_signal(signal.SIGTERM)
                    await self.until(lambda worker: bool(worker.events("draining")) or process.returncode is not None)
                if process.returncode is None:
                    process.send_signal(signal.SIGTERM)
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
            raise
        finally:
            assert self._reader is not None
            await self._reader
        assert leaks("".join(self.lines), (self._environ["LIVEKIT_API_SECRET"],)) == []

    @property
    def _running(self) -> asyncio.subprocess.Process:
        assert self._process is not None
        return self._process

    async def _read(self) -> None:
        assert self._running.stderr is not None
        while line := (await self._running.stderr.readline()).decode():
            self.lines.append(line)
            if line.startswith("{"):
                event = json.loads(line)
                self._events.setdefault(event["event"], []).append(event)
            self._grew.set()
        await self._running.wait()
        self._grew.set()

    def events(self, name: str) -> list[dict[str, Any]]:
        """The log's events of this name, in order."""
        return list(self._events.get(name, ()))

    async def until(self, holds: Callable[[Self], bool], within_s: float = 20.0) -> None:
        """Wait until something is true of the log."""
        try:
            async with asyncio.timeout(within_s):
                while not holds(self):
                    self._grew.clear()
                    await self._grew.wait()
        except TimeoutError:
            raise AssertionError("it did not come to that; the log:\n" + "".join(self.lines[-40:])) from None

    async def live(self, times: int = 1, within_s: float = 20.0) -> None:
        """Wait until a session has become live so many times."""
        await self.until(
            lambda worker: len([e for e in worker.events("session_state") if e["state"] == "live"]) >= times, within_s
        )

    async def ended(self, sessions: int = 1) -> dict[str, Any]:
        """Wait for the end of so many sessions; returns the newest end's event."""
        await self.until(lambda worker: len(worker.events("session_ended")) >= sessions)
        return self.events("session_ended")[-1]

    async def connector(self, *arguments: str) -> tuple[int, str]:
        """Run another command with the worker's environment; its exit code and all that it wrote."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "connector",
            *arguments,
            env=self._environ,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode()

    @property
    def pid(self) -> int:
        """The control process."""
        return self._running.pid

    async def listening(self) -> tuple[str, str]:
        """Wait until both ports are open; URLs of the public and the private one."""
        await self.until(lambda worker: bool(worker.events("http_listening")))
        (event,) = self.events("http_listening")
        return f"http://{event['public']}", f"http://{event['private']}"

    async def engines_ready(self, count: int, within_s: float = 20.0) -> None:
        """Wait until so many engines take rooms."""
        await self.until(lambda worker: len(worker.events("engine_ready")) >= count, within_s)

    def signal(self, number: signal.Signals) -> None:
        """Send the control process a signal."""
        self._running.send_signal(number)

    def kill_all(self) -> None:
        """End the control process and its engines as a machine does that loses its power."""
        for process in (*self.engines, psutil.Process(self.pid)):
            process.kill()

    async def exit_code(self, within_s: float = 20.0) -> int:
        """Wait for the end of the worker."""
        async with asyncio.timeout(within_s):
            return await self._running.wait()

    @property
    def engines(self) -> list[psutil.Process]:
        """The engine processes."""
        return psutil.Process(self._running.pid).children()


def logged_at(event: Mapping[str, Any]) -> float:
    """When an event was logged, in monotonic seconds of this machine."""
    return datetime.fromisoformat(event["timestamp"]).timestamp() - time.time() + time.monotonic()
