from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from connector.audio.frames import RATE_HZ, TICK_SAMPLES, Samples
from connector.audio.ring import CAP_SAMPLES, CAPACITY, FADE_SAMPLES, TrackRing

FRAME = 480
TICK = 0.02
START = 100.0
LOUD = 12_000
MAX_PREFILL = 2_880

Lateness = Callable[[int], float]


def punctual(_: int) -> float:
    """No lateness at all."""
    return 0.0


def tone(seconds: float, hz: float = 200.0) -> Samples:
    """A sine whose largest step between samples is 314 at 200 Hz."""
    wave = np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE_HZ)) / RATE_HZ)
    return np.asarray(np.rint(LOUD * wave), dtype=np.int16)


def hiss(seconds: float) -> Samples:
    """Loud noise, in which every stretch of samples is unique."""
    noise = np.random.default_rng(7).integers(-8_000, 8_000, round(seconds * RATE_HZ))
    return noise.astype(np.int16)


@dataclass
class Bench:
    """A ring with a clock that stands still until a frame or a tick moves it.

    Attributes:
        heard: What each tick gave, silence where it gave None.
        waiting: What was left behind each tick.
    """

    now: float = START
    heard: list[Samples] = field(default_factory=list)
    waiting: list[int] = field(default_factory=list)
    none: int = 0

    def __post_init__(self) -> None:
        self.ring = TrackRing(lambda: self.now)

    def write(self, samples: Samples, at: float) -> None:
        """A frame arrives."""
        self.now = at
        self.ring.write(samples)

    def tick(self, at: float) -> Samples | None:
        """A tick takes its 20 ms."""
        self.now = max(self.now, at)
        out = self.ring.read(self.now)
        self.none += out is None
        self.heard.append(np.zeros(TICK_SAMPLES, dtype=np.int16) if out is None else out)
        self.waiting.append(self.ring.waiting)
        return out

    def run(
        self,
        sound: Samples,
        late: Lateness = punctual,
        *,
        tick_late: Lateness = punctual,
        phase: float = 0.004,
        ppm: float = 0.0,
    ) -> None:
        """Play a sound in 10 ms frames against a 20 ms clock; late ones come in bursts, never out of order."""
        count = len(sound) // FRAME
        written, ticks = 0, 1
        arrival = wake = 0.0
        while written < count:
            due = START + (written + 1) * 0.01 * (1 + ppm * 1e-6) + late(written)
            arrival = max(arrival, due)
            wake = max(wake, START + ticks * TICK + phase + tick_late(ticks))
            if arrival <= wake:
                self.write(sound[written * FRAME : (written + 1) * FRAME], arrival)
                written += 1
            else:
                self.tick(wake)
                ticks += 1

    def output(self) -> NDArray[np.int32]:
        """All that was heard."""
        return np.concatenate(self.heard).astype(np.int32)


def biggest_step(samples: NDArray[np.int32]) -> int:
    """The largest difference between neighbouring samples."""
    return int(np.abs(np.diff(samples)).max(initial=0))


NO_CLICK = 900
"""A seam fades one piece of the tone out and another in: twice the tone's step (2 x 314), and the slope of both fades
(2 x 12,000 x pi/2/240 = 157), rounded up. A plain cut would step by up to 24,000."""


def test_a_steady_track_passes_bit_by_bit() -> None:
    """After the fade-in of its first 5 ms, a punctual track is copied exactly, and nothing odd is counted."""
    bench = Bench()
    sound = hiss(1.0)
    bench.run(sound)
    heard = np.concatenate([tick for tick in bench.heard if tick.any()])[FADE_SAMPLES:]
    begin = int(np.flatnonzero((sound[:-1] == heard[0]) & (sound[1:] == heard[1]))[0])
    assert np.array_equal(heard, sound[begin : begin + len(heard)])
    figures = bench.ring.figures
    assert (figures.underruns, figures.drops, figures.slowed_ticks, figures.hurried_ticks) == (0, 0, 0, 0)
    assert figures.written_samples == len(sound)
    assert figures.ticks == len(bench.heard) - bench.none


