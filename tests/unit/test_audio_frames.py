import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from connector.audio.frames import TICK_SAMPLES, Samples, is_silent, peak

int16_arrays = nps.arrays(np.int16, st.integers(1, 200))


@given(int16_arrays)
def test_the_peak_is_the_largest_absolute_value(samples: Samples) -> None:
    """Also of the most negative sample there is, whose negation does not fit into int16."""
    assert peak(samples) == max(abs(value) for value in samples.tolist())
    assert peak(samples.astype(np.float32)) == peak(samples)


@given(int16_arrays)
def test_silence_is_zeros_and_nothing_else(samples: Samples) -> None:
    """Of any length, and of the length of a tick."""
    tick = np.resize(samples, TICK_SAMPLES)
    assert is_silent(samples) == (not samples.any())
    assert is_silent(tick) == (not tick.any())
    assert is_silent(samples * 0)
