"""The worker as a service on real parts: webhooks, the API, reload, health, replicas."""

import json
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from livekit import api

from connector.base.secrets import Secret
from connector.practice.agent import PracticeAgent, PracticeOptions
from connector.practice.agent_call import Habits
from connector.practice.livekit import LiveKitServer
from tests.e2e.room_scene import Scene
from tests.e2e.worker_scene import KEY, Worker
from tests.redis_server import RedisServer, free_port
from tests.until import until

pytestmark = pytest.mark.e2e


def agent() -> PracticeAgent:
    """A practice agent that greets with a tone."""
    return PracticeAgent(PracticeOptions(key=Secret(KEY), habits=Habits(greeting="tone", reply="none")))


def token(server: LiveKitServer, **grants: Any) -> dict[str, str]:
    """The header of a caller with these grants."""
    access = api.AccessToken(server.api_key, server.api_secret.reveal()).with_grants(api.VideoGrants(**grants))
    return {"Authorization": f"Bearer {access.to_jwt()}"}


async def agents_in(scene: Scene) -> list[str]:
    """The identities of kind agent that the server lists in the scene's room."""
    agent_kind = api.ParticipantInfo.Kind.AGENT
    return [identity for identity, info in (await scene.listed()).items() if info.kind == agent_kind]


@asynccontextmanager
async def summoned(
    practice: PracticeAgent, room: str, folder: Path, **settings: Any
) -> AsyncIterator[tuple[Worker, Scene]]:
    """A worker that LiveKit's webhooks reach and that hardly ever looks by itself."""
    port = free_port()
    async with LiveKitServer(webhook_urls=[f"http://127.0.0.1:{port}/webhooks/livekit"]) as server:
        scene = Scene(server, room)
        environ = {"CONNECTOR_LISTEN": f"127.0.0.1:{port}"}
        worker = Worker(server, practice.url, room, folder, every="5m", environ=environ, **settings)
        try:
            async with worker:
                await worker.until(lambda w: bool(w.events("worker_ready")))
                yield worker, scene
        finally:
            await scene.close()


async def test_a_webhook_summons_the_agent(room_name: str, tmp_path: Path) -> None:
    """With passes five minutes apart, the join of a human brings the agent, and its session knows what hinted at it."""
    async with agent() as practice, summoned(practice, room_name, tmp_path) as (worker, scene):
        await scene.speaker("ada", hz=440)
        await worker.live()
        assert worker.events("session_started")[0]["trigger"] == "webhook"
        _, private = await worker.listening()
        async with httpx.AsyncClient() as client:
            metrics = (await client.get(f"{private}/metrics")).text
        assert re.search(r'connector_webhook_requests_total\{event="\w+",outcome="accepted"\} [1-9]', metrics)
        assert 'connector_sessions_started_total{trigger="webhook"} 1.0' in metrics


async def test_a_room_that_was_there_first_is_found(
    livekit: LiveKitServer, scene: Scene, room_name: str, tmp_path: Path
) -> None:
    """A pattern's room with a human in it is served in the very first pass."""
    await scene.speaker("ada", hz=440)
    async with agent() as practice, Worker(livekit, practice.url, f"{room_name}*", tmp_path, every="5m") as worker:
        await worker.live()
        assert worker.events("session_started")[0]["trigger"] == "reconcile"


