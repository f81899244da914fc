"""The receive path case by case. Whole networks are in test_audio_receive_weather.py, laws in …_laws.py."""

from dataclasses import replace

import numpy as np
import pytest

from connector.audio.frames import RATE_HZ, TAP_SAMPLES, TICK_SAMPLES, MediaPacket
from connector.audio.g711 import G711Encoder
from connector.audio.opus import OpusDecoder
from connector.audio.receive import ReceivePath
from connector.base.legs import AudioCodec
from tests.network import (
    Arrival,
    Heard,
    MarkedDecoder,
    delayed,
    gaps_ms,
    lossy,
    loudness,
    marked,
    marked_stream,
    packets,
    run,
    shifted,
    speech,
)

JITTER_S = 0.040


def path(*, fec: bool = True) -> ReceivePath:
    return ReceivePath(AudioCodec.OPUS, start=0.0, decoder=MarkedDecoder(fec=fec))


def values(heard: Heard) -> list[int]:
    """The value in the middle of each 10 ms, doubles in a row left out."""
    middles = [int(value) for value in heard.audio[240::480]]
    return [value for index, value in enumerate(middles) if index == 0 or value != middles[index - 1]]


def jittered(sent: list[Arrival], seed: int = 1) -> list[Arrival]:
    return delayed(sent, lambda random: random.uniform(0, JITTER_S), seed)


def opus_path() -> ReceivePath:
    return ReceivePath(AudioCodec.OPUS, start=0.0)


def test_a_calm_stream_goes_straight_through() -> None:
    """Each packet is handed on as it comes, decoded and otherwise untouched."""
    sent = packets(2.0)
    receive, decoder = opus_path(), OpusDecoder()
    for at, packet in sent:
        (played,) = receive.add(packet, at)
        assert np.array_equal(played, decoder.decode(packet.payload))
        assert receive.tick(at + 0.001) == []
    assert receive.figures.delay_ms == pytest.approx(0, abs=0.01)


def test_a_lost_packet_is_restored_as_soon_as_the_next_one_comes() -> None:
    """The hole and the packet behind it are handed on together, without waiting for a packet that may be late."""
    receive = path()
    receive.add(marked(0), 0.02)
    (played,) = receive.add(marked(2), 0.06)
    assert played[480::960].tolist() == [2, 3]
    assert receive.add(marked(1), 0.25) == []
    assert (receive.figures.lost, receive.figures.late, receive.figures.clocked) == (1, 1, False)


def test_packets_that_a_buffer_would_have_waited_for_bring_the_buffer_in() -> None:
    """The second packet within a second that comes just after the one behind it: from now on the tick has its turn."""
    receive = path()
    for number in (0, 2):
        receive.add(marked(number), 0.02 * (number + 1))
    assert receive.add(marked(1), 0.065) == []
    modes = [receive.figures.clocked]
    for number in (3, 5):
        receive.add(marked(number), 0.02 * (number + 1))
    assert receive.add(marked(4), 0.125) == []
    modes.append(receive.figures.clocked)
    assert modes == [False, True]
    assert receive.add(marked(6), 0.14) == []
    assert [len(piece) for piece in receive.tick(0.161)] == [TICK_SAMPLES]


