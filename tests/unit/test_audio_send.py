import numpy as np
import pytest

from connector.audio.codecs import make_decoder
from connector.audio.frames import RATE_HZ, TICK_SAMPLES, Samples
from connector.audio.opus import OpusDecoder, has_fec
from connector.audio.send import SILENT_FRAMES, SendPath
from connector.base.legs import AudioCodec
from tests.network import speech

SILENCE = np.zeros(TICK_SAMPLES, dtype=np.int16)


def ticks(seconds: float) -> list[Samples]:
    return list(speech(seconds).reshape(-1, TICK_SAMPLES))


@pytest.mark.parametrize("codec", list(AudioCodec))
def test_timestamps_go_on_by_a_tick_whatever_is_sent(codec: AudioCodec) -> None:
    """Speech, silence and cached silence are all 960 units of 1/48000 s long."""
    path = SendPath(codec)
    packets = [path.encode(frame) for frame in [*ticks(0.2), *[SILENCE] * 10, *ticks(0.2)]]
    assert [packet.timestamp for packet in packets] == [960 * index for index in range(len(packets))]
    assert all(packet.payload for packet in packets)


@pytest.mark.parametrize("codec", list(AudioCodec))
def test_silence_is_cached_only_after_five_really_encoded_frames(codec: AudioCodec) -> None:
    """The sixth silent tick in a row is the first one not encoded, and any sound starts the count again."""
    path = SendPath(codec)
    sound = ticks(0.02)
    said = [path.encode(frame).silent for frame in [*sound, *[SILENCE] * 8, *sound, *[SILENCE] * 6]]
    assert said == [False, *[False] * SILENT_FRAMES, True, True, True, False, *[False] * SILENT_FRAMES, True]


def test_cached_silence_is_heard_as_silence() -> None:
    """Two seconds of the cached packet decode to less than -70 dBFS."""
    path, decoder = SendPath(AudioCodec.OPUS), OpusDecoder()
    for frame in ticks(1.0):
        decoder.decode(path.encode(frame).payload)
    heard = [decoder.decode(path.encode(SILENCE).payload) for _ in range(100)]
    assert np.abs(np.concatenate(heard[SILENT_FRAMES:])).max() < 10


def test_the_next_onset_suffers_nothing_from_cached_silence() -> None:
    """A decoder that heard a second of repeats is where one is that did not: the onset differs by less than -60 dB."""
    path, listener, reference = SendPath(AudioCodec.OPUS), OpusDecoder(), OpusDecoder()
    for frame in [*ticks(1.0), *[SILENCE] * 50]:
        packet = path.encode(frame)
        listener.decode(packet.payload)
        if not packet.silent:
            reference.decode(packet.payload)
    onset = [path.encode(frame).payload for frame in ticks(0.1)]
    found = np.concatenate([listener.decode(payload) for payload in onset]).astype(float)
    wanted = np.concatenate([reference.decode(payload) for payload in onset]).astype(float)
    assert ((found - wanted) ** 2).sum() < 1e-6 * (wanted**2).sum()


def test_speech_carries_fec() -> None:
    """More than nine of ten speech packets really contain the frame before a second time."""
    path = SendPath(AudioCodec.OPUS)
    packets = [path.encode(frame).payload for frame in ticks(8.0)]
    assert sum(map(has_fec, packets)) > 0.9 * len(packets)


@pytest.mark.parametrize("codec", list(AudioCodec))
def test_the_level_is_exact(codec: AudioCodec) -> None:
    """A tone arrives within 0.2 dB of the level in the mix."""
    path, decoder = SendPath(codec), make_decoder(codec)
    tone = (10_000 * np.sin(2 * np.pi * 440 * np.arange(RATE_HZ) / RATE_HZ)).astype(np.int16)
    heard = [decoder.decode(path.encode(frame).payload) for frame in tone.reshape(-1, TICK_SAMPLES)]
    assert 20 * np.log10(np.std(np.concatenate(heard[25:])) / np.std(tone)) == pytest.approx(0, abs=0.2)
