import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.audio.frames import RATE_HZ, Samples
from connector.practice.matching import find, gaps, level_change_db, runs, sound_spans
from connector.practice.recorder import Recording
from connector.practice.sound import load_clip, shift_pitch, silence, to_samples, tone

ADA, GRACE = load_clip("ada-asks"), load_clip("grace-asks")
AT = 100.0


def heard(samples: Samples, lag_s: float = 0.1) -> Recording:
    return Recording(np.concatenate([silence(lag_s), samples, silence(1)]), AT)


@given(st.floats(-0.1, 1.4))
@settings(max_examples=15, deadline=None)
def test_the_lag_is_found(lag_s: float) -> None:
    """A piece is found whole, at its lag, to a tenth of a millisecond."""
    match = find(ADA, AT, Recording(ADA, AT + lag_s))
    assert match.share == 1.0
    assert match.lag_s == pytest.approx(lag_s, abs=1e-4)


@pytest.mark.parametrize("gain_db", [-30, -6, 3])
def test_the_level_does_not_matter(gain_db: float) -> None:
    """A quiet copy is found as well as a loud one."""
    assert find(ADA, AT, heard(to_samples(ADA * 10 ** (gain_db / 20)))).share == 1.0


def test_a_second_voice_does_not_hide_the_first() -> None:
    """Both voices of a mix are found."""
    mixed = ADA.copy()
    mixed[: len(GRACE)] += GRACE
    assert find(ADA, AT, heard(mixed)).share >= 0.8
    assert find(GRACE, AT, heard(mixed)).share >= 0.8


def test_time_stretching_does_not_hide_it() -> None:
    """A jitter buffer that drops and repeats 10 ms here and there is tolerated."""
    pieces = np.array_split(ADA, 12)
    stretched = [piece if i % 3 else np.concatenate([piece, piece[-480:]]) for i, piece in enumerate(pieces)]
    stretched[5] = stretched[5][480:]
    assert find(ADA, AT, heard(np.concatenate(stretched))).share >= 0.8


def test_other_speech_is_not_it() -> None:
    """Another voice, another text of the same voice, and the same words in another pitch are all told apart."""
    assert find(ADA, AT, heard(GRACE)).share <= 0.1
    assert find(ADA, AT, heard(load_clip("ada-together"))).share <= 0.1
    assert find(ADA, AT, heard(shift_pitch(ADA, -4))).share <= 0.1


def test_silence_holds_nothing() -> None:
    """Nothing is found in silence, and silence itself is never found."""
    assert find(ADA, AT, heard(silence(3))).share == 0.0
    assert find(silence(3), AT, heard(ADA)).share == 0.0
    assert find(silence(0), AT, heard(ADA)).windows == 0


def test_half_of_it_is_half_found() -> None:
    """When the second half is missing about half of the windows are found."""
    assert find(ADA, AT, heard(ADA[: len(ADA) // 2])).share == pytest.approx(0.5, abs=0.15)


@given(st.floats(-20, 3))
@settings(max_examples=10, deadline=None)
def test_the_change_of_level_is_measured(gain_db: float) -> None:
    """A gain comes back as measured, to a tenth of a decibel."""
    assert level_change_db(ADA, AT, heard(to_samples(ADA * 10 ** (gain_db / 20))), 0.1) == pytest.approx(
        gain_db, abs=0.1
    )


def test_an_unbroken_copy_has_no_gaps() -> None:
    """Natural pauses of speech are no gaps."""
    assert gaps(ADA, AT, heard(ADA), 0.1) == []


def test_missing_packets_in_speech_are_gaps() -> None:
    """80 ms that are missing inside speech are one gap, at its place; 40 ms are none."""
    steady = tone(300, 1.0)
    for missing_ms, expected in ((40, 0), (80, 1), (200, 1)):
        broken = steady.copy()
        broken[24_000 : 24_000 + missing_ms * 48] = 0
        found = gaps(steady, AT, heard(broken), 0.1)
        assert len(found) == expected
        for begin, length in found:
            assert begin == pytest.approx(AT + 0.6)
            assert length == pytest.approx(missing_ms / 1000)


def test_sound_is_cut_into_spans() -> None:
    """Sound with short pauses is one span, a long pause parts two, a click is none."""
    parts = [
        silence(0.5),
        tone(300, 0.5),
        silence(0.2),
        tone(300, 0.5),
        silence(1),
        tone(300, 0.4),
        silence(1),
        tone(300, 0.05),
    ]
    spans = sound_spans(Recording(np.concatenate(parts), AT))
    np.testing.assert_allclose(spans, [(100.5, 101.7), (102.7, 103.1)])


@given(st.lists(st.booleans(), max_size=40))
def test_runs_rebuild_the_mask(mask: list[bool]) -> None:
    """Filling the runs gives the mask back, and no two runs touch."""
    rebuilt = np.zeros(len(mask), dtype=bool)
    last = -1
    for first, count in runs(np.array(mask, dtype=bool)):
        assert first > last
        last = first + count
        rebuilt[first:last] = True
    assert rebuilt.tolist() == mask


def test_a_recording_that_starts_late_is_only_searched_where_it_is() -> None:
    """A listener who came in the middle heard the rest."""
    half = len(ADA) // 2
    match = find(ADA, AT, Recording(ADA[half:], AT + 0.1 + half / RATE_HZ))
    assert match.share == pytest.approx(0.5, abs=0.15)
    assert match.lag_s == pytest.approx(0.1, abs=1e-3)