def test_one_hiccup_now_and_then_adds_no_delay() -> None:
    """Several packets held up together, every two seconds, are passed on as they come; no buffer is brought in."""
    sent = marked_stream(1000)
    held_up = [(max(at, at // 2 * 2 + 0.055) if index > 50 else at, p) for index, (at, p) in enumerate(sent)]
    receive = path()
    heard = run(receive, held_up, until=21)
    assert receive.figures.mode_switches == 0
    assert receive.figures.real_samples >= 0.97 * 1000 * TICK_SAMPLES
    assert float(np.median([delay for _, delay in heard.delays])) < 1


def test_after_a_calm_spell_packets_go_straight_through_again() -> None:
    """Five seconds after the network became even the delay is gone, and nothing was lost on the way."""
    sent = packets(12.0)
    receive = opus_path()
    heard = run(receive, jittered(sent[:200]) + sent[202:], until=13)
    assert not receive.figures.clocked
    assert receive.figures.mode_switches == 2
    assert all(delay > 40 for at, delay in heard.delays if 2 < at < 4)
    assert all(delay < 1 for at, delay in heard.delays if 9 < at < 12)
    assert gaps_ms(heard.audio) == gaps_ms(heard.listened()) == []


def test_a_pause_is_a_calm_spell() -> None:
    """A stream that stopped while the buffer was in charge goes straight through when it comes back."""
    sent = marked_stream(200)
    receive = path()
    run(receive, jittered(sent[:100]), until=6.0)
    assert not receive.figures.clocked
    at, packet = shifted(sent[100:101], seconds=5.0, timestamps=5 * RATE_HZ)[0]
    (played,) = receive.add(packet, at)
    assert 101 in played


def test_when_packets_stop_everything_received_is_played_and_then_nothing() -> None:
    """The end of an utterance is heard at once, five frames fade out behind it, and no sample comes in the pause."""
    sent = marked_stream(50)
    for arrivals in (sent, jittered(sent)):
        receive = path()
        heard = run(receive, arrivals, until=3.0)
        assert 50 in values(heard)
        assert heard.at[-1] < 1.3
        assert receive.figures.real_samples + receive.figures.restored_samples == 50 * TICK_SAMPLES
        assert receive.figures.pauses == 1


@pytest.mark.parametrize("timestamps_go_on", [True, False])
@pytest.mark.parametrize("uneven", [True, False])
def test_after_a_pause_the_first_word_is_whole_and_in_time(timestamps_go_on: bool, uneven: bool) -> None:
    """What was made up at the end is not charged against the next talk, whether or not the sender counted on."""
    sent = marked_stream(200)
    pause = 96_000 if timestamps_go_on else 0
    arrivals = sent[:100] + shifted(sent[100:], seconds=2.0, timestamps=pause)
    receive = path()
    heard = run(receive, jittered(arrivals) if uneven else arrivals, until=7.0)
    assert [value for value in range(1, 201) if value not in values(heard)] == []
    before = max(delay for at, delay in heard.delays if 1.0 < at < 2.0)
    assert all(delay <= before + 40 for at, delay in heard.delays if 4.2 < at < 6.0)


def test_packets_without_payload_do_no_harm() -> None:
    """Padding-only packets with their own numbers and random timestamps change nothing, with and without loss."""
    audio = packets(10.0)
    random = np.random.default_rng(4)
    padded: list[Arrival] = []
    for at, packet in audio:
        number = packet.sequence_number + len(padded) - packet.sequence_number
        padded.append((at, replace(packet, sequence_number=number & 0xFFFF)))
        if random.random() < 0.2:
            stamp = int(random.integers(0, 1 << 32))
            padded.append((at + 0.001, MediaPacket(len(padded) & 0xFFFF, stamp, packet.ssrc, b"")))
    plain, receive = opus_path(), opus_path()
    assert np.array_equal(run(receive, padded, until=11).audio, run(plain, audio, until=11).audio)
    assert receive.figures.empty == len(padded) - len(audio)
    assert receive.figures.lost == receive.figures.mode_switches == 0
    damaged = opus_path()
    heard = run(damaged, lossy(padded, 0.05, 2), until=11)
    assert damaged.figures.restored_samples > 0.8 * damaged.figures.lost * TICK_SAMPLES
    assert gaps_ms(heard.audio) == gaps_ms(heard.listened()) == []


def test_counters_that_wrap_are_not_noticed() -> None:
    """Sequence numbers and timestamps wrap mid-call, with loss and jitter, as if they had not."""
    sent = packets(10.0)
    for arrivals in (sent, lossy(sent, 0.05, 3), jittered(lossy(sent, 0.05, 3))):
        plain, wrapped = opus_path(), opus_path()
        moved = shifted(arrivals, numbers=0xFFFF - 200, timestamps=-200 * TICK_SAMPLES)
        assert np.array_equal(run(wrapped, moved, until=11).audio, run(plain, arrivals, until=11).audio)


@pytest.mark.parametrize(
    ("numbers", "timestamps", "ssrc"),
    [(20_000, 123_456_789, 99), (20_000, 123_456_789, None), (0, 3600 * RATE_HZ, None), (0, -24_000, None)],
    ids=["another source", "another sequence", "timestamps ahead", "timestamps back"],
)
@pytest.mark.parametrize("uneven", [True, False])
def test_a_stream_that_goes_on_elsewhere_goes_on(
    numbers: int,
    timestamps: int,
    ssrc: int | None,
    uneven: bool,
) -> None:
    """Another source, sequence or time base costs a few packets at most, no gap and no delay."""
    sent = packets(10.0)
    arrivals = sent[:250] + shifted(sent[250:], numbers=numbers, timestamps=timestamps, ssrc=ssrc)
    receive = opus_path()
    heard = run(receive, jittered(arrivals) if uneven else arrivals, until=11)
    figures = receive.figures
    assert figures.real_samples + figures.restored_samples >= 495 * TICK_SAMPLES
    assert figures.ssrc_changes + figures.sequence_restarts + figures.timestamp_leaps == 1
    assert gaps_ms(heard.audio) == gaps_ms(heard.listened()) == []
    assert all(delay < 95 for _, delay in heard.delays)


def test_the_former_streams_last_words_are_not_cut_off() -> None:
    """What the buffer held of the former source is played before the new one."""
    first, second = marked_stream(50), shifted(marked_stream(150)[50:], numbers=777, timestamps=99, ssrc=9)
    heard = run(path(), jittered(first, 2) + jittered(second, 2), until=5)
    assert [value for value in range(1, 151) if value not in values(heard)] == []


@pytest.mark.parametrize("frame", [480, 1920, 2880])
def test_packets_of_other_lengths_are_treated_alike(frame: int) -> None:
    """10, 40 and 60 ms packets pass straight through, survive loss and jitter, and keep the time."""
    sent = packets(10.0, frame=frame)
    for arrivals, least in (
        (sent, 1.0),
        (lossy(sent, 0.05, 1), 0.95),
        (jittered(sent), 0.999),
        (jittered(lossy(sent, 0.05, 1)), 0.95),
    ):
        receive = opus_path()
        heard = run(receive, arrivals, until=11)
        share = (receive.figures.real_samples + receive.figures.restored_samples) / (len(sent) * frame)
        assert share >= least
        assert heard.seconds == pytest.approx(len(sent) * frame / RATE_HZ + 0.1, abs=0.11)
        assert gaps_ms(heard.audio) == gaps_ms(heard.listened()) == []


def test_short_packets_are_gathered_into_ten_milliseconds() -> None:
    """2.5 ms packets leave four at a time; every piece is a multiple of 480 samples."""
    sent = packets(2.0, frame=120)
    heard = run(opus_path(), sent, until=3)
    assert {len(piece) % TAP_SAMPLES for piece in heard.pieces} == {0}
    assert heard.seconds == pytest.approx(2.1, abs=0.01)


def test_dtx_is_silence_and_not_loss() -> None:
    """One-byte packets every 400 ms without a gap in the numbers: nothing is lost, and speech returns at once."""
    sent = packets(4.0)
    toc = sent[0][1].payload[:1]
    quiet = [(2.0 + 0.4 * (i + 1), MediaPacket(100 + i, 100 * 960 + 19_200 * i + 18_240, 7, toc)) for i in range(5)]
    resumed = shifted(sent[100:], seconds=2.4, numbers=5, timestamps=round(2.4 * RATE_HZ))
    receive = opus_path()
    heard = run(receive, sent[:100] + quiet + resumed, until=7)
    assert receive.figures.lost == receive.figures.concealed_samples == receive.figures.mode_switches == 0
    assert receive.figures.real_samples == 205 * TICK_SAMPLES
    first_word = [piece for at, piece in zip(heard.at, heard.pieces, strict=True) if at >= resumed[0][0]]
    assert len(first_word[0]) == TICK_SAMPLES
    assert all(delay < 45 for _, delay in heard.delays)


def test_garbage_is_counted_and_made_up_for() -> None:
    """A payload that is no packet is a lost one: restored from the next, and nothing is raised."""
    sent = packets(4.0)
    broken = [(at, replace(p, payload=b"\x03") if i % 20 == 10 else p) for i, (at, p) in enumerate(sent)]
    receive = opus_path()
    heard = run(receive, broken, until=5)
    assert receive.figures.undecodable == 10
    assert receive.figures.restored_samples + receive.figures.concealed_samples == 10 * TICK_SAMPLES
    assert gaps_ms(heard.audio) == []


def test_doubles_are_played_once() -> None:
    """A network that doubles every packet changes nothing but a counter."""
    sent = marked_stream(100)
    twice = [arrival for arrival in sent for _ in range(2)]
    plain, doubled = path(), path()
    assert np.array_equal(run(plain, sent, until=3).audio, run(doubled, twice, until=3).audio)
    assert doubled.figures.duplicates == 100


def test_a_burst_after_a_stall_does_not_become_delay() -> None:
    """Two seconds that come at once are not played behind time: within 4.5 s all delay is gone again."""
    sent = packets(12.0)
    stalled = [(max(at, 6.0) if 4.0 < at < 6.0 else at, packet) for at, packet in sent]
    receive = opus_path()
    heard = run(receive, stalled, until=13)
    assert receive.figures.dropped > 70
    assert heard.seconds < 12 - 1.5
    assert all(delay < 200 for _, delay in heard.delays)
    assert all(delay < 1 for at, delay in heard.delays if 10.5 < at < 12)


def test_late_ticks_that_are_caught_up_play_everything() -> None:
    """An event loop that wakes every 60 ms, for the packets and three ticks at once, loses nothing."""
    receive, played = path(), []
    waiting = jittered(marked_stream(300))
    for wake in range(120):
        now = wake * 0.060
        while waiting and waiting[0][0] <= now:
            played += receive.add(waiting.pop(0)[1], now)
        for _ in range(3):
            played += receive.tick(now)
    assert [value for value in range(1, 301) if value not in np.concatenate(played)] == []
    assert receive.figures.concealed_samples <= 3 * TICK_SAMPLES


@pytest.mark.parametrize("codec", [AudioCodec.PCMU, AudioCodec.PCMA])
def test_telephone_codecs_take_the_same_path(codec: AudioCodec) -> None:
    """G.711 with 8 kHz timestamps: straight through when calm, concealed when lossy, level kept, never a gap."""
    encoder = G711Encoder(codec)
    audio = speech(10.0)
    sent = [
        (0.02 * (i + 1), MediaPacket(i, i * 160, 7, encoder.encode(frame)))
        for i, frame in enumerate(audio.reshape(-1, TICK_SAMPLES))
    ]
    calm = ReceivePath(codec, start=0.0)
    heard = run(calm, sent, until=11)
    assert calm.figures.real_samples == len(audio)
    assert calm.figures.mode_switches == 0
    for arrivals in (lossy(sent, 0.05, 1), jittered(sent), jittered(lossy(sent, 0.05, 1))):
        receive = ReceivePath(codec, start=0.0)
        heard = run(receive, arrivals, until=11)
        assert receive.figures.real_samples >= 0.93 * len(audio)
        assert gaps_ms(heard.audio) == gaps_ms(heard.listened()) == []
        level = 20 * np.log10(np.std(heard.audio) / np.std(audio))
        assert level == pytest.approx(-0.3, abs=0.3)


def test_nothing_comes_before_the_first_packet() -> None:
    """Ticks without a stream give nothing and count nothing."""
    receive = path()
    assert [receive.tick(0.02 * i) for i in range(100)] == [[]] * 100
    assert receive.figures.concealed_samples == receive.figures.pauses == 0


def test_the_tail_of_speech_is_near_what_was_said() -> None:
    """The made-up frames behind the last packet are softer than the speech before them."""
    receive = opus_path()
    heard = run(receive, packets(2.0), until=3)
    frames = heard.audio.reshape(-1, TICK_SAMPLES)
    assert loudness(frames[-5:]).max() < 2 * loudness(frames[-15:-5]).max()
    assert loudness(frames[-1:])[0] < 0.3 * loudness(frames[-15:-5]).max()
