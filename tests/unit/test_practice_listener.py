import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.audio.frames import RATE_HZ, Samples
from connector.practice.listener import Listener, SpeechBegan, SpeechEnded
from connector.practice.sound import load_clip, silence, tone


def listen(
    listener: Listener, samples: Samples, sizes: list[int], start: float = 50.0
) -> list[SpeechBegan | SpeechEnded]:
    """Feed samples in blocks of the given sizes, again and again."""
    events, at, turn = [], 0, 0
    while at < len(samples):
        block = samples[at : at + sizes[turn % len(sizes)]]
        events += listener.add(block, start + at / RATE_HZ)
        at, turn = at + len(block), turn + 1
    return events


def test_one_utterance_is_one_beginning_and_one_end() -> None:
    """A clip between silences is found, with its times and all of its sound."""
    clip = load_clip("ada-asks")
    events = listen(Listener(), np.concatenate([silence(1), clip, silence(1)]), [960])
    began, ended = events
    assert isinstance(began, SpeechBegan)
    assert isinstance(ended, SpeechEnded)
    assert began.at == pytest.approx(51.0, abs=0.1)
    assert ended.at == pytest.approx(51.0 + len(clip) / RATE_HZ, abs=0.1)
    assert np.sum(np.abs(ended.samples.astype(int))) == pytest.approx(np.sum(np.abs(clip.astype(int))), rel=0.001)


@given(st.lists(st.integers(1, 3_000), min_size=1, max_size=8))
@settings(max_examples=20, deadline=None)
def test_the_size_of_the_blocks_does_not_matter(sizes: list[int]) -> None:
    """The same stream in any blocks gives the same utterances at the same times."""
    stream = np.concatenate([silence(0.3), tone(300, 0.5), silence(0.8), tone(500, 0.3), silence(0.8)])
    usual = listen(Listener(), stream, [480])
    other = listen(Listener(), stream, sizes)
    assert [type(event) for event in other] == [type(event) for event in usual]
    for ours, theirs in zip(other, usual, strict=True):
        assert ours.at == pytest.approx(theirs.at, abs=1e-6)


def test_a_pause_between_words_does_not_end_it() -> None:
    """Half a second of quiet belongs to the utterance, 0.7 s end it."""
    stream = np.concatenate([tone(300, 0.5), silence(0.5), tone(300, 0.5), silence(0.7)])
    assert [type(event) for event in listen(Listener(), stream, [960])] == [SpeechBegan, SpeechEnded]


def test_a_click_and_near_silence_are_nobody_speaking() -> None:
    """20 ms of sound and a long sound at -60 dBFS are both ignored."""
    stream = np.concatenate([tone(300, 0.02), silence(1), tone(300, 2, -60)])
    assert listen(Listener(), stream, [960]) == []


def test_the_beginning_is_heard_at_once() -> None:
    """Speech is announced within its first 40 ms, so that the agent can stop talking."""
    listener = Listener()
    listen(listener, silence(1), [960])
    assert [type(event) for event in listen(listener, tone(300, 0.04), [960])] == [SpeechBegan]
    assert listener.speaking


def test_an_endless_sound_is_cut() -> None:
    """A tone that never ends becomes utterances of the greatest length, so that nothing grows."""
    listener = Listener(longest_s=1.0)
    events = listen(listener, tone(300, 3.5), [960])
    lengths = [len(event.samples) / RATE_HZ for event in events if isinstance(event, SpeechEnded)]
    assert lengths == [pytest.approx(1.0, abs=0.02)] * 3
