"""What a leg makes of what the SDK tells it, without a server: a stand-in room, a clock that the test sets."""

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest
import pytest_asyncio
from livekit import rtc
from livekit.rtc._proto import stats_pb2

from connector.audio.frames import FrameSink
from connector.base.ends import EndReason
from connector.base.errors import RoomLegError
from connector.base.legs import HumansChanged, RoomEvent, RoomLost, RoomRecovered, RoomRecovering
from connector.base.people import ListenRule
from connector.base.secrets import Secret
from connector.room import leg as leg_module
from connector.room.leg import LiveKitRoomLeg, RoomLegOptions
from connector.room.seams import SeamProblem
from tests.until import until

OPTIONS = RoomLegOptions(
    url="ws://127.0.0.1:1",
    api_key="key",
    api_secret=Secret("a-secret-that-is-long-enough-for-hs256-really"),
    room="front-desk",
    identity="millis-agent",
    name="Agent",
    worker_id="worker-1",
)


class NoInputs:
    """Inputs that nothing reaches."""

    def open(self, key: str, gain_db: float) -> FrameSink:
        raise AssertionError(f"nobody is heard here, but {key} at {gain_db} dB is")

    def set_gain(self, key: str, gain_db: float) -> None:
        raise AssertionError(key, gain_db)

    def close(self, key: str) -> None:
        raise AssertionError(key)


class Silent:
    """A person that publishes nothing."""

    kind = rtc.ParticipantKind.PARTICIPANT_KIND_STANDARD

    def __init__(self, identity: str) -> None:
        self.identity = identity
        self.attributes: dict[str, str] = {}
        self.track_publications: dict[str, object] = {}


class FakeRoom:
    """The SDK's room, as far as a look at it goes."""

    def __init__(self) -> None:
        self.remote_participants: dict[str, Silent] = {}

    def people(self, count: int) -> None:
        self.remote_participants = {f"p{number}": Silent(f"p{number}") for number in range(count)}

    async def disconnect(self) -> None:
        """It was never connected."""

    async def get_rtc_stats(self) -> rtc.RtcStats:
        report = stats_pb2.RtcStats()
        report.inbound_rtp.stream.kind = "audio"
        report.inbound_rtp.received.packets_received = 50
        return rtc.RtcStats(publisher_stats=[report], subscriber_stats=[])


class Bench:
    """A leg in a stand-in room."""

    def __init__(self) -> None:
        self.now = 100.0
        self.room = FakeRoom()
        self.leg = LiveKitRoomLeg(OPTIONS, NoInputs(), clock=lambda: self.now)
        self.leg._room = self.room  # type: ignore[assignment]
        self.leg._connected = True
        self.leg._joined_at = self.now

    def look(self, seconds: float = 0.0, people: int | None = None) -> None:
        """Let time pass, change who is there, and let the leg look."""
        self.now += seconds
        if people is not None:
            self.room.people(people)
        self.leg._look()

    async def event(self) -> RoomEvent:
        async with asyncio.timeout(5):
            return await self.leg.next_event()


@pytest_asyncio.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    await bench.leg.close()


async def test_more_people_are_told_at_once_and_fewer_a_moment_later(bench: Bench) -> None:
    """Somebody who comes counts at once; who goes counts when still gone after a moment."""
    bench.look(people=2)
    assert bench.leg.humans == 2
    bench.look(people=1)
    assert bench.leg.humans == 2
    bench.look(0.2)
    assert bench.leg.humans == 1
    assert await bench.event() == HumansChanged(1)


async def test_another_listening_rule_counts_at_once_and_also_before_the_join(bench: Bench) -> None:
    """Whoever it excludes is no human any more; a leg that has not joined yet keeps it for later."""
    bench.look(people=2)
    assert await bench.event() == HumansChanged(2)
    bench.leg.update_listen(ListenRule(exclude=("p1",)))
    await asyncio.sleep(0)
    bench.look(0.2)
    assert await bench.event() == HumansChanged(1)
    early = LiveKitRoomLeg(OPTIONS, NoInputs())
    early.update_listen(ListenRule(exclude=("p0",)))
    await asyncio.sleep(0)
    early._room, early._connected = bench.room, True  # type: ignore[assignment]
    early._look()
    assert early.humans == 1
    await early.close()


async def test_people_who_are_back_in_a_moment_were_never_gone(bench: Bench) -> None:
    """A full reconnect empties the SDK's room for a moment: nobody is told."""
    bench.look(people=2)
    assert await bench.event() == HumansChanged(2)
    bench.look(people=0)
    bench.look(0.1, people=2)
    bench.look(1.0)
    assert bench.leg.humans == 2
    bench.leg._on_disconnected(rtc.DisconnectReason.ROOM_DELETED)
    assert isinstance(await bench.event(), RoomLost)


