"""The way of a leg's events to its session: a handful at most wait, the latest state wins, the end is final."""

import asyncio

from connector.base.legs import HumansChanged, RoomEncrypted, RoomEvent, RoomLost, RoomRecovered, RoomRecovering

_REPLACES: dict[type[object], tuple[type[object], ...]] = {
    HumansChanged: (HumansChanged,),
    RoomEncrypted: (RoomEncrypted,),
    RoomRecovering: (RoomRecovering, RoomRecovered),
    RoomRecovered: (RoomRecovered,),
}
"""What an event makes obsolete among those that still wait."""


class EventBox:
    """Holds what the session has not taken yet: at most one event of each kind.

    A recovery that began and ended before anybody looked is told as both; one that began again is told as begun.
    After `RoomLost` nothing is taken any more, and `next` gives it again and again.
    """

    def __init__(self) -> None:
        self._waiting: list[RoomEvent] = []
        self._there = asyncio.Event()
        self._end: RoomLost | None = None

    @property
    def end(self) -> RoomLost | None:
        """How the leg was lost, once it is, whether or not that was taken."""
        return self._end

    def put(self, event: RoomEvent) -> None:
        """Add an event."""
        if self._end is not None:
            return
        if isinstance(event, RoomLost):
            self._end = event
        obsolete = _REPLACES.get(type(event), ())
        self._waiting = [*(waiting for waiting in self._waiting if not isinstance(waiting, obsolete)), event]
        self._there.set()

    async def next(self) -> RoomEvent:
        """The oldest event that was not taken; waits for one."""
        while not self._waiting:
            if self._end is not None:
                return self._end
            self._there.clear()
            await self._there.wait()
        return self._waiting.pop(0)

    async def wait_end(self) -> RoomLost:
        """Wait until the leg is lost, without taking an event."""
        while self._end is None:
            self._there.clear()
            await self._there.wait()
        return self._end
