"""How many cores this process may really use."""

import math
import os
from pathlib import Path

_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")


def allowed_cores(cpu_max: Path = _CPU_MAX) -> int:
    """Cores allowed by the affinity mask and by the cgroup's quota (version 2), at least one.

    Args:
        cpu_max: The quota file: ``<quota> <period>`` in microseconds, or ``max <period>``.
    """
    cores = len(os.sched_getaffinity(0))
    try:
        quota, period = cpu_max.read_text().split()
        if quota != "max":
            cores = min(cores, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError, ZeroDivisionError):
        return max(1, cores)
    return max(1, cores)
