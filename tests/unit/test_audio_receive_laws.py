"""Laws of the receive path: whatever the network or the sender does."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.audio.figures import ReceiveFigures
from connector.audio.frames import RATE_HZ, TAP_SAMPLES, TICK_SAMPLES, TICK_SECONDS, MediaPacket
from connector.audio.order import Order
from connector.audio.receive import ReceivePath
from connector.audio.variation import CAP_S
from connector.base.legs import AudioCodec
from tests.network import Arrival, Heard, MarkedDecoder, marked, marked_stream, payloads, run

_AHEAD_S = 0.300
"""What may be handed on ahead of real time: the burst limit, a packet of 60 ms and a filled hole."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What happens to one packet: how late it comes, how often, and what is done to it."""

    delay_s: float = 0.0
    copies: int = 1
    change: str = ""


fates = st.builds(
    Fate,
    delay_s=st.one_of(st.just(0.0), st.floats(0, 0.06), st.floats(0, 3.0)),
    copies=st.sampled_from([1, 1, 1, 1, 0, 2]),
    change=st.sampled_from(["", "", "", "", "empty", "garbage", "source", "number", "time", "pause"]),
)
frames = st.sampled_from([120, 480, 960, 1920, 2880])


def suffer(fated: list[Fate], samples: int) -> list[Arrival]:
    """A stream that meets its fate."""
    out: list[Arrival] = []
    now, number, timestamp, ssrc = 0.0, 65_500, 0xFFFFFFFF - 5000, 1
    for index, fate in enumerate(fated):
        now += samples / RATE_HZ
        packet = MediaPacket(number & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc, marked(index, samples=samples).payload)
        match fate.change:
            case "empty":
                packet = replace(packet, payload=b"", timestamp=index)
                timestamp -= samples
            case "garbage":
                packet = replace(packet, payload=b"\xff\x03")
            case "source":
                ssrc += 1
            case "number":
                number += 10_000
            case "time":
                timestamp += 40_000_000 * (1 if index % 2 else -1)
            case "pause":
                now += 0.5
        out += [(now + fate.delay_s, packet)] * fate.copies
        number, timestamp = number + 1, timestamp + samples
    return sorted(out, key=lambda arrival: arrival[0])


def received(arrivals: list[Arrival], *, phase: float = 0.007) -> tuple[ReceiveFigures, Heard]:
    receive = ReceivePath(AudioCodec.OPUS, start=0.0, decoder=MarkedDecoder())
    return receive.figures, run(receive, arrivals, until=arrivals[-1][0] + 1 if arrivals else 1, phase=phase)


@given(st.lists(fates, max_size=80), frames, st.floats(0, 0.0199))
def test_whatever_comes_the_audio_keeps_its_form_and_never_runs_ahead(
    fated: list[Fate], samples: int, phase: float
) -> None:
    """No packets make it fail; every piece is whole; what is handed on is never far ahead of the time that passed."""
    arrivals = suffer(fated, samples)
    figures, heard = received(arrivals, phase=phase)
    assert all(piece.dtype == np.int16 and len(piece) % TAP_SAMPLES == 0 and len(piece) for piece in heard.pieces)
    assert figures.received == len(arrivals)
    assert figures.clocked in {True, False}
    handed_on = 0.0
    for at, piece in zip(heard.at, heard.pieces, strict=True):
        handed_on += len(piece) / RATE_HZ
        assert handed_on <= 1.01 * (at - arrivals[0][0]) + _AHEAD_S


@given(st.lists(fates, max_size=80), frames, st.floats(0, 0.0199))
def test_the_short_way_of_packets_in_order_changes_nothing(fated: list[Fate], samples: int, phase: float) -> None:
    """Whatever comes, audio and counters are the same as when every packet is first put in order."""
    arrivals = suffer(fated, samples)
    figures, heard = received(arrivals, phase=phase)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Order, "passes", lambda _order, _held: False)
        long_figures, long_heard = received(arrivals, phase=phase)
    assert figures == long_figures
    assert heard.at == long_heard.at
    assert all(np.array_equal(one, other) for one, other in zip(heard.pieces, long_heard.pieces, strict=True))


