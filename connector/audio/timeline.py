"""The reply's time in the room: silence is pushed where the agent leaves a pause, so that the track's time goes on.

The track's RTP timestamps advance only by what is pushed. A reply after a pause in which nothing was pushed looks, to a
listener's jitter buffer, like packets that are late by the whole pause; NetEQ looks back over 2 s and answers with as
much delay for all that follows. Measured at a participant: after pauses of 0.3 to 2 s, 50 ms became 380 to 670 ms;
after 4 s it stayed at 50. So pauses are filled while people take turns, and only a long silence costs nothing.
"""

import numpy as np

from connector.audio.frames import RATE_HZ, TICK_SAMPLES, TICK_SECONDS, Samples

FILL_S = 10.0
"""Silence that is filled: nearly every pause between turns is shorter. One that ends within the two seconds after it
meets a jitter buffer that remembers; filling for longer makes that rarer, and costs as much CPU as talking."""
_DRY_S = TICK_SECONDS / 2
"""So long may a flowing reply run dry before silence is pushed: the agent's packets come that early or late."""
_MOST_FRAMES = 5
_SILENCE: Samples = np.zeros(TICK_SAMPLES, dtype=np.int16)


class ReplyTimeline:
    """Counts how far the reply has been pushed, and says how much silence is due."""

    def __init__(self) -> None:
        self._until = float("-inf")
        self._spoke = float("-inf")
        self._filling = False

    def pushed(self, samples: int, now: float) -> None:
        """Take note of what the agent says being pushed.

        Args:
            samples: How much.
            now: Monotonic seconds.
        """
        self._until = max(self._until, now) + samples / RATE_HZ
        self._spoke = now
        self._filling = False

    def due(self, now: float) -> list[Samples]:
        """The silence to push on this tick.

        Args:
            now: Monotonic seconds.

        Returns:
            At most 100 ms in pieces of 20 ms; nothing while the reply flows, before its first word, in a long pause.
        """
        dry = now - self._until
        if dry < (0.0 if self._filling else _DRY_S) or now - self._spoke > FILL_S:
            return []
        self._filling = True
        missing = 1 + int(dry / TICK_SECONDS)
        self._until += missing * TICK_SECONDS
        return [_SILENCE] * min(missing, _MOST_FRAMES)
