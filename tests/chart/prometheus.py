"""A real Prometheus on loopback that scrapes one worker as if it were a pod: started, asked, ended by pid."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

from tests.chart_live.cluster import free_port

NAMESPACE = "voice"
POD = "rc-connector-7db8df5cb-n2zhc"
_WAIT_S = 60.0
_LOOK_S = 0.2


async def until(look: Callable[[], Awaitable[object]], what: Callable[[], str]) -> None:
    """Ask again and again, until the answer is true.

    Raises:
        AssertionError: It does not come to that within a minute; `what` says what is missing.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _WAIT_S
    while not await look():
        assert loop.time() < deadline, what()
        await asyncio.sleep(_LOOK_S)


class Prometheus:
    """Async context manager.

    Args:
        target: host:port of the worker's private address.
        rules: A file with rules to evaluate.
        folder: For its data.
    """

    def __init__(self, target: str, rules: Path, folder: Path) -> None:
        self._folder = folder
        labels = {"namespace": NAMESPACE, "pod": POD}
        job = {"job_name": "connector", "static_configs": [{"targets": [target], "labels": labels}]}
        every = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        self._config = {"global": every, "rule_files": [str(rules)], "scrape_configs": [job]}
        self._address = f"127.0.0.1:{free_port()}"
        self._process: asyncio.subprocess.Process | None = None
        self._client: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        file = self._folder / "prometheus.json"
        file.write_text(json.dumps(self._config))  # JSON is YAML
        self._process = await asyncio.create_subprocess_exec(
            "prometheus",
            f"--config.file={file}",
            f"--storage.tsdb.path={self._folder / 'data'}",
            f"--web.listen-address={self._address}",
            "--log.level=warn",
            stdin=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        self._client = aiohttp.ClientSession(f"http://{self._address}")
        try:
            await until(self._scraped, lambda: "Prometheus has scraped nothing")
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        assert self._client is not None
        await self._client.close()
        if self._process.returncode is None:
            self._process.terminate()
        async with asyncio.timeout(20):
            await self._process.wait()

    async def _scraped(self) -> bool:
        assert self._process is not None
        assert self._process.returncode is None, "prometheus ended"
        try:
            return bool(await self.query("up == 1"))
        except aiohttp.ClientError:
            return False

    async def _get(self, path: str, **parameters: str) -> dict[str, Any]:
        assert self._client is not None
        async with self._client.get(path, params=parameters) as answer:
            if answer.status != 200:
                raise aiohttp.ClientError(await answer.text())
            data: dict[str, Any] = (await answer.json())["data"]
            return data

    async def query(self, expr: str) -> list[dict[str, Any]]:
        """The instant vector that a query gives.

        Raises:
            aiohttp.ClientError: It is refused; the text says why.
        """
        found: list[dict[str, Any]] = (await self._get("/api/v1/query", query=expr))["result"]
        return found

    async def rules(self) -> dict[str, dict[str, Any]]:
        """Each alert with its state and health, by name."""
        groups = (await self._get("/api/v1/rules"))["groups"]
        return {rule["name"]: rule for group in groups for rule in group["rules"]}
