"""The demo's own processes: started apart from the terminal, watched, and ended whatever happens.

Each child leads a session of its own: Ctrl-C reaches only us, and what a child started itself can be ended with it.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from connector.base.errors import ConnectorError, UnavailableError
from connector.base.redact import redact

_LAST_LINES = 8


class ProcessDiedError(ConnectorError):
    """A process ended that should have lived; the message holds the end of its log."""


class Child:
    """One process, as an async context manager: started on entry, gone after exit.

    Args:
        name: What to call it in messages.
        command: Program and arguments.
        log: The file for all of its output.
        environ: Its whole environment.
        ending: The signals that end it, one after the other, each with the seconds it may take; SIGKILL follows.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        environ: Mapping[str, str] | None = None,
        ending: Sequence[tuple[signal.Signals, float]] = ((signal.SIGTERM, 5.0),),
    ) -> None:
        self.name = name
        self.log = log
        self._command = command
        self._environ = environ
        self._ending = ending
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """Its process id, once started."""
        return None if self._process is None else self._process.pid

    @property
    def status(self) -> int | None:
        """Its exit status (negative: the signal that ended it), None while it runs or before it was started."""
        return None if self._process is None else self._process.returncode

    async def __aenter__(self) -> Self:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *self._command,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=None if self._environ is None else dict(self._environ),
                    start_new_session=True,
                )
            except OSError as error:
                raise UnavailableError(f"cannot start {self.name}: {error.strerror}: {self._command[0]}") from None
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def stop(self) -> None:
        """End it and whatever it left of its own; safe to call again."""
        if self._process is None:
            return
        for number, patience_s in self._ending:
            if self._process.returncode is None:
                self._process.send_signal(number)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(patience_s):
                        await self._process.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()

    async def died(self) -> ProcessDiedError:
        """Wait until it ends by itself.

        Returns:
            The error that says so, with the last lines of its log.
        """
        assert self._process is not None
        await self._process.wait()
        return self.death()

    def death(self) -> ProcessDiedError:
        """The error for its early end."""
        status = self.status
        how = f"with status {status}" if status is None or status >= 0 else f"by {signal.Signals(-status).name}"
        return ProcessDiedError(f"{self.name} ended early, {how}. The end of its log:\n{last_lines(self.log)}")


def last_lines(log: Path, count: int = _LAST_LINES) -> str:
    """The end of a log, indented and redacted."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 64 * 1024))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        lines = []
    return "\n".join(f"    {redact(line)}" for line in lines[-count:] if line.strip()) or "    (it wrote nothing)"


async def first_death(children: Sequence[Child]) -> ProcessDiedError:
    """Wait until one of several children ends by itself."""
    tasks = [asyncio.create_task(child.died(), name=f"watch-{child.name}") for child in children]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return next(iter(done)).result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
