from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.audio.frames import RATE_HZ
from connector.base.errors import UsageError
from connector.practice.sound import (
    CLIPS,
    level_dbfs,
    load_clip,
    read_wav,
    shift_pitch,
    silence,
    to_samples,
    tone,
    upsample,
    write_wav,
)


def peak_hz(samples: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum)) * RATE_HZ / len(samples)


def test_all_clips_can_be_read_and_leave_room_for_two_at_once() -> None:
    """Every committed clip is a few seconds of speech that peaks at -7 dBFS."""
    clips = {path.stem: load_clip(path.stem) for path in CLIPS.glob("*.wav")}
    assert len(clips) == 6
    for samples in clips.values():
        assert 1.0 < len(samples) / RATE_HZ < 4.0
        assert 20 * np.log10(np.max(np.abs(samples.astype(int))) / 32_768) == pytest.approx(-7, abs=0.5)


def test_the_clips_are_small() -> None:
    """Together they stay below 400 KB, so that a clone stays quick."""
    assert sum(path.stat().st_size for path in CLIPS.glob("*.wav")) < 400_000


def test_a_wav_comes_back_as_it_was_written(tmp_path: Path) -> None:
    """Writing and reading a WAV loses nothing."""
    samples = tone(440, 0.1)
    write_wav(tmp_path / "new" / "tone.wav", samples)
    np.testing.assert_array_equal(read_wav(tmp_path / "new" / "tone.wav"), samples)


def test_a_missing_wav_is_one_clear_line(tmp_path: Path) -> None:
    """A file that is not there is a usage error that names it."""
    with pytest.raises(UsageError, match=r"reading .*none\.wav"):
        read_wav(tmp_path / "none.wav")


def test_a_file_that_is_no_wav_is_refused(tmp_path: Path) -> None:
    """A text file under that name is a usage error."""
    (tmp_path / "text.wav").write_text("hello")
    with pytest.raises(UsageError, match="mono 16-bit WAV"):
        read_wav(tmp_path / "text.wav")


def test_upsampling_keeps_level_and_pitch() -> None:
    """A 1 kHz tone at 16 kHz is the same tone at 48 kHz, to 0.02 dB."""
    slow = to_samples(16_384 * np.sin(2 * np.pi * 1_000 * np.arange(16_000) / 16_000))
    fast = upsample(slow, 3)
    assert len(fast) == 48_000
    assert peak_hz(fast) == pytest.approx(1_000, abs=1)
    assert level_dbfs(fast[4_800:-4_800]) == pytest.approx(level_dbfs(slow[1_600:-1_600]), abs=0.02)


@given(st.floats(-7, 7))
def test_a_change_of_pitch_keeps_the_level(semitones: float) -> None:
    """A 500 Hz tone moves by the semitones asked for and stays as loud."""
    moved = shift_pitch(tone(500, 0.5), semitones)
    assert peak_hz(moved) == pytest.approx(500 * 2 ** (semitones / 12), abs=4)
    assert level_dbfs(moved) == pytest.approx(level_dbfs(tone(500, 0.5)), abs=0.05)


def test_nothing_wraps() -> None:
    """What is too loud for int16 is clipped."""
    np.testing.assert_array_equal(to_samples(np.array([40_000.0, -40_000.0])), [32_767, -32_768])


def test_levels_are_in_dbfs() -> None:
    """A full-scale sine has -3 dBFS RMS; silence and nothing at all have the floor."""
    assert level_dbfs(tone(1_000, 1, 0)) == pytest.approx(-3.01, abs=0.01)
    assert level_dbfs(silence(0.1)) == level_dbfs(silence(0)) == -120


def test_short_sounds_survive_a_change_of_pitch() -> None:
    """No samples stay no samples."""
    assert len(shift_pitch(silence(0), -4)) == 0
