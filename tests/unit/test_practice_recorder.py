from pathlib import Path

import numpy as np
import pytest

from connector.audio.frames import TICK_SAMPLES, Samples
from connector.base.errors import UsageError
from connector.practice.recorder import Recorder, Recording
from connector.practice.sound import silence, tone


def frame(value: int) -> Samples:
    return np.full(TICK_SAMPLES, value, dtype=np.int16)


def recorded(recorder: Recorder) -> Recording:
    recording = recorder.recording()
    assert recording is not None
    return recording


def test_nothing_written_is_no_recording() -> None:
    """A recorder without audio has no start."""
    assert Recorder().recording() is None


def test_an_unbroken_stream_is_laid_end_to_end_whatever_its_jitter() -> None:
    """Frames that come up to 60 ms early or late leave no hole."""
    recorder = Recorder()
    for index, jitter in enumerate([0.0, 0.01, -0.01, 0.06, 0.0]):
        recorder.write(frame(index + 1), 5.0 + index * 0.02 + jitter)
    np.testing.assert_array_equal(recorded(recorder).samples, np.repeat([1, 2, 3, 4, 5], TICK_SAMPLES))
    assert recorded(recorder).start == 5.0


def test_the_first_delivery_does_not_decide_where_it_stands() -> None:
    """A stream whose first frame came 70 ms late, or early, is placed where all the others say."""
    for first in (5.07, 4.94):
        recorder = Recorder()
        for index in range(50):
            recorder.write(frame(index), first if index == 0 else 5.0 + index * 0.02)
        assert recorded(recorder).start == pytest.approx(5.0)
        assert recorded(recorder).seconds == pytest.approx(1.0)


def test_a_stream_that_slips_slowly_stays_whole() -> None:
    """A sender whose clock is 0.1 % slow leaves no holes in two minutes."""
    recorder = Recorder()
    for index in range(6_000):
        recorder.write(frame(1), 5.0 + index * 0.020_02)
    assert recorded(recorder).seconds == pytest.approx(120.0)


def test_after_a_pause_audio_stands_at_its_own_time() -> None:
    """One second without deliveries is one second of silence."""
    recorder = Recorder()
    recorder.write(frame(1), 5.0)
    recorder.write(frame(2), 6.02)
    recording = recorded(recorder)
    assert recording.seconds == pytest.approx(1.04)
    np.testing.assert_array_equal(recording.cut(6.02, 6.04), frame(2))
    assert not recording.cut(5.02, 6.02).any()


def test_written_audio_is_copied() -> None:
    """The caller may reuse its buffer."""
    recorder, buffer = Recorder(), frame(7)
    recorder.write(buffer, 0.0)
    buffer[:] = 0
    np.testing.assert_array_equal(recorded(recorder).samples, frame(7))


def test_the_length_is_bounded_and_the_rest_counted() -> None:
    """Beyond its limit a recorder keeps nothing, a long pause included."""
    recorder = Recorder(max_seconds=0.05)
    for index in range(5):
        recorder.write(frame(1), index * 0.02)
    recorder.write(frame(1), 1e6)
    assert len(recorded(recorder).samples) == 2_400
    assert recorder.dropped_samples == 6 * TICK_SAMPLES - 2_400


def test_a_cut_beyond_the_ends_is_filled_with_silence() -> None:
    """What was not recorded reads as silence, before, after and wholly outside."""
    recording = Recording(frame(3), 10.0)
    cut = recording.cut(9.99, 10.03)
    assert len(cut) == 1_920
    np.testing.assert_array_equal(cut[480:1_440], frame(3))
    assert not cut[:480].any()
    assert not cut[1_440:].any()
    assert not recording.cut(20.0, 20.1).any()
    assert len(recording.cut(2.0, 1.0)) == 0


def test_saved_and_loaded_it_is_the_same(tmp_path: Path) -> None:
    """Samples and start come back from the files."""
    recording = Recording(tone(440, 0.1), 123.456)
    recording.save(tmp_path / "a" / "heard.wav")
    again = Recording.load(tmp_path / "a" / "heard.wav")
    assert again.start == 123.456
    np.testing.assert_array_equal(again.samples, recording.samples)
    assert again.end == pytest.approx(123.556)


def test_a_recording_without_its_start_is_refused(tmp_path: Path) -> None:
    """A WAV whose JSON is missing cannot be placed in time."""
    Recording(silence(0.1), 1.0).save(tmp_path / "x.wav")
    (tmp_path / "x.json").unlink()
    with pytest.raises(UsageError, match="reading the start"):
        Recording.load(tmp_path / "x.wav")
