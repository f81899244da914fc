"""`connector doctor` as an operator runs it, against a real livekit-server and the practice agent."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from livekit import api

from connector.base.errors import ConfigError
from connector.base.secrets import Secret
from connector.config.load import load_text
from connector.config.model import RoomRule
from connector.config.secrets import Credentials
from connector.doctor.finding import Verdict
from connector.doctor.livekit import ROOM_PREFIX, TESTED_SERVER, look_at_key, look_at_media, look_at_version
from connector.practice.agent import PracticeAgent, PracticeOptions
from connector.practice.livekit import VERSION, LiveKitServer
from tests.e2e.room_scene import Scene

pytestmark = pytest.mark.e2e

KEY = "practice-key-of-the-tests"
UNREACHABLE = "203.0.113.7/32"
ROOMS = """
livekit: {{url: "{livekit}"}}
millis: {{url: "{millis}"}}
worker: {{listen: "127.0.0.1:{port}", agent_name: millis}}
rooms: [{{room: "lobby", agent: "a1"}}]
"""


def rules(text: str) -> tuple[RoomRule, ...]:
    head = 'livekit: {url: "ws://127.0.0.1"}\nmillis: {url: "http://127.0.0.1"}\n'
    return load_text(f"{head}rooms: [{text}]", environ={}).config.rules


def credentials(server: LiveKitServer, **other: Secret) -> Credentials:
    given = {"livekit_api_key": Secret(server.api_key), "livekit_api_secret": server.api_secret, **other}
    return Credentials(millis_private_key=Secret(KEY), **given)


async def doctor(folder: Path, *arguments: str, **environ: str) -> tuple[int, str, str]:
    """Run the command as a user would, piped: exit code, stdout, stderr."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "connector",
        "doctor",
        "--config",
        str(folder / "rooms.yaml"),
        *arguments,
        env={"PATH": os.environ["PATH"], "PYTHONWARNINGS": "default", "MILLIS_PRIVATE_KEY": KEY, **environ},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(40):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


def keys(server: LiveKitServer) -> dict[str, str]:
    return {"LIVEKIT_API_KEY": server.api_key, "LIVEKIT_API_SECRET": server.api_secret.reveal()}


async def rooms_of(scene: Scene) -> set[str]:
    return {room.name for room in (await scene.api.room.list_rooms(api.ListRoomsRequest())).rooms}


async def test_all_is_well(scene: Scene, tmp_path: Path, unused_tcp_port: int) -> None:
    """Exit 0, a plain line for each check, no session at Millis, no room left, and other rooms as they were."""
    await scene.speaker("ada")
    async with PracticeAgent(PracticeOptions(key=Secret(KEY))) as practice:
        text = ROOMS.format(livekit=scene.server.url, millis=practice.url, port=unused_tcp_port)
        (tmp_path / "rooms.yaml").write_text(text)
        code, out, err = await doctor(tmp_path, **keys(scene.server))
        assert practice.offers == 0
    assert (code, err) == (0, ""), out
    lines = {line[2:18].strip(): line for line in out.splitlines()}
    assert {line[0] for line in out.splitlines()} == {"✓", "-"}
    assert [name for name, line in lines.items() if line.startswith("-")] == ["webhooks", "Redis"]
    assert "by UDP" in lines["media path"]
    assert f"{VERSION}, takes agent workers (we are 'millis')" in lines["LiveKit version"]
    assert not any(name.startswith(ROOM_PREFIX) for name in await rooms_of(scene))
    assert set(await scene.listed()) == {"ada"}


async def test_what_is_wrong_stands_in_the_json(livekit: LiveKitServer, tmp_path: Path, unused_tcp_port: int) -> None:
    """A wrong secret and a Millis that is not there: both named, with 78 for what is to be mended first."""
    text = ROOMS.format(livekit=livekit.url, millis=f"http://127.0.0.1:{unused_tcp_port}", port=unused_tcp_port)
    (tmp_path / "rooms.yaml").write_text(text)
    wrong = {"LIVEKIT_API_KEY": livekit.api_key, "LIVEKIT_API_SECRET": "wrong-but-long-enough-0123456789abcdef"}
    code, out, err = await doctor(tmp_path, "--json", "--no-join", **wrong)
    report: dict[str, Any] = json.loads(out)
    assert (code, err, report["ok"], report["exit_code"]) == (78, "", False, 78)
    found = {finding["check"]: finding for finding in report["findings"]}
    failed = {name: finding["text"] for name, finding in found.items() if finding["verdict"] == "failed"}
    assert failed.keys() == {"LiveKit", "LiveKit version", "Millis"}
    assert "LIVEKIT_API_SECRET" in failed["LiveKit"]
    assert found["media path"]["verdict"] == "left_out"
    assert "wrong-but-long" not in out


