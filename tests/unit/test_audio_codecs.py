import numpy as np
import pytest

from connector.audio.codecs import make_decoder, make_encoder
from connector.audio.frames import RATE_HZ, TICK_SAMPLES
from connector.base.legs import AudioCodec


@pytest.mark.parametrize("codec", list(AudioCodec))
def test_each_codec_carries_a_tick_there_and_back(codec: AudioCodec) -> None:
    """Whatever the answer picked, 20 ms of sound go in and 20 ms at the same level come out."""
    encoder, decoder = make_encoder(codec), make_decoder(codec)
    tone = (8000 * np.sin(2 * np.pi * 440 * np.arange(RATE_HZ) / RATE_HZ)).astype(np.int16)
    out = []
    for frame in tone.reshape(-1, TICK_SAMPLES):
        payload = encoder.encode(frame)
        assert decoder.packet_samples(payload) == TICK_SAMPLES
        out.append(decoder.decode(payload))
    assert {len(piece) for piece in out} == {TICK_SAMPLES}
    assert 20 * np.log10(np.std(np.concatenate(out[25:])) / np.std(tone)) == pytest.approx(0, abs=0.2)


@pytest.mark.parametrize(("codec", "clock_hz"), [("opus", 48_000), ("PCMU", 8_000), ("PCMA", 8_000)])
def test_the_rtp_clock_is_the_codecs(codec: str, clock_hz: int) -> None:
    """Opus counts in 1/48000 s whatever is inside, G.711 in its own samples (RFC 7587 §4.1, RFC 3551 §4.5.14)."""
    assert make_decoder(AudioCodec(codec)).clock_hz == clock_hz