def test_a_ring_without_frames_gives_none() -> None:
    """Nothing heard is None, before the first frame and while half a tick is there."""
    bench = Bench()
    assert bench.tick(START) is None
    bench.write(tone(0.01), START + 0.01)
    assert bench.tick(START + 0.02) is None
    assert bench.ring.figures.underruns == 0


def test_a_track_starts_after_a_short_prefill() -> None:
    """A tick's worth of samples alone does not start it; once lateness of 5 ms would do no harm, it does."""
    bench = Bench()
    bench.write(tone(0.02), START)
    assert bench.tick(START + 0.001) is None
    assert bench.tick(START + 0.006) is not None


def test_a_starved_track_fades_out_and_back_in() -> None:
    """When frames stop, the last sound fades within 5 ms, then there is nothing; when they return, it fades in."""
    bench = Bench()
    bench.run(tone(1.0))
    now = START + 1.03
    while (out := bench.tick(now)) is not None and out[-1]:
        now += TICK
    assert out is not None
    assert bench.tick(now + TICK) is None
    assert bench.ring.figures.underruns == 1
    for place in range(4):
        bench.write(tone(0.01), now + 0.05 + place * 0.01)
    resumed = bench.tick(now + 0.1)
    assert resumed is not None
    assert abs(int(resumed[0])) < 10
    assert biggest_step(bench.output()) < NO_CLICK


def test_a_ring_of_silence_starves_in_silence() -> None:
    """A track of zeros that stops leaves zeros and then nothing."""
    bench = Bench()
    bench.run(np.zeros(RATE_HZ // 5, dtype=np.int16))
    for place in range(3):
        bench.tick(START + 0.25 + place * TICK)
    assert not bench.output().any()
    assert bench.tick(START + 0.5) is None
    assert bench.ring.fade_out() is None


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1_500), st.integers(0, 45)), min_size=1, max_size=80))
def test_no_pattern_of_frames_and_ticks_clicks(pattern: list[tuple[int, int]]) -> None:
    """Whatever lengths of frames come between whatever ticks, no two neighbouring samples differ by a click."""
    bench = Bench()
    sound = tone(3.0)
    position, now = 0, START
    for length, wait_ms in pattern:
        now += wait_ms / 1000
        bench.write(sound[position : position + length], now)
        position += length
        bench.tick(now)
    assert biggest_step(bench.output()) < NO_CLICK


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=100))
def test_a_ring_read_on_the_clock_never_keeps_more_than_its_cap(frames_per_tick: list[int]) -> None:
    """However many frames come per tick, at most the prefill and 30 ms are left behind one."""
    bench = Bench()
    for place, frames in enumerate(frames_per_tick):
        now = START + place * TICK
        for _ in range(frames):
            bench.write(tone(0.01), now)
        playing = bench.tick(now + 0.006) is not None
        prefill = int(bench.ring.arrivals.spread * RATE_HZ)
        assert prefill <= MAX_PREFILL
        if playing and bench.ring.waiting >= FRAME:
            assert bench.ring.waiting <= prefill + CAP_SAMPLES
    figures = bench.ring.figures
    assert figures.dropped_samples >= 0
    assert (figures.drops == 0) == (figures.dropped_samples == 0)


def test_frames_may_have_any_length() -> None:
    """Frames of 2.5, 9.2, 20, 40 and 60 ms are heard without a gap, bit by bit."""
    for length in (120, 441, 960, 1_920, 2_880):
        bench = Bench()
        sound = hiss(1.2)
        for begin in range(0, len(sound) - length, length):
            now = START + (begin + length) / RATE_HZ
            while START + (len(bench.heard) + 1) * TICK < now:
                bench.tick(START + (len(bench.heard) + 1) * TICK)
            bench.write(sound[begin : begin + length], now)
        heard = np.concatenate([tick for tick in bench.heard if tick.any()])[FADE_SAMPLES:]
        first = int(np.flatnonzero((sound[:-1] == heard[0]) & (sound[1:] == heard[1]))[0])
        assert np.array_equal(heard, sound[first : first + len(heard)])
        assert bench.ring.figures.underruns == 0


