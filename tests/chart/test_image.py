import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.chart.helm import CHART, ROOT, RefusedError, run

DOCKERFILE = (ROOT / "Dockerfile").read_text()
HADOLINT = Path(sys.executable).with_name("hadolint")


def test_hadolint_finds_nothing() -> None:
    """The Dockerfile is clean, with no rule switched off."""
    assert run(HADOLINT, "Dockerfile") == ""
    assert "hadolint" not in DOCKERFILE


def test_hadolint_would_notice(tmp_path: Path) -> None:
    """It looks at all."""
    bad = tmp_path / "Dockerfile"
    bad.write_text("FROM debian\nRUN apt-get install python3\n")
    with pytest.raises(RefusedError, match="DL3008"):
        run(HADOLINT, bad)


def test_only_what_is_copied_reaches_the_build() -> None:
    """.dockerignore lets in exactly what the Dockerfile copies."""
    copied = {
        name for line in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE) for name in line.split()
    }
    allowed = {
        line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")
    }
    assert copied == allowed
    assert all((ROOT / name).exists() for name in copied)


def test_every_package_is_pinned_by_hash() -> None:
    """What the image installs has a version and a hash; nothing of the developers' set is in it."""
    runtime = (ROOT / "requirements.txt").read_text()
    for name in ("requirements.txt", "requirements-build.txt", "requirements-chart.txt"):
        text = (ROOT / name).read_text()
        assert text.count("==") <= text.count("--hash=sha256:")
        assert not re.search(r"https?://|--index|--find-links", text)
    assert not re.search(r"^(pytest|mypy|ruff|hypothesis)==", runtime, re.MULTILINE)


def test_user_and_versions_agree() -> None:
    """Image, chart and package speak of one version and one user."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == version
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    user = values["podSecurityContext"]["runAsUser"]
    assert f"\nUSER {user}:{values['podSecurityContext']['runAsGroup']}\n" in DOCKERFILE
    assert f"room-connector:{version}" in (ROOT / "deploy" / "compose.yaml").read_text()
