"""The way of a leg's events to its session."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from connector.base.ends import EndReason
from connector.base.legs import HumansChanged, RoomEncrypted, RoomEvent, RoomLost, RoomRecovered, RoomRecovering
from connector.room.events import EventBox

LOST = RoomLost(EndReason.REMOVED, rejoin=False, detail="removed")
RECOVERED = RoomRecovered(full=True, gap_s=1.0)


async def taken(*events: RoomEvent) -> list[RoomEvent]:
    """What a session that looks late finds."""
    box = EventBox()
    for event in events:
        box.put(event)
    box.put(LOST)
    found: list[RoomEvent] = []
    while not found or found[-1] != LOST:
        found.append(await box.next())
    return found[:-1]


async def test_the_latest_state_wins() -> None:
    """Of several counts only the last is told."""
    assert await taken(HumansChanged(1), HumansChanged(2), HumansChanged(0)) == [HumansChanged(0)]


async def test_a_whole_recovery_is_told_whole() -> None:
    """A recovery that began and ended unseen is told as both, in order."""
    assert await taken(RoomRecovering(), RECOVERED) == [RoomRecovering(), RECOVERED]


async def test_a_recovery_that_began_again_is_told_as_begun() -> None:
    """An end of a recovery that is over again is not told."""
    assert await taken(RoomRecovering(), RECOVERED, RoomRecovering()) == [RoomRecovering()]
    assert await taken(RECOVERED, RoomRecovering()) == [RoomRecovering()]


async def test_different_events_keep_their_order() -> None:
    """What does not replace each other comes in the order it happened."""
    assert await taken(RoomEncrypted(), HumansChanged(1)) == [RoomEncrypted(), HumansChanged(1)]


async def test_the_end_is_final() -> None:
    """After the end nothing more is taken, and the end is given again and again."""
    box = EventBox()
    box.put(HumansChanged(1))
    box.put(LOST)
    box.put(HumansChanged(2))
    box.put(RoomLost(EndReason.REPLACED, rejoin=False, detail="later"))
    assert [await box.next() for _ in range(4)] == [HumansChanged(1), LOST, LOST, LOST]
    assert box.end == LOST
    assert await box.wait_end() == LOST


async def test_both_kinds_of_waiting_wake_up() -> None:
    """Who waits for the next event and who waits for the end do not take each other's wake-up."""
    box = EventBox()
    event, end = asyncio.create_task(box.next()), asyncio.create_task(box.wait_end())
    await asyncio.sleep(0)
    box.put(HumansChanged(1))
    assert await event == HumansChanged(1)
    assert not end.done()
    event = asyncio.create_task(box.next())
    await asyncio.sleep(0)
    box.put(LOST)
    assert await event == LOST
    assert await end == LOST


@given(
    st.lists(
        st.one_of(
            st.integers(0, 5).map(HumansChanged),
            st.just(RoomEncrypted()),
            st.just(RoomRecovering()),
            st.booleans().map(lambda full: RoomRecovered(full=full, gap_s=1.0)),
        ),
        max_size=40,
    )
)
def test_a_box_never_holds_more_than_one_of_a_kind(events: list[RoomEvent]) -> None:
    """However much happens unseen, at most one event of each kind waits, and the last of each kind is the newest."""
    found = asyncio.run(taken(*events))
    kinds = [type(event) for event in found]
    assert len(kinds) == len(set(kinds))
    for event in found:
        assert event == [other for other in events if type(other) is type(event)][-1]
