"""From the agent's packets to audio for the room, however the network treats them.

One packet's way, downwards: `Stream` finds its place (order.py) → `DelayVariation` judges how late it is (variation.py)
→ `Order` holds it until its turn (order.py) → `Renderer` makes it audio, and fills what is missing (render.py) →
`SampleLine` (line.py) → the room.

Two ways of taking turns. *Cut-through*, while the network is calm: a packet is played as it comes; a hole is filled as
soon as the packet behind it is there. *Clocked*, when packets come out of time for which a buffer would have waited:
the 20 ms tick empties a buffer as deep as the network is uneven (buffer.py), until it has been calm for a while.
"""

from connector.audio.buffer import ClockedBuffer
from connector.audio.codecs import make_decoder
from connector.audio.coding import Decoder
from connector.audio.figures import ReceiveFigures
from connector.audio.frames import RATE_HZ, TAP_SAMPLES, TICK_SAMPLES, MediaPacket, Samples
from connector.audio.line import SampleLine
from connector.audio.order import Held, Order, Standing, Stream
from connector.audio.render import Renderer
from connector.audio.variation import CAP_S, DelayVariation
from connector.base.legs import AudioCodec

_PUNCTUAL_S = 0.015
"""Cut-through passes unevenness on to the listener's own jitter buffer; less than a frame does no harm there."""
_ONCE_S = 0.020
"""Packets out of time that come together tell of one hiccup: a busy sender, or our own event loop."""
_AGAIN_S = 1.0
"""One hiccup is filled in like a loss, which adds no delay; another one within a second is jitter."""
_CALM_S = 3.0
"""Without a packet out of time for so long, a network is calm again."""
_GRACE_S = 0.025
"""Silence that long after a packet was due is concealed: 45 ms after the one before it (`facts/media.md` §7)."""
_BURST_S = 0.100
"""So much more than real time handed on in cut-through would only be delay at the listener's."""
_BACKLOG_S = 0.060
"""The clocked buffer lets the listener's backlog run off to this first; three ticks of catching up fit in."""
_LEAK = 0.01
"""Share of real time by which a listener's jitter buffer quietly catches up; also absorbs clock drift."""


class _Backlog:
    """How far ahead of real time audio was handed on: a leaky bucket that stands for the listener's buffer."""

    def __init__(self, start: float) -> None:
        self._level = 0.0
        self._at = start

    def level(self, now: float) -> float:
        """Seconds ahead."""
        self._level = max(0.0, self._level - max(0.0, now - self._at) * (1 + _LEAK))
        self._at = max(self._at, now)
        return self._level

    def add(self, samples: int, now: float) -> None:
        """Take note of audio handed on."""
        self._level = self.level(now) + samples / RATE_HZ


