"""How much memory this process and its children may really use."""

from pathlib import Path

_CGROUP_MAX = Path("/sys/fs/cgroup/memory.max")
_MEMINFO = Path("/proc/meminfo")


def allowed_memory_mb(cgroup_max: Path = _CGROUP_MAX, meminfo: Path = _MEMINFO) -> float | None:
    """The lower of the cgroup's limit (version 2) and the machine's memory, in MiB; None when neither can be read.

    Args:
        cgroup_max: The limit file: bytes, or ``max``.
        meminfo: The machine's, whose ``MemTotal`` is in KiB.
    """
    found = [mb for mb in (_cgroup_mb(cgroup_max), _machine_mb(meminfo)) if mb is not None]
    return min(found, default=None)


def _cgroup_mb(path: Path) -> float | None:
    try:
        text = path.read_text().strip()
        return None if text == "max" else int(text) / 2**20
    except (OSError, ValueError):
        return None


def _machine_mb(path: Path) -> float | None:
    try:
        lines = path.read_text().splitlines()
        total = next(line for line in lines if line.startswith("MemTotal:"))
        return int(total.split()[1]) / 2**10
    except (OSError, ValueError, IndexError, StopIteration):
        return None
