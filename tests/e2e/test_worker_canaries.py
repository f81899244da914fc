"""Secrets in every setting, and everything that can fail: none is seen in any log, metric, answer or event."""

import base64
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from aiohttp import web

from tests.canaries import canary, leaks
from tests.e2e.room_scene import Scene
from tests.e2e.worker_scene import Worker
from tests.redis_server import RedisServer

pytestmark = pytest.mark.e2e


@dataclass
class Tattletale:
    """Stands in for Millis and for the receiver of events: answers badly, and repeats every header it got."""

    status: int
    offers: int = 0
    events: list[str] = field(default_factory=list)
    url: str = ""

    async def offer(self, request: web.Request) -> web.Response:
        self.offers += 1
        shown = {"detail": f"you said {dict(request.headers)}", "authorization": request.headers.get("Authorization")}
        return web.json_response(shown, status=self.status, reason=f"said {request.headers.get('Authorization')}")

    async def event(self, request: web.Request) -> web.Response:
        self.events.append(await request.text())
        return web.json_response({"error": dict(request.headers)}, status=500)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        app = web.Application()
        app.router.add_post("/webrtc/offer", self.offer)
        app.router.add_post("/events", self.event)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield
        finally:
            await runner.cleanup()


@pytest.mark.parametrize("status", [200, 302, 401, 404, 429, 500])
async def test_no_secret_is_ever_shown(own_scene: Scene, room_name: str, tmp_path: Path, status: int) -> None:
    """Whatever repeats our secrets to us, and whatever goes away: nothing that the worker writes holds one."""
    server, tattletale = own_scene.server, Tattletale(status)
    secrets = {
        "MILLIS_PRIVATE_KEY": canary("millis"),
        "LIVEKIT_API_SECRET_2": canary("second"),
        "CONNECTOR_EVENTS_SECRET": "whsec_" + base64.b64encode(canary("events").encode()).decode(),
    }
    password = canary("redis")
    planted = (*secrets.values(), password, server.api_secret.reveal())
    shown: list[str] = []
    async with tattletale.running(), RedisServer(f"requirepass {password}") as redis:
        environ = {
            **secrets,
            "LIVEKIT_API_KEY_2": "second-key",
            "REDIS_URL": f"redis://:{password}@127.0.0.1:{redis.port}/0",
            "CONNECTOR_LOG_LEVEL": "debug",
            "CONNECTOR_EVENTS_URL": f"{tattletale.url}/events",
        }
        worker = Worker(server, tattletale.url, room_name, tmp_path, worker="claims: redis", environ=environ)
        async with worker, httpx.AsyncClient() as client:
            await own_scene.speaker("ada")
            public, private = await worker.listening()
            await worker.until(lambda w: bool(w.events("agent_failed")))
            await worker.until(lambda _: bool(tattletale.events))
            worker.config.write_text(worker.config.read_text() + f"api_key: {planted[0]}\n")
            await worker.until(lambda w: bool(w.events("reload_failed")))
            bad = {"Authorization": f"Bearer {planted[1]}"}
            for answer in (
                await client.get(f"{public}/v1/rooms", headers=bad),
                await client.post(f"{public}/webhooks/livekit", headers={"Authorization": planted[1]}, content=b"{}"),
                await client.get(f"{private}/metrics"),
                await client.get(f"{private}/readyz"),
            ):
                shown += [answer.text, str(answer.headers)]
            await redis.kill()
            await server.kill()
            await worker.until(lambda w: bool(w.events("livekit_unknown")), within_s=30)
            shown.append((await client.get(f"{private}/metrics")).text)
        shown += [*worker.lines, *tattletale.events]
        assert tattletale.offers > 0
    for text in shown:
        assert leaks(text, planted) == [], text
