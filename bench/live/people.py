"""Any number of people in rooms, in a process of its own: they listen, tell when the agent is audible, may hum.

`python -m bench.live.people`. Commands come as JSON lines on standard input: ``{"do": "join", "person", "url", "token",
"hum"}``, ``{"do": "save", "person", "path"}``, ``{"do": "leave", "person"}``. Events go out as JSON lines; times are
monotonic seconds. When standard input closes everybody leaves.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from livekit import rtc

from bench.live.heard import AUDIBLE_DBFS, WINDOW_S, Heard, levels_of, save
from connector.practice.sound import tone
from connector.practice.speakers import Voice
from connector.room import seams

RATE_HZ = 48_000
_FRAME_MS = 20
_HUM_DBFS = -12.0


def say(**event: object) -> None:
    """Tell the bench."""
    print(json.dumps(event), flush=True)


class _Ear:
    """One track, heard."""

    def __init__(self, sid: str, participant: str) -> None:
        self.sid, self.participant = sid, participant
        self.times: list[float] = []
        self.levels: list[float] = []
        self.audible = False

    def heard(self) -> Heard:
        return Heard(self.sid, self.participant, np.array(self.times), np.array(self.levels))


class Person:
    """Somebody in a room.

    Args:
        name: How the bench calls them.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._room = rtc.Room()
        self._ears: list[_Ear] = []
        self._listening: dict[str, asyncio.Task[None]] = {}
        self._voice: Voice | None = None
        self._room.on("track_subscribed", self._on_subscribed)
        self._room.on("track_unsubscribed", self._on_unsubscribed)
        self._room.on("disconnected", lambda reason: say(disconnected=name, at=time.monotonic(), reason=str(reason)))

    async def join(self, url: str, token: str, hum: float | None) -> None:
        """Join; with `hum` publish a tone of that many Hz."""
        say(connecting=self._name, at=time.monotonic())
        await self._room.connect(url, token)
        seams.keep_runtime(self._room)
        if hum is not None:
            source = rtc.AudioSource(RATE_HZ, 1, queue_size_ms=100)
            track = rtc.LocalAudioTrack.create_audio_track("voice", source)
            options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
            publication = await self._room.local_participant.publish_track(track, options)
            self._voice = Voice(source, track, publication)
            self._voice.say(tone(hum, 1.0, _HUM_DBFS), repeat=True)
        say(joined=self._name, at=time.monotonic())

    async def leave(self) -> None:
        """Leave, and stop listening."""
        if self._voice is not None:
            await self._voice.close()
        tasks = list(self._listening.values())
        for task in tasks:
            task.cancel()
        await self._room.disconnect()
        await asyncio.gather(*tasks, return_exceptions=True)
        say(left=self._name, at=time.monotonic())

    def save(self, path: Path) -> None:
        """Write what was heard so far."""
        save(path, [ear.heard() for ear in self._ears])
        say(saved=self._name, path=str(path))

    def _on_subscribed(
        self, track: rtc.RemoteTrack, publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant
    ) -> None:
        if not isinstance(track, rtc.RemoteAudioTrack):
            return
        self._on_unsubscribed(track, publication, participant)
        ear = _Ear(publication.sid, participant.sid)
        self._ears.append(ear)
        self._listening[publication.sid] = asyncio.create_task(self._listen(track, ear), name="ear")

    def _on_unsubscribed(
        self, _track: rtc.RemoteTrack, publication: rtc.RemoteTrackPublication, _who: rtc.RemoteParticipant
    ) -> None:
        task = self._listening.pop(publication.sid, None)
        if task is not None:
            task.cancel()

    async def _listen(self, track: rtc.RemoteAudioTrack, ear: _Ear) -> None:
        stream = rtc.AudioStream(track, sample_rate=RATE_HZ, num_channels=1, frame_size_ms=_FRAME_MS)
        try:
            async for event in stream:
                now = time.monotonic()
                levels = levels_of(np.frombuffer(event.frame.data, np.int16), round(RATE_HZ * WINDOW_S))
                ear.times += [now + place * WINDOW_S for place in range(len(levels))]
                ear.levels += levels
                if not ear.audible and max(levels) > AUDIBLE_DBFS:
                    ear.audible = True
                    say(audible=self._name, participant=ear.participant, at=now)
        finally:
            await stream.aclose()


class People:
    """Everybody; carries out the bench's commands, those for different people side by side."""

    def __init__(self) -> None:
        self._people: dict[str, Person] = {}

    async def obey(self, group: asyncio.TaskGroup) -> None:
        """Take commands until standard input closes; then all leave."""
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            group.create_task(self._do(json.loads(line)))
        await asyncio.gather(*(person.leave() for person in self._people.values()))

    async def _do(self, command: dict[str, Any]) -> None:
        name = command["person"]
        match command["do"]:
            case "join":
                self._people[name] = person = Person(name)
                await person.join(command["url"], command["token"], command["hum"])
            case "save":
                self._people[name].save(Path(command["path"]))
            case "leave":
                await self._people.pop(name).leave()


async def attend() -> None:
    """Be the people until standard input closes."""
    seams.install()
    people = People()
    async with asyncio.TaskGroup() as group:
        await people.obey(group)


if __name__ == "__main__":
    asyncio.run(attend())
