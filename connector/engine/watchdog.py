"""The self-fence: a thread that ends the engine when it was frozen, or when its event loop hangs.

A frozen worker that thaws would take its rooms back from its successor: LiveKit's native threads reconnect 30-300 ms
after waking, without Python (`facts/livekit.md` §1.2). So the first thing that runs after a thaw must end the process:
this thread wakes every 10 ms and compares a clock that also counts suspended time.
"""

import os
import select
import sys
import threading
import time
from collections.abc import Callable

FENCED_EXIT_CODE = 70
_PERIOD_S = 0.01
FROZEN_S = 5.0
"""LiveKit gives a silent participant at least 15 s; a gap of 5 s is far from any scheduling hiccup."""
LOOP_HUNG_S = 12.0
"""As long as the agent leg may be without a datagram; a loop that hangs longer has lost its calls anyway."""


class Fence:
    """Decides, from two clocks, whether the process must end. Pure; the thread below asks it.

    Args:
        now: Seconds of a clock that counts suspended time.
    """

    def __init__(self, now: float) -> None:
        self._last = now
        self._beat = now

    def beat(self, now: float) -> None:
        """The event loop is alive."""
        self._beat = now

    def verdict(self, now: float) -> str | None:
        """Why the process must end, or None. To be called every 10 ms."""
        gap, self._last = now - self._last, now
        if gap > FROZEN_S:
            return f"this process stood still for {gap:.1f} s"
        if now - self._beat > LOOP_HUNG_S:
            return f"the event loop has not run for {now - self._beat:.1f} s"
        return None


class Watchdog:
    """The thread. `beat()` must be called from the event loop at least every few seconds.

    Args:
        leave: Ends the process at once, without any clean-up.
        clock: Seconds, counting suspended time.
    """

    def __init__(
        self,
        *,
        leave: Callable[[int], object] = os._exit,
        clock: Callable[[], float] = lambda: time.clock_gettime(time.CLOCK_BOOTTIME),
    ) -> None:
        self._leave = leave
        self._clock = clock
        self._fence = Fence(clock())
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="self-fence", daemon=True)

    def start(self) -> None:
        """Start watching."""
        self._thread.start()

    def beat(self) -> None:
        """The event loop is alive."""
        self._fence.beat(self._clock())

    def stop(self) -> None:
        """Stop watching and wait for the thread."""
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.is_set():
            why = self._fence.verdict(self._clock())
            if why is not None:
                self._leave(self._say(why))
                return
            time.sleep(_PERIOD_S)

    @staticmethod
    def _say(why: str) -> int:
        """One raw line, if it can be written at once: the log may hang on a lock, and a full pipe would hang us."""
        stderr = sys.stderr.fileno()
        if select.select([], [stderr], [], 0)[1]:
            os.write(stderr, f"engine ends itself: {why}; its rooms are free for another\n".encode())
        return FENCED_EXIT_CODE
