"""How much memory may be used."""

from pathlib import Path

import pytest

from connector.base.memory import allowed_memory_mb


@pytest.mark.parametrize(
    ("limit", "found"), [("max\n", 2000.0), ("1048576000\n", 1000.0), ("9999999999999\n", 2000.0), ("odd", 2000.0)]
)
def test_the_lower_limit_counts(tmp_path: Path, limit: str, found: float) -> None:
    """The cgroup's limit and the machine's memory both bound; what cannot be read does not."""
    (tmp_path / "max").write_text(limit)
    (tmp_path / "meminfo").write_text("MemTotal:        2048000 kB\nMemFree: 1 kB\n")
    assert allowed_memory_mb(tmp_path / "max", tmp_path / "meminfo") == found


def test_nothing_known_is_no_limit(tmp_path: Path) -> None:
    """Without either file the limit is unknown."""
    assert allowed_memory_mb(tmp_path / "a", tmp_path / "b") is None
