"""Simulated people in a LiveKit room: real participants through the real SDK that talk and record what they hear.

Used by the demo and by the tests. In: samples to say. Out: a `Recorder` per track that a speaker hears.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Self

import numpy as np
from livekit import api, rtc

from connector.audio.frames import RATE_HZ, TICK_SAMPLES, Samples
from connector.base.secrets import Secret
from connector.practice.recorder import Recorder
from connector.room import seams
from connector.room.joining import joined

Kind = Literal["standard", "sip", "agent", "connector", "ingress", "egress", "bridge"]
_SOURCES = {
    "microphone": rtc.TrackSource.SOURCE_MICROPHONE,
    "screen_share_audio": rtc.TrackSource.SOURCE_SCREENSHARE_AUDIO,
}
_QUEUE_MS = 100
_SILENT_FRAME: Samples = np.zeros(TICK_SAMPLES, np.int16)
_RECORDED_S = 180.0


@dataclass(frozen=True)
class Place:
    """Which room of which server, and the key to it.

    Attributes:
        url: The server's address (``ws://…``).
        api_key: The key's id.
        api_secret: Its secret.
        room: The room's name.
    """

    url: str
    api_key: str
    api_secret: Secret
    room: str


class Voice:
    """One published track of a speaker: silent until told to say something.

    Attributes:
        publication: The track's publication; its `sid` is what others see.
    """

    def __init__(
        self, source: rtc.AudioSource, track: rtc.LocalAudioTrack, publication: rtc.LocalTrackPublication
    ) -> None:
        self.publication = publication
        self._source = source
        self._track = track
        self._frames: Iterator[Samples] = iter(())
        self._said = asyncio.Event()
        self._said.set()
        self._task = asyncio.create_task(self._talk(), name="voice")

    def say(self, samples: Samples, *, repeat: bool = False) -> float:
        """Say something from now on, instead of what was being said.

        Args:
            samples: 48 kHz mono int16.
            repeat: Begin again at the end, for ever.

        Returns:
            The monotonic time at which the first sample enters the native library's queue (at most 20 ms off).
        """
        self._said.clear()
        self._frames = _cut(samples, repeat=repeat)
        return time.monotonic() + self._source.queued_duration

    def hush(self) -> None:
        """Say nothing more."""
        self._frames = iter(())

    async def said(self) -> None:
        """Wait until all that was to be said has been handed to the native library."""
        await self._said.wait()

    def mute(self) -> None:
        """Mute the track, as a person does."""
        self._track.mute()

    def unmute(self) -> None:
        """Unmute it."""
        self._track.unmute()

    async def close(self) -> None:
        """Stop talking and free the source. The track itself goes with its owner or by `Speaker.unpublish`."""
        self._task.cancel()
        await asyncio.wait([self._task])
        await self._source.aclose()

    async def _talk(self) -> None:
        while True:
            block = next(self._frames, None)
            if block is None:
                self._said.set()
                block = _SILENT_FRAME
            frame = rtc.AudioFrame(block.tobytes(), RATE_HZ, 1, len(block))
            await self._source.capture_frame(frame)


@dataclass
class Ear:
    """One track that a speaker hears, recorded.

    Attributes:
        identity: Who speaks in it.
        sid: The publication.
        recorder: What was heard, on the monotonic time axis; muted and silent stretches are recorded as silence.
    """

    identity: str
    sid: str
    recorder: Recorder = field(default_factory=lambda: Recorder(_RECORDED_S))


class Speaker:
    """A participant. Async context manager: joins and leaves.

    Attributes:
        ears: Every track heard so far, by publication sid.
        room: The SDK's room, for what is not offered here.
    """

    def __init__(
        self,
        place: Place,
        identity: str,
        *,
        kind: Kind = "standard",
        name: str = "",
        attributes: Mapping[str, str] | None = None,
        hear: bool = True,
        shared_key: bytes | None = None,
    ) -> None:
        """Prepare a participant, inside a running event loop; nothing happens yet.

        Args:
            place: Where to join.
            identity: Its identity.
            kind: Its kind.
            name: Its display name.
            attributes: Its attributes from the start.
            hear: Whether it subscribes to audio and records it.
            shared_key: Publish end-to-end encrypted with this key.
        """
        self.identity = identity
        self.ears: dict[str, Ear] = {}
        self._place = place
        self._kind = kind
        self._name = name
        self._attributes = dict(attributes or {})
        self._hear = hear
        self._shared_key = shared_key
        self._voices: list[Voice] = []
        self._listening: list[tuple[str, rtc.AudioStream, asyncio.Task[None]]] = []
        seams.install()
        self.room = rtc.Room()
        self.room.on("track_subscribed", self._on_subscribed)
        self.room.on("track_unsubscribed", self._on_unsubscribed)

    async def join(self) -> None:
        """Join the room (made if it does not exist)."""
        options = rtc.RoomOptions(auto_subscribe=self._hear)
        if self._shared_key is not None:
            options.encryption = rtc.E2EEOptions(rtc.KeyProviderOptions(shared_key=self._shared_key))
        joining = asyncio.create_task(self.room.connect(self._place.url, self._token(), options), name="join")
        try:
            await asyncio.shield(joining)
        except asyncio.CancelledError:
            # The SDK ends the whole process 15 s after a join that nobody took the end of.
            if await joined(joining):
                await self.room.disconnect()
            raise
        seams.keep_runtime(self.room)

    async def publish(self, source: str = "microphone", *, name: str = "", dtx: bool = True) -> Voice:
        """Publish a track.

        Args:
            source: ``microphone`` or ``screen_share_audio``.
            name: The track's name.
            dtx: Whether the encoder may stop sending during silence, as browsers' do.
        """
        audio = rtc.AudioSource(RATE_HZ, 1, queue_size_ms=_QUEUE_MS)
        track = rtc.LocalAudioTrack.create_audio_track(name or source, audio)
        options = rtc.TrackPublishOptions(source=_SOURCES[source], dtx=dtx)
        publication = await self.room.local_participant.publish_track(track, options)
        voice = Voice(audio, track, publication)
        self._voices.append(voice)
        return voice

    async def unpublish(self, voice: Voice) -> None:
        """Take a track out of the room."""
        await self.room.local_participant.unpublish_track(voice.publication.sid)
        self._voices.remove(voice)
        await voice.close()

    def heard_from(self, identity: str) -> Ear | None:
        """The newest track heard of a participant, if any."""
        return next((ear for ear in reversed(self.ears.values()) if ear.identity == identity), None)

    async def leave(self) -> None:
        """Leave the room; safe to call again."""
        for voice in self._voices:
            await voice.close()
        self._voices.clear()
        for _sid, stream, task in self._listening:
            task.cancel()
            await asyncio.wait([task])
            await stream.aclose()
        self._listening.clear()
        await self.room.disconnect()

    async def __aenter__(self) -> Self:
        await self.join()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.leave()

    def _token(self) -> str:
        token = api.AccessToken(self._place.api_key, self._place.api_secret.reveal())
        token.with_identity(self.identity).with_name(self._name).with_attributes(self._attributes)
        token.claims.kind = self._kind
        return token.with_grants(api.VideoGrants(room_join=True, room=self._place.room)).to_jwt()

    def _on_subscribed(
        self, track: rtc.RemoteTrack, publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant
    ) -> None:
        if isinstance(track, rtc.RemoteAudioTrack):
            self._hush(publication.sid)  # after a reconnect the same publication may come again
            ear = self.ears.setdefault(publication.sid, Ear(participant.identity, publication.sid))
            stream = rtc.AudioStream(track, sample_rate=RATE_HZ, num_channels=1)
            task = asyncio.create_task(_record(stream, ear.recorder), name="ear")
            self._listening.append((publication.sid, stream, task))

    def _on_unsubscribed(self, _track: rtc.RemoteTrack, publication: rtc.RemoteTrackPublication) -> None:
        self._hush(publication.sid)

    def _hush(self, sid: str) -> None:
        for heard, _stream, task in self._listening:
            if heard == sid:
                task.cancel()


async def _record(stream: rtc.AudioStream, recorder: Recorder) -> None:
    async for event in stream:
        samples = np.frombuffer(event.frame.data, np.int16)
        recorder.write(samples, time.monotonic())  # a sample's time is its frame's arrival plus its offset in it


def _cut(samples: Samples, *, repeat: bool) -> Iterator[Samples]:
    while len(samples):
        for at in range(0, len(samples), TICK_SAMPLES):
            yield samples[at : at + TICK_SAMPLES]
        if not repeat:
            return
