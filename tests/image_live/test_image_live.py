import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import numpy as np
import psutil
import pytest
import pytest_asyncio

from connector.base.secrets import Secret
from connector.practice.agent import PracticeAgent, PracticeOptions
from connector.practice.agent_call import Habits
from connector.practice.speakers import Speaker
from tests.chart.helm import merged, one, render, smallest_with
from tests.e2e.room_scene import Scene, tone_dbfs
from tests.image_live.container import Container, podman
from tests.until import until

KEY = "practice-key-of-the-tests"
pytestmark = pytest.mark.timeout(300)


@pytest_asyncio.fixture
async def practice() -> AsyncIterator[PracticeAgent]:
    """An agent that greets with a tone."""
    async with PracticeAgent(PracticeOptions(key=Secret(KEY), habits=Habits(greeting="tone", reply="none"))) as agent:
        yield agent


class Pod:
    """What the chart makes of a deployment with this LiveKit and this agent, as folders and an environment."""

    def __init__(self, scene: Scene, practice: PracticeAgent, ports: tuple[int, int], folder: Path) -> None:
        self.values = smallest_with(
            {
                "config": {
                    "livekit": {"url": scene.server.url},
                    "millis": {"url": practice.url},
                    "defaults": {"leave_after": "1s"},
                },
                "credentials": {
                    "livekitApiKey": {"value": scene.server.api_key},
                    "livekitApiSecret": {"value": scene.server.api_secret.reveal()},
                    "millisPrivateKey": {"value": KEY},
                },
                "drain": {"timeoutSeconds": 20},
            }
        )
        objects = render(self.values)
        container = one(objects, "Deployment")["spec"]["template"]["spec"]["containers"][0]
        self.environ = {each["name"]: each.get("value", "2") for each in container["env"]}
        public, private = (f"127.0.0.1:{port}" for port in ports)
        self.environ |= {"CONNECTOR_LISTEN": public, "CONNECTOR_PRIVATE_LISTEN": private}
        self.arguments: list[str] = container["args"]
        self.private_url = f"http://{private}"
        self._rooms = folder / "rooms"
        self._credentials = folder / "credentials"
        self._credentials.mkdir()
        for name, credential in self.values["credentials"].items():
            file = self._credentials / _kebab(name)
            file.write_text(credential["value"])
            file.chmod(0o440)
            _give(file)
        self._revision = 0
        self.write_rooms({})

    def write_rooms(self, more: dict[str, object]) -> None:
        """Put other rooms there as the kubelet does: a new folder, and one rename of the link to it."""
        text = one(render(merged(self.values, {"config": more})), "ConfigMap")["data"]["rooms.yaml"]
        self._revision += 1
        data = self._rooms / f"..{self._revision}"
        data.mkdir(parents=True)
        (data / "rooms.yaml").write_text(text)
        link = self._rooms / "..new"
        link.symlink_to(data.name)
        link.rename(self._rooms / "..data")
        if not (self._rooms / "rooms.yaml").is_symlink():
            (self._rooms / "rooms.yaml").symlink_to("..data/rooms.yaml")

    def container(self, image: str, **environ: str) -> Container:
        """The container of the pod."""
        mounts = {self._rooms: "/etc/connector/rooms", self._credentials: "/etc/connector/credentials"}
        return Container(image, *self.arguments, environ={**self.environ, **environ}, mounts=mounts)


def _kebab(name: str) -> str:
    return "".join(f"-{each.lower()}" if each.isupper() else each for each in name)


def _give(file: Path) -> None:
    """To the group that the chart names, as `fsGroup` does."""
    os.chown(file, 0, 65532)


@pytest.fixture
def pod(scene: Scene, practice: PracticeAgent, ports: tuple[int, int], tmp_path: Path) -> Pod:
    """The pod's parts."""
    tmp_path.chmod(0o755)
    return Pod(scene, practice, ports, tmp_path)


async def _status(url: str) -> int:
    async with aiohttp.ClientSession() as client, client.get(url) as answer:
        return answer.status


async def _ready(container: Container, pod: Pod) -> None:
    await container.said("worker_ready")
    assert await _status(f"{pod.private_url}/readyz") == 200


def hears_the_agent(speaker: Speaker) -> bool:
    """Whether something of the agent has reached this person."""
    ear = speaker.heard_from("millis-agent")
    recording = None if ear is None else ear.recorder.recording()
    return recording is not None and bool(np.abs(recording.samples).max(initial=0) > 500)


def _heard_by(practice: PracticeAgent, hz: float) -> bool:
    recording = practice.sessions[-1].heard if practice.sessions else None
    return recording is not None and tone_dbfs(recording.samples[-48_000:], hz) > -24


async def test_a_call(image: str, pod: Pod, scene: Scene, practice: PracticeAgent) -> None:
    """A webhook brings the agent; both hear each other; health and figures answer; SIGTERM then exits with 0."""
    async with pod.container(image, CONNECTOR_RECONCILE_EVERY="5m") as worker:
        await _ready(worker, pod)
        ada = await scene.speaker("ada", hz=440, hear=True)
        assert (await worker.said("session_started"))["trigger"] == "webhook"
        await worker.said("session_state", state="live")
        await until(lambda: hears_the_agent(ada), within_s=20)
        await until(lambda: _heard_by(practice, 440), within_s=20)
        assert await _status(f"{pod.private_url}/livez") == 200
        assert await _status(f"{pod.private_url}/metrics") == 200
        # What NOTES.txt tells people to run.
        assert "front-desk" in await worker.exec("connector", "check", "--room", "front-desk")
        assert "live" in await worker.exec("connector", "rooms")
        assert "✗" not in await worker.exec("connector", "doctor")
        await ada.leave()
        ended = await worker.said("session_ended")
        assert (ended["reason"], ended["result"]) == ("room_empty", "success")
        await worker.signal(signal.SIGTERM)
        assert await worker.exit_code() == 0
        assert not any("Traceback" in line for line in worker.lines)


