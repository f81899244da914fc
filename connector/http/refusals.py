"""How refusals get into the log: counted, one line for many. Pure; time is a parameter.

A flood of bad signatures must cost a number each, never a line each.
"""

from collections import Counter
from collections.abc import Mapping

EVERY_S = 10.0


class RefusalCount:
    """Counts refusals by kind, and says when a line is due: at once for the first, then every few seconds at most.

    Args:
        every_s: Seconds between two lines.
    """

    def __init__(self, every_s: float = EVERY_S) -> None:
        self._every_s = every_s
        self._counts: Counter[str] = Counter()
        self._next = float("-inf")

    def note(self, kind: str, now: float) -> Mapping[str, int]:
        """Count one refusal.

        Args:
            kind: From a closed set.
            now: Monotonic seconds.

        Returns:
            The counts since the last line if one is due now, else nothing.
        """
        self._counts[kind] += 1
        if now < self._next:
            return {}
        self._next = now + self._every_s
        return self.rest()

    def rest(self) -> Mapping[str, int]:
        """What was counted since the last line; counting begins anew."""
        counts, self._counts = dict(self._counts), Counter()
        return counts