async def test_during_and_after_a_recovery_nobody_is_missed_too_soon(bench: Bench) -> None:
    """While the connection is being restored nobody is counted, and afterwards people get five seconds to come back."""
    bench.look(people=3)
    await bench.event()
    bench.leg._on_reconnecting()
    assert await bench.event() == RoomRecovering()
    bench.look(3.0, people=0)
    assert bench.leg.humans == 3
    bench.leg._on_republished()
    bench.leg._on_reconnected()
    assert await bench.event() == RoomRecovered(full=True, gap_s=3.0)
    bench.look(1.0)
    bench.look(1.0, people=1)
    assert bench.leg.humans == 3
    bench.look(2.9)
    assert bench.leg.humans == 3
    bench.look(1.2)
    assert bench.leg.humans == 1


async def test_a_recovery_without_a_republished_track_is_a_resume(bench: Bench) -> None:
    """Resumes and full reconnects are told apart and counted, with the gap of the last one."""
    bench.leg._on_reconnecting()
    bench.leg._on_reconnecting()
    bench.now += 2.0
    bench.leg._on_reconnected()
    assert await bench.event() == RoomRecovering()
    assert await bench.event() == RoomRecovered(full=False, gap_s=2.0)
    figures = bench.leg.figures()
    assert (figures.resumes, figures.full_reconnects, figures.recovery_gap_s) == (1, 0, 2.0)


async def test_a_recovery_that_never_ends_is_given_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the SDK neither recovers nor gives up, the leg does, with a rejoin."""
    monkeypatch.setattr(leg_module, "_POLL_S", 0.001)
    bench.leg._on_reconnecting()
    assert await bench.event() == RoomRecovering()
    bench.leg._start(bench.leg._poll(), "poll")
    bench.now += 31.0
    lost = await bench.event()
    assert isinstance(lost, RoomLost)
    assert (lost.reason, lost.rejoin) == (EndReason.LIVEKIT_UNREACHABLE, True)


async def test_an_unknown_reason_is_a_lost_connection(bench: Bench) -> None:
    """A reason that is younger than the SDK loses the room, with a rejoin and its number."""
    bench.leg._on_disconnected(4711)
    lost = await bench.event()
    assert isinstance(lost, RoomLost)
    assert (lost.reason, lost.rejoin) == (EndReason.LIVEKIT_UNREACHABLE, True)
    assert "4711" in lost.detail


async def test_a_failure_of_our_own_ends_the_leg(bench: Bench) -> None:
    """An error in one of the leg's tasks is an end with a reason, not a leg that silently stands still."""

    async def fail() -> None:
        raise ValueError("something that nobody thought of")

    bench.leg._start(fail(), "broken")
    lost = await bench.event()
    assert isinstance(lost, RoomLost)
    assert (lost.reason, lost.rejoin) == (EndReason.INTERNAL_ERROR, False)


async def test_settled_waits_for_rivals_only_as_long_as_needed(bench: Bench) -> None:
    """When 250 ms have passed since the join it returns; when a rival came meanwhile it says so."""
    bench.now += 0.25
    await bench.leg.settled()
    waiting = asyncio.create_task(bench.leg.settled())
    bench.leg._on_disconnected(rtc.DisconnectReason.DUPLICATE_IDENTITY)
    await asyncio.wait({waiting})
    with pytest.raises(RoomLegError) as caught:
        await bench.leg.settled()
    assert (caught.value.reason, caught.value.retryable) == (EndReason.REPLACED, False)


async def test_a_rival_within_the_wait_is_noticed_at_once(bench: Bench) -> None:
    """An eviction while `settled` waits ends the wait."""
    waiting = asyncio.create_task(bench.leg.settled())
    await asyncio.sleep(0)
    assert not waiting.done()
    bench.leg._on_disconnected(rtc.DisconnectReason.DUPLICATE_IDENTITY)
    with pytest.raises(RoomLegError, match="same identity"):
        await waiting


async def test_a_library_that_does_not_fit_is_refused(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the seam that has no fallback no join is tried."""
    problem = SeamProblem("join_retries", "livekit 9.9 has no connect.options.join_retries", None)
    monkeypatch.setattr(leg_module, "shape_problems", lambda: (problem,))
    with pytest.raises(RoomLegError, match="join_retries") as caught:
        await bench.leg.join()
    assert (caught.value.reason, caught.value.retryable) == (EndReason.INTERNAL_ERROR, False)


async def test_events_after_close_are_ignored(bench: Bench) -> None:
    """A leg that is being closed neither looks nor tells that it is gone."""
    closing = asyncio.create_task(bench.leg.close())
    await asyncio.sleep(0)
    bench.look(people=5)
    bench.leg._on_disconnected(rtc.DisconnectReason.CLIENT_INITIATED)
    await closing
    await until(lambda: bench.leg.humans == 0)
    assert bench.leg._events.end is None


async def test_pushing_without_a_room_is_harmless(bench: Bench) -> None:
    """Before the join there is no track: audio goes nowhere and nothing raises."""
    bench.leg.push(np.zeros(960, np.int16))
    assert bench.leg.figures().pushed_frames == 0
