"""The audio core between two ends of our own."""

from collections.abc import Iterator

import numpy as np
import pytest

from connector.audio.frames import TAP_SAMPLES, TICK_SAMPLES, TICK_SECONDS, MediaPacket, Samples
from connector.audio.opus import OpusEncoder
from connector.base.legs import AudioCodec
from connector.session.core import AudioCore


class Bench:
    """A core with a clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.sent: list[bytes] = []
        self.pushed: list[Samples] = []
        self.spoken: list[bool] = []
        self.core = AudioCore(lambda: self.now, self.spoken.append)
        self.run()

    def run(self) -> None:
        self.next_at = self.core.run(self.now)
        for stage in self.core.stages:
            stage()

    def ticks(self, count: int) -> None:
        for _ in range(count):
            self.now = max(self.now, self.next_at)
            self.run()

    def connect(self) -> None:
        self.core.answer(AudioCodec.OPUS)
        self.core.attach_agent(lambda payload, _timestamp: self.sent.append(payload))
        self.core.attach_room(self.pushed.append)


def voice(packets: int, amplitude: float = 8000) -> Iterator[MediaPacket]:
    encoder = OpusEncoder()
    for number in range(packets):
        phase = 2 * np.pi * 440 * (np.arange(TICK_SAMPLES) + number * TICK_SAMPLES) / 48_000
        payload = encoder.encode((amplitude * np.sin(phase)).astype(np.int16))
        yield MediaPacket(number, number * TICK_SAMPLES, 1, payload)


def test_one_packet_leaves_for_each_tick() -> None:
    """The stream to the agent never pauses, whether somebody is heard or not."""
    bench = Bench()
    bench.connect()
    bench.ticks(100)
    assert len(bench.sent) == 100
    assert bench.now == pytest.approx(100 + 100 * TICK_SECONDS, abs=0.01)


def test_a_tick_runs_as_soon_as_its_frames_are_there() -> None:
    """While frames are punctual a tick follows within 1.5 ms; one that is 2 ms late is waited for, and nothing lost."""
    bench = Bench()
    bench.connect()
    sink = bench.core.inputs.open("ada", 0.0)
    waits, came = [], bench.now
    for place in range(1_500):
        late_s = 0.002 if place % 100 in {31, 66} else 0.0
        arrives = 100 + 0.01 * place + late_s
        while bench.next_at < arrives:
            bench.now, before = max(bench.now, bench.next_at), len(bench.sent)
            bench.run()
            if len(bench.sent) > before and place > 500:
                waits.append(bench.now - came)
        bench.now = came = arrives
        sink(np.full(TAP_SAMPLES, 1_000, np.int16))
    figures = bench.core.figures()
    assert figures["tick.ticks"] == pytest.approx(750, abs=2)
    assert figures["mix.underruns"] == 0
    assert len(waits) == pytest.approx(500, abs=2)
    assert np.median(waits) < 0.001
    assert max(waits) < 0.0015


def test_nothing_is_sent_before_the_agent_is_connected() -> None:
    """Ticks before the connection only empty the rings."""
    bench = Bench()
    bench.ticks(10)
    assert bench.core.figures()["tick.ticks"] == 10
    assert bench.sent == []


def test_a_reply_is_pushed_as_it_comes_and_silence_is_not() -> None:
    """The agent's sound enters the room with its packet; a pause becomes silence, and a long one nothing at all."""
    bench = Bench()
    bench.connect()
    bench.ticks(1)
    for packet in voice(50):
        before = len(bench.pushed)
        bench.core.on_packet(packet)
        assert len(bench.pushed) >= before
        bench.ticks(1)
    assert bench.spoken == [True]
    assert sum(map(len, bench.pushed)) == pytest.approx(50 * TICK_SAMPLES, abs=2 * TICK_SAMPLES)
    assert all(len(piece) % TAP_SAMPLES == 0 for piece in bench.pushed)
    bench.ticks(100)
    assert bench.spoken == [True, False]
    assert not np.concatenate(bench.pushed[-50:]).any()
    bench.ticks(500)
    pushed = len(bench.pushed)
    bench.ticks(50)
    assert len(bench.pushed) == pushed


def test_a_packet_without_an_agent_is_counted() -> None:
    """Packets before the answer or after the end of a leg change nothing."""
    bench = Bench()
    (packet,) = voice(1)
    bench.core.on_packet(packet)
    assert bench.core.figures()["core.packets_without_agent"] == 1


def test_the_figures_of_several_agent_legs_add_up() -> None:
    """When a leg is replaced, what the first one received still counts."""
    bench = Bench()
    for _ in range(2):
        bench.connect()
        for packet in voice(10):
            bench.core.on_packet(packet)
            bench.ticks(1)
        bench.core.detach_agent()
    assert bench.core.figures()["receive.received"] == 20


def test_a_lost_room_hears_nothing_more() -> None:
    """After the room is detached replies are dropped and counted, not kept."""
    bench = Bench()
    bench.connect()
    bench.core.detach_room()
    for packet in voice(10):
        bench.core.on_packet(packet)
        bench.ticks(1)
    assert bench.pushed == []
    assert bench.core.figures()["core.gated_samples"] > 0