async def test_a_server_that_is_not_there(tmp_path: Path, unused_tcp_port: int) -> None:
    """Without LiveKit and Millis the exit code says that services are unavailable."""
    nobody = f"127.0.0.1:{unused_tcp_port}"
    text = ROOMS.format(livekit=f"ws://{nobody}", millis=f"http://{nobody}", port=unused_tcp_port)
    (tmp_path / "rooms.yaml").write_text(text)
    environ = {"LIVEKIT_API_KEY": "key", "LIVEKIT_API_SECRET": "long-enough-0123456789abcdef-0123456789"}
    code, out, err = await doctor(tmp_path, **environ)
    assert (code, err) == (69, ""), out
    assert [line[2:17].strip() for line in out.splitlines() if line.startswith("✗")] == [
        "LiveKit",
        "LiveKit version",
        "media path",
        "Millis",
    ]


async def test_media_that_cannot_get_through(tmp_path: Path, unused_tcp_port: int, unused_udp_port: int) -> None:
    """A server that media cannot reach is a failure with the remedy, within 10 s, and the test room is gone."""
    nowhere = {"udp_port": unused_udp_port, "tcp_port": 0, "node_ip": "127.0.0.1", "ips": {"includes": [UNREACHABLE]}}
    async with LiveKitServer(options={"rtc": {**nowhere, "stun_servers": ["127.0.0.1:9"]}}) as server:
        text = ROOMS.format(livekit=server.url, millis=server.http_url, port=unused_tcp_port)
        (tmp_path / "rooms.yaml").write_text(text)
        code, out, err = await doctor(tmp_path, **keys(server))
        assert (code, err) == (69, ""), out
        (failed,) = [line for line in out.splitlines() if line.startswith("✗")]
        assert "no media path to" in failed
        assert "let UDP through" in failed
        scene = Scene(server, "any")
        assert await rooms_of(scene) == set()
        await scene.close()


async def test_media_over_tcp_is_a_warning(unused_tcp_port: int, unused_udp_port: int) -> None:
    """Where only TCP gets through, calls work and suffer from every loss: a warning that says what to open."""
    rtc = {
        "tcp_port": unused_tcp_port,
        "port_range_start": unused_udp_port,
        "port_range_end": unused_udp_port,
        "node_ip": "127.0.0.1",
        "enable_loopback_candidate": True,
        "ips": {"includes": ["127.0.0.1/32"]},
        "stun_servers": ["127.0.0.1:9"],
        "force_tcp": True,
    }
    async with LiveKitServer(options={"rtc": rtc}) as server:
        (finding,) = await look_at_media(server.url, credentials(server), ())
    assert finding.verdict is Verdict.WARNING
    assert "by TCP" in finding.text


async def test_a_rule_that_would_serve_the_test_room(scene: Scene) -> None:
    """No test room is made where a rule serves every room, people or not: that would call Millis."""
    before = scene.server.log_path.read_text().count("RoomService.CreateRoom")
    (finding,) = await look_at_media(
        scene.server.url, credentials(scene.server), rules('{room: "*", agent: a1, join: room}')
    )
    assert finding.verdict is Verdict.LEFT_OUT
    assert scene.server.log_path.read_text().count("RoomService.CreateRoom") == before
    (finding,) = await look_at_media(scene.server.url, credentials(scene.server), rules('{room: "*", agent: a1}'))
    assert finding.verdict is Verdict.OK


async def test_a_second_key_is_tried_too(livekit: LiveKitServer) -> None:
    """While keys are rotated both are looked at, and the wrong one is named."""
    good = credentials(livekit, livekit_api_key_2=Secret(livekit.api_key), livekit_api_secret_2=livekit.api_secret)
    assert [f.verdict for f in await look_at_key(livekit.url, good)] == [Verdict.OK, Verdict.OK]
    wrong = Secret("another-secret-0123456789-0123456789-012")
    bad = credentials(livekit, livekit_api_key_2=Secret(livekit.api_key), livekit_api_secret_2=wrong)
    first, second = await look_at_key(livekit.url, bad)
    assert (first.verdict, second.verdict, second.exit_code) == (Verdict.OK, Verdict.FAILED, 78)
    assert "check LIVEKIT_API_KEY_2, LIVEKIT_API_SECRET_2" in second.text


async def test_the_version_is_what_the_server_says(livekit: LiveKitServer) -> None:
    """The tested version is the one of the tests; a wrong key is refused here as everywhere."""
    assert TESTED_SERVER == VERSION
    (finding,) = await look_at_version(livekit.url, credentials(livekit), None)
    assert (finding.verdict, finding.text) == (Verdict.OK, VERSION)
    wrong = credentials(livekit, livekit_api_secret=Secret("another-secret-0123456789-0123456789-012"))
    with pytest.raises(ConfigError, match="LIVEKIT_API_KEY"):
        await look_at_version(livekit.url, wrong, "millis")
    (finding,) = await look_at_version(livekit.url, wrong, None)
    assert finding.verdict is Verdict.WARNING
