"""Who is heard right now: one stream per audio publication, whatever happens to it, opened once and closed by us.

In: the room's participants, looked at after every event and once a second (a right that is taken and given back comes
without an event of its own). Out: an input of the mix for each heard track.

A stream of the SDK never ends by itself, and after a right is given back the old one would deliver again beside the
new one; so the stream follows the publication's *track object*: another object, another stream.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import structlog
from livekit import rtc

from connector.audio.frames import AudioInputs, FrameSink
from connector.base.people import ListenRule, Person
from connector.base.redact import redact
from connector.room.figures import RoomFigures
from connector.room.hearing import Published, choose
from connector.room.streams import TrackStream

_log = structlog.get_logger()

RETRY_S = 1.5
"""A subscription takes 40 ms, the first one 200 ms. Requests made while the SDK reconnects are lost."""
STALL_S = 1.0
"""A stream that may be heard delivers 100 frames a second, silence included."""


class Publication(Protocol):
    """What is used of `rtc.RemoteTrackPublication`."""

    @property
    def sid(self) -> str:
        """Unique per publication."""

    @property
    def kind(self) -> rtc.TrackKind.ValueType:
        """Audio or video."""

    @property
    def source(self) -> rtc.TrackSource.ValueType:
        """Microphone, screen share and so on."""

    @property
    def encryption_type(self) -> rtc.EncryptionType.ValueType:
        """Whether and how it is end-to-end encrypted."""

    @property
    def track(self) -> rtc.Track | None:
        """The track, once it is subscribed."""

    def set_subscribed(self, subscribed: bool) -> None:  # noqa: FBT001 - the SDK's face
        """Ask the server to send it, or to stop."""


class Participant(Protocol):
    """What is used of `rtc.RemoteParticipant`."""

    @property
    def identity(self) -> str:
        """Unique in the room."""

    @property
    def kind(self) -> rtc.ParticipantKind.ValueType:
        """What it is: a person, an agent and so on."""

    @property
    def attributes(self) -> Mapping[str, str]:
        """Its attributes."""

    @property
    def track_publications(self) -> Mapping[str, Publication]:
        """What it publishes, by sid."""


@dataclass(slots=True)
class _Heard:
    """One publication that is to be heard."""

    publication: Publication
    gain_db: float
    asked_at: float | None = None
    track: rtc.Track | None = None
    stream: TrackStream | None = None
    frames: int = 0
    frames_at: float = 0.0


class Subscriptions:
    """Keeps what is heard in step with the room.

    Attributes:
        humans: Humans in the room at the last look.
        encrypted: Whether somebody published end-to-end encrypted media at the last look.
    """

    def __init__(
        self,
        inputs: AudioInputs,
        open_stream: Callable[[rtc.Track, FrameSink], TrackStream],
        listen: ListenRule,
        own_identity: str,
        figures: RoomFigures,
    ) -> None:
        """Hear nothing yet.

        Args:
            inputs: Where the audio goes.
            open_stream: Opens the stream of a subscribed track.
            listen: Whom to hear.
            own_identity: Our identity in the room.
            figures: Where to count.
        """
        self.listen = listen
        self.humans = 0
        self.encrypted = False
        self._inputs = inputs
        self._open_stream = open_stream
        self._own = own_identity
        self._figures = figures
        self._heard: dict[str, _Heard] = {}
        self._released: dict[str, float] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def look(self, participants: Iterable[Participant], now: float, *, connected: bool = True) -> None:
        """Bring subscriptions, streams and inputs in step with the room.

        Args:
            participants: Everybody else in the room.
            now: Monotonic seconds.
            connected: Whether requests reach the server now; if not, none are made.
        """
        wanted = self._wanted(participants)
        for key in [key for key in self._heard if key not in wanted]:
            dropped = self._drop(key)
            if connected:
                self._release(key, dropped.publication, now)
        for key, (publication, gain_db) in wanted.items():
            heard = self._heard.get(key)
            if heard is None:
                # Taken back at once, a cancelled subscription would be lost: the server looks at the last request only.
                heard = self._heard[key] = _Heard(publication, gain_db, asked_at=self._released.pop(key, None))
            self._renew(key, heard, publication)
            self._set_gain(key, heard, gain_db)
            if heard.track is None and connected:
                self._ask(heard, now)
            self._follow(key, heard, now)
        self._count(now)

    @property
    def frames(self) -> int:
        """10 ms frames delivered so far by all streams, open and closed."""
        return self._figures.frames + sum(heard.stream.frames for heard in self._heard.values() if heard.stream)

    def forget_requests(self) -> None:
        """Ask again for whatever is not there: after a recovery, for requests made meanwhile are lost."""
        for heard in self._heard.values():
            heard.asked_at = None

    async def close(self) -> None:
        """Close every stream and input. Idempotent."""
        for key in list(self._heard):
            self._drop(key)
        if self._closing:
            await asyncio.wait(self._closing)

    def _wanted(self, participants: Iterable[Participant]) -> dict[str, tuple[Publication, float]]:
        publications: dict[str, Publication] = {}
        published: list[Published] = []
        humans = 0
        for participant in participants:
            person = Person(participant.identity, _kind_name(participant.kind), participant.attributes)
            humans += self.listen.is_human(person, self._own)
            for publication in participant.track_publications.values():
                key = f"{person.identity}/{publication.sid}"
                publications[key] = publication
                published.append(
                    Published(
                        key=key,
                        person=person,
                        audio=publication.kind == rtc.TrackKind.KIND_AUDIO,
                        source=rtc.TrackSource.Name(publication.source),
                        encrypted=publication.encryption_type != rtc.EncryptionType.NONE,
                    )
                )
        choice = choose(published, self.listen, self._own, self._heard)
        self.humans, self.encrypted = humans, choice.encrypted
        self._figures.humans, self._figures.over_cap = humans, choice.over_cap
        return {key: (publications[key], gain_db) for key, gain_db in choice.gains_db.items()}

    def _renew(self, key: str, heard: _Heard, publication: Publication) -> None:
        if heard.publication is not publication:  # the SDK made the room's objects anew
            heard.publication = publication
            heard.asked_at = None
        if heard.track is not publication.track:
            self._silence(key, heard)
            heard.track = publication.track

    def _set_gain(self, key: str, heard: _Heard, gain_db: float) -> None:
        if gain_db != heard.gain_db:
            heard.gain_db = gain_db
            self._inputs.set_gain(key, gain_db)

    def _ask(self, heard: _Heard, now: float) -> None:
        if heard.asked_at is not None:
            if now - heard.asked_at < RETRY_S:
                return
            self._figures.subscribe_retries += 1
        heard.asked_at = now
        heard.publication.set_subscribed(True)

    def _follow(self, key: str, heard: _Heard, now: float) -> None:
        if heard.track is None or heard.stream is not None:
            return
        sink = self._inputs.open(key, heard.gain_db)
        try:
            heard.stream = self._open_stream(heard.track, sink)
        except (AssertionError, RuntimeError) as error:  # how the SDK says that the track is gone already
            self._inputs.close(key)
            self._figures.stream_failures += 1
            _log.warning("stream_not_opened", error=redact(repr(error)))
            return
        heard.frames, heard.frames_at = 0, now
        self._figures.streams_opened += 1

    def _silence(self, key: str, heard: _Heard) -> None:
        if heard.stream is not None:
            closing = heard.stream.close()
            if closing is not None:
                self._closing.add(closing)
                closing.add_done_callback(self._closing.discard)
            self._figures.frames += heard.stream.frames
            heard.stream = None
            self._inputs.close(key)

    def _drop(self, key: str) -> _Heard:
        heard = self._heard.pop(key)
        self._silence(key, heard)
        return heard

    def _release(self, key: str, publication: Publication, now: float) -> None:
        if publication.track is not None:
            publication.set_subscribed(False)
            self._released = {old: at for old, at in self._released.items() if now - at < RETRY_S} | {key: now}

    def _count(self, now: float) -> None:
        stalled = 0
        for heard in self._heard.values():
            if heard.stream is not None:
                if heard.stream.frames != heard.frames:
                    heard.frames, heard.frames_at = heard.stream.frames, now
                stalled += now - heard.frames_at >= STALL_S
        self._figures.stalled = stalled
        self._figures.heard = sum(heard.stream is not None for heard in self._heard.values())
        self._figures.heard_most = max(self._figures.heard_most, self._figures.heard)


def _kind_name(kind: rtc.ParticipantKind.ValueType) -> str:
    try:
        return rtc.ParticipantKind.Name(kind)
    except ValueError:  # a kind younger than the SDK: surely not one that we know as human
        return f"UNKNOWN_{kind}"