def test_a_frame_longer_than_the_ring_leaves_its_end() -> None:
    """Only the newest 400 ms of an absurd frame are kept."""
    bench = Bench()
    sound = hiss(2.0)
    bench.write(sound, START)
    out = bench.tick(START + 0.1)
    assert out is not None
    assert bench.ring.waiting <= CAPACITY
    rest = bench.tick(START + 0.12)
    assert rest is not None
    end = len(sound) - bench.ring.waiting
    assert np.array_equal(rest, sound[end - TICK_SAMPLES : end])


@pytest.mark.parametrize("ppm", [-500, -100, 100])
def test_clock_drift_is_followed_without_clicks(ppm: float) -> None:
    """A source that is off by 100 ppm, or fast by 500, is heard for two minutes without a gap, a drop or a click."""
    bench = Bench()
    bench.run(tone(120.0), tick_late=lambda place: 0.001 * (place % 3 == 0), ppm=ppm)
    figures = bench.ring.figures
    assert (figures.underruns, figures.drops) == (0, 0)
    assert (figures.slowed_ticks if ppm > 0 else figures.hurried_ticks) > 50
    assert bench.ring.waiting < 2 * FRAME + TICK_SAMPLES
    steady = bench.output()[RATE_HZ:]
    assert biggest_step(steady) <= 314 * 1.02


