"""Rooms to look at: a bounded set, filled by triggers and by time. Not a queue of events. Pure."""

from connector.base.trigger import Trigger

MAX_HINTS = 1_000
"""Beyond this a look at everything is cheaper than one at each."""


class Hints:
    """Collects what is to be looked at, and when. Time is monotonic seconds."""

    def __init__(self) -> None:
        self._now: dict[str, Trigger] = {}
        self._later: dict[str, float] = {}
        self._everything = False

    def __len__(self) -> int:
        return len(self._now)

    def add(self, room: str, trigger: Trigger) -> None:
        """Look at this room soon; the first trigger counts."""
        if room in self._now:
            return
        if len(self._now) >= MAX_HINTS:
            self._everything = True
            return
        self._now[room] = trigger

    def add_all(self) -> None:
        """Look at everything soon."""
        self._everything = True

    def at(self, room: str, when: float) -> None:
        """Look at this room at this time; a later wish replaces an earlier one."""
        if room in self._later or len(self._later) < MAX_HINTS:
            self._later[room] = when

    def next_at(self) -> float | None:
        """When something becomes due by time; None when nothing will."""
        return min(self._later.values(), default=None)

    @property
    def waiting(self) -> bool:
        """Whether something is to be looked at now."""
        return bool(self._now) or self._everything

    def take(self, now: float) -> tuple[dict[str, Trigger], bool]:
        """What is to be looked at now.

        Returns:
            Rooms with their triggers, and whether everything is to be looked at.
        """
        for room in [room for room, when in self._later.items() if when <= now]:
            del self._later[room]
            self._now.setdefault(room, Trigger.RECONCILE)
        rooms, everything = self._now, self._everything
        self._now, self._everything = {}, False
        return rooms, everything
