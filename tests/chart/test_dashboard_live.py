import asyncio
import subprocess
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from connector.base.secrets import Secret
from connector.practice.agent import PracticeAgent, PracticeOptions
from connector.practice.agent_call import Habits
from connector.practice.livekit import LiveKitServer
from tests.chart.helm import CHART, one, render
from tests.chart.prometheus import Prometheus, until
from tests.chart.queries import QUERIES, concrete
from tests.chart_live.cluster import free_port
from tests.e2e.room_scene import Scene
from tests.e2e.worker_scene import KEY, Worker

pytestmark = [pytest.mark.timeout(300), pytest.mark.asyncio(loop_scope="module")]
FILTER = " > 0"
"""A panel that leaves out what is zero may be empty."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def watched(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Prometheus, str]]:
    """A Prometheus that has scraped a worker before, during and after a call, and the worker's private address."""
    folder = tmp_path_factory.mktemp("watched")
    options = PracticeOptions(key=Secret(KEY), habits=Habits(greeting="tone", reply="none"))
    listen = f"127.0.0.1:{free_port()}"
    async with (
        LiveKitServer(webhook_urls=[f"http://{listen}/webhooks/livekit"]) as server,
        PracticeAgent(options) as practice,
        Worker(server, practice.url, "front-desk", folder, environ={"CONNECTOR_LISTEN": listen}) as worker,
    ):
        await worker.until(lambda worker: bool(worker.events("worker_ready")), within_s=60)
        private = worker.events("http_listening")[0]["private"]
        async with Prometheus(private, CHART / "files" / "rules.yaml", folder) as prometheus:
            scene = Scene(server, "front-desk")
            try:
                await scene.speaker("ada", hz=440)
                await worker.live()
                in_use = "sum(connector_sessions_active) == 1"
                await until(lambda: prometheus.query(in_use), lambda: "no scrape during the call")
            finally:
                await scene.close()
            await worker.ended()
            async with aiohttp.ClientSession() as client, client.get(f"http://{listen}/v1/rooms") as answer:
                assert answer.status == 401
            await until(
                lambda: prometheus.query("sum(connector_sessions_ended_total) == 1"), lambda: "no scrape after the call"
            )
            yield prometheus, private


async def test_promtool_finds_nothing_wrong_with_the_metrics(watched: tuple[Prometheus, str]) -> None:
    """Names, units and help texts are as Prometheus wants them."""
    async with aiohttp.ClientSession() as client, client.get(f"http://{watched[1]}/metrics") as answer:
        text = await answer.text()
    done = await asyncio.to_thread(
        subprocess.run, ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


async def test_every_panel_shows_something(watched: tuple[Prometheus, str]) -> None:
    """Prometheus takes each query; unless it leaves out zeros, it finds series of a worker that had one call."""
    prometheus, _ = watched
    empty: list[str] = []

    async def all_found() -> bool:
        asked = [concrete(query, "2m") for query in QUERIES]
        empty[:] = [query for query in asked if not await prometheus.query(query.removesuffix(FILTER))]
        return not empty

    await until(all_found, lambda: f"panels are empty: {empty}")
    shown = [query for query in QUERIES if await prometheus.query(concrete(query, "2m"))]
    assert len(shown) > len(QUERIES) * 0.9


async def test_every_alert_is_evaluated_and_quiet(watched: tuple[Prometheus, str]) -> None:
    """Prometheus evaluates each rule on real figures without an error, and a good call sets none off."""
    prometheus, _ = watched

    async def evaluated() -> bool:
        return all(rule["health"] == "ok" for rule in (await prometheus.rules()).values())

    await until(evaluated, lambda: "not every rule is evaluated")
    rules = await prometheus.rules()
    assert len(rules) > 15
    assert {name: rule["state"] for name, rule in rules.items() if rule["state"] == "firing"} == {}


async def test_the_scaler_gets_a_number(watched: tuple[Prometheus, str]) -> None:
    """KEDA's query, made for this release and namespace, gives one number: the pods that the sessions would fill."""
    prometheus, _ = watched
    (trigger,) = one(render(CHART / "ci" / "keda-values.yaml"), "ScaledObject")["spec"]["triggers"]
    (found,) = await prometheus.query(trigger["metadata"]["query"])
    assert 0 <= float(found["value"][1]) < 1
