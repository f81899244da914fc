import numpy as np
import pytest

from connector.audio.frames import RATE_HZ, Samples
from connector.audio.timescale import MAX_LAG, MIN_LAG, SPAN, best_lag, lengthened, shortened


def voiced(hz: float, count: int = 4800) -> Samples:
    phase = 2 * np.pi * hz * np.arange(count) / RATE_HZ
    return (8000 * (np.sin(phase) + np.sin(2 * phase) / 2 + np.sin(3 * phase) / 3)).astype(np.int16)


@pytest.mark.parametrize("hz", [75, 100, 150, 230, 390])
def test_the_pitch_period_is_found(hz: int) -> None:
    """The lag is a whole number of pitch periods, within half a sample, and the sound there nearly the same."""
    lag, likeness = best_lag(voiced(hz))
    periods = lag * hz / RATE_HZ
    assert periods == pytest.approx(round(periods), abs=0.5 * hz / RATE_HZ + 0.002)
    assert MIN_LAG <= lag <= MAX_LAG
    assert likeness > 0.98


def test_noise_resembles_nothing_and_silence_is_no_trouble() -> None:
    """Noise has a low likeness everywhere; silence gives a valid lag."""
    noise = np.random.default_rng(0).normal(0, 3000, SPAN).astype(np.int16)
    assert best_lag(noise)[1] < 0.5
    lag, likeness = best_lag(np.zeros(SPAN, dtype=np.int16))
    assert MIN_LAG <= lag <= MAX_LAG
    assert likeness == 0


def test_a_period_less_goes_unheard() -> None:
    """Without one pitch period a voiced sound is that much shorter and otherwise itself."""
    sound = voiced(150)
    lag, _ = best_lag(sound)
    out = shortened(sound, lag)
    assert len(out) == len(sound) - lag
    assert np.abs(out.astype(int) - sound[: len(out)]).max() < 200


def test_a_period_more_goes_unheard() -> None:
    """With one pitch period twice a voiced sound is that much longer and goes on from what was played."""
    sound = voiced(150)
    lag, _ = best_lag(sound)
    out = lengthened(sound[:MAX_LAG], sound[MAX_LAG:-lag], lag)
    assert len(out) == len(sound) - MAX_LAG
    assert np.abs(out.astype(int) - sound[MAX_LAG:]).max() < 200
