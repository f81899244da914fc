"""From packets to audio: decode, restore from the next packet, conceal, and join it all without clicks.

The renderer walks along the timestamps. Its *cursor* is where its audio ends so far; what it made up is charged
against the packets that come for that time after all, so that its audio never grows longer than the stream's.
"""

import numpy as np

from connector.audio.coding import Decoder, PayloadError
from connector.audio.figures import ReceiveFigures
from connector.audio.frames import SAMPLES_PER_MS, TICK_SAMPLES, Samples
from connector.audio.line import SampleLine
from connector.audio.order import Held

MAX_CONCEALED = 5 * TICK_SAMPLES
"""Five frames, 100 ms: then a made-up sound is worse than none (NetEQ fades within the same time)."""
_FULL = 2 * TICK_SAMPLES
"""The first two frames of a concealment stay as the decoder makes them; the rest fades to nothing, which libopus' own
concealment does not: it goes over to the background noise that it believes to have heard."""
_RISE = 5 * SAMPLES_PER_MS
"""How long a faded sound takes to come back."""
_JOIN = 5 * SAMPLES_PER_MS // 2
"""How long a step between two pieces that do not belong together takes to decay."""


class Renderer:
    """Makes one continuous line of samples from packets and the gaps between them.

    Args:
        decoder: Of the negotiated codec.
        line: Where the audio goes.
        figures: Where to count.

    Attributes:
        cursor: Timestamp at the end of the line, in 48 kHz samples.
        started: Whether a packet of this stream was played.
        concealed: Samples made up since the last real ones.
    """

    def __init__(self, decoder: Decoder, line: SampleLine, figures: ReceiveFigures) -> None:
        self._decoder = decoder
        self._line = line
        self._figures = figures
        self._real_end = 0
        self._gain = 1.0
        self._broken = True
        self._last = 0
        self._unexplained = 0
        self.cursor = 0
        self.started = False
        self.concealed = 0

    @property
    def exhausted(self) -> bool:
        """Whether as much was made up as ever will be: the stream has stopped."""
        return self.concealed >= MAX_CONCEALED

    def restart(self) -> None:
        """The timestamps begin anew: the next packet is played whatever its own."""
        self.started = False
        self._broken = True
        self._explain(lost=False)

    def forgive(self) -> None:
        """Take what was made up as an extra: what comes for that time is played all the same."""
        self._explain(lost=False)
        self.cursor = self._real_end

    def play(self, held: Held, *, missing: int) -> None:
        """Add a packet's audio, and what is missing before it as far as it can be made.

        Args:
            held: The packet; not an empty one.
            missing: How many packets before it have not come.
        """
        if not self.started:
            self.started = self._broken = True
            self._jump(held.start)
        gap = held.start - self.cursor
        self._explain(lost=missing > 0 or held.start <= self._real_end)
        if held.start < self._real_end:
            self._jump(held.start)
        elif gap > 0:
            if missing:
                self._bridge(held, gap)
            self._jump(max(self.cursor, held.start))
        self._figures.lost += missing if gap > 0 or self.concealed else 0
        overlap = max(0, self.cursor - held.start)
        try:
            samples = self._decoder.decode(held.payload)
        except PayloadError:
            self._figures.undecodable += 1
            self.conceal(held.samples - overlap)
            self._explain(lost=True)
            return
        self._real_end = held.start + len(samples)
        self.concealed = 0
        if overlap:
            self._broken = True
        self._figures.real_samples += self._add(samples[overlap:])

    def spare(self, held: Held) -> int:
        """How much of the audio before a packet can be restored from it, in 48 kHz samples."""
        return self._decoder.spare_samples(held.payload)

    def conceal(self, samples: int) -> None:
        """Make audio up, as far as that goes on.

        Args:
            samples: How much at least, up to what the decoder makes at a time; less when the concealment is exhausted.
        """
        quantum = self._decoder.quantum
        count = min(-(-samples // quantum) * quantum, MAX_CONCEALED - self.concealed)
        if count > 0:
            made = self._fade(self._decoder.conceal(count))
            self.concealed += count
            self._unexplained += self._add(made)
            self._figures.pauses += self.exhausted

    def _bridge(self, held: Held, gap: int) -> None:
        """Fill the gap before a packet: conceal what is far from it, restore what is next to it."""
        spare = self.spare(held)
        self.conceal(gap - spare)
        self._explain(lost=True)
        if spare:
            self._jump(max(self.cursor, held.start - spare))
            restored = self._decoder.restore(held.payload, spare)
            known = self.cursor - (held.start - spare)
            self._broken = self._broken or known > 0
            self.concealed = 0
            self._figures.restored_samples += self._add(restored[known:])

    def _jump(self, to: int) -> None:
        if self.cursor != to:
            self._broken = self._broken or abs(to - self.cursor) >= self._decoder.quantum
            self.cursor = self._real_end = to

    def _explain(self, *, lost: bool) -> None:
        """Book what was made up since the last packet, now that it is known why."""
        if lost:
            self._figures.concealed_samples += self._unexplained
        else:
            self._figures.filler_samples += self._unexplained
        self._unexplained = 0

    def _fade(self, samples: Samples) -> Samples:
        """Let an ongoing concealment fade to nothing."""
        at = self.concealed + np.arange(1, len(samples) + 1)
        gain = np.clip((MAX_CONCEALED - at) / (MAX_CONCEALED - _FULL), 0, 1)
        self._gain = float(gain[-1])
        out: Samples = (samples * gain).astype(np.int16)
        return out

    def _add(self, samples: Samples) -> int:
        """Append to the line, joined to what is there; returns how many samples were added."""
        if not len(samples):
            return 0
        self.cursor = self.cursor + len(samples)
        if self._gain < 1 and not self.concealed:
            samples = self._rise(samples)
        if self._broken:
            samples = self._joined(samples)
        self._last = int(samples[-1])
        self._line.append(samples)
        return len(samples)

    def _rise(self, samples: Samples) -> Samples:
        """Bring a sound that faded back to its level."""
        ramp = np.linspace(self._gain, 1, _RISE)[: len(samples)]
        self._gain = 1.0
        out = samples.copy()
        out[: len(ramp)] = samples[: len(ramp)] * ramp
        return out

    def _joined(self, samples: Samples) -> Samples:
        """Let the step from the last sample to these decay instead of clicking."""
        self._broken = False
        decay = np.linspace(1, 0, _JOIN)[: len(samples)]
        out = samples.copy()
        step = self._last - int(samples[0])
        out[: len(decay)] = np.clip(samples[: len(decay)] + step * decay, -32_768, 32_767)
        return out
