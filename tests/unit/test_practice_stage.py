import asyncio
import sys
from pathlib import Path
from typing import cast

import pytest

from connector.base.secrets import Secret
from connector.practice import stage as module
from connector.practice.livekit import LiveKitServer
from connector.practice.processes import Child, ProcessDiedError
from connector.practice.speakers import Place
from connector.practice.stage import Stage
from connector.practice.watch import AgentWatch


class Server:
    """Stands in for the livekit-server's handle."""

    def __init__(self, log_path: Path) -> None:
        self.running = True
        self.log_path = log_path


def child(name: str, tmp_path: Path, code: str = "import time; time.sleep(60)") -> Child:
    return Child(name, [sys.executable, "-c", code], log=tmp_path / f"{name}.log")


def make(server: Server, agent: Child, worker: Child, tmp_path: Path) -> Stage:
    place = Place("ws://127.0.0.1:1", "key", Secret("secret-4711"), "room")
    return Stage(cast(LiveKitServer, server), agent, worker, AgentWatch("http://127.0.0.1:9", "key"), place, tmp_path)


async def forever() -> None:
    await asyncio.Event().wait()


async def test_work_that_ends_gives_its_result(tmp_path: Path) -> None:
    """As long as all live, the work is simply done."""
    async with child("agent", tmp_path) as agent, child("worker", tmp_path) as worker:
        stage = make(Server(tmp_path / "server.log"), agent, worker, tmp_path)

        async def work() -> int:
            await asyncio.sleep(0)
            return 7

        assert await stage.unless_dead(work()) == 7


async def test_an_error_of_the_work_is_its_own(tmp_path: Path) -> None:
    """What the work raises comes out unchanged."""
    async with child("agent", tmp_path) as agent, child("worker", tmp_path) as worker:
        stage = make(Server(tmp_path / "server.log"), agent, worker, tmp_path)

        async def work() -> None:
            raise KeyError("mine")

        with pytest.raises(KeyError, match="mine"):
            await stage.unless_dead(work())


async def test_the_death_of_a_process_ends_the_work(tmp_path: Path) -> None:
    """The error names who died, and shows the end of its log."""
    async with child("agent", tmp_path) as agent, child("worker", tmp_path, "raise SystemExit('no rules')") as worker:
        stage = make(Server(tmp_path / "server.log"), agent, worker, tmp_path)
        with pytest.raises(ProcessDiedError, match=r"worker ended early, with status 1[\s\S]*no rules"):
            await stage.unless_dead(forever())


async def test_the_death_of_the_server_ends_the_work(tmp_path: Path) -> None:
    """The same for livekit-server, whose log is its own."""
    server = Server(tmp_path / "server.log")
    server.log_path.write_text("port is taken\n")
    async with child("agent", tmp_path) as agent, child("worker", tmp_path) as worker:
        stage = make(server, agent, worker, tmp_path)
        asyncio.get_running_loop().call_later(0.05, setattr, server, "running", False)
        with pytest.raises(ProcessDiedError, match=r"livekit-server ended early[\s\S]*port is taken"):
            await stage.unless_dead(forever())


def test_settings_of_the_users_own_installation_stay_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys and URLs from the surroundings do not reach the demo's processes; the rest of the environment does."""
    monkeypatch.setenv("LIVEKIT_API_SECRET_FILE", "/secret")
    monkeypatch.setenv("MILLIS_PRIVATE_KEY", "real")
    monkeypatch.setenv("CONNECTOR_CONFIG", "/etc/rooms.yaml")
    monkeypatch.setenv("SOMETHING_ELSE", "kept")
    environ = module._environ({"MILLIS_PRIVATE_KEY": "demo"})
    assert environ["MILLIS_PRIVATE_KEY"] == "demo"
    assert environ["SOMETHING_ELSE"] == "kept"
    assert not {"LIVEKIT_API_SECRET_FILE", "CONNECTOR_CONFIG"} & set(environ)
