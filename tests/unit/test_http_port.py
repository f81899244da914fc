"""One port: its errors in one shape, its refusals in few lines."""

import httpx
import pytest
import structlog

from tests.http_scene import FIRST, Ports, admin, event, ports, signed


@pytest.mark.parametrize(
    ("method", "path", "status", "code", "allow"),
    [
        ("GET", "/", 404, "not_found", None),
        ("GET", "/v1/rooms/", 404, "not_found", None),
        ("GET", "/livez", 404, "not_found", None),
        ("GET", "/webhooks/livekit", 405, "method_not_allowed", "POST"),
        ("PATCH", "/v1/rooms/lobby", 405, "method_not_allowed", "DELETE, GET, HEAD"),
        ("PROPFIND", "/v1/rooms/lobby/join", 405, "method_not_allowed", "POST"),
    ],
)
async def test_what_is_not_there(method: str, path: str, status: int, code: str, allow: str | None) -> None:
    """Unknown paths and other methods are refused in the same shape as everything else."""
    async with ports("lobby") as running, httpx.AsyncClient(trust_env=False) as client:
        response = await client.request(method, running.url + path)
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    assert response.headers.get("Allow") == allow
    assert running.heard.calls == [("none", status)]


async def break_desk(running: Ports) -> None:
    """Let the desk fail."""

    def fail(*_: object) -> None:
        raise RuntimeError(f"secret {FIRST.secret.reveal()} in {__file__}")

    setattr(running.desk, "join", fail)  # noqa: B010 - a method is replaced on purpose


async def test_a_fault_is_told_without_its_trace() -> None:
    """A fault in the worker is 500 with no word of the program in it; the next request is answered."""
    with structlog.testing.capture_logs() as logs:
        async with ports("lobby") as running, httpx.AsyncClient(trust_env=False, base_url=running.url) as client:
            await break_desk(running)
            headers = {"Authorization": f"Bearer {admin('lobby')}"}
            response = await client.post("/v1/rooms/lobby/join", headers=headers)
            after = await client.get("/v1/rooms/lobby", headers=headers)
    assert (response.status_code, response.json()["error"]["code"]) == (500, "internal")
    assert "Traceback" not in response.text
    assert "secret" not in response.text
    assert after.status_code == 200
    assert [line["route"] for line in logs if line["event"] == "http_request_failed"] == ["join"]


async def test_a_flood_is_a_few_lines() -> None:
    """Hundreds of refusals make one line at once and one at the end, with every refusal counted."""
    with structlog.testing.capture_logs() as logs:
        async with ports("lobby") as running, httpx.AsyncClient(trust_env=False, base_url=running.url) as client:
            for _ in range(150):
                await client.post("/webhooks/livekit", content=b"{}", headers={"Authorization": "a.b.c"})
            body = event()
            assert (await client.post("/webhooks/livekit", content=body, headers=signed(body))).status_code == 200
    lines = [line for line in logs if line["event"] == "http_refused"]
    assert len(lines) <= 4
    assert sum(line.get("webhook_not_authenticated", 0) for line in lines) == 150


async def test_what_came_is_never_logged() -> None:
    """Neither token nor body nor path of a refused request stands in a line."""
    with structlog.testing.capture_logs() as logs:
        async with ports("lobby") as running, httpx.AsyncClient(trust_env=False, base_url=running.url) as client:
            await client.post(
                "/webhooks/livekit?canary-query", content=b"canary-body", headers={"Authorization": "canary"}
            )
            await client.get("/canary-path", headers={"X-Canary": "canary-header"})
    assert "canary" not in str(logs)
