import asyncio
import json
import os
import secrets
import shutil
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from connector.base.secrets import Secret
from connector.practice.livekit import find_livekit_server
from connector.practice.speakers import Place, Speaker
from tests.chart.helm import ROOT
from tests.image_live.container import environment, podman
from tests.image_live.test_image_live import hears_the_agent
from tests.until import until

PORTS = (7880, 8080, 8090, 9090)
COMPOSE = Path(sys.executable).with_name("podman-compose")
LIVEKIT_IMAGE = "localhost/room-connector-livekit:live"
SECRET = Secret(secrets.token_hex(32))
pytestmark = pytest.mark.timeout(600)


async def _compose(image: str, *arguments: str) -> None:
    environ = {
        **environment(),
        "PATH": f"{COMPOSE.parent}:{os.environ['PATH']}",
        "CONNECTOR_IMAGE": image,
        "LIVEKIT_IMAGE": LIVEKIT_IMAGE,
        "LIVEKIT_API_KEY": "practicekey",
        "LIVEKIT_API_SECRET": SECRET.reveal(),
    }
    file = str(ROOT / "deploy" / "compose.yaml")
    process = await asyncio.create_subprocess_exec(
        COMPOSE, "-f", file, *arguments, env=environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()


@pytest_asyncio.fixture
async def machine(image: str, tmp_path: Path) -> AsyncIterator[str]:
    """Everything of deploy/compose.yaml, started; the livekit-server is the tests' own program in an image."""
    for port in PORTS:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))  # fails with the reason when somebody else is there
    shutil.copy(find_livekit_server(), tmp_path / "livekit-server")
    (tmp_path / "Dockerfile").write_text(
        f'FROM {image}\nCOPY livekit-server /opt/livekit-server\nENTRYPOINT ["/opt/livekit-server"]\nCMD []\n'
    )
    await podman("build", "--isolation=chroot", "--pull=never", "--tag", LIVEKIT_IMAGE, str(tmp_path))
    try:
        await _compose(image, "up", "--detach")
        yield image
    finally:
        await _compose(image, "down", "--timeout=5")
        await podman("image", "rm", "--force", LIVEKIT_IMAGE)


async def _container(service: str) -> str:
    names = await podman("ps", "--all", "--format={{.Names}}", f"--filter=label=io.podman.compose.service={service}")
    (name,) = names.split()
    return name


async def test_one_machine_serves_a_call(machine: str) -> None:
    """It gets ready, brings the practice agent into `demo`, where a human hears it; it stops with exit code 0."""
    worker = await _container("worker")

    async def healthy() -> bool:
        (state,) = json.loads(await podman("inspect", "--format=[{{json .State}}]", worker))
        try:
            await podman("healthcheck", "run", worker)
        except AssertionError:
            assert state["Running"], await podman("logs", worker)
            return False
        return True

    async with asyncio.timeout(120):
        while not await healthy():
            continue
    ada = Speaker(Place("ws://127.0.0.1:7880", "practicekey", SECRET, "demo"), "ada", hear=True)
    await ada.join()
    try:
        await until(lambda: hears_the_agent(ada), within_s=60)
    finally:
        await ada.leave()
    await podman("stop", "--time=90", worker)
    assert (await podman("inspect", "--format={{.State.ExitCode}}", worker)).strip() == "0"
