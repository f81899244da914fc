"""The reply on its way into the room, with a participant whose rights the test gives and takes."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import numpy as np
import pytest
import pytest_asyncio
from livekit import rtc
from livekit.rtc.participant import PublishTrackError, UnpublishTrackError

from connector.audio.frames import TICK_SAMPLES
from connector.audio.opus import OpusEncoder
from connector.room import publish, seams
from connector.room.figures import RoomFigures
from connector.room.publish import BITRATE, ReplyTrack, may_speak
from tests.network import speech

FRAMES = np.zeros(2 * 480, np.int16)


@dataclass
class Rights:
    can_publish: bool = True
    can_publish_sources: tuple[int, ...] = ()


@dataclass
class FakePublication:
    sid: str
    muted: bool = False


@dataclass
class FakeOwn:
    """Our participant, as a server would treat it."""

    permissions: Rights = field(default_factory=Rights)
    track_publications: dict[str, FakePublication] = field(default_factory=dict)
    published: list[FakePublication] = field(default_factory=list)
    unpublished: list[str] = field(default_factory=list)
    refuses: bool = False

    async def publish_track(self, _track: rtc.LocalTrack, options: rtc.TrackPublishOptions) -> FakePublication:
        assert options.source == rtc.TrackSource.SOURCE_MICROPHONE
        assert options.audio_encoding.max_bitrate == BITRATE
        if self.refuses:
            raise PublishTrackError("track publication timed out")
        publication = FakePublication(f"TR_{len(self.published)}")
        self.published.append(publication)
        self.track_publications[publication.sid] = publication
        return publication

    async def unpublish_track(self, track_sid: str) -> None:
        self.unpublished.append(track_sid)
        del self.track_publications[track_sid]
        if self.refuses:
            raise UnpublishTrackError("no")


@dataclass
class Bench:
    figures: RoomFigures
    reply: ReplyTrack
    own: FakeOwn


@pytest_asyncio.fixture(params=[True, False], ids=["direct", "public"])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    seams.install()
    figures = RoomFigures()
    reply = ReplyTrack(figures, direct=request.param)
    yield Bench(figures, reply, FakeOwn())
    await reply.close()


async def test_nothing_is_pushed_before_there_is_a_track(bench: Bench) -> None:
    """Audio before the publication is withheld and counted; after it, it is pushed."""
    bench.reply.push(FRAMES)
    assert (bench.figures.withheld_frames, bench.figures.pushed_frames) == (2, 0)
    await bench.reply.keep(bench.own, 1.0)
    assert bench.reply.published
    bench.reply.push(FRAMES)
    assert (bench.figures.withheld_frames, bench.figures.pushed_frames) == (2, 2)


async def test_keep_publishes_once(bench: Bench) -> None:
    """Looking again and again publishes one track."""
    for now in (1.0, 2.0, 3.0):
        await bench.reply.keep(bench.own, now)
    assert len(bench.own.published) == bench.figures.publishes == 1


async def test_a_muted_track_gets_nothing(bench: Bench) -> None:
    """While the publication is muted audio is withheld."""
    await bench.reply.keep(bench.own, 1.0)
    bench.own.published[0].muted = True
    bench.reply.push(FRAMES)
    assert (bench.figures.withheld_frames, bench.figures.pushed_frames) == (2, 0)


@pytest.mark.parametrize("rights", [Rights(can_publish=False), Rights(can_publish_sources=(1, 3))])
async def test_a_right_taken_unpublishes_and_given_back_publishes(bench: Bench, rights: Rights) -> None:
    """Without the right our track is unpublished at once; with it a new one is published."""
    await bench.reply.keep(bench.own, 1.0)
    given, bench.own.permissions = bench.own.permissions, rights
    await bench.reply.keep(bench.own, 2.0)
    assert bench.own.unpublished == ["TR_0"]
    assert not bench.reply.published
    bench.own.permissions = given
    await bench.reply.keep(bench.own, 3.0)
    assert list(bench.own.track_publications) == ["TR_1"]


async def test_a_track_that_is_gone_is_published_anew(bench: Bench) -> None:
    """A publication that the SDK no longer has is not unpublished again but replaced."""
    await bench.reply.keep(bench.own, 1.0)
    bench.own.track_publications.clear()
    await bench.reply.keep(bench.own, 2.0)
    assert not bench.own.unpublished
    assert len(bench.own.published) == 2


async def test_a_republished_track_is_kept(bench: Bench) -> None:
    """After a full reconnect the SDK has our publication under a new sid: it stays the one."""
    await bench.reply.keep(bench.own, 1.0)
    (publication,) = bench.own.published
    publication.sid = "TR_new"
    bench.own.track_publications = {"TR_new": publication}
    await bench.reply.keep(bench.own, 2.0)
    assert len(bench.own.published) == 1


async def test_failures_are_tried_again_later_and_later(bench: Bench) -> None:
    """A failed publication waits longer each time, at most 30 s, and is counted."""
    bench.own.refuses = True
    tries = []
    for second in range(120):
        before = bench.figures.publish_failures
        await bench.reply.keep(bench.own, float(second))
        if bench.figures.publish_failures > before:
            tries.append(second)
    assert tries == [0, 2, 6, 14, 30, 60, 90]
    bench.own.refuses = False
    await bench.reply.keep(bench.own, 120.0)
    assert bench.reply.published


async def test_an_unpublish_that_fails_does_not_stop_us(bench: Bench) -> None:
    """When the server does not take the track back, it is still ours no longer."""
    await bench.reply.keep(bench.own, 1.0)
    bench.own.refuses = True
    bench.own.permissions = Rights(can_publish=False)
    await bench.reply.keep(bench.own, 2.0)
    assert not bench.reply.published


async def test_refused_frames_are_counted(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A frame that the native side does not take is counted as that."""
    await bench.reply.keep(bench.own, 1.0)
    monkeypatch.setattr(bench.reply._line, "send", lambda _frame: False)
    bench.reply.push(FRAMES)
    assert (bench.figures.push_failures, bench.figures.pushed_frames) == (2, 0)


