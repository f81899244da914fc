"""What the processes of a worker hold: tasks, threads, file descriptors, memory."""

import json
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.processes import ROOT, until
from tests.worker_process import WorkerProcess

INSIDE = ROOT / "bench" / "live" / "inside"
_ANSWER_S = 10.0


@dataclass(frozen=True)
class Holdings:
    """Control and its engines together, but for memory.

    Attributes:
        tasks: Of asyncio.
        threads: All but those of asyncio's pools, which are made when they are first needed, up to a bound.
        fds: File descriptors.
        objects: What the garbage collector knows of.
        control_mb: Resident memory of control.
        engines_mb: The same of all engines.
    """

    tasks: int
    threads: int
    fds: int
    objects: int
    control_mb: float
    engines_mb: float

    @property
    def memory_mb(self) -> float:
        """Resident memory of all."""
        return self.control_mb + self.engines_mb


def counting(folder: Path) -> Mapping[str, str]:
    """The environment of a worker that can be counted; the counts go through the folder."""
    return {"PYTHONPATH": str(INSIDE), "BENCH_COUNTS": str(folder)}


async def holdings(worker: WorkerProcess, folder: Path) -> Holdings:
    """Count what a worker holds now; it was started with the environment of `counting`."""
    control, engines = psutil.Process(worker.pid), worker.engines
    everyone = [control, *engines]
    memory = [process.memory_info().rss / 2**20 for process in everyone]
    threads = sum(process.num_threads() for process in everyone)
    fds = sum(process.num_fds() for process in everyone)
    inside = [await _ask(process, folder) for process in everyone]
    tasks, objects, pooled = (sum(found[name] for found in inside) for name in ("tasks", "objects", "pooled"))
    return Holdings(tasks, threads - pooled, fds, objects, memory[0], sum(memory[1:]))


async def _ask(process: psutil.Process, folder: Path) -> dict[str, int]:
    answer = folder / f"{process.pid}.json"
    answer.unlink(missing_ok=True)
    process.send_signal(signal.SIGUSR1)
    await until(answer.exists, _ANSWER_S)
    found: dict[str, int] = json.loads(answer.read_text())
    return found
