"""What every part of the bench stands on: the SFU, the prepared signals, the far ends, a scratch folder."""

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np

from bench import opus, signals
from bench.processes import ROOT, Child, python
from bench.recording import RATE_HZ
from connector.base.errors import UnavailableError
from connector.practice.livekit import LiveKitServer
from connector.practice.sound import CLIPS, load_clip

SPEECH_S = 30.0


@dataclass(frozen=True)
class Prepared:
    """The prepared signals, as files.

    Attributes:
        speech: Opus packets of dense speech, 30 s.
        ruler: Opus packets of the ruler.
        ruler_samples: The same as an `.npy` of samples, for a person to speak.
        silence: One packet of silence.
        speech_samples: The dense speech, 48 kHz mono int16.
        ruler_length: Samples of the ruler.
    """

    speech: Path
    ruler: Path
    ruler_samples: Path
    silence: Path
    speech_samples: signals.Samples
    ruler_length: int


def prepare(folder: Path, ruler_s: float) -> Prepared:
    """Make the signals out of the committed clips."""
    clips = [load_clip(path.stem) for path in sorted(CLIPS.glob("*.wav"))]
    speech = signals.dense(clips, SPEECH_S)
    ruler = signals.ruler(np.resize(speech, round(ruler_s * RATE_HZ)), ruler_s)
    made = Prepared(
        speech=folder / "speech.opus-packets",
        ruler=folder / "ruler.opus-packets",
        ruler_samples=folder / "ruler.npy",
        silence=folder / "silence.opus-packets",
        speech_samples=speech,
        ruler_length=len(ruler),
    )
    opus.save_packets(made.speech, opus.encode(speech))
    opus.save_packets(made.ruler, opus.encode(ruler))
    opus.save_packets(made.silence, opus.encode(np.zeros(20 * opus.PACKET, np.int16))[-1:])
    np.save(made.ruler_samples, ruler)
    return made


def loadgen_path() -> Path:
    """Where the load generator is built: outside the clone."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "room-connector" / "bin" / "bench-loadgen"


def build_loadgen() -> None:
    """Build the load generator; quick when it is up to date.

    Raises:
        UnavailableError: There is no Go, or it cannot build it.
    """
    if shutil.which("go") is None:
        raise UnavailableError("the bench needs Go 1.26 or later for its load generator: install it, then try again")
    built = subprocess.run(["go", "build", "-o", loadgen_path(), "."], cwd=ROOT / "bench" / "loadgen", check=False)
    if built.returncode != 0:
        raise UnavailableError("go build of bench/loadgen failed; its output stands above")


@dataclass(frozen=True)
class Agents:
    """Running agent answerers of one load generator."""

    child: Child
    url: str
    folder: Path

    async def mode(self, mode: str) -> None:
        """Let all agents `talk`, send `silence`, or send `nothing`."""
        async with httpx.AsyncClient() as client:
            (await client.post(f"{self.url}/control", params={"mode": mode})).raise_for_status()

    async def sessions(self) -> list[dict[str, float]]:
        """The counters of all sessions so far."""
        async with httpx.AsyncClient() as client:
            found: list[dict[str, float]] = (await client.get(f"{self.url}/sessions")).json()
        return found


@dataclass(frozen=True)
class Stage:
    """A running SFU and everything needed to put rooms on it.

    Attributes:
        sfu: The server.
        prepared: The signals.
        folder: Scratch folder; logs and recordings.
    """

    sfu: LiveKitServer
    prepared: Prepared
    folder: Path

    @property
    def keys(self) -> dict[str, str]:
        """The environment that lets a process into the SFU."""
        return {"LIVEKIT_API_KEY": self.sfu.api_key, "LIVEKIT_API_SECRET": self.sfu.api_secret.reveal()}

    def scratch(self, name: str) -> Path:
        """A folder of its own for one measurement."""
        path = self.folder / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    @asynccontextmanager
    async def agents(self, packets: Path, folder: Path, *options: str) -> AsyncIterator[Agents]:
        """Agent answerers that say `packets`; `options` are the load generator's flags."""
        command = [str(loadgen_path()), "agent", "-packets", str(packets), "-silence", str(self.prepared.silence)]
        async with Child([*command, *options], folder / "agent.log") as child:
            yield Agents(child, f"http://{await child.wait_for('listening')}", folder)

    @asynccontextmanager
    async def people(self, rooms: Sequence[str], per_room: int) -> AsyncIterator[Child]:
        """People who talk in `rooms`, which must be numbered from 0 after a common prefix."""
        command = [str(loadgen_path()), "people", "-url", self.sfu.url, "-packets", str(self.prepared.speech)]
        command += ["-key", self.sfu.api_key, "-secret", self.sfu.api_secret.reveal(), "-prefix", rooms[0][:-1]]
        command += ["-rooms", str(len(rooms)), "-people", str(per_room)]
        async with Child(command, self.folder / "people.log") as child:
            await child.wait_for("joined", 60)
            yield child

    @asynccontextmanager
    async def person(
        self, room: str, identity: str, folder: Path, *, speak: Path | None = None
    ) -> AsyncIterator[Child]:
        """One person through the SDK, recording with times; see `bench.person`."""
        command = python("bench.person", "--url", self.sfu.url, "--room", room, "--identity", identity)
        command += ["--folder", str(folder), *([] if speak is None else ["--speak", str(speak)])]
        async with Child(command, folder / f"{identity}.log", env=self.keys) as child:
            await child.wait_for("joined")
            yield child


@asynccontextmanager
async def staged(ruler_s: float, keep: Path | None = None) -> AsyncIterator[Stage]:
    """Signals and a running SFU; the scratch folder goes away at the end unless `keep` names one."""
    await asyncio.to_thread(build_loadgen)
    with tempfile.TemporaryDirectory(prefix="room-connector-bench-") as temporary:
        folder = keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        async with LiveKitServer() as sfu:
            yield Stage(sfu, prepare(folder, ruler_s), folder)
