"""The gate on the reply: the agent's silence is held back, and it is known when the agent speaks.

Pushing nothing is the largest single saving of the media path (media.md §1); what the room needs of a pause between
turns is added behind the gate (`timeline`). It must never cost a syllable, so it judges by single windows of 10 ms,
opens with the very frame that holds the sound, and closes only after 300 ms without any.
"""

import numpy as np

from connector.audio.frames import RATE_HZ, Samples, peak
from connector.audio.levels import FLOOR_DBFS, WINDOW_SAMPLES, tick_levels

SILENCE_S = 0.3
"""Silence after which the gate closes (design): longer than the closures and short pauses inside speech."""
LOWEST_DBFS = -60.0
"""Sound below this is never pushed for its own sake. The weakest fricatives stand 30 dB under the vowels (Fant 1960),
so at about -50 dBFS in a voice of usual level (-20 to -26 dBFS); what a codec makes of silence stays below -75
dBFS."""
HIGHEST_DBFS = -48.0
"""Sound above this always passes, however steady. Comfort noise (RFC 3389) is sent up to about -50 dBov."""
ABOVE_NOISE_DB = 10.0
"""Steady noise reads within 4 dB of its mean in windows of 10 ms; what stands this far above it is something else."""

_LOWEST_FLOOR_DBFS = LOWEST_DBFS - ABOVE_NOISE_DB
_STILL = 7
"""A window whose peak is no higher cannot reach the lowest noise floor, -70 dBFS."""
_RISE_DB_PER_WINDOW = 0.12
"""The noise floor rises by 12 dB a second: comfort noise at -50 dBFS is known as such after about a second."""


class ReplyGate:
    """Passes the agent's sound on and holds its silence back.

    A noise floor is kept, so that the comfort noise of a sender with DTX counts as silence too: between -60 and -48
    dBFS, only what stands 10 dB above the floor opens the gate.

    Attributes:
        speaking: Whether the gate is open: sound within the last 300 ms.
        threshold_dbfs: Level from which a window of 10 ms counts as sound.
        held_samples: Samples not passed on.
        openings: Times that it opened.
        levels: Levels of the whole windows of what came last, in dBFS.
    """

    def __init__(self) -> None:
        self.speaking = False
        self.held_samples = 0
        self.openings = 0
        self.levels: list[float] = []
        self._floor = _LOWEST_FLOOR_DBFS
        self._last_sound = float("-inf")

    @property
    def threshold_dbfs(self) -> float:
        """Level from which a window of 10 ms counts as sound."""
        return min(HIGHEST_DBFS, max(LOWEST_DBFS, self._floor + ABOVE_NOISE_DB))

    def process(self, samples: Samples, now: float) -> Samples | None:
        """Pass the next sound of the agent, or hold it back.

        Args:
            samples: 48 kHz mono int16 of any length. Call it on every tick, with an empty array when nothing came, so
                that
                `speaking` ends by itself when the agent stops sending.
            now: Monotonic seconds.

        Returns:
            The same array while open; a copy that fades out when it closes; None while closed or for an empty array.
        """
        if self._hears(samples):
            self._last_sound = now
            self.openings += not self.speaking
            self.speaking = True
            return samples
        if self.speaking and now - self._last_sound < SILENCE_S:
            return samples if len(samples) else None
        closing, self.speaking = self.speaking, False
        if closing and len(samples):
            return _faded(samples)
        self.held_samples += len(samples)
        return None

    def _hears(self, samples: Samples) -> bool:
        """Whether any window holds sound. The last one may be shorter; a loud onset in it must not wait."""
        whole = len(samples) // WINDOW_SAMPLES
        if not len(samples) or peak(samples) <= _STILL:
            self._floor = _LOWEST_FLOOR_DBFS if len(samples) else self._floor
            self.levels = [FLOOR_DBFS] * whole
            return False
        levels = tick_levels(samples)
        self.levels = levels[:whole]
        threshold = self.threshold_dbfs
        for level in levels:
            self._floor = min(max(level, _LOWEST_FLOOR_DBFS), self._floor + _RISE_DB_PER_WINDOW)
        return any(level > threshold for level in levels)


def _faded(samples: Samples) -> Samples:
    """A copy that ends in silence: what follows is nothing, and noise that breaks off is heard."""
    fade = min(len(samples), RATE_HZ // 100)
    out = samples.copy()
    out[-fade:] = np.rint(out[-fade:] * np.linspace(1.0, 0.0, fade))
    return out