def _without_rights(pid: int) -> None:
    process = psutil.Process(pid)
    assert process.uids().real == process.uids().effective == process.gids().real == 65532
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == int(status["CapBnd"], 16) == 0
    assert status["NoNewPrivs"] == "1"


async def test_it_has_no_rights(image: str, pod: Pod) -> None:
    """Every process is user 65532 without a capability or a way to one; nothing but /tmp can be written."""
    async with pod.container(image) as worker:
        await _ready(worker, pod)
        pids = await worker.pids()
        assert len(pids) >= 3  # control and two engines
        for pid in pids:
            _without_rights(pid)
        for place in ("/", "/opt/connector", "/etc", "/var/tmp"):
            with pytest.raises(AssertionError, match=r"Read-only file system|Permission denied"):
                await worker.exec("touch", f"{place}/x")
        await worker.exec("touch", "/tmp/x")


async def test_sigterm_lets_a_call_finish(image: str, pod: Pod, scene: Scene, practice: PracticeAgent) -> None:
    """A drain is not ready any more, keeps the call while people are there, and ends with exit code 0."""
    async with pod.container(image) as worker:
        await _ready(worker, pod)
        ada = await scene.speaker("ada", hz=440)
        await worker.said("session_state", state="live")
        await until(lambda: _heard_by(practice, 440), within_s=20)
        await worker.signal(signal.SIGTERM)
        await worker.said("draining")
        assert await _status(f"{pod.private_url}/readyz") == 503
        heard = practice.sessions[-1].heard
        assert heard is not None
        before = len(heard.samples)
        await until(lambda: (now := practice.sessions[-1].heard) is not None and len(now.samples) > before + 96_000)
        await ada.leave()
        assert (await worker.said("session_ended"))["reason"] == "room_empty"
        assert await worker.exit_code() == 0


async def test_a_drain_has_an_end(image: str, pod: Pod, scene: Scene, practice: PracticeAgent) -> None:
    """After the drain time the call is closed, Millis' side too, well within the pod's minute of grace."""
    async with pod.container(image, CONNECTOR_DRAIN_TIMEOUT="2s") as worker:
        await _ready(worker, pod)
        await scene.speaker("ada", hz=440)
        await worker.said("session_state", state="live")
        await worker.signal(signal.SIGTERM)
        assert (await worker.said("session_ended"))["reason"] == "drained"
        assert await worker.exit_code() == 0
        await practice.until(lambda agent: not agent.live)


async def test_changed_rooms_are_read_as_the_kubelet_brings_them(
    image: str, pod: Pod, scene: Scene, practice: PracticeAgent
) -> None:
    """A rule that comes while it runs is served without a restart."""
    pod.write_rooms({"rooms": [{"room": "another", "agent": "1"}]})
    async with pod.container(image) as worker:
        await _ready(worker, pod)
        await scene.speaker("ada", hz=440)
        assert practice.offers == 0
        pod.write_rooms({"rooms": [{"room": "front-desk", "agent": "1"}]})
        await worker.said("session_state", state="live")
        await until(lambda: _heard_by(practice, 440), within_s=20)


async def test_a_mistake_is_one_line(image: str, pod: Pod) -> None:
    """A bad configuration ends the container with 78 and says where."""
    async with pod.container(image, CONNECTOR_ENGINES="many") as worker:
        assert await worker.exit_code() == 78
        assert [line for line in worker.lines if line.startswith("CONNECTOR_ENGINES: ")]
        assert not any("Traceback" in line for line in worker.lines)


async def test_it_holds_the_runtime_set_and_says_what_it_is(image: str) -> None:
    """No pip, compiler or test tool is in it; labels name version, revision and licence."""
    (inspected,) = json.loads(await podman("image", "inspect", image))
    labels = inspected["Labels"]
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert labels["org.opencontainers.image.revision"] != "unknown"
    assert inspected["Config"]["User"] == "65532:65532"
    run = ("run", "--rm", "--pull=never", "--network=host")
    modules = (
        "import importlib.util as u; print([m for m in ('pip', 'pytest', 'mypy', 'setuptools') if u.find_spec(m)])"
    )
    said = await podman(*run, "--entrypoint=/opt/connector/bin/python3", image, "-c", modules)
    assert said.strip() == "[]"
    version = await podman(*run, image, "--version")
    assert version.split()[-1] == labels["org.opencontainers.image.version"]


async def test_the_practice_agent_is_in_it(image: str, ports: tuple[int, int]) -> None:
    """The image stands in for Millis too: its own clips are there, under a read-only root."""
    arguments = ("practice-agent", "--listen", f"127.0.0.1:{ports[0]}")
    async with Container(image, *arguments, environ={"CONNECTOR_LOG": "json"}) as agent:
        await agent.until(lambda agent: any("listens on" in line for line in agent.lines))
        assert await _status(f"http://127.0.0.1:{ports[0]}/sessions") == 200
        await agent.signal(signal.SIGTERM)
        assert await agent.exit_code() == 0