async def test_the_api_asks_for_a_room_tells_of_it_and_ends_it(
    livekit: LiveKitServer, scene: Scene, room_name: str, tmp_path: Path
) -> None:
    """A `join: request` room is served when asked, listed with its session, left when told, and left alone then."""
    async with agent() as practice:
        worker = Worker(livekit, practice.url, room_name, tmp_path, defaults="join: request")
        async with worker, httpx.AsyncClient() as client:
            await scene.speaker("ada", hz=440)
            public, private = await worker.listening()
            await worker.until(lambda w: any(e["why"] == "not_asked" for e in w.events("room_not_served")))
            mine = token(livekit, room_admin=True, room=room_name)
            refused = await client.post(f"{public}/v1/rooms/{room_name}/join")
            assert refused.status_code == 401
            other = token(livekit, room_admin=True, room="another")
            assert (await client.post(f"{public}/v1/rooms/{room_name}/join", headers=other)).status_code == 403
            asked = await client.post(f"{public}/v1/rooms/{room_name}/join", headers=mine)
            assert asked.status_code == 202
            await worker.live()
            again = await client.post(f"{public}/v1/rooms/{room_name}/join", headers=mine)
            assert again.status_code == 200
            listed = await client.get(f"{public}/v1/rooms", headers=token(livekit, room_list=True))
            (room,) = listed.json()["rooms"]
            assert (room["room"], room["session"]["state"], room["session"]["trigger"]) == (
                room_name,
                "live",
                "request",
            )
            assert (await client.delete(f"{public}/v1/rooms/{room_name}", headers=mine)).is_success
            assert (await worker.ended())["reason"] == "requested"
            await worker.until(lambda w: bool(w.events("room_not_served")))
            left = await client.get(f"{public}/v1/rooms/{room_name}", headers=mine)
            assert left.json()["session"] is None
            assert (await client.get(f"{private}/readyz")).status_code == 200
            assert practice.offers == 1


async def test_the_command_line_asks_shows_and_sends_away(
    livekit: LiveKitServer, scene: Scene, room_name: str, tmp_path: Path
) -> None:
    """`connector join --wait`, `rooms` and `leave` as an operator types them, piped."""
    async with agent() as practice:
        worker = Worker(livekit, practice.url, room_name, tmp_path, defaults="join: request")
        async with worker:
            public, _ = await worker.listening()
            await scene.speaker("ada", hz=440)
            await worker.until(lambda w: bool(w.events("worker_ready")))
            code, out = await worker.connector("join", room_name, "--wait", "--api", public)
            assert (code, out.startswith("live, session ")) == (0, True)
            code, out = await worker.connector("rooms", "--api", public)
            assert code == 0
            assert room_name in out
            assert "\x1b" not in out
            code, out = await worker.connector("rooms", "--json", "--api", public)
            assert json.loads(out)["rooms"][0]["session"]["state"] == "live"
            assert (await worker.connector("leave", room_name, "--api", public))[0] == 0
            assert (await worker.ended())["reason"] == "requested"
            code, out = await worker.connector("join", "elsewhere", "--api", public)
            assert (code, "rule" in out) == (1, True)
            assert (await worker.connector("rooms", "--api", "http://127.0.0.1:9"))[0] == 69
            assert (await worker.connector("rooms", "--api", "nonsense"))[0] == 2


async def test_a_reload_changes_what_it_should(
    livekit: LiveKitServer, scene: Scene, room_name: str, tmp_path: Path
) -> None:
    """A wrong file changes a log line, a metric and /readyz's text; a right one serves the room that it adds."""
    async with agent() as practice:
        worker = Worker(livekit, practice.url, f"{room_name}-other", tmp_path)
        async with worker, httpx.AsyncClient() as client:
            await scene.speaker("ada", hz=440)
            _, private = await worker.listening()
            good = worker.config.read_text()
            worker.config.write_text(good.replace("rooms:", "roms:"))
            await worker.until(lambda w: bool(w.events("reload_failed")))
            ready = await client.get(f"{private}/readyz")
            assert ready.status_code == 200
            assert "rooms.yaml" in ready.text
            assert 'connector_config_reload_total{result="error"} 1.0' in (await client.get(f"{private}/metrics")).text
            worker.config.write_text(good.replace(f"{room_name}-other", room_name))
            await worker.live()
            assert "rooms.yaml" not in (await client.get(f"{private}/readyz")).text
            worker.config.write_text(good)
            assert (await worker.ended())["reason"] == "rule_removed"


