"""Cores that may be used."""

import os
from pathlib import Path

import pytest

from connector.base.cores import allowed_cores


@pytest.mark.parametrize(
    ("text", "most"),
    [
        ("max 100000", None),
        ("100000 100000", 1),
        ("150000 100000", 2),
        ("1 100000", 1),
        ("nonsense", None),
        ("1 0", None),
    ],
)
def test_the_quota_limits_the_cores(tmp_path: Path, text: str, most: int | None) -> None:
    """A quota is rounded up to whole cores; without one, or when unreadable, the affinity mask counts."""
    file = tmp_path / "cpu.max"
    file.write_text(text)
    mask = len(os.sched_getaffinity(0))
    assert allowed_cores(file) == (mask if most is None else min(mask, most))


def test_a_machine_without_cgroups_has_its_mask(tmp_path: Path) -> None:
    """No quota file is no quota."""
    assert allowed_cores(tmp_path / "absent") == len(os.sched_getaffinity(0))
