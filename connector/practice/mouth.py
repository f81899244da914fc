"""What the practice agent is saying: one piece at a time, handed out in ticks, broken off at any of them. Pure."""

import numpy as np

from connector.audio.frames import TICK_SAMPLES, Samples

_FADE = 240
"""5 ms: short enough to be at once, long enough not to click."""


class Mouth:
    """Holds the piece that is being said.

    Attributes:
        speaking: Whether something is left to say.
    """

    def __init__(self) -> None:
        self._piece: Samples = np.zeros(0, dtype=np.int16)
        self._at = 0
        self._broken_off = self._repeat = False

    @property
    def speaking(self) -> bool:
        """Whether something is left to say."""
        return self._at < len(self._piece)

    def say(self, piece: Samples, *, repeat: bool = False) -> None:
        """Begin a piece, in place of what was being said.

        Args:
            piece: 48 kHz mono int16; whole ticks of it if it is to be repeated without a gap.
            repeat: Begin again at its end, for ever.
        """
        self._piece, self._at, self._broken_off, self._repeat = piece, 0, False, repeat

    def stop(self) -> None:
        """Break off: the next tick fades out within 5 ms, after it there is silence."""
        self._broken_off = True

    def tick(self) -> Samples:
        """The next 20 ms; silence when there is nothing to say. The samples are those of the piece, untouched."""
        out = np.zeros(TICK_SAMPLES, dtype=np.int16)
        part = self._piece[self._at : self._at + TICK_SAMPLES]
        if self._broken_off:
            part = (part[:_FADE] * np.linspace(1.0, 0.0, len(part[:_FADE]))).astype(np.int16)
            self._at = len(self._piece)
        self._at += TICK_SAMPLES
        if self._repeat and not self._broken_off and not self.speaking:
            self._at = 0
        out[: len(part)] = part
        return out
