import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.audio.frames import RATE_HZ, TICK_SAMPLES, Samples
from connector.audio.levels import (
    FLOOR_DBFS,
    GapCounter,
    LevelMeter,
    SpeechDetector,
    audible_gaps,
    dbfs,
    gain_from_db,
    tick_levels,
    window_levels,
)


def tone(dbfs_: float, ms: float, hz: float = 300) -> Samples:
    """A sine with peaks at `dbfs_`."""
    times = np.arange(round(ms * RATE_HZ / 1000)) / RATE_HZ
    return np.rint(32_767 * 10 ** (dbfs_ / 20) * np.sin(2 * np.pi * hz * times)).astype(np.int16)


def noise(dbfs_: float, ms: float, seed: int = 1) -> Samples:
    """White noise of that level."""
    size = round(ms * RATE_HZ / 1000)
    rms = 32_768 / np.sqrt(2) * 10 ** (dbfs_ / 20)
    return np.rint(np.random.default_rng(seed).normal(0, rms, size)).astype(np.int16)


def silence(ms: float) -> Samples:
    """Digital silence."""
    return np.zeros(round(ms * RATE_HZ / 1000), dtype=np.int16)


@pytest.mark.parametrize("level", [0.0, -6.0, -20.0, -50.0])
def test_a_sine_reads_the_level_of_its_peaks(level: float) -> None:
    """RMS is taken against a full-scale sine."""
    assert dbfs(tone(level, 100)) == pytest.approx(level, abs=0.1)
    assert window_levels(tone(level, 100)) == pytest.approx(np.full(10, level), abs=0.1)


