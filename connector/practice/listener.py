"""When somebody begins and ends to speak, and what was said in between. Pure: audio and its time in, events out.

A plain level threshold: the connector's mix is digital silence when nobody speaks, so nothing cleverer is needed, and a
test can say exactly what will count as speech.
"""

from dataclasses import dataclass

import numpy as np

from connector.audio.frames import RATE_HZ, Samples
from connector.practice.sound import level_dbfs

_WINDOW = RATE_HZ // 100
"""10 ms, the step of every decision."""
_PRE_ROLL_WINDOWS = 10
"""100 ms before the first loud window belong to the utterance: soft onsets."""


@dataclass(frozen=True)
class SpeechBegan:
    """Somebody began to speak at `at` (monotonic)."""

    at: float


@dataclass(frozen=True)
class SpeechEnded:
    """The last sound was at `at`; `samples` is the whole utterance."""

    at: float
    samples: Samples


class Listener:
    """Cuts a stream of audio into utterances.

    Args:
        end_after_s: Quiet that ends an utterance.
        onset_s: Sound that begins one; shorter clicks do not.
        threshold_dbfs: RMS level of 10 ms from which they are sound.
        longest_s: An utterance that lasts longer is cut here, so that nothing grows without bound.

    Attributes:
        speaking: Whether somebody speaks (or has stopped for less than `end_after_s`).
    """

    def __init__(
        self,
        *,
        end_after_s: float = 0.6,
        onset_s: float = 0.03,
        threshold_dbfs: float = -50.0,
        longest_s: float = 20.0,
    ) -> None:
        self.speaking = False
        self._end_after = round(end_after_s * 100)
        self._onset = max(1, round(onset_s * 100))
        self._threshold = threshold_dbfs
        self._longest = round(longest_s * 100)
        self._kept: list[Samples] = []
        self._rest: Samples = np.zeros(0, dtype=np.int16)
        self._loud = 0
        self._quiet = 0

    def add(self, samples: Samples, at: float) -> list[SpeechBegan | SpeechEnded]:
        """Take the next samples of any length, whose first belongs to the monotonic time `at`.

        Returns:
            What happened, in order.
        """
        begin = at - len(self._rest) / RATE_HZ
        stream = np.concatenate([self._rest, samples])
        whole = len(stream) // _WINDOW
        self._rest = stream[whole * _WINDOW :]
        events: list[SpeechBegan | SpeechEnded] = []
        for index in range(whole):
            window = stream[index * _WINDOW : (index + 1) * _WINDOW]
            event = self._window(window, begin + (index + 1) * _WINDOW / RATE_HZ)
            if event is not None:
                events.append(event)
        return events

    def _window(self, window: Samples, end: float) -> SpeechBegan | SpeechEnded | None:
        loud = level_dbfs(window) > self._threshold
        self._loud = self._loud + 1 if loud else 0
        self._quiet = 0 if loud else self._quiet + 1
        self._kept.append(window)
        if self.speaking:
            over = self._quiet >= self._end_after or len(self._kept) >= self._longest
            return self._end(end) if over else None
        del self._kept[: -(_PRE_ROLL_WINDOWS + self._onset)]
        if self._loud < self._onset:
            return None
        self.speaking = True
        return SpeechBegan(end - self._loud * _WINDOW / RATE_HZ)

    def _end(self, end: float) -> SpeechEnded:
        spoken = self._kept[: len(self._kept) - max(0, self._quiet - _PRE_ROLL_WINDOWS)]
        quiet_s = self._quiet * _WINDOW / RATE_HZ
        self._kept, self._loud, self.speaking = [], 0, False
        return SpeechEnded(end - quiet_s, np.concatenate(spoken))