@given(st.lists(st.binary(max_size=60), max_size=40))
def test_no_bytes_harm_the_real_decoder(garbage: list[bytes]) -> None:
    """Random payloads between good ones: nothing is raised, and afterwards good ones are played as ever."""
    receive = ReceivePath(AudioCodec.OPUS, start=0.0)
    good = payloads(1.0)
    played = []
    for number in range(2 * len(garbage)):
        payload = garbage[number // 2] if number % 2 else good[number % len(good)]
        played += receive.add(MediaPacket(number, number * 960, 7, payload), 0.02 * number)
        played += receive.tick(0.02 * number + 0.007)
    before = receive.figures.real_samples
    for number in range(2 * len(garbage), 2 * len(garbage) + 50):
        played += receive.add(MediaPacket(number, number * 960, 7, good[number % len(good)]), 0.02 * number)
        played += receive.tick(0.02 * number + 0.007)
    assert receive.figures.real_samples - before >= 30 * TICK_SAMPLES
    assert all(len(piece) % TAP_SAMPLES == 0 for piece in played)


@given(st.lists(st.integers(0, 6), min_size=5, max_size=60), st.lists(st.booleans(), min_size=60, max_size=60))
def test_any_order_within_the_cap_plays_every_packet_once_and_in_order(late: list[int], twice: list[bool]) -> None:
    """Packets up to 120 ms late, some doubled: once the buffer has learnt, all are heard, in order, each once."""
    pattern = [late[index % len(late)] for index in range(700)]
    arrivals = [
        (at + 0.02 * pattern[index], packet)
        for index, (at, packet) in enumerate(marked_stream(700))
        for _ in range(1 + twice[index % len(twice)])
    ]
    _, heard = received(sorted(arrivals, key=lambda arrival: arrival[0]))
    values = [int(value) for value in heard.audio[::240] if value]
    assert all(before <= after for before, after in pairwise(values[1200:]))
    assert set(range(400, 690)) <= set(heard.audio.tolist())


@given(st.lists(st.booleans(), min_size=20, max_size=200).filter(lambda kept: kept[0] and kept[-1]))
def test_any_loss_leaves_the_time_as_it_is(kept: list[bool]) -> None:
    """While no more than five packets in a row are lost, as much audio comes out as was sent, and the fading end."""
    runs = "".join("x" if keep else "." for keep in kept).replace("......", ".....x")
    arrivals = [arrival for arrival, keep in zip(marked_stream(len(runs)), runs, strict=True) if keep == "x"]
    figures, heard = received(arrivals)
    assert abs(heard.seconds - (len(runs) * TICK_SECONDS + 0.1)) <= 0.101
    assert figures.real_samples == len(arrivals) * TICK_SAMPLES
    assert figures.mode_switches == 0


@given(st.lists(st.floats(0, 0.4), min_size=30, max_size=150))
def test_nothing_older_than_the_cap_is_played(delays: list[float]) -> None:
    """However late packets come, what is played was due at most the cap and two ticks ago, until the stream pauses."""
    steady = [0.0, *delays]
    arrivals = [(at + delay, packet) for delay, (at, packet) in zip(steady, marked_stream(len(steady)), strict=True)]
    events = sorted([*arrivals, *((0.007 + i * TICK_SECONDS, None) for i in range(200))], key=lambda event: event[0])
    receive = ReceivePath(AudioCodec.OPUS, start=0.0, decoder=MarkedDecoder())
    for now, packet in events:
        played = receive.tick(now) if packet is None else receive.add(packet, now)
        if receive.figures.pauses:
            return
        for piece in played:
            values, counts = np.unique(piece[piece > 0], return_counts=True)
            for value in values[counts >= 480]:  # fewer may be a cross-fade's
                assert now - value * TICK_SECONDS <= CAP_S + 2 * TICK_SECONDS
