"""`connector doctor` from its options to its exit code."""

import json
from pathlib import Path

import pytest

from connector.doctor.doctor import DoctorOptions, run_doctor
from connector.doctor.plan import NAMES

ROOMS = """
livekit: {{url: "ws://127.0.0.1:{port}"}}
millis: {{url: "http://127.0.0.1:{port}"}}
rooms: [{{room: "lobby", agent: "a1"}}]
"""


async def test_a_wrong_file_is_told_before_anything_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 78, the mistake with its place, and every check has its line."""
    path = tmp_path / "rooms.yaml"
    path.write_text(ROOMS.format(port=1).replace("agent:", "agnet:"))
    assert await run_doctor(DoctorOptions(path), {}) == 78
    lines = capsys.readouterr().out.splitlines()
    assert "did you mean agent?" in lines[0] + lines[1]
    assert {name for name in NAMES for line in lines if line[2:].startswith(name)} == set(NAMES)
    assert "\x1b" not in "".join(lines)


async def test_services_that_are_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], unused_tcp_port: int
) -> None:
    """With all that is written right, exit code 69 and one JSON object that names LiveKit and Millis."""
    path = tmp_path / "rooms.yaml"
    path.write_text(ROOMS.format(port=unused_tcp_port))
    environ = {"LIVEKIT_API_KEY": "key", "LIVEKIT_API_SECRET": "s" * 32, "MILLIS_PRIVATE_KEY": "millis-key"}
    assert await run_doctor(DoctorOptions(path, join=False, as_json=True), environ) == 69
    report = json.loads(capsys.readouterr().out)
    assert report["exit_code"] == 69
    failed = {finding["check"] for finding in report["findings"] if finding["verdict"] == "failed"}
    assert failed == {"LiveKit", "Millis"}
