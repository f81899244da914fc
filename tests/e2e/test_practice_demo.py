"""The demo as a user runs it: real processes, its verdict, and nothing left when it ends, however it ends."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from connector.practice.recorder import Recording
from tests.until import until

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).parents[2]


class Demo:
    """A running demo.

    Attributes:
        process: Its process.
        output: What it has written so far.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.output = ""

    async def read(self) -> None:
        assert self.process.stdout is not None
        while block := await self.process.stdout.read(4096):
            self.output += block.decode()

    def descendants(self) -> list[psutil.Process]:
        """What it has started, and what that has started."""
        assert psutil.pid_exists(self.process.pid), f"the demo has ended: {self.output}"
        return psutil.Process(self.process.pid).children(recursive=True)


@asynccontextmanager
async def running(report: Path, *arguments: str, **environ: str) -> AsyncIterator[Demo]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "connector", "demo", "--report", str(report), *arguments),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, **environ},
    )
    demo = Demo(process)
    reading = asyncio.create_task(demo.read())
    try:
        yield demo
        await process.wait()
        await reading
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
        reading.cancel()
        await asyncio.wait({reading})


def still_there(processes: list[psutil.Process]) -> Iterator[str]:
    for process in processes:
        if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            yield f"{process.pid} {process.cmdline()}"


@pytest.mark.timeout(180)
async def test_the_demo_ends_with_a_good_verdict_and_a_report(tmp_path: Path) -> None:
    """Piped it prints plain lines, exits with 0, and leaves the page with its picture and recordings."""
    async with running(tmp_path / "report") as demo:
        await until(lambda: "is in the room" in demo.output, 60)
        started = demo.descendants()
    assert demo.process.returncode == 0, demo.output
    assert "The demo works." in demo.output
    assert "FAIL" not in demo.output
    assert "\x1b" not in demo.output
    assert list(still_there(started)) == []
    verdict = json.loads((tmp_path / "report" / "verdict.json").read_text())
    assert verdict["passed"]
    assert len(verdict["checks"]) == 10
    assert "All 10 checks passed" in (tmp_path / "report" / "index.html").read_text()
    for name in ("ada-said", "grace-said", "agent-heard", "agent-said", "ada-heard", "grace-heard"):
        assert Recording.load(tmp_path / "report" / f"{name}.wav").seconds > 5


@pytest.mark.parametrize(
    ("when", "number"),
    [
        ("starting", signal.SIGINT),
        ("starting", signal.SIGTERM),
        ("are in the room", signal.SIGINT),
        ("answers", signal.SIGTERM),
    ],
)
async def test_interrupted_it_leaves_nothing(tmp_path: Path, when: str, number: signal.Signals) -> None:
    """Ctrl-C and SIGTERM, early and late, stop everything that was started."""
    async with running(tmp_path / "report") as demo:
        await until(lambda: when in demo.output, 60)
        if when == "starting":
            await until(lambda: len(demo.descendants()) >= 2, 30)
        started = demo.descendants()
        demo.process.send_signal(number)
    assert demo.process.returncode == 128 + number, demo.output
    assert demo.output.rstrip().endswith("Stopped; nothing is left running.")
    assert list(still_there(started)) == []


async def test_without_livekit_server_it_is_one_line(tmp_path: Path) -> None:
    """A missing livekit-server is named with the remedy, exit code 69."""
    async with running(tmp_path / "report", LIVEKIT_SERVER="/nowhere/livekit-server") as demo:
        pass
    assert demo.process.returncode == 69, demo.output
    assert len(demo.output.strip().splitlines()) == 1
    assert "LIVEKIT_SERVER" in demo.output


async def test_a_worker_that_dies_is_named_with_its_last_words(tmp_path: Path) -> None:
    """A rooms.yaml that the worker refuses ends the demo at once: exit code 1, with the worker's own message."""
    (tmp_path / "rooms.yaml").write_text("rooms: nonsense\n")
    async with running(tmp_path / "report", "--config", str(tmp_path / "rooms.yaml")) as demo:
        pass
    assert demo.process.returncode == 1, demo.output
    assert "the worker ended early, with status 78" in demo.output
    assert "rooms.yaml:1:" in demo.output


async def test_a_livekit_server_that_dies_is_named(tmp_path: Path) -> None:
    """livekit-server is killed while people talk: the demo says so and ends."""
    async with running(tmp_path / "report") as demo:
        await until(lambda: "says:" in demo.output, 60)
        started = demo.descendants()
        next(p for p in started if "livekit" in p.name()).kill()
    assert demo.process.returncode == 1, demo.output
    assert "livekit-server ended early" in demo.output
    assert list(still_there(started)) == []
