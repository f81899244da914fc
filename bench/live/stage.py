"""What every scenario stands on: a livekit-server, the agent, the crowd, and workers with a rule per room."""

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from livekit import api

from bench.live.agent import Agent
from bench.live.crowd import Crowd
from bench.processes import Child, python
from connector.practice.agent_call import Greeting
from connector.practice.livekit import LiveKitServer
from tests.redis_server import free_port
from tests.worker_process import WorkerProcess

WARM_ROOM = "warm-up"
READY_S = 60.0


@dataclass(frozen=True)
class Stage:
    """Where a scenario plays.

    Attributes:
        sfu: The server.
        agent: The practice agent.
        crowd: The people.
        folder: Scratch; logs and recordings.
        ports: Those that the server sends webhooks to; a worker each.
        api: The server's API.
    """

    sfu: LiveKitServer
    agent: Agent
    crowd: Crowd
    folder: Path
    ports: tuple[int, ...]
    api: api.LiveKitAPI

    async def delete(self, room: str) -> None:
        """Close a room: everybody is disconnected."""
        with contextlib.suppress(api.TwirpError):  # it has just gone by itself
            await self.api.room.delete_room(api.DeleteRoomRequest(room=room))

    def rooms_yaml(
        self,
        rules: Sequence[Mapping[str, Any]],
        *,
        port: int = 0,
        worker: Mapping[str, Any] | None = None,
        defaults: Mapping[str, Any] | None = None,
    ) -> str:
        """A configuration for this stage.

        Args:
            rules: As in rooms.yaml.
            port: Where it listens for webhooks.
            worker: More of ``worker:``.
            defaults: More of ``defaults:``.
        """
        config = {
            "livekit": {"url": self.sfu.url},
            "millis": {"url": self.agent.url, "auth": "raw"},
            "worker": {
                "listen": f"127.0.0.1:{port}",
                "private_listen": "127.0.0.1:0",
                "engines": 1,
                "reconcile_every": "10s",
                **(worker or {}),
            },
            "defaults": {"leave_after": "1s", **(defaults or {})},
            "rooms": list(rules),
        }
        return yaml.safe_dump(config, sort_keys=False)

    @contextlib.asynccontextmanager
    async def worker(
        self, name: str, rooms_yaml: str, *, engines: int = 1, environ: Mapping[str, str] | None = None
    ) -> AsyncIterator[WorkerProcess]:
        """A running worker, all its engines ready; its log stays in the folder."""
        folder = subfolder(self.folder, name)
        config = folder / "rooms.yaml"
        config.write_text(rooms_yaml)
        worker = WorkerProcess(config, (self.sfu.api_key, self.sfu.api_secret.reveal()), environ)
        try:
            async with worker:
                await worker.engines_ready(engines, READY_S)
                yield worker
        finally:
            (folder / "worker.log").write_text("".join(worker.lines))


def rule_per_room(rooms: Sequence[str], **more: Any) -> list[dict[str, Any]]:
    """A rule for each room whose agent is called like the room, so that the agent's counts tell rooms apart."""
    return [{"room": room, "agent": room, **more} for room in rooms]


def subfolder(folder: Path, name: str) -> Path:
    """A new folder in a folder."""
    path = folder / name
    path.mkdir()
    return path


@contextlib.asynccontextmanager
async def staged(folder: Path, *, webhooks: int = 0, greeting: Greeting = "hum") -> AsyncIterator[Stage]:
    """Everything, running.

    Args:
        folder: Scratch; it is there.
        webhooks: How many workers the server sends webhooks to.
        greeting: What the agent says when a call connects.
    """
    ports = tuple(free_port() for _ in range(webhooks))
    urls = [f"http://127.0.0.1:{port}/webhooks/livekit" for port in ports]
    agent = python("bench.live.agent", "--greeting", greeting)
    async with (
        LiveKitServer(log_path=folder / "livekit.log", webhook_urls=urls) as sfu,
        Child(agent, folder / "agent.log") as agent_child,
        Child(python("bench.live.people"), folder / "people.log") as people,
    ):
        client = Agent(await agent_child.wait_for("listening"))
        livekit = api.LiveKitAPI(sfu.http_url, sfu.api_key, sfu.api_secret.reveal())
        try:
            crowd = Crowd(people, sfu, folder)
            await (await crowd.join(WARM_ROOM)).leave()  # a process's first join loads its native library
            yield Stage(sfu, client, crowd, folder, ports, livekit)
        finally:
            await livekit.aclose()
            await client.close()
