from itertools import pairwise

import numpy as np
import pytest

from connector.audio.frames import RATE_HZ, Samples
from connector.audio.resample import Downsampler, Upsampler


def tone(hz: float) -> Samples:
    return (10_000 * np.sin(2 * np.pi * hz * np.arange(RATE_HZ) / RATE_HZ)).astype(np.int16)


def change_db(found: Samples, given: Samples) -> float:
    return float(20 * np.log10(np.std(found[len(found) // 4 :]) / np.std(given) + 1e-9))


@pytest.mark.parametrize("hz", [100, 300, 1000, 2000, 3000, 3250])
def test_the_telephone_band_passes_both_ways_at_its_level(hz: int) -> None:
    """Up to 3.25 kHz the level is exact within 0.1 dB there and back."""
    narrow = Downsampler().process(tone(hz))
    assert change_db(narrow, tone(hz)) == pytest.approx(0, abs=0.05)
    assert change_db(Upsampler().process(narrow), tone(hz)) == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("hz", [4100, 5000, 7000, 9000, 15_000])
def test_what_eight_kilohertz_cannot_carry_is_removed(hz: int) -> None:
    """A tone above 4 kHz does not come back as another one: it is 60 dB down."""
    assert change_db(Downsampler().process(tone(hz)), tone(hz)) < -60


def test_going_up_makes_no_images() -> None:
    """A 1 kHz tone at 8 kHz has nothing at 7 or 9 kHz when it is raised to 48 kHz."""
    raised = Upsampler().process(Downsampler().process(tone(1000)))[4800:]
    spectrum = np.abs(np.fft.rfft(raised * np.hanning(len(raised))))
    per_hz = len(raised) / RATE_HZ
    images = [spectrum[round(hz * per_hz) - 5 : round(hz * per_hz) + 6].max() for hz in (7000, 9000, 15_000, 17_000)]
    assert 20 * np.log10(max(images) / spectrum.max()) < -60


def test_the_state_is_kept_between_calls() -> None:
    """In pieces of any size the result is the same as at once."""
    sound = tone(700)
    down, up = Downsampler(), Upsampler()
    cuts = [0, 60, 120, 1080, 2040, 9000, len(sound)]
    narrow = [down.process(sound[a:b]) for a, b in pairwise(cuts)]
    assert np.array_equal(np.concatenate(narrow), Downsampler().process(sound))
    wide = np.concatenate([up.process(piece) for piece in narrow])
    assert np.array_equal(wide, Upsampler().process(np.concatenate(narrow)))


def test_full_scale_does_not_wrap() -> None:
    """A full-scale square wave overshoots in the filter and is clipped, not wrapped."""
    square = np.where(tone(500) >= 0, 32_767, -32_768).astype(np.int16)
    narrow = Downsampler().process(square)
    assert narrow.max() == 32_767
    assert np.abs(np.diff(Upsampler().process(narrow).astype(int))).max() < 20_000