@given(st.integers(0, 50), st.floats(-90, 0))
def test_the_quick_levels_are_the_same(ms: int, level: float) -> None:
    """Window by window what `window_levels` says; what is left over is a window of its own."""
    sound = noise(level, ms + 0.5)
    levels = tick_levels(sound)
    assert levels[: len(sound) // 480] == pytest.approx(window_levels(sound).tolist(), abs=0.01)
    rest = len(sound) % 480
    assert levels[len(sound) // 480 :] == ([pytest.approx(dbfs(sound[-rest:]), abs=0.01)] if rest else [])


def test_silence_reads_the_floor() -> None:
    """Digital silence and no samples at all read -120, not minus infinity."""
    assert dbfs(silence(20)) == FLOOR_DBFS
    assert dbfs(silence(0)) == FLOOR_DBFS
    assert window_levels(silence(25)).tolist() == [FLOOR_DBFS, FLOOR_DBFS]


def test_no_gain_is_exactly_one() -> None:
    """0 dB changes nothing at all, 6 dB doubles within a hundredth."""
    assert gain_from_db(0) == 1.0
    assert gain_from_db(6) == pytest.approx(2, rel=0.01)


def test_a_meter_rises_at_once_and_falls_by_half_the_power_in_60_ms() -> None:
    """The first loud frame shows; in silence 3 dB go every 60 ms."""
    meter = LevelMeter()
    assert meter.add(tone(-10, 20)) == pytest.approx(-10, abs=0.1)
    for _ in range(6):
        meter.add(silence(20))
    assert meter.dbfs == pytest.approx(-16, abs=0.2)
    meter.rest()
    assert meter.dbfs == FLOOR_DBFS


def test_a_meter_that_sees_one_frame_in_five_falls_as_fast() -> None:
    """The span that a frame stands for counts, not its length."""
    meter = LevelMeter()
    meter.add(tone(-10, 20))
    meter.add(silence(20), span_s=0.12)
    assert meter.dbfs == pytest.approx(-16, abs=0.2)


def test_speech_starts_with_its_first_10_ms_and_ends_after_the_hangover() -> None:
    """A voice is noticed within a window and bridged over a pause of 200 ms, not over one of 300."""
    detector = SpeechDetector()
    assert not detector.add(noise(-70, 500))
    assert detector.add(tone(-26, 10))
    assert detector.add(silence(200))
    assert not detector.add(silence(60))


def test_a_fan_is_not_speech_for_long() -> None:
    """Steady noise that is switched on becomes the floor, and speech above it is still found."""
    detector = SpeechDetector()
    detector.add(silence(500))
    assert detector.add(noise(-45, 100))
    assert not detector.add(noise(-45, 8_000))
    assert detector.add(tone(-20, 20))


def test_a_long_sentence_stays_speech() -> None:
    """Ten seconds of syllables at a usual level do not lift the floor above them."""
    detector = SpeechDetector()
    for _ in range(50):
        assert detector.add(np.concatenate([tone(-22, 120), tone(-40, 40), silence(40)]))


@given(st.lists(st.integers(0, 3_000), min_size=1, max_size=30))
def test_a_detector_does_not_care_how_the_stream_is_cut(sizes: list[int]) -> None:
    """Any cutting of the same sound gives the same answer."""
    sound = np.concatenate([noise(-70, 300), tone(-30, 100), noise(-50, 200), silence(150)])
    cut, whole = SpeechDetector(), SpeechDetector()
    position = 0
    for size in sizes:
        cut.add(sound[position : position + size])
        position += size
    whole.add(sound[:position])
    assert (cut.speaking, cut.floor_dbfs) == (whole.speaking, whole.floor_dbfs)


def with_hole(ms: float) -> Samples:
    """Speech of a second with a hole in its middle."""
    speech = tone(-20, 1_000)
    begin = RATE_HZ // 2
    speech[begin : begin + round(ms * 48)] = 0
    return speech


@pytest.mark.parametrize(("hole_ms", "lengths"), [(0, []), (30, []), (60, []), (80, [80]), (300, [300])])
def test_a_hole_over_60_ms_is_an_audible_gap(hole_ms: float, lengths: list[int]) -> None:
    """Holes are gaps from more than 60 ms on, by the counter and against the original alike."""
    heard = with_hole(hole_ms)
    assert [gap.length_ms for gap in audible_gaps(heard)] == lengths
    found = audible_gaps(heard, tone(-20, 1_000))
    assert [gap.length_ms for gap in found] == lengths
    assert all(gap.start_s == pytest.approx(0.5, abs=0.011) for gap in found)


def test_a_pause_of_the_speaker_is_no_gap() -> None:
    """A voice that dies away, a long pause, and silence before and after speech are no gaps."""
    fading = np.concatenate([tone(-20, 300), tone(-50, 60), silence(200), tone(-20, 300)])
    long = np.concatenate([silence(500), tone(-20, 300), silence(1_500), tone(-20, 300), silence(500)])
    assert audible_gaps(fading) == audible_gaps(long) == []


def test_an_original_that_is_silent_too_has_no_gap() -> None:
    """Against the original, only what is missing counts."""
    said = np.concatenate([tone(-20, 300), silence(200), tone(-20, 300)])
    assert audible_gaps(said, said) == []
    assert len(audible_gaps(said)) == 1


def test_the_counter_adds_up_a_stream() -> None:
    """Fed in ticks, the counter knows number, longest and sum."""
    counter = GapCounter()
    sound = np.concatenate([with_hole(80), with_hole(200), with_hole(40)])
    for begin in range(0, len(sound), TICK_SAMPLES):
        counter.add(sound[begin : begin + TICK_SAMPLES])
    assert (counter.count, counter.longest_ms, counter.total_ms) == (2, 200, 280)
    assert counter.newest is not None
    assert counter.newest.start_s == pytest.approx(1.5, abs=0.011)


def test_noise_after_a_hole_does_not_make_it_one() -> None:
    """A hole must have speech on both sides: faint noise for over 30 ms behind it, and it was the speaker's pause."""
    assert audible_gaps(np.concatenate([tone(-20, 300), silence(100), noise(-52, 100), tone(-20, 300)])) == []


def test_levels_do_instead_of_samples() -> None:
    """A detector and a counter that are given window levels say the same as those that measure the sound."""
    sound = np.concatenate([noise(-70, 300), with_hole(80), silence(400)])
    levels = window_levels(sound).tolist()
    heard, told = SpeechDetector(), SpeechDetector()
    assert heard.add(sound) == told.add_levels(levels)
    assert heard.floor_dbfs == told.floor_dbfs
    counted, listed = GapCounter(), GapCounter()
    counted.add(sound)
    listed.add_levels(levels)
    assert (counted.count, counted.total_ms, listed.count, listed.total_ms) == (1, 80, 1, 80)
