import numpy as np
import pytest

from connector.audio.frames import RATE_HZ, TICK_SAMPLES, Samples
from connector.audio.stretch import BEFORE, STEP, needed, stretched


def tone(hz: float, begin: int, length: int) -> Samples:
    """A piece of a sine at -6 dBFS."""
    wave = np.sin(2 * np.pi * hz * np.arange(begin, begin + length) / RATE_HZ)
    return np.asarray(np.rint(16_384 * wave), dtype=np.int16)


@pytest.mark.parametrize("hurry", [True, False])
@pytest.mark.parametrize(("hz", "noise_db"), [(300, -80), (3_400, -80), (8_000, -80), (14_000, -75)])
def test_a_stretched_tone_is_a_tone(hz: float, noise_db: float, *, hurry: bool) -> None:
    """The result is the same tone at a slightly other pitch; what else it holds is far below what speech masks."""
    used = TICK_SAMPLES + (STEP if hurry else -STEP)
    out = stretched(tone(hz, -BEFORE, needed(hurry=hurry)), hurry=hurry)
    expected = 16_384 * np.sin(2 * np.pi * hz * used / TICK_SAMPLES * np.arange(TICK_SAMPLES) / RATE_HZ)
    error = np.mean((out - expected) ** 2) / np.mean(expected**2)
    assert 10 * np.log10(error) < noise_db


@pytest.mark.parametrize("hurry", [True, False])
def test_it_begins_exactly_and_ends_where_a_copy_goes_on(*, hurry: bool) -> None:
    """The first sample is the original one, and the step to the next plain tick is no larger than inside."""
    used = TICK_SAMPLES + (STEP if hurry else -STEP)
    sound = tone(440, 0, 2 * TICK_SAMPLES)
    out = stretched(tone(440, -BEFORE, needed(hurry=hurry)), hurry=hurry)
    assert out[0] == sound[0]
    joined = np.concatenate([out, sound[used : used + 100]]).astype(np.int32)
    assert np.abs(np.diff(joined)).max() <= 16_384 * 2 * np.pi * 440 / RATE_HZ * 1.01 + 1


def test_full_scale_does_not_wrap() -> None:
    """Overshoot of the filter on a full-scale square wave is clipped."""
    square = np.where(np.arange(needed(hurry=True)) % 60 < 30, 32_767, -32_768).astype(np.int16)
    out = stretched(square, hurry=True).astype(np.int32)
    middle = np.abs(np.diff(np.sign(out)))
    # A wrapped sample would change sign twice more; 16 periods have 32 changes.
    assert 30 <= np.count_nonzero(middle) <= 34
