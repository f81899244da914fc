"""A room on a real livekit-server for one test: speakers with a tone each, room legs with ears, an administrator."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import pytest
from livekit import api
from numpy.typing import NDArray

from connector.audio.frames import RATE_HZ, TAP_SAMPLES, FrameSink, Samples
from connector.base.legs import RoomEvent, RoomLost
from connector.base.people import ListenRule
from connector.base.secrets import Secret
from connector.practice.livekit import LiveKitServer
from connector.practice.sound import FULL_SCALE, tone
from connector.practice.speakers import Kind, Place, Speaker, Voice
from connector.room.joining import strays
from connector.room.leg import LiveKitRoomLeg, RoomLegOptions
from tests.until import until

TONE_DBFS = -12.0
EXACTLY = pytest.approx(TONE_DBFS, abs=0.5)
LOUD_DBFS = -24.0
ABSENT_DBFS = -50.0
_LOOK = RATE_HZ // 4

E = TypeVar("E", bound=RoomEvent)


def tone_dbfs(samples: Samples, hz: float) -> float:
    """The peak level of a tone of `hz` in the samples, in dBFS (Hann-windowed correlation)."""
    if len(samples) < _LOOK:
        return -120.0
    window: NDArray[np.float64] = np.hanning(len(samples))
    turns = np.exp(-2j * np.pi * hz * np.arange(len(samples)) / RATE_HZ)
    amplitude = 2 * abs(np.dot(samples * window, turns)) / window.sum()
    return float(20 * np.log10(max(amplitude / FULL_SCALE, 1e-6)))


class Ears:
    """Audio inputs that keep everything that was delivered.

    Attributes:
        opened: Keys in the order they were opened.
        open_now: Keys that are open.
        gains: The newest gain of each key.
    """

    def __init__(self) -> None:
        self._blocks: dict[str, list[Samples]] = {}
        self.opened: list[str] = []
        self.open_now: set[str] = set()
        self.gains: dict[str, float] = {}

    def open(self, key: str, gain_db: float) -> FrameSink:
        """Collect copies of what comes."""
        self.opened.append(key)
        self.open_now.add(key)
        self.gains[key] = gain_db
        blocks = self._blocks.setdefault(key, [])
        return lambda samples: blocks.append(samples.copy())

    def set_gain(self, key: str, gain_db: float) -> None:
        """Remember the gain."""
        self.gains[key] = gain_db

    def close(self, key: str) -> None:
        """Forget that the key is open."""
        self.open_now.discard(key)

    def of(self, identity: str) -> list[str]:
        """The open keys of a participant."""
        return sorted(key for key in self.open_now if key.startswith(f"{identity}/"))

    def frames(self, key: str) -> int:
        """Frames delivered for a key."""
        return len(self._blocks.get(key, ()))

    def last(self, key: str, samples: int = _LOOK) -> Samples:
        """The newest samples of a key."""
        blocks = self._blocks.get(key, [])[-(samples // TAP_SAMPLES) :]
        return np.concatenate(blocks) if blocks else np.zeros(0, np.int16)

    def hears(self, identity: str, hz: float) -> bool:
        """Whether exactly one open input of a participant delivers this tone now."""
        return sum(tone_dbfs(self.last(key), hz) > LOUD_DBFS for key in self.of(identity)) == 1


class Scene:
    """One room and everybody in it; `close` takes all of it away."""

    def __init__(self, server: LiveKitServer, room: str) -> None:
        self.server = server
        self.room = room
        self.place = Place(server.url, server.api_key, server.api_secret, room)
        self.api = api.LiveKitAPI(server.http_url, server.api_key, server.api_secret.reveal())
        self._speakers: list[Speaker] = []
        self._legs: list[LiveKitRoomLeg] = []

    async def speaker(
        self,
        identity: str,
        *,
        hz: float | None = None,
        kind: Kind = "standard",
        attributes: dict[str, str] | None = None,
        hear: bool = False,
        shared_key: bytes | None = None,
    ) -> Speaker:
        """A participant that has joined; with `hz` it plays a tone for ever."""
        speaker = Speaker(self.place, identity, kind=kind, attributes=attributes, hear=hear, shared_key=shared_key)
        self._speakers.append(speaker)
        await speaker.join()
        if hz is not None:
            play(await speaker.publish(), hz)
        return speaker

    def new_leg(
        self,
        ears: Ears,
        *,
        identity: str = "millis-agent",
        listen: ListenRule | None = None,
        fenced: bool = False,
        public_audio: bool = False,
        url: str | None = None,
        api_key: str | None = None,
        api_secret: Secret | None = None,
    ) -> LiveKitRoomLeg:
        """A leg that has not joined."""
        options = RoomLegOptions(
            url=url or self.server.url,
            api_key=api_key or self.server.api_key,
            api_secret=api_secret or self.server.api_secret,
            room=self.room,
            identity=identity,
            name="Agent",
            worker_id="worker-1",
            listen=listen or ListenRule(),
            fenced=fenced,
            public_audio=public_audio,
        )
        leg = LiveKitRoomLeg(options, ears)
        self._legs.append(leg)
        return leg

    async def leg(self, ears: Ears, *, listen: ListenRule | None = None, public_audio: bool = False) -> LiveKitRoomLeg:
        """A leg that has joined."""
        leg = self.new_leg(ears, listen=listen, public_audio=public_audio)
        await leg.join()
        return leg

    async def listed(self) -> dict[str, api.ParticipantInfo]:
        """Who is in the room, as the server says."""
        answer = await self.api.room.list_participants(api.ListParticipantsRequest(room=self.room))
        return {info.identity: info for info in answer.participants}

    async def only(self, *identities: str) -> None:
        """Wait until the server lists exactly these; it hears of a leave some milliseconds after the one who left."""
        async with asyncio.timeout(10):
            while set(await self.listed()) != set(identities):  # noqa: ASYNC110 -- the server tells nobody
                await asyncio.sleep(0.02)

    async def permit(self, identity: str, *, subscribe: bool = True, publish: bool = True) -> None:
        """Change a participant's rights."""
        rights = api.ParticipantPermission(can_subscribe=subscribe, can_publish=publish, can_update_metadata=True)
        await self.api.room.update_participant(
            api.UpdateParticipantRequest(room=self.room, identity=identity, permission=rights)
        )

    async def close(self) -> None:
        """Everybody leaves."""
        await asyncio.gather(*(leg.close() for leg in self._legs))
        await asyncio.gather(*(speaker.leave() for speaker in self._speakers))
        await self.api.aclose()
        if strays():
            await asyncio.wait(strays(), timeout=20)


