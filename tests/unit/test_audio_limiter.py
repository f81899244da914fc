import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from connector.audio.frames import RATE_HZ, TICK_SAMPLES, Samples
from connector.audio.limiter import CEILING, Limiter


def tones(hz: list[float], dbfs: float, seconds: float) -> NDArray[np.float32]:
    """A sum of sines, each with peaks at `dbfs`, whole ticks of it."""
    times = np.arange(round(seconds * 50) * TICK_SAMPLES) / RATE_HZ
    waves = [32_768 * 10 ** (dbfs / 20) * np.sin(2 * np.pi * f * times) for f in hz]
    return np.asarray(np.sum(waves, axis=0), dtype=np.float32)


def limited(wide: NDArray[np.float32], limiter: Limiter | None = None) -> Samples:
    """All ticks of it through a limiter."""
    used = limiter or Limiter()
    return np.concatenate([used.process(wide[begin : begin + TICK_SAMPLES]) for begin in range(0, len(wide), 960)])


def distortion_db(samples: Samples, hz: list[float]) -> float:
    """THD+N: the power of all that is not one of the tones, against the tones, in dB."""
    wide = samples.astype(np.float64)
    times = np.arange(len(wide)) / RATE_HZ
    basis = np.column_stack([wave(2 * np.pi * f * times) for f in hz for wave in (np.sin, np.cos)])
    fitted = basis @ np.linalg.lstsq(basis, wide, rcond=None)[0]
    return float(10 * np.log10(np.sum((wide - fitted) ** 2) / np.sum(fitted**2)))


def test_two_tones_at_minus_3_dbfs_stay_two_tones() -> None:
    """440 and 1,000 Hz at -3 dBFS each: after 1 s the distortion is at most -35 dB."""
    out = limited(tones([440, 1_000], -3, 3.0))
    assert distortion_db(out[RATE_HZ:], [440, 1_000]) <= -35


@pytest.mark.parametrize("hz", [[100, 110], [80, 3_000], [300, 450, 777, 1_234, 2_000]])
def test_other_loud_chords_keep_their_sound(hz: list[float]) -> None:
    """Chords far over full scale come out without distortion, too; only their level is lower."""
    out = limited(tones(hz, -3, 3.0))
    assert distortion_db(out[RATE_HZ:], hz) <= -35
    assert np.abs(out[RATE_HZ:].astype(np.int32)).max() <= CEILING


def test_one_tone_at_minus_6_dbfs_is_bit_exact() -> None:
    """What stays below -1 dBFS is not touched."""
    wide = np.rint(tones([440], -6, 1.0))
    assert np.array_equal(limited(wide), wide.astype(np.int16))


@given(st.lists(st.floats(min_value=-4e6, max_value=4e6, width=32), min_size=4, max_size=4), st.integers(0, 2**32 - 1))
def test_nothing_passes_the_ceiling_and_nothing_wraps(sizes: list[float], seed: int) -> None:
    """Whatever comes in, the output stays within -1 dBFS and keeps the sign of the input."""
    noise = np.random.default_rng(seed).uniform(-1, 1, (4, TICK_SAMPLES))
    wide = (noise * np.array(sizes)[:, None]).astype(np.float32).reshape(-1)
    out = limited(wide).astype(np.float64)
    assert np.abs(out).max() <= CEILING
    assert np.all(out * wide >= 0)


@given(st.integers(0, 2**32 - 1), st.integers(1, CEILING))
def test_below_the_ceiling_every_sample_passes(seed: int, peak: int) -> None:
    """Any sound up to the ceiling passes bit by bit through a limiter at rest."""
    wide = np.random.default_rng(seed).integers(-peak, peak, 3 * TICK_SAMPLES, endpoint=True).astype(np.float32)
    assert np.array_equal(limited(wide), wide.astype(np.int16))


def test_the_gain_comes_back_slowly_and_fully() -> None:
    """After a loud spell the gain rises smoothly to exactly one; from then on samples pass untouched again."""
    limiter = Limiter()
    limited(tones([500], 6, 0.2), limiter)
    assert limiter.gain == pytest.approx(10 ** (-7 / 20), rel=0.01)
    soft = np.rint(tones([500], -20, 0.02))
    gains = []
    for _ in range(250):
        limiter.process(soft)
        gains.append(limiter.gain)
    assert np.all(np.diff(gains) >= 0)
    assert max(np.diff(gains)) < 0.05
    assert limiter.resting
    assert np.array_equal(limiter.process(soft), soft.astype(np.int16))


def test_silence_lets_the_gain_recover() -> None:
    """Ticks in which nothing is heard count as time for the release."""
    limiter = Limiter()
    limited(tones([500], 6, 0.2), limiter)
    for _ in range(250):
        limiter.rest()
    assert limiter.resting


def test_an_onset_inside_a_tick_does_not_step() -> None:
    """A loud tone that begins in the middle of a soft one is turned down ahead of its peaks, without a jump in gain."""
    wide = tones([1_000], -12, 0.2)
    wide[5_000:] *= 8
    out = limited(wide).astype(np.float64)
    loud = np.abs(wide) > 2_000
    gains = out[loud] / wide[loud]
    assert gains[0] == pytest.approx(1.0, abs=0.001)
    # Sample to sample the gain moves by less than 1 % of full gain: 0.07 per millisecond, rounding apart.
    assert np.abs(np.diff(gains)).max() < 0.03


def test_limited_ticks_are_counted() -> None:
    """Only ticks in which a peak needed less gain than there was are counted."""
    limiter = Limiter()
    limited(tones([440], -6, 0.1), limiter)
    assert limiter.limited_ticks == 0
    limited(tones([440], 3, 0.1), limiter)
    assert limiter.limited_ticks == 1
