import av
import numpy as np
import pytest

from connector.audio.coding import PayloadError
from connector.audio.frames import RATE_HZ, TICK_SAMPLES, Samples
from connector.audio.g711 import G711Decoder, G711Encoder
from connector.base.legs import AudioCodec
from tests.network import speech

CODECS = [AudioCodec.PCMU, AudioCodec.PCMA]
FFMPEG = {AudioCodec.PCMU: "pcm_mulaw", AudioCodec.PCMA: "pcm_alaw"}


def reference_levels(codec: AudioCodec) -> Samples:
    """What FFmpeg's decoder makes of the 256 codes."""
    context = av.CodecContext.create(FFMPEG[codec], "r")
    context.sample_rate, context.layout = 8000, "mono"  # type: ignore[attr-defined]
    (frame,) = context.decode(av.Packet(bytes(range(256))))  # type: ignore[attr-defined]
    return np.asarray(frame.to_ndarray().reshape(-1), dtype=np.int16)


def tone(hz: float, *, seconds: float = 1.0, amplitude: int = 10_000) -> Samples:
    return (amplitude * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE_HZ)) / RATE_HZ)).astype(np.int16)


def there_and_back(codec: AudioCodec, audio: Samples) -> Samples:
    encoder, decoder = G711Encoder(codec), G711Decoder(codec)
    return np.concatenate([decoder.decode(encoder.encode(frame)) for frame in audio.reshape(-1, TICK_SAMPLES)])


@pytest.mark.parametrize("codec", CODECS)
def test_the_codes_mean_what_an_independent_decoder_says(codec: AudioCodec) -> None:
    """All 256 codes have FFmpeg's levels, and every level is encoded to a code of that level."""
    levels = reference_levels(codec)
    assert G711Decoder(codec)._levels.tolist() == levels.tolist()
    codes = G711Encoder(codec)._codes[levels.view(np.uint16)]
    assert levels[codes].tolist() == levels.tolist()


@pytest.mark.parametrize("codec", CODECS)
def test_every_sample_gets_the_nearest_code(codec: AudioCodec) -> None:
    """No other code would be nearer to any of the 65,536 samples."""
    levels = np.sort(reference_levels(codec).astype(np.int32))
    samples = np.arange(-32_768, 32_768)
    after = np.clip(np.searchsorted(levels, samples), 1, 255)
    nearest = np.minimum(np.abs(samples - levels[after - 1]), np.abs(samples - levels[after]))
    coded = reference_levels(codec)[G711Encoder(codec)._codes[samples.astype(np.int16).view(np.uint16)]].astype(int)
    assert np.abs(samples - coded).tolist() == nearest.tolist()


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("hz", [310, 1010, 1990, 2990])
def test_a_tone_keeps_its_level(codec: AudioCodec, hz: int) -> None:
    """Within the telephone band the level is exact within 0.1 dB, and noise stays 30 dB below."""
    sound = tone(hz)
    out = there_and_back(codec, sound)[RATE_HZ // 2 :]
    assert 20 * np.log10(np.std(out) / np.std(sound)) == pytest.approx(0, abs=0.1)
    spectrum = np.abs(np.fft.rfft(out * np.hanning(len(out)))) ** 2
    peak = int(spectrum.argmax())
    assert peak == hz // 2
    assert 10 * np.log10(spectrum.sum() / np.delete(spectrum, range(peak - 4, peak + 5)).sum()) > 30


@pytest.mark.parametrize("codec", CODECS)
def test_frames_are_joined_without_a_seam(codec: AudioCodec) -> None:
    """Cut into frames or in one piece, the audio that comes out is the same."""
    audio = speech(1.0)
    whole = G711Decoder(codec).decode(G711Encoder(codec).encode(audio[: 6 * 960]))
    assert np.array_equal(there_and_back(codec, audio)[: 6 * 960], whole)


@pytest.mark.parametrize("codec", CODECS)
def test_a_packet_knows_its_length(codec: AudioCodec) -> None:
    """One byte is six samples; nothing and more than 120 ms are refused."""
    decoder = G711Decoder(codec)
    assert decoder.packet_samples(bytes(160)) == TICK_SAMPLES
    assert len(G711Encoder(codec).encode(np.zeros(TICK_SAMPLES, dtype=np.int16))) == 160
    for payload in (b"", bytes(961)):
        assert decoder.packet_samples(payload) == 0
        with pytest.raises(PayloadError, match=f"of {len(payload)} bytes"):
            decoder.decode(payload)


@pytest.mark.parametrize("codec", CODECS)
def test_what_is_lost_is_concealed_by_repetition_that_fades(codec: AudioCodec) -> None:
    """A voiced sound goes on at its pitch and level, half as loud after 30 ms, and is gone after 60."""
    encoder, decoder = G711Encoder(codec), G711Decoder(codec)
    voiced = (tone(150, amplitude=6000) + tone(300, amplitude=3000)).astype(np.int16)
    for frame in voiced[: 20 * TICK_SAMPLES].reshape(-1, TICK_SAMPLES):
        last = decoder.decode(encoder.encode(frame))
    made = np.concatenate([decoder.restore(b"\xff" * 160, TICK_SAMPLES), *(decoder.conceal(480) for _ in range(5))])
    assert len(made) == TICK_SAMPLES + 5 * 480
    assert abs(int(made[0]) - int(last[-1])) < 1500
    spectrum = np.abs(np.fft.rfft(made[:1920] * np.hanning(1920)))
    assert int(spectrum.argmax()) * 25 == 150
    assert np.abs(made[1300:1580]).max() == pytest.approx(np.abs(made[:320]).max() / 2, rel=0.2)
    assert not made[2880:].any()
    assert decoder.spare_samples(bytes(160)) == 0
    decoder.reset()
    assert not decoder.conceal(TICK_SAMPLES).any()