async def test_a_drain_is_seen_and_refuses(
    livekit: LiveKitServer, scene: Scene, room_name: str, tmp_path: Path
) -> None:
    """While it drains, /readyz says 503, a join is refused with 503, the call goes on, /livez stays well."""
    async with agent() as practice, Worker(livekit, practice.url, room_name, tmp_path) as worker:
        ada = await scene.speaker("ada", hz=440)
        await worker.live()
        public, private = await worker.listening()
        worker.signal(signal.SIGTERM)
        await worker.until(lambda w: bool(w.events("draining")))
        async with httpx.AsyncClient() as client:
            ready = await client.get(f"{private}/readyz")
            assert (ready.status_code, "draining" in ready.text) == (503, True)
            assert (await client.get(f"{private}/livez")).status_code == 200
            mine = token(livekit, room_admin=True, room=room_name)
            assert (await client.post(f"{public}/v1/rooms/{room_name}/join", headers=mine)).status_code in (200, 503)
        await ada.leave()
        assert (await worker.ended())["reason"] == "room_empty"
        assert await worker.exit_code() == 0


async def test_two_replicas_with_memory_by_mistake_never_make_two_agents(
    livekit: LiveKitServer, scene: Scene, room_name: str, tmp_path: Path
) -> None:
    """LiveKit's fence lets one agent stay; the other worker warns loudly and leaves the room alone."""
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    async with (
        agent() as practice,
        Worker(livekit, practice.url, room_name, folders[0]) as one,
        Worker(livekit, practice.url, room_name, folders[1]) as two,
    ):
        for worker in (one, two):
            await worker.until(lambda w: bool(w.events("worker_ready")))
        await scene.speaker("ada", hz=440)
        await practice.until(lambda a: len(a.live) == 1)

        def warned() -> bool:
            return any(
                event["why"] == "served_elsewhere" and event["level"] == "warning"
                for worker in (one, two)
                for event in worker.events("room_not_served")
            )

        await until(warned, within_s=15)
        assert await agents_in(scene) == ["millis-agent"]
        assert practice.most_at_once == 1


async def test_a_dead_replica_s_room_is_taken_over(
    livekit: LiveKitServer, scene: Scene, room_name: str, tmp_path: Path
) -> None:
    """Two replicas on one Redis: after a kill -9 of the serving one, the other is live within 10 s, by one offer."""
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    async with agent() as practice, RedisServer() as redis:
        environ = {"REDIS_URL": redis.url.reveal()}
        settings: dict[str, Any] = {"worker": "claims: redis", "environ": environ}
        one = Worker(livekit, practice.url, room_name, folders[0], **settings)
        two = Worker(livekit, practice.url, room_name, folders[1], **settings)
        async with one, two:
            for worker in (one, two):
                await worker.until(lambda w: bool(w.events("worker_ready")))
            await scene.speaker("ada", hz=440)
            await practice.until(lambda a: len(a.live) == 1)
            serving, other = (one, two) if one.events("session_started") else (two, one)
            assert not other.events("session_started")
            serving.kill_all()
            await other.until(lambda w: bool(w.events("session_started")), within_s=10)
            await other.live()
            assert other.events("session_started")[0]["trigger"] == "failover"
            assert practice.offers == 2
            assert await agents_in(scene) == ["millis-agent"]


async def test_nothing_in_the_log_is_two_lines_or_no_json(
    livekit: LiveKitServer, scene: Scene, room_name: str, tmp_path: Path
) -> None:
    """Every line of a whole call is one JSON object with event, level and time; lines of a session carry its id."""
    async with agent() as practice, Worker(livekit, practice.url, room_name, tmp_path) as worker:
        ada = await scene.speaker("ada", hz=440)
        await worker.live()
        await ada.leave()
        await worker.ended()
    events = [json.loads(line) for line in worker.lines]
    assert all({"event", "level", "timestamp"} <= event.keys() for event in events)
    (session,) = {event["session"] for event in events if event["event"] == "session_started"}
    joined = next(event for event in events if event["event"] == "room_joined")
    assert joined["session"] == session
