"""The demo's stage: livekit-server, the practice agent and the worker, each in a process of its own."""

import asyncio
import os
import secrets
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from connector.base.errors import ConnectorError
from connector.practice.livekit import LiveKitServer
from connector.practice.processes import Child, ProcessDiedError, first_death, last_lines
from connector.practice.show import Show
from connector.practice.speakers import Place
from connector.practice.watch import AgentWatch

_OURS = ("LIVEKIT_", "MILLIS_", "CONNECTOR_", "REDIS_")
"""Settings of the user's own installation must not reach the demo's processes."""
_LOOK_S = 0.2
_T = TypeVar("_T")


@dataclass(frozen=True)
class Stage:
    """What is running.

    Attributes:
        server: The livekit-server.
        agent: The practice agent's process.
        worker: The worker's process.
        watch: The agent as seen from here.
        place: Where people meet.
        recordings: Where the agent saves what it heard and said, when it is stopped.
    """

    server: LiveKitServer
    agent: Child
    worker: Child
    watch: AgentWatch
    place: Place
    recordings: Path

    async def unless_dead(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Do something that needs all three processes.

        Raises:
            ProcessDiedError: One of them ended meanwhile; the work was cancelled.
        """
        task = asyncio.create_task(work, name="demo-work")
        death = asyncio.create_task(self._death(), name="demo-deaths")
        try:
            await asyncio.wait({task, death}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise death.result()
            return task.result()
        finally:
            task.cancel()
            death.cancel()
            await asyncio.wait({task, death})

    async def _death(self) -> ConnectorError:
        children = asyncio.create_task(first_death([self.agent, self.worker]), name="demo-children")
        try:
            while not children.done() and self.server.running:
                await asyncio.wait({children}, timeout=_LOOK_S)
            if children.done():
                return children.result()
            log = last_lines(self.server.log_path)
            return ProcessDiedError(f"livekit-server ended early. The end of its log:\n{log}")
        finally:
            children.cancel()
            await asyncio.wait({children})


@asynccontextmanager
async def set_up(config: Path, room: str, logs: Path, show: Show) -> AsyncIterator[Stage]:
    """Start the three processes and wait until the agent answers; stop them afterwards, the worker first.

    Args:
        config: The rooms.yaml that the worker serves.
        room: Where people will meet.
        logs: The folder for the processes' logs; older ones there are removed.
        show: Where progress is told.

    Raises:
        UnavailableError: livekit-server is missing or something does not come up.
        ProcessDiedError: The agent or the worker ended at once.
    """
    _clear(logs)
    async with AsyncExitStack() as stack:
        show.waiting("starting livekit-server, the practice agent and the worker")
        recordings = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="room-connector-demo-")))
        server = await stack.enter_async_context(LiveKitServer(log_path=logs / "livekit-server.log"))
        key, url = secrets.token_urlsafe(24), f"127.0.0.1:{_free_port()}"
        agent = _agent(url, key, recordings, logs / "practice-agent.log")
        await stack.enter_async_context(agent)
        worker = _worker(config, server, f"http://{url}", key, logs / "worker.log")
        await stack.enter_async_context(worker)
        watch = AgentWatch(f"http://{url}", key, show)
        stage = Stage(
            server, agent, worker, watch, Place(server.url, server.api_key, server.api_secret, room), recordings
        )
        await stage.unless_dead(watch.ready())
        yield stage


def _clear(logs: Path) -> None:
    logs.mkdir(parents=True, exist_ok=True)
    for old in logs.glob("*.log"):
        old.unlink()


def _agent(listen: str, key: str, recordings: Path, log: Path) -> Child:
    command = ["practice-agent", "--listen", listen, "--record", str(recordings)]
    return Child("the practice agent", _connector(command), log=log, environ=_environ({"MILLIS_PRIVATE_KEY": key}))


def _worker(config: Path, server: LiveKitServer, millis_url: str, key: str, log: Path) -> Child:
    settings = {
        "LIVEKIT_URL": server.url,
        "LIVEKIT_API_KEY": server.api_key,
        "LIVEKIT_API_SECRET": server.api_secret.reveal(),
        "MILLIS_URL": millis_url,
        "MILLIS_PRIVATE_KEY": key,
        "CONNECTOR_LISTEN": f"127.0.0.1:{_free_port()}",
        "CONNECTOR_PRIVATE_LISTEN": f"127.0.0.1:{_free_port()}",
    }
    return Child(
        "the worker",
        _connector(["run", "--config", str(config)]),
        log=log,
        environ=_environ(settings),
        ending=((signal.SIGTERM, 0.5), (signal.SIGTERM, 15.0)),  # the first drains, the second ends calls now
    )


def _connector(arguments: list[str]) -> list[str]:
    return [sys.executable, "-m", "connector", *arguments]


def _environ(settings: Mapping[str, str]) -> dict[str, str]:
    """Our environment without the settings of the user's own installation, plus the demo's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    return {**kept, "CONNECTOR_LOG": "console", **settings}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
