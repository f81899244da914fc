import numpy as np
import pytest

from connector.audio.buffer import ClockedBuffer
from connector.audio.coding import Decoder
from connector.audio.figures import ReceiveFigures
from connector.audio.frames import RATE_HZ, TICK_SECONDS, Samples
from connector.audio.line import SampleLine
from connector.audio.opus import OpusDecoder, OpusEncoder
from connector.audio.order import Held, Order
from connector.audio.render import Renderer
from connector.audio.variation import DelayVariation
from tests.network import MarkedDecoder, marked, payloads, speech


class Bench:
    """A clocked buffer with all behind it, and a clock."""

    def __init__(self, decoder: Decoder | None = None) -> None:
        self.figures = ReceiveFigures()
        self.order, self.line, self.variation = Order(self.figures), SampleLine(), DelayVariation()
        self.renderer = Renderer(decoder or MarkedDecoder(), self.line, self.figures)
        self.buffer = ClockedBuffer(self.order, self.renderer, self.line, self.variation, self.figures)
        self.buffer.begin()

    def put(self, number: int, now: float, *, payload: bytes | None = None) -> None:
        data = marked(number).payload if payload is None else payload
        self.variation.add(number * 960, now)
        self.order.put(Held(number, number * 960, 960, data))

    def tick(self, now: float, target: float = 0.040) -> list[int]:
        """The value in the middle of each 10 ms that is played."""
        return [int(value) for value in self.buffer.tick(now, target)[240::480]]


def test_the_first_packet_waits_until_the_target() -> None:
    """A stream starts when its first packet is as old as the target says."""
    bench = Bench()
    bench.put(0, 0.0)
    assert bench.tick(0.005) == []
    bench.put(1, 0.020)
    assert bench.tick(0.025) == []
    bench.put(2, 0.040)
    assert bench.tick(0.045) == [1, 1]
    assert bench.buffer.delay(0.065) == pytest.approx(0.045)


def test_a_missing_packet_is_restored_or_waited_for_until_its_time() -> None:
    """A late packet that is there by its time is played; a lost one comes from the packet behind it."""
    bench = Bench()
    for number in (0, 2, 4):
        bench.put(number, 0.020 * number)
    bench.put(1, 0.050)
    played = [bench.tick(0.081 + TICK_SECONDS * i, 0.080) for i in range(5)]
    assert played == [[1, 1], [2, 2], [3, 3], [4, 4], [5, 5]]
    assert (bench.figures.real_samples, bench.figures.restored_samples) == (4 * 960, 960)


def test_a_buffer_that_runs_dry_conceals_five_frames_and_stops() -> None:
    """Nothing more comes: 100 ms are made up, then there is silence without a sample."""
    bench = Bench()
    bench.put(0, 0.0)
    played = [bench.tick(0.041 + TICK_SECONDS * i) for i in range(8)]
    assert played == [[1, 1], *[[0, 0]] * 5, [], []]
    assert (bench.figures.underruns, bench.figures.pauses) == (1, 1)


def test_after_a_pause_the_stream_starts_anew_with_the_target() -> None:
    """What was made up at the end of the talk is not charged against the next one."""
    bench = Bench()
    bench.put(0, 0.0)
    for i in range(8):
        bench.tick(0.041 + TICK_SECONDS * i)
    bench.put(1, 0.300)
    bench.variation.restart()
    bench.variation.add(960, 0.300)
    assert bench.tick(0.301) == []
    assert bench.tick(0.345) == [2, 2]


def test_silence_between_packets_keeps_the_time() -> None:
    """A gap in the timestamps without a gap in the numbers is waited out, not jumped over."""
    bench = Bench()
    bench.put(0, 0.0)
    bench.order.put(Held(1, 960 * 4, 960, marked(1).payload))
    played = [bench.tick(0.041 + TICK_SECONDS * i) for i in range(5)]
    assert played == [[1, 1], [0, 0], [0, 0], [0, 0], [2, 2]]
    assert bench.figures.filler_samples == 3 * 960


def test_nothing_older_than_the_cap_is_played() -> None:
    """A second of audio that comes at once is left out but for the newest."""
    bench = Bench()
    for number in range(100):
        bench.put(number, 2.0)
    first = bench.tick(2.0, 0.040)
    assert first[0] >= 97
    assert bench.figures.dropped >= 96
    assert bench.buffer.delay(2.02) <= 0.080


def test_a_leap_far_ahead_is_not_waited_for() -> None:
    """A packet that would be due in an hour is played now."""
    bench = Bench()
    bench.put(0, 0.0)
    bench.tick(0.041)
    bench.order.put(Held(1, 3600 * RATE_HZ, 960, marked(1).payload))
    assert 2 in bench.tick(0.061)


def test_a_stream_that_ends_is_played_out() -> None:
    """Draining makes audio of what is held, up to the cap."""
    bench = Bench()
    for number in range(100):
        bench.put(number, 0.02 * number)
    bench.buffer.drain()
    assert 0.160 * RATE_HZ <= len(bench.line) <= 0.180 * RATE_HZ


def steered(audio: Samples, *, behind: float, target: float, seconds: float) -> tuple[Bench, Samples, list[float]]:
    """Play packets that come `behind` ahead of the tick, with another target; gives the audio and the delays."""
    bench = Bench(OpusDecoder())
    encoder = OpusEncoder()
    out, delays = [], []
    for index in range(round(seconds / TICK_SECONDS)):
        now = index * TICK_SECONDS
        bench.put(index, now, payload=encoder.encode(audio[960 * index : 960 * index + 960]))
        out.append(bench.buffer.tick(now + 0.001, behind if index < 25 else target))
        delays.append(bench.buffer.delay(now + 0.021))
    return bench, np.concatenate(out), delays


def test_a_delay_above_the_target_shrinks_within_seconds_by_whole_pitch_periods() -> None:
    """80 ms too much are gone within 4 s of unbroken speech, and nothing clicks."""
    bench, out, delays = steered(speech(8.0), behind=0.120, target=0.040, seconds=7.5)
    assert delays[24] == pytest.approx(0.120, abs=0.015)
    assert all(delay <= 0.055 for delay in delays[25 + 200 :])
    assert bench.figures.skipped_samples == pytest.approx(0.08 * RATE_HZ, abs=0.015 * RATE_HZ)
    assert bench.figures.dropped == 0
    clean = np.concatenate([OpusDecoder().decode(p) for p in payloads(8.0)])
    assert np.abs(np.diff(out.astype(int), 2)).max() < 1.3 * np.abs(np.diff(clean.astype(int), 2)).max()


def test_a_delay_below_the_target_grows_without_a_hole() -> None:
    """80 ms too little are there within a second, without anything being made up."""
    bench, out, delays = steered(speech(8.0), behind=0.040, target=0.120, seconds=7.5)
    assert all(0.105 <= delay <= 0.140 for delay in delays[25 + 50 :])
    assert bench.figures.concealed_samples == bench.figures.filler_samples == 0
    assert bench.figures.underruns == 0
    assert len(out) >= 7.4 * RATE_HZ


def test_silence_is_shortened_first() -> None:
    """In a pause 80 ms too much are gone within half a second."""
    audio = speech(8.0).copy()
    audio[RATE_HZ:] = 0
    _, _, delays = steered(audio, behind=0.120, target=0.040, seconds=3.0)
    assert all(delay <= 0.055 for delay in delays[25 + 25 + 25 :])
