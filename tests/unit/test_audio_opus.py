import ctypes

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.audio import opus
from connector.audio.coding import PayloadError
from connector.audio.frames import RATE_HZ, TICK_SAMPLES, Samples
from connector.audio.opus import OpusDecoder, OpusEncoder, frame_samples, has_fec, packet_samples
from connector.base.errors import UnavailableError
from tests.network import speech


def encoded(seconds: float, *, frame: int = TICK_SAMPLES, fec: bool = True) -> list[bytes]:
    encoder = OpusEncoder(fec=fec)
    audio = speech(seconds)
    return [encoder.encode(one) for one in audio[: len(audio) // frame * frame].reshape(-1, frame)]


def snr_db(found: Samples, wanted: Samples) -> float:
    error = found.astype(float) - wanted
    return float(10 * np.log10((wanted.astype(float) ** 2).sum() / (error**2).sum()))


def test_the_library_beside_pyav_comes_before_the_systems_and_does_its_work() -> None:
    """PyAV's copy is looked for first, the system's last, and the self-check names the version that was found."""
    found = opus.find_libopus()
    assert "av.libs" in found[0]
    assert found[-1] == "libopus.so.0"
    assert opus.self_check().startswith("libopus ")


def test_without_a_library_the_error_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """No libopus anywhere is an unavailable service, with the remedy in the message."""
    monkeypatch.setattr(opus, "find_libopus", lambda: ["libnothing-of-this-name.so.0", "libc.so.6"])
    opus.load.cache_clear()
    try:
        with pytest.raises(UnavailableError, match=r"loading libopus: .*apt-get install libopus0"):
            opus.load()
    finally:
        opus.load.cache_clear()


def test_a_library_without_fec_does_not_pass_the_self_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """The self-check names what is missing."""
    monkeypatch.setattr(opus, "has_fec", lambda _payload: False)
    with pytest.raises(UnavailableError, match="made no in-band FEC"):
        opus.self_check()


def test_a_tone_keeps_its_level_and_its_pitch() -> None:
    """1 kHz at -12 dBFS comes back within 0.3 dB, and nothing else with it above -35 dB."""
    time_s = np.arange(RATE_HZ) / RATE_HZ
    tone = (8192 * np.sin(2 * np.pi * 1000 * time_s)).astype(np.int16)
    encoder, decoder = OpusEncoder(), OpusDecoder()
    out = np.concatenate([decoder.decode(encoder.encode(frame)) for frame in tone.reshape(-1, TICK_SAMPLES)])
    spectrum = np.abs(np.fft.rfft(out[-RATE_HZ // 2 :] * np.hanning(RATE_HZ // 2)))
    assert int(spectrum.argmax()) * 2 == 1000
    assert 20 * np.log10(np.std(out[-RATE_HZ // 2 :]) / np.std(tone)) == pytest.approx(0, abs=0.3)
    others = np.delete(spectrum, range(490, 511))
    assert 20 * np.log10(others.max() / spectrum.max()) < -35


@pytest.mark.parametrize("samples", [120, 240, 480, 960, 1920, 2880])
def test_every_frame_length_comes_back_as_long_as_it_was(samples: int) -> None:
    """Packets of 2.5 to 60 ms know their length and decode to it."""
    decoder = OpusDecoder()
    for payload in encoded(0.5, frame=samples):
        assert packet_samples(payload) == decoder.packet_samples(payload) == samples
        assert len(decoder.decode(payload)) == samples


def test_a_packet_of_several_frames_is_decoded_whole() -> None:
    """Six 20 ms frames in one packet (120 ms, the longest there is) decode to 5,760 samples."""
    frames = [payload for payload in encoded(1.0) if payload[0] == encoded(0.1)[0][0]][:6]
    lengths = b"".join(bytes([len(f) - 1]) if len(f) <= 252 else b"" for f in frames[:-1])
    assert len(lengths) == 5
    packet = bytes([frames[0][0] | 3, 0x80 | 6]) + lengths + b"".join(frame[1:] for frame in frames)
    assert packet_samples(packet) == 5760
    assert len(OpusDecoder().decode(packet)) == 5760


def test_stereo_packets_come_out_mono() -> None:
    """A packet with the stereo flag is mixed down: as many samples as its length says."""
    library = opus.load()
    state = ctypes.create_string_buffer(library.opus_encoder_get_size(2))
    assert library.opus_encoder_init(state, RATE_HZ, 2, 2049) == 0
    buffer = ctypes.create_string_buffer(1275)
    tone = (8000 * np.sin(2 * np.pi * 440 * np.arange(TICK_SAMPLES * 10) / RATE_HZ)).astype(np.int16)
    stereo = np.ascontiguousarray(np.repeat(tone, 2).reshape(10, -1))
    decoder = OpusDecoder()
    for frame in stereo:
        length = library.opus_encode(state, frame.ctypes.data, TICK_SAMPLES, buffer, 1275)
        payload = buffer.raw[:length]
        assert payload[0] & 0x04
        out = decoder.decode(payload)
    assert len(out) == TICK_SAMPLES
    assert 20 * np.log10(np.std(out) / np.std(tone)) == pytest.approx(0, abs=0.5)


def test_fec_is_really_sent_when_asked_for() -> None:
    """Nearly every packet of speech carries the frame before it a second time, none when FEC is off."""
    assert sum(map(has_fec, encoded(8.0))) > 0.9 * len(encoded(8.0))
    assert not any(map(has_fec, encoded(8.0, fec=False)))


def test_fec_is_found_as_the_library_itself_finds_it() -> None:
    """On real packets of all lengths and on random bytes the flag agrees with libopus 1.5's own function."""
    theirs = opus.load().opus_packet_has_lbrr
    theirs.argtypes = [ctypes.c_char_p, ctypes.c_int32]
    random = np.random.default_rng(3)
    payloads = [random.bytes(int(random.integers(1, 80))) for _ in range(5000)]
    for samples in (480, 960, 1920, 2880):
        payloads += encoded(2.0, frame=samples)
    assert [has_fec(payload) for payload in payloads] == [theirs(payload, len(payload)) > 0 for payload in payloads]


def test_a_lost_frame_is_restored_from_the_next_packet() -> None:
    """Restoring is nearer to what was said than concealing, which is nearer than nothing."""
    payloads, clean = encoded(8.0), OpusDecoder()
    wanted = [clean.decode(payload) for payload in payloads]
    restoring, concealing = OpusDecoder(), OpusDecoder()
    restored, concealed, lost = [], [], []
    for index, payload in enumerate(payloads[:-1]):
        if index % 10 == 5 and has_fec(payloads[index + 1]):
            restored.append(restoring.restore(payloads[index + 1], TICK_SAMPLES))
            concealed.append(concealing.conceal(TICK_SAMPLES))
            lost.append(wanted[index])
        else:
            restoring.decode(payload)
            concealing.decode(payload)
    assert len(lost) > 30
    assert snr_db(np.concatenate(restored), np.concatenate(lost)) > 5
    assert snr_db(np.concatenate(restored), np.concatenate(lost)) > 3 + snr_db(
        np.concatenate(concealed), np.concatenate(lost)
    )


def test_restoring_from_a_packet_that_has_nothing_conceals() -> None:
    """A next packet that is empty, garbage or without FEC gives concealed audio of the length asked for."""
    decoder = OpusDecoder()
    for payload in encoded(0.5):
        decoder.decode(payload)
    for following in (b"", b"\x03\x00", encoded(0.5, fec=False)[3]):
        assert len(decoder.restore(following, TICK_SAMPLES)) == TICK_SAMPLES
    assert decoder.spare_samples(encoded(0.5, fec=False)[3]) == 0


def test_concealment_goes_on_and_gets_softer() -> None:
    """Concealed frames continue the sound from one to the next, softer and softer."""
    decoder = OpusDecoder()
    for payload in encoded(2.0):
        last = decoder.decode(payload)
    concealed = [decoder.conceal(TICK_SAMPLES) for _ in range(5)]
    assert np.std(concealed[0]) > 0.2 * np.std(last)
    assert np.std(concealed[-1]) < 0.5 * np.std(concealed[0])


@pytest.mark.parametrize("payload", [b"", b"\x03", b"\x03\x00", b"\xff\xff\xff", bytes([3, 63]), b"\x01\x00"])
def test_garbage_is_refused_and_the_decoder_lives_on(payload: bytes) -> None:
    """A malformed packet raises, and the next good one decodes."""
    decoder = OpusDecoder()
    with pytest.raises(PayloadError, match="decoding an Opus packet"):
        decoder.decode(payload)
    assert len(decoder.decode(encoded(0.1)[0])) == TICK_SAMPLES


def test_a_one_byte_dtx_packet_is_a_frame_of_silence() -> None:
    """A lone TOC byte, as DTX sends it, has a length and decodes."""
    payload = encoded(0.1)[0][:1]
    assert packet_samples(payload) == frame_samples(payload) == TICK_SAMPLES
    assert not has_fec(payload)
    assert len(OpusDecoder().decode(payload)) == TICK_SAMPLES


def test_reset_forgets_the_past() -> None:
    """After a reset a decoder behaves like a new one."""
    payloads = encoded(0.4)
    used, fresh = OpusDecoder(), OpusDecoder()
    for payload in payloads:
        used.decode(payload)
    used.reset()
    assert [used.decode(p).tolist() for p in payloads] == [fresh.decode(p).tolist() for p in payloads]


def test_a_frame_of_another_length_is_refused() -> None:
    """Only Opus' own frame lengths can be encoded."""
    with pytest.raises(ValueError, match="not 961"):
        OpusEncoder().encode(np.zeros(961, dtype=np.int16))


def test_a_setting_that_the_library_refuses_is_an_error() -> None:
    """A complexity that does not exist is reported with the control that was refused."""
    with pytest.raises(UnavailableError, match="opus_encoder_ctl 4010"):
        OpusEncoder(complexity=11)


@given(st.binary(min_size=1, max_size=4))
def test_the_length_is_what_the_library_says(payload: bytes) -> None:
    """Any first bytes of a packet mean the same length, or the same lack of one, to us and to libopus."""
    length = opus.load().opus_packet_get_nb_samples
    length.argtypes = [ctypes.c_char_p, ctypes.c_int32, ctypes.c_int32]
    assert packet_samples(payload) == max(0, length(payload, len(payload), RATE_HZ))
    assert frame_samples(payload) == opus.load().opus_packet_get_samples_per_frame(payload, RATE_HZ)


def still_packet() -> bytes:
    """What an agent sends while it listens: the same packet again and again."""
    encoder = OpusEncoder(complexity=5)
    return [encoder.encode(np.zeros(TICK_SAMPLES, dtype=np.int16)) for _ in range(50)][-1]


class CountingDecoder(OpusDecoder):
    """Counts what reaches the library.

    Attributes:
        runs: How often.
    """

    runs = 0

    def _run(self, payload: bytes | None, samples: int, *, fec: int) -> Samples:
        self.runs += 1
        return super()._run(payload, samples, fec=fec)


def test_an_unchanging_silence_is_not_decoded() -> None:
    """After a moment the packets of a listening agent cost nothing, are silent, and as long as they say."""
    decoder, still = CountingDecoder(), still_packet()
    heard = [decoder.decode(still) for _ in range(100)]
    assert decoder.runs < 20
    assert {len(samples) for samples in heard} == {TICK_SAMPLES}
    assert np.abs(np.concatenate(heard[1:])).max() <= 1


def test_what_follows_an_unchanging_silence_is_as_if_all_had_been_decoded() -> None:
    """The next words are the same as from a decoder that was given every packet."""
    words, still = encoded(0.4), still_packet()
    decoder, reference = CountingDecoder(), OpusDecoder()
    sent = [*words, *[still] * 200, *words]
    found = np.concatenate([decoder.decode(payload) for payload in sent])
    wanted = np.concatenate([reference._run(payload, 5760, fec=0) for payload in sent])
    assert decoder.runs < len(words) * 2 + 30
    assert np.array_equal(found, wanted)


def test_a_steady_sound_is_decoded_although_its_packets_are_the_same() -> None:
    """Only silence is known beforehand: anything louder is decoded, however often its bytes come."""
    decoder, loud = CountingDecoder(), encoded(0.4)[10]
    for _ in range(30):
        decoder.decode(loud)
    assert decoder.runs == 30


def test_a_loss_in_an_unchanging_silence_is_concealed_and_decoding_begins_again() -> None:
    """After a concealment the decoder's state is another one, so packets are decoded until they are known again."""
    decoder, still = CountingDecoder(), still_packet()
    for _ in range(30):
        decoder.decode(still)
    before = decoder.runs
    decoder.conceal(TICK_SAMPLES)
    decoder.decode(still)
    assert decoder.runs == before + 2
