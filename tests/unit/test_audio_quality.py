"""How a call sounds, in figures."""

import numpy as np
import pytest

from connector.audio.figures import ReceiveFigures
from connector.audio.frames import RATE_HZ, TICK_SAMPLES, Samples
from connector.audio.levels import FLOOR_DBFS
from connector.audio.mixer import RoomMixer
from connector.audio.quality import DELAYS_EVERY, CallQuality, SpeechMeter, Spread

SILENCE: Samples = np.zeros(TICK_SAMPLES, dtype=np.int16)


def tone(dbfs: float) -> Samples:
    """A tick of a 400 Hz sine with peaks at `dbfs`."""
    wave = np.sin(2 * np.pi * 400 * np.arange(TICK_SAMPLES) / RATE_HZ)
    return np.rint(32_767 * 10 ** (dbfs / 20) * wave).astype(np.int16)


class Call:
    """A quality watch with its clock, a mixer and the counters of a receive path."""

    def __init__(self) -> None:
        self.now = 100.0
        self.mixer = RoomMixer(lambda: self.now)
        self.quality = CallQuality()
        self.receive: ReceiveFigures | None = None

    def ticks(self, count: int, mixed: Samples = SILENCE) -> None:
        for _ in range(count):
            self.now += 0.02
            self.quality.tick(mixed, self.now, self.mixer, self.receive)


def test_the_level_of_speech_is_that_of_its_active_parts() -> None:
    """Silence between words does not lower the mean, and the loudest window is the peak."""
    meter = SpeechMeter()
    assert (meter.mean_dbfs, meter.peak_dbfs, meter.windows) == (FLOOR_DBFS, FLOOR_DBFS, 0)
    meter.add([-20.0] * 100)
    meter.add([FLOOR_DBFS] * 500)
    meter.add([-14.0] * 10)
    assert meter.peak_dbfs == -14.0
    assert meter.mean_dbfs == pytest.approx(-20.3, abs=0.6)
    assert meter.windows == 100 + 25 + 10  # the pause up to 250 ms belongs to the speech (ITU-T P.56 does alike)


def test_noise_alone_is_no_speech() -> None:
    """A quiet room has no level of speech."""
    meter = SpeechMeter()
    meter.add([-70.0] * 200)
    assert meter.windows == 0


def test_a_spread_knows_mean_and_highest() -> None:
    """What was not there to be seen leaves no trace but that it is not there now."""
    spread = Spread()
    assert (spread.mean, spread.highest, spread.latest) == (None, None, None)
    for value in (0.02, 0.04, None):
        spread.add(value)
    assert spread.mean == pytest.approx(0.03)
    assert spread.highest == 0.04
    assert spread.latest is None


def test_a_gap_in_the_reply_is_counted_where_it_enters_the_room() -> None:
    """80 ms of filled-in silence inside speech are one gap; so is a hole in what was decoded; a pause is none."""
    call = Call()
    call.quality.pushed([-20.0] * 50)
    call.quality.filled(4 * TICK_SAMPLES)
    call.quality.pushed([-20.0] * 50)
    call.quality.pushed([FLOOR_DBFS] * 12)
    call.quality.pushed([-20.0] * 50)
    call.quality.filled(100 * TICK_SAMPLES)
    call.quality.pushed([-20.0] * 50)
    figures = call.quality.figures()
    assert (figures.gaps, figures.gap_ms, figures.gap_longest_ms) == (2, 200, 120)
    assert figures.reply_dbfs == pytest.approx(-20, abs=1)
    assert figures.reply_speech_s == pytest.approx(2.45, abs=0.01)


def test_the_mix_is_measured_in_passing() -> None:
    """Two seconds of a tone in the mix are found with their level; silence before has none."""
    call = Call()
    call.ticks(50)
    assert call.quality.figures().mix_dbfs == FLOOR_DBFS
    call.ticks(100, tone(-26))
    figures = call.quality.figures()
    assert figures.mix_dbfs == pytest.approx(-26, abs=0.2)
    assert figures.mix_peak_dbfs == pytest.approx(-26, abs=0.2)
    assert figures.mix_speech_s == pytest.approx(2.0, abs=0.1)


def test_delays_are_looked_at_once_a_second_while_audio_flows() -> None:
    """The receive path's delay counts in seconds in which packets came; without inputs the mix has no delay."""
    call = Call()
    call.ticks(DELAYS_EVERY)
    assert call.quality.reply_delay.latest is None
    call.receive = ReceiveFigures(received=50, delay_ms=40.0)
    call.ticks(DELAYS_EVERY)
    assert call.quality.reply_delay.latest == pytest.approx(0.04)
    call.receive.received, call.receive.delay_ms = 100, 80.0
    call.ticks(DELAYS_EVERY)
    call.ticks(DELAYS_EVERY)  # the agent is silent: no packet came
    assert call.quality.reply_delay.latest is None
    figures = call.quality.figures()
    assert figures.reply_delay_s == pytest.approx(0.06)
    assert figures.reply_delay_most_s == pytest.approx(0.08)
    assert (figures.mix_wait_s, figures.mix_late_s) == (None, None)


def test_the_mix_has_the_delay_of_its_inputs() -> None:
    """What waits in the rings, and the lateness that they allow for, is seen while frames come."""
    call = Call()
    sink = call.mixer.open("ada", 0.0)
    for _ in range(DELAYS_EVERY):
        sink(tone(-20)[:480])
        sink(tone(-20)[480:])
        call.mixer.tick(call.now)
        call.ticks(1)
    figures = call.quality.figures()
    assert call.quality.mix_wait.latest is not None
    assert 0 <= call.quality.mix_wait.latest < 0.1
    assert figures.mix_late_s is not None
    assert 0 <= figures.mix_late_s <= 0.06
