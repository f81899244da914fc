"""The replay guard: an event counts once. Pure; time is a parameter.

LiveKit's webhooks carry no nonce, and it repeats one whose answer was lost: the id of the event is remembered.
"""

KEEP_S = 7 * 60.0
"""Longer than an event may be old (6 min), so that nothing forgotten is accepted again."""
MOST_IDS = 50_000
"""About 120 events a second for 7 min, 8 MB. Past that the oldest are forgotten; a repeated look does no harm."""


class ReplayGuard:
    """Remembers the ids of events for a while.

    Args:
        keep_s: For how long.
        most: How many at most.
    """

    def __init__(self, keep_s: float = KEEP_S, most: int = MOST_IDS) -> None:
        self._keep_s = keep_s
        self._most = most
        self._ids: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._ids)

    def seen(self, event_id: str, now: float) -> bool:
        """Whether an event was remembered within the time.

        Args:
            event_id: Its id.
            now: Monotonic seconds.
        """
        at = self._ids.get(event_id)
        return at is not None and now - at <= self._keep_s

    def remember(self, event_id: str, now: float) -> None:
        """Remember an event that was acted on; one that was put off (503) must not be, its repetition is wanted.

        Args:
            event_id: Its id.
            now: Monotonic seconds, never less than before.
        """
        self._ids.pop(event_id, None)
        self._ids[event_id] = now
        while self._ids:
            oldest = next(iter(self._ids))
            if len(self._ids) <= self._most and now - self._ids[oldest] <= self._keep_s:
                return
            del self._ids[oldest]
