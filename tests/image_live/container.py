"""A container of our image, run by podman as the chart has it run: non-root, read-only, without capabilities."""

import asyncio
import itertools
import json
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

HERE = Path(__file__).parent
HARDENED = ("--read-only", "--read-only-tmpfs=false", "--tmpfs=/tmp:size=64m", "--cap-drop=ALL")
_numbers = itertools.count(1)


async def podman(*arguments: str) -> str:
    """Run podman to its end; gives its standard output.

    Raises:
        AssertionError: It failed.
    """
    process = await asyncio.create_subprocess_exec(
        "podman", *arguments, env=environment(), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, errors = await process.communicate()
    assert process.returncode == 0, f"podman {arguments}: {errors.decode()}"
    return out.decode()


def environment() -> dict[str, str]:
    """The environment of podman."""
    return {"CONTAINERS_CONF": str(HERE / "containers.conf"), **os.environ}


class Container:
    """One container on the host's network. Async context manager; gone at the end.

    Args:
        image: The image.
        arguments: For its entry point.
        environ: Its environment.
        mounts: From a folder of this machine to its place, read-only.
    """

    def __init__(
        self, image: str, *arguments: str, environ: Mapping[str, str], mounts: Mapping[Path, str] | None = None
    ) -> None:
        self.name = f"room-connector-{os.getpid()}-{next(_numbers)}"
        options = [f"--env={name}={value}" for name, value in environ.items()]
        options += [f"--volume={folder}:{place}:ro" for folder, place in (mounts or {}).items()]
        fixed = ["--name", self.name, "--network=host", "--security-opt=no-new-privileges", "--pull=never", *HARDENED]
        self._command: Sequence[str] = ["run", *fixed, *options, image, *arguments]
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._grew = asyncio.Event()
        self.lines: list[str] = []

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            "podman",
            *self._command,
            env=environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        self._reader = asyncio.create_task(self._read(), name="container-log")
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._reader is not None
        await podman("rm", "--force", "--time=5", "--ignore", self.name)
        await self._reader

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            self.lines.append(line.decode())
            self._grew.set()
        await self._process.wait()
        self._grew.set()

    def events(self, name: str) -> list[dict[str, Any]]:
        """The log's events of this name."""
        parsed = (json.loads(line) for line in self.lines if line.startswith("{"))
        return [event for event in parsed if event.get("event") == name]

    async def until(self, holds: Callable[["Container"], bool], within_s: float = 90.0) -> None:
        """Wait until something is true of the log; the first start of an image may take long on a busy machine."""
        try:
            async with asyncio.timeout(within_s):
                while not holds(self):
                    self._grew.clear()
                    await self._grew.wait()
        except TimeoutError:
            raise AssertionError("it did not come to that; the log:\n" + "".join(self.lines[-40:])) from None

    async def said(self, event: str, times: int = 1, **fields: object) -> dict[str, Any]:
        """Wait until the log holds an event with these fields so many times; gives the newest."""

        def found() -> list[dict[str, Any]]:
            return [each for each in self.events(event) if fields.items() <= each.items()]

        await self.until(lambda _: len(found()) >= times)
        return found()[-1]

    async def exit_code(self, within_s: float = 90.0) -> int:
        """Wait for the end of the process inside; its exit code."""
        assert self._process is not None
        async with asyncio.timeout(within_s):
            return await self._process.wait()

    async def signal(self, number: signal.Signals) -> None:
        """Send the process inside a signal, as the kubelet does."""
        await podman("kill", f"--signal={number.value}", self.name)

    async def exec(self, *command: str) -> str:
        """Run something inside."""
        return await podman("exec", self.name, *command)

    async def pids(self) -> list[int]:
        """The processes inside, as numbers of this machine."""
        return [int(line) for line in (await podman("top", self.name, "hpid")).split()[1:]]