def test_regular_lateness_is_learnt() -> None:
    """Frames that are 15 ms late again and again starve the ring at first, and never once it knows them."""
    bench = Bench()
    bench.run(tone(30.0), late=lambda place: 0.015 if place % 40 == 13 else 0.0)
    early = bench.ring.figures.underruns
    assert early <= 4
    later = bench.output()[len(bench.heard) * TICK_SAMPLES // 4 :]
    # A gap would show as a stretch of silence longer than the tone's zero crossings.
    quiet = np.convolve(np.abs(later) < 100, np.ones(100), mode="valid")
    assert quiet.max() < 100


def test_the_delay_comes_down_after_a_busy_spell() -> None:
    """Twelve seconds after lateness has ended, no more is waiting than for a track that never was late."""
    busy, calm = Bench(), Bench()
    busy.run(tone(30.0), late=lambda place: 0.025 if place < 1_000 and place % 50 == 7 else 0.0)
    calm.run(tone(30.0))
    assert max(busy.waiting[450:500]) > max(calm.waiting[450:500])
    assert max(busy.waiting[-100:]) <= max(calm.waiting[-100:]) + 96


def test_one_hiccup_costs_no_lasting_delay() -> None:
    """After a single frame that is 80 ms late, the delay is back within 8 s."""
    bench = Bench()
    bench.run(tone(16.0), late=lambda place: 0.08 if place == 600 else 0.0)
    assert bench.ring.figures.underruns == 1
    assert max(bench.waiting[310:330]) > max(bench.waiting[250:300])
    assert max(bench.waiting[-100:]) <= max(bench.waiting[250:300]) + 96


def test_a_late_start_is_made_up_for_within_five_seconds() -> None:
    """A track whose first frames come late in a bunch is soon heard without the delay that this has put it at."""
    bench = Bench()
    bench.run(tone(8.0), late=lambda place: max(0.0, 0.02 - 0.01 * place))
    figures = bench.ring.figures
    assert max(bench.waiting[:50]) >= FRAME
    assert max(bench.waiting[250:]) < FRAME
    assert (figures.underruns, figures.drops, figures.slowed_ticks) == (0, 0, 0)


def test_in_silence_corrections_are_made_at_once() -> None:
    """Where nothing can be heard, the delay is not stretched away but skipped."""
    bench = Bench()
    bench.run(np.zeros(8 * RATE_HZ, dtype=np.int16), late=lambda place: 0.08 if place == 300 else 0.0)
    figures = bench.ring.figures
    assert figures.jumps >= 1
    assert figures.hurried_ticks <= 1
    assert bench.waiting[-1] < 2 * FRAME


def test_a_late_reader_loses_nothing() -> None:
    """When the event loop stalls for 80 ms and catches up, every sample is heard, in one piece."""
    bench = Bench()
    sound = hiss(2.0)
    # The ticks of 1.00 to 1.08 s all come at 1.08 s.
    bench.run(sound, tick_late=lambda place: max(0.0, 0.08 - (place - 50) * TICK) if 50 <= place < 55 else 0.0)
    figures = bench.ring.figures
    assert (figures.underruns, figures.drops, figures.hurried_ticks) == (0, 0, 0)
    heard = np.concatenate([tick for tick in bench.heard if tick.any()])[FADE_SAMPLES:]
    begin = int(np.flatnonzero((sound[:-1] == heard[0]) & (sound[1:] == heard[1]))[0])
    assert np.array_equal(heard, sound[begin : begin + len(heard)])


def test_a_reader_that_was_away_for_long_goes_on_near_the_newest_frame() -> None:
    """After a stall of a second the oldest samples are dropped, with a fade, and the delay is bounded."""
    bench = Bench()
    bench.run(tone(2.0))
    for place in range(100):
        bench.write(tone(0.01), START + 2.0 + (place + 1) * 0.01)
    for place in range(3):
        bench.tick(START + 3.01 + place * TICK)
    assert bench.ring.figures.drops >= 1
    assert bench.ring.waiting <= MAX_PREFILL + CAP_SAMPLES
    assert biggest_step(bench.output()) < NO_CLICK


def test_a_source_that_stops_and_returns_is_heard_again() -> None:
    """A pause of a second is no lateness: the track comes back with its usual delay."""
    bench = Bench()
    bench.run(tone(12.0), late=lambda place: 1.0 if place >= 300 else 0.0)
    assert bench.ring.figures.pauses == 1
    assert bench.ring.figures.underruns == 1
    assert bench.waiting[-1] <= 2 * FRAME
    assert bench.output()[-RATE_HZ:].any()


def test_a_closed_ring_takes_nothing() -> None:
    """After close, the sink changes nothing; what was playing can be faded out once."""
    bench = Bench()
    bench.run(tone(0.505))
    bench.ring.close()
    bench.write(tone(0.01), START + 0.6)
    assert bench.ring.figures.written_samples == 24_000
    faded = bench.ring.fade_out()
    assert faded is not None
    assert not faded[FADE_SAMPLES:].any()
    assert biggest_step(np.concatenate([bench.output(), faded])) < NO_CLICK
    assert bench.ring.fade_out() is None


class Overtaken(TrackRing):
    """A ring whose writer laps the reader just while that copies, once."""

    lap: Samples | None = None

    def _window(self, begin: int, length: int) -> Samples:
        piece = super()._window(begin, length)
        if self.lap is not None:
            lap, self.lap = self.lap, None
            for place in range(0, len(lap), FRAME):
                self.write(lap[place : place + FRAME])
        return piece


def test_what_the_writer_overwrote_meanwhile_is_not_heard() -> None:
    """When the samples to play are overwritten while being copied, the last sound fades instead."""
    bench = Bench()
    bench.ring = ring = Overtaken(lambda: bench.now)
    bench.run(tone(1.005))
    ring.lap = np.full(CAPACITY, 30_000, dtype=np.int16)
    out = bench.tick(START + 1.03)
    assert out is not None
    assert out.max() < 30_000
    assert not out[FADE_SAMPLES:].any()
    assert ring.figures.torn == 1
    bench.tick(START + 1.05)
    assert biggest_step(bench.output()) < NO_CLICK
    assert bench.heard[-1].max() == 30_000