def play(voice: Voice, hz: float) -> None:
    """Play a tone for ever."""
    voice.say(tone(hz, 1.0, TONE_DBFS), repeat=True)


async def ends(leg: LiveKitRoomLeg, within_s: float = 10.0) -> RoomLost:
    """How the leg is lost; with a reason that says so in one line."""
    lost = await next_of(leg, RoomLost, within_s)
    assert lost.detail
    assert "\n" not in lost.detail
    return lost


async def next_of(leg: LiveKitRoomLeg, kind: type[E], within_s: float = 10.0) -> E:
    """The next event of a kind; others before it are dropped."""
    async with asyncio.timeout(within_s):
        while True:
            event = await leg.next_event()
            if isinstance(event, kind):
                return event


async def hears(ears: Ears, **tones: float) -> None:
    """Wait until each participant named is heard with its tone, by exactly one input."""
    await until(lambda: all(ears.hears(identity, hz) for identity, hz in tones.items()))


async def hears_anew(ears: Ears, identity: str, hz: float) -> float:
    """Wait for new audio of a participant by exactly one input, and give the level of its tone over half a second.

    Frames of two streams of one track, one between the other, would tear the tone.
    """
    await until(lambda: len(ears.of(identity)) == 1)
    (key,) = ears.of(identity)
    await frames_pass(ears, key, 80)
    return tone_dbfs(ears.last(key, RATE_HZ // 2), hz)


async def frames_pass(ears: Ears, key: str, count: int) -> None:
    """Wait until so many more frames of an input have come: time, as the audio counts it."""
    before = ears.frames(key)
    await until(lambda: ears.frames(key) >= before + count)


async def eventually(holds: Callable[[], bool], within_s: float = 10.0) -> None:
    """Wait until something is so."""
    await until(holds, within_s)
