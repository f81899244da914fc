"""Who is heard right now, against a room of small fakes."""

import asyncio
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from livekit import rtc

from connector.audio.frames import FrameSink, Samples
from connector.base.people import ListenRule
from connector.room.figures import RoomFigures
from connector.room.subscriptions import RETRY_S, STALL_S, Subscriptions

OWN = "millis-agent"


class FakeTrack(rtc.Track):
    """A subscribed track; only its identity matters."""

    def __init__(self) -> None:
        """No native side."""


class FakePublication:
    """An audio publication of which the server's part is played by the test."""

    kind = rtc.TrackKind.KIND_AUDIO
    source = rtc.TrackSource.SOURCE_MICROPHONE
    encryption_type = rtc.EncryptionType.NONE

    def __init__(self, sid: str) -> None:
        self.sid = sid
        self.track: rtc.Track | None = None
        self.asked: list[bool] = []

    def set_subscribed(self, subscribed: bool) -> None:
        self.asked.append(subscribed)
        if not subscribed:
            self.track = None


class FakeParticipant:
    """A participant with publications."""

    kind = rtc.ParticipantKind.PARTICIPANT_KIND_STANDARD

    def __init__(self, identity: str, *publications: FakePublication) -> None:
        self.identity = identity
        self.attributes: Mapping[str, str] = {}
        self.track_publications: dict[str, FakePublication] = {item.sid: item for item in publications}


class FakeStream:
    """A stream that knows whether it is open; a slow one tidies up in a task."""

    slow = False

    def __init__(self, track: rtc.Track) -> None:
        self.track = track
        self.frames = 0
        self.open = True
        self.tidied = False

    def close(self) -> asyncio.Task[None] | None:
        assert self.open
        self.open = False
        return asyncio.create_task(self._tidy()) if self.slow else None

    async def _tidy(self) -> None:
        await asyncio.sleep(0)
        self.tidied = True


class Bench:
    """Subscriptions with everything around them, and the inputs themselves."""

    def __init__(self, listen: ListenRule | None = None) -> None:
        self.streams: list[FakeStream] = []
        self.inputs: dict[str, float] = {}
        self.refuse = False
        self.figures = RoomFigures()
        self.it = Subscriptions(self, self._open_stream, listen or ListenRule(), OWN, self.figures)

    def open(self, key: str, gain_db: float) -> FrameSink:
        assert key not in self.inputs
        self.inputs[key] = gain_db
        return self._ignore

    def set_gain(self, key: str, gain_db: float) -> None:
        assert key in self.inputs
        self.inputs[key] = gain_db

    def close(self, key: str) -> None:
        del self.inputs[key]

    def _open_stream(self, track: rtc.Track, _sink: FrameSink) -> FakeStream:
        if self.refuse:
            raise AssertionError
        self.streams.append(FakeStream(track))
        return self.streams[-1]

    @staticmethod
    def _ignore(_samples: Samples) -> None:
        return None

    @property
    def listening(self) -> list[rtc.Track]:
        """The tracks of the open streams."""
        return [stream.track for stream in self.streams if stream.open]


def test_a_publication_is_asked_for_once_and_heard_when_it_comes() -> None:
    """One request, then one stream and one input as soon as the track is there; further looks change nothing."""
    bench, publication = Bench(), FakePublication("TR_1")
    room = [FakeParticipant("ann", publication)]
    for _ in range(3):
        bench.it.look(room, 1.0)
    assert publication.asked == [True]
    assert not bench.inputs
    publication.track = FakeTrack()
    for _ in range(3):
        bench.it.look(room, 1.1)
    assert bench.listening == [publication.track]
    assert bench.inputs == {"ann/TR_1": 0.0}
    assert (bench.it.humans, bench.figures.heard) == (1, 1)


def test_another_track_object_is_another_stream() -> None:
    """When a right comes back the SDK gives the same publication a new track: the old stream is closed first."""
    bench, publication = Bench(), FakePublication("TR_1")
    room = [FakeParticipant("ann", publication)]
    first, second = FakeTrack(), FakeTrack()
    publication.track = first
    bench.it.look(room, 1.0)
    publication.track = second
    bench.it.look(room, 2.0)
    assert bench.listening == [second]
    assert len(bench.inputs) == 1


def test_a_request_without_effect_is_made_again() -> None:
    """What is not there after a while is asked for again, and counted."""
    bench, publication = Bench(), FakePublication("TR_1")
    room = [FakeParticipant("ann", publication)]
    bench.it.look(room, 1.0)
    bench.it.look(room, 1.0 + RETRY_S - 0.1)
    assert publication.asked == [True]
    bench.it.look(room, 1.0 + RETRY_S)
    assert publication.asked == [True, True]
    assert bench.figures.subscribe_retries == 1


def test_nothing_is_asked_for_while_there_is_no_connection() -> None:
    """During a recovery no request is made; after it everything is asked for at once."""
    bench, publication = Bench(), FakePublication("TR_1")
    room = [FakeParticipant("ann", publication)]
    bench.it.look(room, 1.0, connected=False)
    assert not publication.asked
    bench.it.look(room, 1.0)
    bench.it.forget_requests()
    bench.it.look(room, 1.1)
    assert publication.asked == [True, True]


def test_a_publication_made_anew_is_asked_for_at_once() -> None:
    """After a full reconnect the SDK's objects are new, also under an old sid."""
    bench, old, new = Bench(), FakePublication("TR_1"), FakePublication("TR_1")
    old.track = FakeTrack()
    bench.it.look([FakeParticipant("ann", old)], 1.0)
    bench.it.look([FakeParticipant("ann", new)], 1.1)
    assert not bench.listening
    assert new.asked == [True]
    new.track = FakeTrack()
    bench.it.look([FakeParticipant("ann", new)], 1.2)
    assert bench.listening == [new.track]


