"""A real livekit-server as the demo and the tests start it."""

import stat
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from connector.practice.livekit import LiveKitServer

pytestmark = pytest.mark.e2e


def addresses(pid: int) -> Iterator[str]:
    """Every address that a process is bound to."""
    return (connection.laddr.ip for connection in psutil.Process(pid).net_connections("inet"))


async def test_it_serves_on_loopback_only_and_ends(tmp_path: Path) -> None:
    """The server listens on 127.0.0.1 only, has a fresh secret that nobody else can read, logs, and ends."""
    log = tmp_path / "server.log"
    async with LiveKitServer(log_path=log) as server, LiveKitServer() as other:
        assert server.url.startswith("ws://127.0.0.1:")
        assert server.url != other.url
        assert server.api_secret != other.api_secret
        assert len(server.api_secret.reveal()) >= 32
        pid = server.pid
        assert pid is not None
        assert set(addresses(pid)) == {"127.0.0.1"}
        (config,) = [Path(part) for part in psutil.Process(pid).cmdline() if part.endswith("livekit.yaml")]
        assert not stat.S_IMODE(config.stat().st_mode) & 0o077
        assert server.api_secret.reveal() not in " ".join(psutil.Process(pid).cmdline())
    assert not psutil.pid_exists(pid)
    assert not config.exists()
    assert "starting LiveKit server" in log.read_text()


async def test_a_restart_keeps_the_address() -> None:
    """After a crash and a start the server is a new process under the same address, with the same key."""
    async with LiveKitServer() as server:
        url, pid = server.url, server.pid
        await server.kill()
        assert server.pid is None
        await server.start()
        await server.start()
        assert server.url == url
        assert server.pid != pid
