import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from connector.base.errors import UnavailableError
from connector.practice.processes import Child, first_death, last_lines
from tests.until import until

READY = "import sys; sys.stdout.write('ready\\n'); sys.stdout.flush(); "
SLEEP = READY + "import time; time.sleep(60)"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEP


def python(code: str, tmp_path: Path, **options: object) -> Child:
    return Child("sample", [sys.executable, "-c", code], log=tmp_path / "sample.log", **options)  # type: ignore[arg-type]


async def ready(child: Child) -> None:
    await until(lambda: "ready" in child.log.read_text())


async def test_a_child_is_gone_after_its_block(tmp_path: Path) -> None:
    """It runs inside the block and is ended by SIGTERM after it."""
    async with python(SLEEP, tmp_path) as child:
        await ready(child)
        pid = child.pid
    assert child.status == -signal.SIGTERM
    assert pid is not None
    assert not psutil.pid_exists(pid)


async def test_a_child_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    """After its patience the last step is SIGKILL."""
    async with python(DEAF, tmp_path, ending=((signal.SIGTERM, 0.2),)) as child:
        await ready(child)
    assert child.status == -signal.SIGKILL


async def test_what_a_child_started_is_ended_with_it(tmp_path: Path) -> None:
    """A grandchild does not survive, even when its parent died first."""
    code = (
        "import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); "
        "sys.stdout.write(f'{child.pid} ready\\n'); sys.stdout.flush()"
    )
    async with python(code, tmp_path) as child:
        await ready(child)
        await child.died()
        grandchild = int(child.log.read_text().split()[0])
        assert psutil.pid_exists(grandchild)
    with contextlib.suppress(psutil.NoSuchProcess):  # it is reaped by init, a moment later
        psutil.Process(grandchild).wait(5)


async def test_a_child_is_ended_when_the_block_fails(tmp_path: Path) -> None:
    """Cancelling the demo ends its processes."""
    child = python(SLEEP, tmp_path)

    async def demo() -> None:
        async with child:
            await asyncio.Event().wait()

    task = asyncio.create_task(demo())
    await until(lambda: child.pid is not None)
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    assert child.status is not None


async def test_ctrl_c_does_not_reach_it(tmp_path: Path) -> None:
    """It leads a session of its own, so the terminal's signals are for us alone."""
    async with python(SLEEP, tmp_path) as child:
        assert child.pid is not None
        assert os.getsid(child.pid) == child.pid != os.getsid(0)


async def test_an_early_death_says_who_how_and_why(tmp_path: Path) -> None:
    """The error names the process, its status and the end of its log."""
    other = Child("other", [sys.executable, "-c", SLEEP], log=tmp_path / "other.log")
    async with python("import sys; sys.exit('no such room')", tmp_path) as failing, other:
        error = await first_death([other, failing])
    assert str(error).startswith("sample ended early, with status 1. The end of its log:\n")
    assert "    no such room" in str(error)


async def test_a_killed_child_is_named_by_its_signal(tmp_path: Path) -> None:
    """A crash reads as the signal's name."""
    async with python(SLEEP, tmp_path) as child:
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
        assert "by SIGKILL" in str(await child.died())


async def test_a_missing_program_is_one_line(tmp_path: Path) -> None:
    """What cannot be started is unavailable: exit code 69."""
    with pytest.raises(UnavailableError, match="cannot start it: No such file"):
        async with Child("it", ["/nowhere/program"], log=tmp_path / "log"):
            pass


def test_the_end_of_a_log_is_short_and_redacted(tmp_path: Path) -> None:
    """Only the last lines are shown, without secrets; an empty log says so."""
    log = tmp_path / "log"
    assert last_lines(log) == "    (it wrote nothing)"
    log.write_text("".join(f"line {n}\n" for n in range(100_000)) + "password=hunter2\n")
    shown = last_lines(log)
    assert len(shown.splitlines()) == 8
    assert "hunter2" not in shown