def test_a_rule_that_stops_hearing_lets_go_and_may_come_back() -> None:
    """What is no longer heard is unsubscribed; taken back at once, it is asked for only after a pause."""
    bench, publication = Bench(), FakePublication("TR_1")
    room = [FakeParticipant("ann", publication)]
    publication.track = FakeTrack()
    bench.it.look(room, 1.0)
    bench.it.listen = ListenRule(exclude=("ann",))
    bench.it.look(room, 2.0)
    assert publication.asked == [False]
    assert not bench.listening
    assert not bench.inputs
    bench.it.listen = ListenRule()
    bench.it.look(room, 2.1)
    assert publication.asked[-1] is False
    bench.it.look(room, 2.0 + RETRY_S)
    assert publication.asked[-1] is True


def test_a_new_gain_reaches_the_open_input() -> None:
    """A change of the rule's gain is applied without a new stream."""
    bench, publication = Bench(), FakePublication("TR_1")
    publication.track = FakeTrack()
    room = [FakeParticipant("ann", publication)]
    bench.it.look(room, 1.0)
    bench.it.listen = ListenRule(gain_db={"a*": 6.0})
    bench.it.look(room, 1.1)
    assert bench.inputs == {"ann/TR_1": 6.0}
    assert len(bench.streams) == 1


def test_a_stream_without_frames_is_counted_as_stalled() -> None:
    """A stream that should be heard and gives nothing shows in the figures, and no longer when frames come."""
    bench, publication = Bench(), FakePublication("TR_1")
    publication.track = FakeTrack()
    room = [FakeParticipant("ann", publication)]
    bench.it.look(room, 1.0)
    bench.it.look(room, 1.0 + STALL_S)
    assert bench.figures.stalled == 1
    bench.streams[0].frames = 100
    bench.it.look(room, 2.5)
    assert bench.figures.stalled == 0
    assert bench.it.frames == 100


def test_a_stream_that_cannot_be_opened_is_tried_again() -> None:
    """A track that is gone before its stream opens leaves no input, and the next look tries again."""
    bench, publication = Bench(), FakePublication("TR_1")
    publication.track = FakeTrack()
    room = [FakeParticipant("ann", publication)]
    bench.refuse = True
    bench.it.look(room, 1.0)
    assert not bench.inputs
    assert bench.figures.stream_failures == 1
    bench.refuse = False
    bench.it.look(room, 2.0)
    assert bench.listening == [publication.track]


def test_encryption_is_seen_and_not_asked_for() -> None:
    """An encrypted publication makes the room encrypted and is left alone."""
    bench, publication = Bench(), FakePublication("TR_1")
    publication.encryption_type = rtc.EncryptionType.GCM
    bench.it.look([FakeParticipant("ann", publication)], 1.0)
    assert bench.it.encrypted
    assert not publication.asked


def test_a_kind_younger_than_the_sdk_is_no_human() -> None:
    """A participant of a kind without a name is neither counted nor heard."""
    bench, publication = Bench(), FakePublication("TR_1")
    stranger = FakeParticipant("x", publication)
    stranger.kind = rtc.ParticipantKind.ValueType(99)
    bench.it.look([stranger], 1.0)
    assert bench.it.humans == 0
    assert not publication.asked


@pytest.mark.parametrize("times", [1, 2])
async def test_close_leaves_nothing_open(times: int) -> None:
    """Close ends every stream, waits for what takes time, and may be called again."""
    bench = Bench()
    publications = [FakePublication(f"TR_{number}") for number in range(3)]
    for publication in publications:
        publication.track = FakeTrack()
    bench.it.look([FakeParticipant("ann", *publications)], 1.0)
    assert len(bench.listening) == 3
    bench.streams[0].slow = True
    for _ in range(times):
        await bench.it.close()
    assert not bench.listening
    assert not bench.inputs
    assert [stream.tidied for stream in bench.streams] == [True, False, False]


MOVES = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.sampled_from(["track", "no track", "new object", "leave", "join", "exclude", "include", "lost", "back"]),
    ),
    max_size=60,
)


@given(MOVES)
def test_each_track_is_heard_once_and_only_once(moves: list[tuple[int, str]]) -> None:
    """Whatever tracks, people, rules and the connection do, open streams are exactly the tracks of those heard."""
    bench = Bench()
    room = {f"p{number}": FakeParticipant(f"p{number}", FakePublication(f"TR_{number}")) for number in range(4)}
    there, excluded, connected = set(room), set[str](), True
    for step, (number, move) in enumerate(moves):
        name = f"p{number}"
        publication = room[name].track_publications[f"TR_{number}"]
        if move == "track":
            publication.track = FakeTrack()
        elif move == "no track":
            publication.track = None
        elif move == "new object":
            room[name] = FakeParticipant(name, FakePublication(f"TR_{number}"))
        elif move in {"leave", "join"}:
            there = there - {name} if move == "leave" else there | {name}
        elif move in {"exclude", "include"}:
            excluded = excluded | {name} if move == "exclude" else excluded - {name}
            bench.it.listen = ListenRule(exclude=tuple(excluded))
        else:
            connected = move == "back"
        bench.it.look([room[name] for name in sorted(there)], step * 0.7, connected=connected)
        publications = [item for name in there - excluded for item in room[name].track_publications.values()]
        tracks = [item.track for item in publications if item.track is not None]
        assert sorted(map(id, bench.listening)) == sorted(map(id, tracks))
        assert len(bench.inputs) == len(tracks)
        assert bench.it.humans == len(there - excluded)