async def test_the_public_way_keeps_its_queue_short() -> None:
    """Frames that nobody takes are dropped, oldest first, beyond 200 ms."""
    seams.install()
    source = rtc.AudioSource(48_000, 1, queue_size_ms=0)
    line = publish.AwaitedLine(source)
    for number in range(100):
        line.send(np.full(480, number, np.int16))
    assert [int(np.frombuffer(frame, np.int16)[0]) for frame in line._frames] == list(range(80, 100))
    line.close()
    await line.wait_closed()
    await source.aclose()


@pytest.mark.parametrize(
    ("can_publish", "sources", "speaks"),
    [(True, (), True), (True, (2,), True), (True, (1, 2), True), (True, (1,), False), (False, (), False)],
)
def test_who_may_speak(sources: tuple[int, ...], *, can_publish: bool, speaks: bool) -> None:
    """The right to publish counts, and its limits to sources, if there are any."""
    assert may_speak(can_publish=can_publish, sources=sources) == speaks


def test_the_replys_bitrate_is_where_a_voice_is_coded_by_celt_alone() -> None:
    """As WebRTC sets the codec up (mono VoIP, complexity 9, FEC allowed), every packet of a voice says CELT."""
    encoder = OpusEncoder(bitrate=BITRATE, wideband=False, complexity=9, packet_loss_percent=0)
    configurations = {encoder.encode(frame)[0] >> 3 for frame in speech(3.0).reshape(-1, TICK_SAMPLES)}
    assert configurations <= set(range(16, 32))
    below = OpusEncoder(bitrate=32_000, wideband=False, complexity=9, packet_loss_percent=0)
    assert {below.encode(frame)[0] >> 3 for frame in speech(1.0).reshape(-1, TICK_SAMPLES)} <= set(range(16))
