"""`connector rooms`, `join` and `leave` as functions and as a user types them, against the real ports."""

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from connector.base.errors import ConnectorError, UnavailableError
from connector.client import commands
from connector.client.api import WorkerApi
from tests.http_scene import FIRST, ports

RULES = """
livekit: {{url: "ws://127.0.0.1:7880"}}
millis: {{url: "http://127.0.0.1:8090"}}
worker: {{listen: "{listen}"}}
rooms: [{{room: "lobby", agent: "a1"}}]
"""


class Steps:
    """A sleep that lets something happen instead, step by step; then the user presses Ctrl-C.

    Args:
        steps: What happens, one for each sleep.
    """

    def __init__(self, *steps: Callable[[], object]) -> None:
        self._steps = list(steps)

    def __call__(self, _seconds: float) -> None:
        if not self._steps:
            raise KeyboardInterrupt
        self._steps.pop(0)()


def nothing() -> None:
    """A step in which nothing happens."""


async def test_watching_survives_the_worker(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The table stays while the worker is away, with a word about it, and goes on when it is back."""
    async with ports("lobby") as running:
        with WorkerApi(running.url, FIRST.key, FIRST.secret) as worker:

            def go_to(url: str) -> Callable[[], None]:
                return lambda: setattr(worker, "_url", url)

            steps = Steps(
                nothing,
                go_to("http://127.0.0.1:9"),
                go_to(running.url),
                lambda: running.desk.serve("lobby"),
                nothing,
            )
            monkeypatch.setattr(time, "sleep", steps)
            monkeypatch.setenv("FORCE_COLOR", "1")
            monkeypatch.setenv("COLUMNS", "200")
            with pytest.raises(KeyboardInterrupt):
                await asyncio.to_thread(commands.show_rooms, worker, watch=True, as_json=False)
    text = capsys.readouterr().out
    assert text.count("does not answer") == 1
    assert "live" in text.rpartition("does not answer")[2]


async def wait_for_lobby(url: str) -> str:
    """`join lobby --wait`, in a thread."""
    with WorkerApi(url, FIRST.key, FIRST.secret) as worker:
        return await asyncio.to_thread(commands.join_room, worker, "lobby", None, wait=True)


async def test_waiting_for_the_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    """`--wait` ends when the session is live, whatever it went through before."""
    async with ports("lobby") as running:
        steps = Steps(lambda: running.desk.serve("lobby", "connecting"), lambda: running.desk.serve("lobby"))
        monkeypatch.setattr(time, "sleep", steps)
        assert await wait_for_lobby(running.url) == "live, session s-1"


async def test_waiting_ends_with_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that ended is not waited for; the message says how it ended."""
    async with ports("lobby") as running:

        def end() -> None:
            running.desk.requests.clear()
            running.desk.last_end = "agent_rejected"

        monkeypatch.setattr(time, "sleep", Steps(end))
        with pytest.raises(ConnectorError, match="is not served: nobody is there, the last session ended: agent_rej"):
            await wait_for_lobby(running.url)


async def test_waiting_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A room that is not live in time is told with what holds it up."""
    async with ports("lobby") as running:
        monkeypatch.setattr(time, "sleep", Steps(nothing, nothing))
        monkeypatch.setattr(commands, "WAIT_S", -1.0)
        with pytest.raises(UnavailableError, match="is not live after -1 s: nobody is there"):
            await wait_for_lobby(running.url)


async def typed(folder: Path, *arguments: str, **environ: str) -> tuple[int, str, str]:
    """Run the command as a user would, piped: exit code, output, errors."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "connector",
        *arguments,
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "LIVEKIT_API_KEY": FIRST.key,
            "LIVEKIT_API_SECRET": FIRST.secret.reveal(),
            **environ,
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await process.communicate()
    return process.returncode or 0, out.decode(), errors.decode()


async def test_as_typed(tmp_path: Path) -> None:
    """The local worker is found by rooms.yaml; a room is joined, listed without colours, and left."""
    async with ports("lobby") as running:
        (tmp_path / "rooms.yaml").write_text(RULES.format(listen=running.at.public))
        code, _, errors = await typed(tmp_path, "join", "lobby", "--agent", "a1")
        assert (code, errors, running.desk.requests) == (0, "", {"lobby": "a1"})
        running.desk.serve("lobby")
        code, out, errors = await typed(tmp_path, "rooms")
        assert (code, errors) == (0, "")
        assert "live" in out
        assert "\x1b" not in out
        code, out, _ = await typed(tmp_path, "rooms", "--json", "--api", running.url)
        assert json.loads(out)["rooms"][0]["session"]["state"] == "live"
        code, _, errors = await typed(tmp_path, "leave", "lobby")
        assert (code, errors, running.desk.running) == (0, "", {})


@pytest.mark.parametrize(
    ("arguments", "environ", "code", "words"),
    [
        (("join", "attic"), {}, 1, "no rule of rooms.yaml matches this room"),
        (("rooms",), {"LIVEKIT_API_SECRET": "x" * 40}, 1, "must be the worker's, the clocks right"),
        (("join",), {}, 2, "Missing argument"),
        (("rooms", "--api", "http://["), {}, 2, "expected a URL such as http://127.0.0.1:8080"),
        (("leave", "lobby", "--api", "http://127.0.0.1:9"), {}, 69, "is the worker running"),
        (("rooms", "--config", "absent.yaml"), {}, 78, "absent.yaml: is not there"),
        (("rooms",), {"LIVEKIT_API_KEY": ""}, 78, "LIVEKIT_API_KEY is set but empty"),
    ],
)
async def test_exit_codes(
    tmp_path: Path, arguments: tuple[str, ...], environ: dict[str, str], code: int, words: str
) -> None:
    """1 refused, 2 usage, 69 no worker, 78 configuration, each with one line and never a traceback."""
    async with ports("lobby") as running:
        (tmp_path / "rooms.yaml").write_text(RULES.format(listen=running.at.public))
        found, out, errors = await typed(tmp_path, *arguments, **environ)
    assert (found, out) == (code, "")
    assert words in errors
    assert "Traceback" not in errors
    assert code == 2 or len(errors.splitlines()) == 1
