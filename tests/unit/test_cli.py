"""The command line: what a user types, sees and gets as an exit code."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

GOOD = """
livekit: {url: "ws://127.0.0.1:7880"}
millis: {url: "http://127.0.0.1:8090"}
rooms: [{room: "lobby", agent: "a1"}]
"""


def connector(*arguments: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a user would, piped."""
    return subprocess.run(
        [sys.executable, "-m", "connector", *arguments],
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin", **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_check_shows_the_rules_without_colours_when_piped(tmp_path: Path) -> None:
    """A valid file is shown as a table, plain."""
    (tmp_path / "rooms.yaml").write_text(GOOD)
    result = connector("check", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert "lobby" in result.stdout
    assert "\x1b" not in result.stdout


@pytest.mark.parametrize(("room", "code", "words"), [("lobby", 0, "is served by"), ("attic", 1, "no rule matches")])
def test_check_explains_a_room(tmp_path: Path, room: str, code: int, words: str) -> None:
    """`--room` says which rule matches and why; the exit code says whether one does."""
    (tmp_path / "rooms.yaml").write_text(GOOD)
    result = connector("check", "--room", room, cwd=tmp_path)
    assert result.returncode == code
    assert words in result.stdout


def test_every_mistake_is_shown_at_once(tmp_path: Path) -> None:
    """A wrong file ends with 78 and one line per mistake, with its place."""
    (tmp_path / "rooms.yaml").write_text(GOOD.replace("agent:", "agnet:").replace("ws:", "ftp:"))
    result = connector("check", cwd=tmp_path)
    assert result.returncode == 78
    lines = result.stderr.splitlines()
    assert any(line.startswith("rooms.yaml:2:16 livekit.url") for line in lines)
    assert any("did you mean agent?" in line for line in lines)
    assert "Traceback" not in result.stderr


def test_schema_is_json(tmp_path: Path) -> None:
    """`connector schema` prints a draft-07 JSON schema."""
    result = connector("schema", cwd=tmp_path)
    assert result.returncode == 0
    assert json.loads(result.stdout)["$schema"].startswith("http://json-schema.org/draft-07")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--version",), 0, "connector 0."),
        (("--help",), 0, "practice-agent"),
        (("nonsense",), 2, "No such command"),
        (("run",), 78, "rooms.yaml: is not there"),
        (("doctor",), 78, "rooms.yaml: is not there"),
        (("practice-agent", "--greeting", "song"), 2, "--greeting: expected none, tone, hum, speech; found 'song'"),
        (("practice-agent", "--fault", "song"), 2, "song"),
    ],
)
def test_exit_codes(tmp_path: Path, arguments: tuple[str, ...], code: int, words: str) -> None:
    """0 ok, 2 usage, 78 configuration, each with a line that says what is wrong and never a traceback."""
    result = connector(*arguments, cwd=tmp_path)
    assert result.returncode == code
    assert words in result.stdout + result.stderr
    assert "Traceback" not in result.stderr


def test_missing_secrets_are_named_together(tmp_path: Path) -> None:
    """`run` without secrets ends with 78 and names every one that is missing."""
    (tmp_path / "rooms.yaml").write_text(GOOD)
    result = connector("run", cwd=tmp_path)
    assert result.returncode == 78
    for name in ("LIVEKIT_API_KEY", "LIVEKIT_API_SECRET", "MILLIS_PRIVATE_KEY"):
        assert name in result.stderr


def test_the_demo_says_what_is_missing(tmp_path: Path) -> None:
    """Without a livekit-server the demo ends with 69 and a line that says why."""
    (tmp_path / "rooms.yaml").write_text(GOOD)
    result = connector("demo", cwd=tmp_path, HOME=str(tmp_path), LIVEKIT_SERVER=str(tmp_path / "absent"))
    assert result.returncode == 69
    assert "which is not a program" in result.stdout + result.stderr
