"""The private port: alive, ready, figures."""

import gzip

import httpx
import pytest

from tests.http_scene import ports, raw_request


async def get(url: str, path: str) -> httpx.Response:
    """One look."""
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.get(url + path)


@pytest.mark.parametrize(("lag_s", "status"), [(0.0, 200), (29.0, 200), (31.0, 503)])
async def test_alive_means_that_the_loop_runs(lag_s: float, status: int) -> None:
    """Only an event loop that is half a minute late is not alive; the answer says how late."""
    async with ports() as running:
        running.servers.lag.last_s = lag_s
        response = await get(running.private_url, "/livez")
    assert response.status_code == status
    assert f"{lag_s:.0f}." in response.text


async def test_ready_and_what_to_know() -> None:
    """The desk decides, and its lines are shown as they are."""
    async with ports() as running:
        running.desk.lines = ("rooms.yaml: the last reload failed", "2 engines")
        ready = await get(running.private_url, "/readyz")
        running.desk.draining = True
        draining = await get(running.private_url, "/readyz")
    assert (ready.status_code, ready.text) == (200, "ready\nrooms.yaml: the last reload failed\n2 engines\n")
    assert (draining.status_code, draining.text.splitlines()[0]) == (503, "not ready")
    assert ready.headers["Content-Type"] == "text/plain; charset=utf-8"


async def test_a_late_loop_is_not_ready() -> None:
    """Two seconds of lag take the replica out of service before it is called dead."""
    async with ports() as running:
        running.servers.lag.last_s = 2.5
        response = await get(running.private_url, "/readyz")
    assert response.status_code == 503
    assert "the event loop is 2.500 s late" in response.text


async def test_metrics_are_passed_on() -> None:
    """The text and its type come from the renderer; whoever accepts gzip gets gzip."""
    text = b"# HELP metric What it is.\nmetric 1\n" * 500
    async with ports(render=(text, "text/plain; version=0.0.4; charset=utf-8")) as running:
        response = await get(running.private_url, "/metrics")
        packed = await running.send(raw_request("GET", "/metrics", {"Accept-Encoding": "gzip"}), private=True)
        plain = await running.send(raw_request("GET", "/metrics", {}), private=True)
    assert (response.status_code, response.content) == (200, text)
    assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert plain.endswith(text)
    head, _, body = packed.partition(b"\r\n\r\n")
    assert b"Content-Encoding: gzip" in head
    assert len(packed) < len(plain) / 5
    assert gzip.decompress(body) == text


@pytest.mark.parametrize(("method", "path", "status"), [("POST", "/livez", 405), ("GET", "/v1/rooms", 404)])
async def test_nothing_else_is_there(method: str, path: str, status: int) -> None:
    """Other methods and the public paths are refused in JSON."""
    async with ports() as running, httpx.AsyncClient(trust_env=False) as client:
        response = await client.request(method, running.private_url + path)
    assert response.status_code == status
    assert response.json()["error"]["code"] in {"method_not_allowed", "not_found"}


async def test_head_is_answered_without_a_body() -> None:
    """A probe that asks by HEAD gets the status alone."""
    async with ports() as running:
        answer = await running.send(raw_request("HEAD", "/readyz", {}), private=True)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b"\r\n\r\n")
