"""The reply on its way into the room: our one microphone track, kept published as long as we may speak.

In: 48 kHz mono in multiples of 10 ms, on the clock's path: nothing here waits, raises or queues. A track that an
administrator muted, or that we have no right to publish, gets nothing. The source keeps no queue (`queue_size_ms=0`),
so what is pushed is encoded at once and barge-in is heard at once.
"""

import asyncio
from collections import deque
from collections.abc import Collection, Mapping
from typing import Protocol

import structlog
from livekit import rtc
from livekit.rtc.participant import PublishTrackError, UnpublishTrackError

from connector.audio.frames import RATE_HZ, TAP_SAMPLES, Samples
from connector.base.redact import redact
from connector.room.figures import RoomFigures
from connector.room.tap import CaptureLine

_log = structlog.get_logger()

TRACK_NAME = "agent-voice"
BITRATE = 76_000
"""Bits per second of the reply. From here on libopus codes a voice by CELT alone (its thresholds for mono VoIP: 71 to
75 kbit/s), which takes 6 ms of CPU per second of speech, not 15 as the hybrid mode below it, and sounds better. When
the way to the SFU loses packets the encoder goes over to SILK with FEC by itself."""
_PUBLISH_S = 12.0
"""The SDK itself gives up after 10 s."""
_UNPUBLISH_S = 5.0
_RETRY_S = (1.0, 30.0)
_WAITING_FRAMES = 20


class Line(Protocol):
    """Takes frames of 480 samples into the native source."""

    def send(self, frame: Samples) -> bool:
        """Publish a frame; False when it was refused."""

    def close(self) -> None:
        """Send nothing more."""


class _Rights(Protocol):
    @property
    def can_publish(self) -> bool: ...
    @property
    def can_publish_sources(self) -> Collection[int]: ...


class _Published(Protocol):
    @property
    def sid(self) -> str: ...
    @property
    def muted(self) -> bool: ...


class Publisher(Protocol):
    """What is used of `rtc.LocalParticipant`."""

    @property
    def permissions(self) -> _Rights:
        """What we may do."""

    @property
    def track_publications(self) -> Mapping[str, object]:
        """Our publications, by sid."""

    async def publish_track(self, track: rtc.LocalTrack, options: rtc.TrackPublishOptions) -> _Published:
        """Publish a track."""

    async def unpublish_track(self, track_sid: str) -> None:
        """Take a publication back."""


class AwaitedLine:
    """The public way: each frame is awaited by a task of ours; at most 200 ms wait, then the oldest is dropped."""

    def __init__(self, source: rtc.AudioSource) -> None:
        self._source = source
        self._frames: deque[bytes] = deque(maxlen=_WAITING_FRAMES)
        self._there = asyncio.Event()
        self._task = asyncio.create_task(self._run(), name="reply-capture")

    def send(self, frame: Samples) -> bool:
        """Queue a copy of the frame."""
        self._frames.append(frame.tobytes())
        self._there.set()
        return not self._task.done()

    def close(self) -> None:
        """End the task; a capture under way is completed by the native side alone."""
        self._task.cancel()

    async def wait_closed(self) -> None:
        """Wait for the task."""
        await asyncio.wait({self._task})

    async def _run(self) -> None:
        while True:
            await self._there.wait()
            self._there.clear()
            while self._frames:
                frame = rtc.AudioFrame(self._frames.popleft(), RATE_HZ, 1, TAP_SAMPLES)
                await self._source.capture_frame(frame)


class ReplyTrack:
    """Publishes the reply.

    `keep` brings the publication in step with our rights; call it after everything that may have changed them.
    """

    def __init__(self, figures: RoomFigures, *, direct: bool = True) -> None:
        """Make the source, inside a running event loop; nothing is published yet.

        Args:
            figures: Where to count.
            direct: Enter the native library without await; False is the public way.
        """
        self._figures = figures
        self._source = rtc.AudioSource(RATE_HZ, 1, queue_size_ms=0)
        self._line: Line = CaptureLine(self._source) if direct else AwaitedLine(self._source)
        self._publication: _Published | None = None
        self._failures = 0
        self._try_at = 0.0

    @property
    def published(self) -> bool:
        """Whether our track is in the room."""
        return self._publication is not None

    def push(self, samples: Samples) -> None:
        """Publish k * 480 samples; what is left of an odd length is not published."""
        whole = len(samples) // TAP_SAMPLES
        if whole * TAP_SAMPLES != len(samples):
            self._figures.odd_pushes += 1
        if self._publication is None or self._publication.muted:
            self._figures.withheld_frames += whole
            return
        for index in range(whole):
            if self._line.send(samples[index * TAP_SAMPLES : (index + 1) * TAP_SAMPLES]):
                self._figures.pushed_frames += 1
            else:
                self._figures.push_failures += 1

    async def keep(self, participant: Publisher, now: float) -> None:
        """Publish, or take back, according to what we may do and what is there.

        A track that we may no longer publish is gone at the server without an event. The SDK goes on to hold it and
        would try to publish it again in a full reconnect, which then hangs; two such tracks even abort the process. So
        it is unpublished at once, and published anew when the right comes back.

        Args:
            participant: Our own participant, connected.
            now: Monotonic seconds.
        """
        rights = participant.permissions
        allowed = may_speak(can_publish=rights.can_publish, sources=rights.can_publish_sources)
        publication = self._publication
        if publication is not None and not (allowed and publication.sid in participant.track_publications):
            await self._withdraw(participant, publication)
        if allowed and self._publication is None and now >= self._try_at:
            await self._publish(participant, now)

    async def close(self) -> None:
        """Publish nothing more and free the source. Idempotent."""
        self._publication = None
        self._line.close()
        if isinstance(self._line, AwaitedLine):
            await self._line.wait_closed()
        await self._source.aclose()

    async def _publish(self, participant: Publisher, now: float) -> None:
        track = rtc.LocalAudioTrack.create_audio_track(TRACK_NAME, self._source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        options.audio_encoding.max_bitrate = BITRATE
        try:
            async with asyncio.timeout(_PUBLISH_S):
                self._publication = await participant.publish_track(track, options)
        except (PublishTrackError, TimeoutError) as error:
            self._failures += 1
            self._figures.publish_failures += 1
            self._try_at = now + min(_RETRY_S[0] * 2**self._failures, _RETRY_S[1])
            _log.warning("publish_failed", error=_text(error))
            return
        self._failures = 0
        self._figures.publishes += 1

    async def _withdraw(self, participant: Publisher, publication: _Published) -> None:
        self._publication = None
        if publication.sid not in participant.track_publications:
            return
        try:
            async with asyncio.timeout(_UNPUBLISH_S):
                await participant.unpublish_track(publication.sid)
        except (UnpublishTrackError, TimeoutError) as error:
            _log.warning("unpublish_failed", error=_text(error))


def may_speak(*, can_publish: bool, sources: Collection[int]) -> bool:
    """Whether a participant may publish a microphone track.

    Args:
        can_publish: Its right to publish.
        sources: The track sources that this is limited to; empty = all.
    """
    return can_publish and (not sources or rtc.TrackSource.SOURCE_MICROPHONE in sources)


def _text(error: Exception) -> str:
    return redact(getattr(error, "message", "") or repr(error))
