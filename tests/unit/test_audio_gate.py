import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.audio.frames import RATE_HZ, TICK_SAMPLES, Samples
from connector.audio.gate import ReplyGate

TICK = 0.02
SILENCE: Samples = np.zeros(TICK_SAMPLES, dtype=np.int16)
NOTHING: Samples = np.zeros(0, dtype=np.int16)


def tone(dbfs: float, samples: int = TICK_SAMPLES) -> Samples:
    """A 400 Hz sine with peaks at `dbfs`."""
    wave = np.sin(2 * np.pi * 400 * np.arange(samples) / RATE_HZ)
    return np.rint(32_767 * 10 ** (dbfs / 20) * wave).astype(np.int16)


def noise(dbfs: float, seed: int) -> Samples:
    """A tick of white noise of that level."""
    rms = 32_768 / np.sqrt(2) * 10 ** (dbfs / 20)
    return np.rint(np.random.default_rng(seed).normal(0, rms, TICK_SAMPLES)).astype(np.int16)


def passed(gate: ReplyGate, ticks: list[Samples], start: float = 0.0) -> list[bool]:
    """Which of the ticks, 20 ms apart, are passed on."""
    return [gate.process(tick, start + place * TICK) is not None for place, tick in enumerate(ticks)]


def test_silence_is_never_pushed() -> None:
    """An agent that has not spoken yet costs nothing."""
    gate = ReplyGate()
    assert passed(gate, [SILENCE] * 50) == [False] * 50
    assert not gate.speaking
    assert gate.held_samples == 50 * TICK_SAMPLES


def test_the_first_sound_passes_at_once_and_untouched() -> None:
    """The frame that holds the onset is the very array that goes on."""
    gate = ReplyGate()
    passed(gate, [SILENCE] * 10)
    onset = tone(-30)
    assert gate.process(onset, 0.2) is onset
    assert gate.speaking
    assert gate.openings == 1


def test_300_ms_of_silence_close_the_gate() -> None:
    """Silence passes for 300 ms after the last sound, then nothing more."""
    gate = ReplyGate()
    assert passed(gate, [tone(-20)] * 5) == [True] * 5
    # The fifth tick stood at 80 ms; the last one that passes is the fading one at 380 ms.
    after = passed(gate, [SILENCE] * 20, start=0.1)
    assert after == [True] * 15 + [False] * 5
    assert not gate.speaking


def test_a_pause_between_words_keeps_it_open() -> None:
    """Silence of up to 280 ms inside speech is passed on, so that the words keep their distance."""
    gate = ReplyGate()
    ticks = ([tone(-20)] * 10 + [SILENCE] * 14) * 4
    assert all(passed(gate, ticks))
    assert gate.openings == 1


def test_an_agent_that_stops_sending_stops_speaking() -> None:
    """Called with nothing on each tick, the gate closes all the same."""
    gate = ReplyGate()
    gate.process(tone(-20), 0.0)
    assert gate.process(NOTHING, 0.28) is None
    assert gate.speaking
    assert gate.process(NOTHING, 0.32) is None
    assert not gate.speaking


def test_an_onset_in_the_last_milliseconds_opens() -> None:
    """A sound that begins in the last 2 ms of a frame, or in an odd rest of one, is not missed."""
    for length in (960, 500, 100):
        frame = np.concatenate([np.zeros(length, dtype=np.int16), tone(-20, 96)])
        assert ReplyGate().process(frame, 0.0) is frame


@pytest.mark.parametrize("level", [-65.0, -58.0, -52.0])
def test_comfort_noise_does_not_keep_it_open(level: float) -> None:
    """Steady noise, as a sender with DTX leaves it, counts as silence after at most two seconds."""
    gate = ReplyGate()
    passed(gate, [tone(-20)] * 10)
    after = passed(gate, [noise(level, seed) for seed in range(200)], start=0.2)
    assert not any(after[120:])
    assert not gate.speaking


def test_ticks_between_the_packets_do_not_forget_the_noise() -> None:
    """A tick on which nothing came says nothing about the noise: comfort noise still closes the gate."""
    gate = ReplyGate()
    passed(gate, [tone(-20)] * 10)
    ticks = [tick for seed in range(200) for tick in (noise(-55, seed), NOTHING)]
    after = passed(gate, ticks, start=0.2)
    assert not any(after[240:])


@pytest.mark.parametrize("level", [-45.0, -40.0, -20.0])
def test_speech_over_comfort_noise_opens_at_once(level: float) -> None:
    """Even after seconds of comfort noise, the first frame of a voice passes."""
    gate = ReplyGate()
    passed(gate, [noise(-55, seed) for seed in range(300)])
    assert gate.process(tone(level), 6.0) is not None


def test_a_soft_fricative_after_silence_opens() -> None:
    """Noise at -52 dBFS, the level of a weak f at the start of a word, is sound when silence was before it."""
    gate = ReplyGate()
    passed(gate, [SILENCE] * 100)
    assert gate.process(noise(-52, 1), 2.0) is not None


def test_closing_fades() -> None:
    """The last frame ends in silence, so that noise does not break off."""
    gate = ReplyGate()
    passed(gate, [tone(-20)] * 2)
    last = [gate.process(noise(-62, seed), 0.04 + seed * TICK) for seed in range(40)]
    closing = [tick for tick in last if tick is not None][-1]
    assert abs(int(closing[-1])) == 0
    assert last[-1] is None


@given(st.lists(st.booleans(), min_size=1, max_size=120))
def test_no_sound_is_ever_held_back(pattern: list[bool]) -> None:
    """Whatever the pattern of sound and silence, every tick with sound passes, and is the same array."""
    gate = ReplyGate()
    sound = tone(-25)
    for place, heard in enumerate(pattern):
        out = gate.process(sound if heard else SILENCE, place * TICK)
        if heard:
            assert out is sound


def test_the_levels_of_what_came_last_are_kept() -> None:
    """Whoever watches the reply need not measure it again: one level for each whole window of 10 ms."""
    gate = ReplyGate()
    gate.process(tone(-20), 0.0)
    assert gate.levels == pytest.approx([-20, -20], abs=0.1)
    gate.process(tone(-30, 700), 0.02)
    assert gate.levels == pytest.approx([-30], abs=0.1)
    gate.process(SILENCE, 0.04)
    assert gate.levels == [-120, -120]
    gate.process(NOTHING, 0.06)
    assert gate.levels == []
