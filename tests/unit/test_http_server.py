"""Both servers, from start to stop."""

import asyncio
import socket

import httpx
import pytest
import structlog

from connector.base.errors import ConfigError, ConnectorError, UnavailableError
from connector.http.server import HttpServers
from connector.http.tokens import KeyPair
from tests.http_scene import FIRST, FakeDesk, admin, event, lister, ports, raw_request, signed


def servers(listen: str = "127.0.0.1:0", private: str = "127.0.0.1:0") -> HttpServers:
    """Servers on these addresses."""
    keys: list[KeyPair] = [FIRST]
    return HttpServers(listen, private, desk=FakeDesk(), keys=lambda: keys, render=lambda: (b"", "text/plain"))


async def test_real_addresses_are_told() -> None:
    """Port 0 takes a free one; which one stands in the log."""
    with structlog.testing.capture_logs() as logs:
        async with servers().running() as at:
            assert not at.public.endswith(":0")
            assert at.public != at.private
    (line,) = [line for line in logs if line["event"] == "http_listening"]
    assert (line["public"], line["private"]) == (at.public, at.private)


@pytest.mark.parametrize("which", ["listen", "private_listen"])
async def test_an_address_in_use(which: str) -> None:
    """Exit code 69 and one line that names the setting; nothing is left listening."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        wanted = servers(listen=address) if which == "listen" else servers(private=address)
        with pytest.raises(UnavailableError, match=f"^worker.{which}: cannot listen on {address}: .*in use"):
            await fail(wanted)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("203.0.113.7:8080", "no interface of this machine has that address"),
        ("no-such-host.invalid:8080", "the host name is not known"),
    ],
)
async def test_an_address_that_is_not_ours(address: str, words: str) -> None:
    """Exit code 78 and one line that names the setting and what to do."""
    with pytest.raises(ConfigError, match=words) as caught:
        await fail(servers(listen=address))
    assert caught.value.problems[0].startswith(f"worker.listen: cannot listen on {address}: ")
    assert len(caught.value.problems) == 1


async def fail(wanted: HttpServers) -> ConnectorError:
    """Start servers that cannot start."""
    async with wanted.running():
        raise AssertionError("they listen")


async def test_ipv6() -> None:
    """An IPv6 address is written in brackets and works."""
    async with servers(listen="[::1]:0").running() as at, httpx.AsyncClient(trust_env=False) as client:
        assert at.public.startswith("[::1]:")
        assert (await client.get(f"http://{at.public}/openapi.json")).status_code == 200


async def test_nobody_listens_afterwards() -> None:
    """After the end the address is free, idle connections are closed, and it may be listened on again at once."""
    async with ports("lobby") as running, httpx.AsyncClient(trust_env=False) as client:
        await client.get(f"{running.url}/openapi.json")
        at = running.at.public
    async with servers(listen=at).running() as again:
        assert again.public == at


async def test_a_request_at_work_is_finished() -> None:
    """A webhook whose body is on its way when the servers stop still gets its answer."""
    body = event()
    whole = raw_request("POST", "/webhooks/livekit", signed(body), body)
    async with ports("lobby") as running:
        host, _, port = running.at.public.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(whole[:-10])
        await writer.drain()
        probe = await running.send(raw_request("GET", "/v1/rooms", {"Authorization": f"Bearer {lister()}"}))
        assert probe.startswith(b"HTTP/1.1 200 ")
        asyncio.get_running_loop().call_later(0.2, writer.write, whole[-10:])
    assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
    assert len(running.desk.looks) == 1
    writer.close()
    await writer.wait_closed()


async def test_draining_keeps_answering() -> None:
    """While calls finish the public port tells everybody to go elsewhere, and still shows and ends rooms."""
    async with ports("lobby") as running, httpx.AsyncClient(trust_env=False, base_url=running.url) as client:
        running.desk.draining = True
        running.desk.serve("lobby")
        body = event()
        assert (await client.post("/webhooks/livekit", content=body, headers=signed(body))).status_code == 503
        headers = {"Authorization": f"Bearer {admin('lobby')}"}
        assert (await client.get("/v1/rooms/lobby", headers=headers)).json()["session"]["state"] == "live"
        assert (await client.delete("/v1/rooms/lobby", headers=headers)).json()["ended"] is True
