"""The audio core of one session: what happens in each 20 ms, between the two legs.

Downwards, in the order of the flow. Towards the agent: the leg's frames → `inputs` (a ring per track, mixed and
limited on the tick) → `SendPath` (Opus) → the agent leg. Towards the room: the agent's packets → `ReceivePath` →
`ReplyGate` → the room leg; `ReplyTimeline` adds silence where the agent pauses. The core knows no leg; both ends are
plain callables that never block.

A tick is worked off in stages (`run`, then `stages`), so that the sessions of a process can go through each together.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from connector.audio.frames import MediaPacket, Samples
from connector.audio.gate import ReplyGate
from connector.audio.mixer import RoomMixer
from connector.audio.quality import CallQuality
from connector.audio.receive import ReceivePath
from connector.audio.send import OutgoingPacket, SendPath
from connector.audio.ticks import EARLY_S, TickGrid, TickSchedule
from connector.audio.timeline import ReplyTimeline
from connector.base.legs import AudioCodec
from connector.session.ledger import merged, numbers

_AGAIN_S = 0.001
"""A tick whose frames are not all there is tried again after so long, until its time has come."""
_NOTHING: Samples = np.zeros(0, dtype=np.int16)


@dataclass(slots=True)
class CoreFigures:
    """Counters of the core itself; the parts have their own."""

    pushed_samples: int = 0
    filled_samples: int = 0
    gated_samples: int = 0
    packets_without_agent: int = 0


class AudioCore:
    """Mixes, encodes, decodes and gates for one session.

    Args:
        clock: Monotonic seconds; also called from native threads.
        on_speaking: Called when the agent starts (True) or stops (False) being heard.
        grid: Shared with the other sessions of the process; one of its own by default.
    """

    def __init__(
        self, clock: Callable[[], float], on_speaking: Callable[[bool], None], grid: TickGrid | None = None
    ) -> None:
        self._clock = clock
        self._on_speaking = on_speaking
        self.inputs = RoomMixer(clock)
        now = clock()
        self._grid = grid or TickGrid(now)
        self._schedule = TickSchedule(self._grid.start(now))
        self._gate = ReplyGate()
        self._timeline = ReplyTimeline()
        self._speaking = False
        self._send: SendPath | None = None
        self._receive: ReceivePath | None = None
        self._to_agent: Callable[[bytes, int], None] | None = None
        self._to_room: Callable[[Samples], None] | None = None
        self._mixed: list[tuple[Samples, float]] = []
        self._packets: list[OutgoingPacket] = []
        self.quality = CallQuality()
        self._figures = CoreFigures()
        self._received: dict[str, float] = {}

    def answer(self, codec: AudioCodec) -> None:
        """The agent leg agreed on a codec: from now on its packets are decoded."""
        self._send = SendPath(codec)
        self._receive = ReceivePath(codec, start=self._clock())

    def attach_agent(self, send: Callable[[bytes, int], None]) -> None:
        """The agent leg is connected: every tick is sent to it from now on."""
        self._to_agent = send

    def detach_agent(self) -> None:
        """The agent leg is gone; what it said last is not played any more."""
        if self._receive is not None:
            self._received = merged(self._received, numbers("receive", self._receive.figures))
        self._to_agent = self._send = self._receive = None
        self._gate = ReplyGate()
        self._show(speaking=False)

    def attach_room(self, push: Callable[[Samples], None]) -> None:
        """The room is joined: replies go there."""
        self._to_room = push

    def detach_room(self) -> None:
        """The room is gone for now; replies are dropped, the agent hears silence."""
        self._to_room = None

    def on_packet(self, packet: MediaPacket) -> None:
        """Take a packet of the agent, as it arrives."""
        receive = self._receive
        if receive is None:
            self._figures.packets_without_agent += 1
            return
        now = self._clock()
        self._reply(receive.add(packet, now), now)

    def run(self, now: float) -> float:
        """Mix the ticks that are due, and the next one before its time if all of its frames are there.

        The `stages` come next, before the next `run`.

        A tick's time is when even late frames have come (`RoomMixer.phase_shift`); most come some milliseconds before.

        Args:
            now: Monotonic seconds.

        Returns:
            When to be called next, in monotonic seconds.
        """
        schedule, inputs = self._schedule, self.inputs
        at = max(now, schedule.next_at)
        early_s = EARLY_S + inputs.lead_s if at > now and inputs.complete(now) else EARLY_S
        self._mixed = [(inputs.tick(at), now) for _ in range(schedule.due(now, early_s))]
        shift_s = inputs.phase_shift(schedule.next_at)
        if shift_s is not None:
            schedule.nudge(self._grid.choose(schedule.next_at, shift_s))
        return max(schedule.next_at - inputs.lead_s, min(schedule.next_at, now + _AGAIN_S))

    @property
    def stages(self) -> tuple[Callable[[], None], ...]:
        """The rest of the ticks that `run` mixed: encode them, send them, and see to the reply."""
        return self._encode, self._deliver, self._finish

    def _encode(self) -> None:
        if self._send is not None and self._to_agent is not None:
            self._packets = [self._send.encode(mixed) for mixed, _ in self._mixed]

    def _deliver(self) -> None:
        packets, self._packets = self._packets, []
        for packet in packets:
            if self._to_agent is not None:
                self._to_agent(packet.payload, packet.timestamp)

    def _finish(self) -> None:
        ticks, self._mixed = self._mixed, []
        for mixed, now in ticks:
            if self._receive is not None:
                self._reply(self._receive.tick(now) or [_NOTHING], now)
            if self._to_room is not None:
                for silence in self._timeline.due(now):
                    self._figures.filled_samples += len(silence)
                    self.quality.filled(len(silence))
                    self._to_room(silence)
            self.quality.tick(mixed, now, self.inputs, self._receive.figures if self._receive is not None else None)

    def _reply(self, frames: list[Samples], now: float) -> None:
        for frame in frames:
            audible = self._gate.process(frame, now)
            if audible is None or self._to_room is None:
                self._figures.gated_samples += len(frame)
                continue
            self._figures.pushed_samples += len(audible)
            self._timeline.pushed(len(audible), now)
            self.quality.pushed(self._gate.levels)
            self._to_room(audible)
        if self._gate.speaking != self._speaking:
            self._show(speaking=self._gate.speaking)

    def _show(self, *, speaking: bool) -> None:
        if speaking != self._speaking:
            self._speaking = speaking
            self._on_speaking(speaking)

    def figures(self) -> dict[str, float]:
        """All counters of the audio path, flat, named ``part.counter``; several agent legs of a session add up."""
        received = self._received
        if self._receive is not None:
            received = merged(received, numbers("receive", self._receive.figures))
        return {
            **numbers("core", self._figures),
            **numbers("mix", self.inputs.figures),
            **numbers("tick", self._schedule.figures),
            **numbers("quality", self.quality.figures()),
            **received,
        }
