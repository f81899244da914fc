"""When to try again, pure: waits and limits for a lost agent leg and a lost room leg.

Numbers: `facts/faults.md` §1 rows 18-20 and §2, `facts/livekit.md` §3.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from connector.base.errors import LegError

AMBIGUOUS_WAIT_S = 5.0
"""After a try that may have begun a billed session: the least wait, so that a stray session can end first."""
RETRY_AFTER_CAP_S = 60.0
AGENT_BACKOFF_S = (1.0, 30.0)
REJOIN_BACKOFF_S = (0.5, 15.0)
REJOIN_FOR_S = 300.0
HOLD_AGENT_S = 30.0
"""How long a billed agent session is kept while the room cannot be reached."""

_MAX_DOUBLINGS = 16


def full_jitter(first_s: float, cap_s: float, attempt: int, rand: Callable[[], float]) -> float:
    """Exponential back-off with full jitter.

    Args:
        first_s: Upper bound of the first wait, in seconds.
        cap_s: Upper bound of every wait, in seconds.
        attempt: 0 for the first wait.
        rand: Uniform in [0, 1).

    Returns:
        Seconds to wait.
    """
    return min(cap_s, first_s * 2.0 ** min(attempt, _MAX_DOUBLINGS)) * rand()


@dataclass(slots=True)
class AgentRetries:
    """Counts the tries of the agent leg within a sliding window and says how long to wait for the next.

    Attributes:
        attempts: The most tries within the window.
        within_s: The window, in seconds.
    """

    attempts: int
    within_s: float
    _tries: deque[float] = field(default_factory=deque)

    def next_wait(self, error: LegError | None, now: float, rand: Callable[[], float]) -> float | None:
        """Count a failure and plan the next try.

        Args:
            error: What failed, or None when an established leg was lost.
            now: Monotonic seconds.
            rand: Uniform in [0, 1).

        Returns:
            Seconds to wait, or None when the tries are used up.
        """
        while self._tries and now - self._tries[0] > self.within_s:
            self._tries.popleft()
        if len(self._tries) >= self.attempts:
            return None
        attempt = len(self._tries)
        self._tries.append(now)
        if error is None:
            return 0.0 if attempt == 0 else full_jitter(*AGENT_BACKOFF_S, attempt - 1, rand)
        wait = full_jitter(*AGENT_BACKOFF_S, attempt, rand)
        if error.retry_after_s is not None:
            wait = min(error.retry_after_s, RETRY_AFTER_CAP_S)
        if error.may_have_begun:
            wait = max(wait, AMBIGUOUS_WAIT_S)
        return wait