class ReceivePath:
    """The receive path of one agent leg.

    Args:
        codec: What the answer picked.
        start: Monotonic seconds now.
        decoder: Instead of the codec's own one.

    Attributes:
        figures: What was counted so far.
    """

    def __init__(self, codec: AudioCodec, *, start: float, decoder: Decoder | None = None) -> None:
        self.figures = ReceiveFigures()
        self._decoder = decoder or make_decoder(codec)
        self._stream = Stream(self._decoder.clock_hz, self.figures)
        self._order = Order(self.figures)
        self._variation = DelayVariation()
        self._line = SampleLine()
        self._renderer = Renderer(self._decoder, self._line, self.figures)
        self._buffer = ClockedBuffer(self._order, self._renderer, self._line, self._variation, self.figures)
        self._backlog = _Backlog(start)
        self._packet_samples = TICK_SAMPLES
        self._unsettled_at = -_AGAIN_S

    def add(self, packet: MediaPacket, now: float) -> list[Samples]:
        """Take a packet, as it comes.

        Args:
            packet: Any packet of the stream; nothing in it can make this fail.
            now: Its arrival in monotonic seconds.

        Returns:
            Audio to play at once: 48 kHz mono int16, each piece a multiple of 480 samples. Nothing while the clocked
            buffer is in charge.
        """
        held = self._accept(packet)
        if held is None:
            return []
        if held.fresh or held.leap or (held.payload and held.newest and self._variation.leaps(held.start, now)):
            self._begin_anew(held)
        straight = bool(held.payload) and not self.figures.clocked and self._order.passes(held)
        standing = Standing.TAKEN if straight else self._order.put(held)
        if standing is Standing.REFUSED or not held.payload:
            return []
        self._packet_samples = held.samples
        self._judge(held, standing, now)
        if straight:
            if not self.figures.clocked and self._backlog.level(now) <= _BURST_S:
                return self._pass_straight(held, now)
            self._order.put(held)
        if not self.figures.clocked:
            return self._pass_on(now)
        if self._is_calm(now) and self._can_yield():
            self._switch(clocked=False)
            return self._pass_on(now)
        return []

    def tick(self, now: float) -> list[Samples]:
        """Every 20 ms: the clocked buffer's turn, and in cut-through a look at whether the stream has stopped.

        Args:
            now: Monotonic seconds.

        Returns:
            Audio to play at once, as for `add`.
        """
        if not self.figures.clocked:
            return self._conceal_overdue(now)
        if self._backlog.level(now) > _BACKLOG_S:
            return []
        calm = self._is_calm(now)
        if calm and len(self._line) + self._order.samples < TICK_SAMPLES:
            self._switch(clocked=False)
            return self._hand_on(self._line.take(len(self._line) // TAP_SAMPLES * TAP_SAMPLES), now)
        target = 0.0 if calm else self._variation.target(self._packet_samples)
        self.figures.target_ms = target * 1000
        return self._hand_on(self._buffer.tick(now, target), now)

    def _accept(self, packet: MediaPacket) -> Held | None:
        """Find the packet's place; None when nothing can be made of it."""
        self.figures.received += 1
        samples = self._decoder.packet_samples(packet.payload) if packet.payload else 0
        self.figures.empty += not packet.payload
        if packet.payload and not samples:
            self.figures.undecodable += 1
            return None
        return self._stream.place(packet, samples)

    def _begin_anew(self, held: Held) -> None:
        """Let what was held run out, and forget what was known: another stream, or timestamps that leapt."""
        self._buffer.drain()
        if held.fresh:
            self._decoder.reset()
        else:
            self.figures.timestamp_leaps += 1
        self._order.restart()
        self._variation.restart()
        self._renderer.restart()
        self._buffer.begin()

    def _judge(self, held: Held, standing: Standing, now: float) -> None:
        """See how late a packet is, and whether waiting for the likes of it would help."""
        late_by = self._variation.add(held.start, now)
        if held.newest and late_by > CAP_S and self._renderer.exhausted:
            # The sender paused without letting its timestamps go on, as far as one packet can tell.
            self._variation.restart()
            late_by = self._variation.add(held.start, now)
        waited_for = late_by <= self._variation.target(self._packet_samples)
        if waited_for and (late_by > _PUNCTUAL_S or standing is Standing.LATE):
            since = now - self._unsettled_at
            if _ONCE_S < since <= _AGAIN_S and not self.figures.clocked:
                self._switch(clocked=True)
            if since > _ONCE_S:
                self._unsettled_at = now

    def _is_calm(self, now: float) -> bool:
        return now - self._unsettled_at >= _CALM_S

    def _can_yield(self) -> bool:
        """Whether the packet that just came would be played next, and almost at once."""
        head = self._order.head()
        return (
            head is not None
            and head.samples == self._order.samples
            and head.start <= self._renderer.cursor
            and len(self._line) <= TAP_SAMPLES
        )

    def _switch(self, *, clocked: bool) -> None:
        self.figures.clocked = clocked
        self.figures.mode_switches += 1
        self.figures.target_ms = 0.0
        if clocked:
            self._buffer.begin()

    def _pass_straight(self, held: Held, now: float) -> list[Samples]:
        """Cut-through as it nearly always is, at a third of the cost: the next packet comes, and nothing waits."""
        self._order.passed(held)
        if self._renderer.exhausted:
            self._renderer.forgive()
        self._renderer.play(held, missing=0)
        self._trim()
        return self._hand_on(self._line.take(len(self._line) // TAP_SAMPLES * TAP_SAMPLES), now)

    def _pass_on(self, now: float) -> list[Samples]:
        """Cut-through: play what is there, the missing filled in."""
        if self._backlog.level(now) > _BURST_S:
            self._unsettled_at = now
            self._switch(clocked=True)
            return []
        while self._order.head() is not None:
            missing = self._order.missing
            if self._renderer.exhausted and not missing:
                self._renderer.forgive()
            self._renderer.play(self._order.pop(), missing=missing)
        self._trim()
        return self._hand_on(self._line.take(len(self._line) // TAP_SAMPLES * TAP_SAMPLES), now)

    def _trim(self) -> None:
        """Let go of what would stay behind for ever: the clocked buffer's stretching leaves odd lengths."""
        odd = len(self._line) % TAP_SAMPLES
        if odd and self._packet_samples % TAP_SAMPLES == 0 and len(self._line) >= 2 * odd:
            self._line.shorten(odd)
            self.figures.skipped_samples += odd

    def _conceal_overdue(self, now: float) -> list[Samples]:
        """Cut-through: make something up when nothing came, until it is clear that the stream has stopped."""
        renderer = self._renderer
        if not renderer.started or renderer.exhausted or now - self._variation.due(renderer.cursor) < _GRACE_S:
            return []
        renderer.conceal(TICK_SAMPLES)
        return self._hand_on(self._line.take(len(self._line) // TAP_SAMPLES * TAP_SAMPLES), now)

    def _hand_on(self, samples: Samples, now: float) -> list[Samples]:
        if not len(samples):
            return []
        self._backlog.add(len(samples), now)
        if self._renderer.started:
            start = self._renderer.cursor - len(self._line) - len(samples)
            self.figures.delay_ms = (now - self._variation.due(start)) * 1000
        return [samples]
