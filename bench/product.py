"""The product under test: `connector run` with one engine and a rule per room; only this file knows how."""

import asyncio
import json
import signal
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import psutil
import yaml

from bench.bridges import IDENTITY
from bench.processes import Child, python
from bench.stage import Stage

READY_S = 30.0


class ProductBridge:
    """The worker and its engine. CPU and memory count both processes: a room needs both.

    Args:
        stage: Where the SFU is.
        rooms: The rooms to serve.
        agent_url: Where the offers go.
        folder: For its configuration, log and recordings.
        record: Whether to record what enters each room (through `bench.recorded_product`).
        cores: The cores that it may use.
    """

    name = "product"

    def __init__(
        self,
        stage: Stage,
        rooms: Sequence[str],
        agent_url: str,
        folder: Path,
        *,
        record: bool = False,
        cores: Sequence[int] | None = None,
    ) -> None:
        self._folder = folder
        self._log = folder / "product.log"
        config = folder / "rooms.yaml"
        config.write_text(yaml.safe_dump(rules(stage.sfu.url, agent_url, rooms)))
        env = {**stage.keys, "MILLIS_PRIVATE_KEY": "bench", "CONNECTOR_LOG": "json", "CONNECTOR_LOG_LEVEL": "debug"}
        if record:
            env["BENCH_RECORD"] = str(folder)
        module = "bench.recorded_product" if record else "connector"
        self._child = Child(python(module, "run", "--config", str(config)), self._log, env=env, cores=cores)

    async def __aenter__(self) -> Self:
        await self._child.__aenter__()
        give_up = time.monotonic() + READY_S
        while not any(event.get("event") == "worker_ready" for event in self._events()):
            if self._child.ended or time.monotonic() > give_up:
                await self.__aexit__()
                raise RuntimeError(f"the product did not become ready; see {self._log}")
            await asyncio.sleep(0.1)
        return self

    async def __aexit__(self, *_: object) -> None:
        for _attempt in range(2):  # the first drains, the second ends the calls
            self._child.signal(signal.SIGTERM)
            await asyncio.sleep(0.3)
        await self._child.finish()

    @property
    def pids(self) -> list[int]:
        """The worker and its engine."""
        worker = psutil.Process(self._child.pid)
        return [worker.pid, *(child.pid for child in worker.children())]

    def entry(self, room: str) -> Path:
        """What was pushed into the room."""
        return self._folder / f"product-{room}.npz"

    def figures(self) -> dict[str, float]:
        """The sums of the sessions' figures, as their `session_figures` lines carry them; names as in the log."""
        sums: dict[str, float] = defaultdict(float)
        for event in self._events():
            if event.get("event") == "session_figures":
                for name, value in event.items():
                    if isinstance(value, int | float):
                        sums[name] += value
        return dict(sums)

    def _events(self) -> list[dict[str, object]]:
        lines = self._log.read_text(errors="replace").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]


def rules(livekit_url: str, agent_url: str, rooms: Sequence[str]) -> dict[str, object]:
    """The rooms.yaml of the bench."""
    return {
        "livekit": {"url": livekit_url},
        "millis": {"url": agent_url, "auth": "raw"},
        "worker": {
            "engines": 1,
            "max_sessions": max(1, len(rooms)),
            "listen": "127.0.0.1:0",
            "private_listen": "127.0.0.1:0",
        },
        "rooms": [{"room": room, "agent": "bench", "participant": {"identity": IDENTITY}} for room in rooms],
    }
