"""Packets both ways between a leg and a plain aiortc peer."""

import asyncio
import functools
from itertools import pairwise

import pytest
from aiortc.rtp import RtpPacket
from aiortc.stats import RTCInboundRtpStreamStats, RTCRemoteOutboundRtpStreamStats

from connector.audio.frames import MediaPacket
from connector.base.legs import AudioCodec
from connector.millis.seams import LARGEST_DATAGRAM
from tests.loopback.answerer import Answerer
from tests.loopback.calls import Call, calling, until


async def test_the_offer_is_complete_and_asks_for_what_we_want() -> None:
    """Opus before PCMU and PCMA and nothing else, in-band FEC, every candidate, their end; no data channel."""
    async with calling(Answerer()) as call:
        await call.set_up()
        lines = call.far.offers[0].split("\r\n")
    assert [line for line in lines if line.startswith("m=")] == [
        next(line for line in lines if line.startswith("m=audio") and line.endswith(" UDP/TLS/RTP/SAVPF 96 0 8"))
    ]
    assert "a=fmtp:96 minptime=10;useinbandfec=1" in lines
    assert [line.split()[4] for line in lines if line.startswith("a=candidate:")] == ["127.0.0.1"]
    assert "a=end-of-candidates" in lines
    assert "a=sendrecv" in lines


async def test_payloads_reach_the_agent_unchanged() -> None:
    """Every packet sent arrives once, in order, with its payload and 20 ms between the timestamps."""
    payloads = [bytes([number]) * 40 for number in range(50)]
    async with calling(Answerer()) as call:
        assert await call.set_up() is AudioCodec.OPUS
        for number, payload in enumerate(payloads):
            call.leg.send(payload, 960 * number)
            await until(functools.partial(heard, call, number + 1))
        received, figures = call.far.received, call.leg.figures()
    assert [packet.payload for packet in received] == payloads
    assert steps([packet.timestamp for packet in received]) == {960}
    assert steps([packet.sequence_number for packet in received]) == {1}
    assert (figures.packets_sent, figures.bytes_sent, figures.send_dropped) == (50, 50 * 40, 0)


@pytest.mark.parametrize(
    ("mime", "codec", "number"), [("audio/PCMU", AudioCodec.PCMU, 0), ("audio/PCMA", AudioCodec.PCMA, 8)]
)
async def test_g711_answers_work_both_ways(mime: str, codec: AudioCodec, number: int) -> None:
    """An answer with G.711 is taken up: its payload type, its 8 kHz clock, its packets in both directions."""
    async with calling(Answerer(codec=mime)) as call:
        assert await call.set_up() is codec
        for sent in range(5):
            call.leg.send(b"\xd5" * 160, 960 * sent)
            await call.far.send(sent, b"\xd5" * 160)
        await until(lambda: len(call.far.received) == 5 and len(call.packets) == 5)
    assert {packet.payload_type for packet in call.far.received} == {number}
    assert steps([packet.timestamp for packet in call.far.received]) == {160}
    assert steps([packet.timestamp for packet in call.packets]) == {160}
    assert {packet.payload for packet in call.packets} == {b"\xd5" * 160}


async def test_packets_from_the_agent_come_as_they_are() -> None:
    """Loss and reordering are handed on as they are, for audio to deal with; SRTP itself stops a repeated packet."""
    pattern = [0, 1, 2, 5, 4, 6, 6, 9, 8]
    async with calling(Answerer()) as call:
        await call.set_up()
        for number in pattern:
            await call.far.send(number, bytes([number + 1]))
        await until(lambda: len(call.packets) == len(set(pattern)))
        ssrc, figures = call.far.ssrc, call.leg.figures()
    assert call.packets == [MediaPacket(n, 960 * n, ssrc, bytes([n + 1])) for n in [0, 1, 2, 5, 4, 6, 9, 8]]
    assert (figures.packets_received, figures.bytes_received, figures.unroutable) == (8, 8, 1)


async def test_sequence_numbers_wrap() -> None:
    """The 16-bit wrap in the middle of a call changes nothing."""
    async with calling(Answerer()) as call:
        await call.set_up()
        for number in range(65_530, 65_542):
            await call.far.send(number)
        await until(lambda: len(call.packets) == 12)
    assert [packet.sequence_number for packet in call.packets] == [*range(65_530, 65_536), *range(6)]


async def test_loss_is_counted_from_the_library() -> None:
    """Every tenth packet missing shows in the figures that the leg reads from time to time."""
    async with calling(Answerer()) as call:
        await call.set_up()
        for number in range(100):
            if number % 10 != 5:
                await call.far.send(number)
        await until(lambda: len(call.packets) == 90)
        await call.leg._peer.read_reports()
        figures = call.leg.figures()
    assert figures.lost_towards_us == 10


async def test_the_agents_reports_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the leg waits for its end it reads the far side's RTCP reports: round trip, and what of ours was lost."""
    monkeypatch.setattr("connector.millis.leg._REPORTS_EVERY", 1)
    async with calling(Answerer()) as call:
        await call.set_up()
        waiting = asyncio.create_task(call.leg.next_event())
        call.leg.send(b"audio", 0)
        await until(lambda: call.leg.figures().rtt_ms is not None)
        waiting.cancel()
        figures = call.leg.figures()
    assert figures.rtt_ms is not None
    assert figures.rtt_ms < 1000
    assert figures.lost_towards_agent == 0


async def test_audio_passes_the_librarys_tasks_by() -> None:
    """Only the first packet of a source takes the library's way in, none its way out; its statistics see them all."""
    async with calling(Answerer()) as call:
        await call.set_up()
        transceiver = call.leg._peer._transceiver
        assert transceiver is not None
        stock, seen = transceiver.receiver._handle_rtp_packet, list[int]()

        async def handle(packet: RtpPacket, arrival_time_ms: int) -> None:
            seen.append(packet.sequence_number)
            await stock(packet, arrival_time_ms)

        transceiver.receiver._handle_rtp_packet = handle  # type: ignore[method-assign]
        await call.far.send(0)
        await until(lambda: call.packets)
        for number in range(1, 20):
            await call.far.send(number)
            call.leg.send(b"audio", 960 * number)
        await until(lambda: len(call.packets) == 20 and heard(call, 19))
        received = await transceiver.receiver.getStats()
        assert seen == [0]
        assert {s.packetsReceived for s in received.values() if isinstance(s, RTCInboundRtpStreamStats)} == {20}
        assert await sender_reported(call) == (19, 19 * len(b"audio"))


async def sender_reported(call: Call) -> tuple[int, int]:
    """Packets and bytes that the leg's RTCP sender report claims; one comes within 1.5 s."""
    while True:
        for stats in (await call.far.transceiver.receiver.getStats()).values():
            if isinstance(stats, RTCRemoteOutboundRtpStreamStats) and stats.packetsSent:
                return stats.packetsSent, stats.bytesSent
        await asyncio.sleep(0.02)


async def test_datagrams_are_read_into_small_buffers() -> None:
    """The sockets do not ask for 256 KiB for each packet, and the largest Opus frame still comes whole."""
    async with calling(Answerer()) as call:
        await call.set_up()
        sockets = [p.transport for p in call.leg._peer._dtls.transport._connection._protocols]
        assert {getattr(socket, "max_size", None) for socket in sockets} == {LARGEST_DATAGRAM}
        await call.far.send(0, b"x" * 1_275)
        await until(lambda: call.packets)
    assert len(call.packets[0].payload) == 1_275


async def test_a_packet_of_padding_only_does_no_harm() -> None:
    """Padding-only packets, with a payload type of ours and nothing in it, are handed on, and audio goes on."""
    async with calling(Answerer()) as call:
        await call.set_up()
        for number in range(20):
            if number % 4 == 1:
                await call.far.send(number, b"", padding=12)
            else:
                await call.far.send(number)
        await until(lambda: len(call.packets) == 20)
        figures = call.leg.figures()
    assert [len(packet.payload) for packet in call.packets[:4]] == [3, 0, 3, 3]
    assert figures.empty_payloads == 5


async def test_an_rtcp_bye_does_not_end_the_audio() -> None:
    """After a BYE packets still come and still count."""
    async with calling(Answerer()) as call:
        await call.set_up()
        await call.far.send(0)
        await call.far.send_bye()
        for number in range(1, 50):
            await call.far.send(number)
        await until(lambda: len(call.packets) == 50)
        assert call.leg.figures().packets_received == 50


async def test_packets_of_an_unknown_type_are_counted() -> None:
    """A payload type that was not negotiated is not handed on, but it shows."""
    async with calling(Answerer()) as call:
        await call.set_up()
        await call.far.send(0, payload_type=13)
        await call.far.send(1)
        await until(lambda: call.packets)
        figures = call.leg.figures()
    assert [packet.sequence_number for packet in call.packets] == [1]
    assert figures.unroutable == 1


async def test_garbage_on_the_socket_does_no_harm() -> None:
    """Datagrams that are neither STUN, DTLS nor SRTP are ignored, also empty ones and forged RTP."""
    async with calling(Answerer()) as call:
        await call.set_up()
        ice = call.far.dtls.transport._connection
        pair = ice._nominated[1]
        for data in (b"", b"\x00", b"\x80", b"\x80\x60", b"\xff" * 50, b"\x80\x60" + bytes(100), b"\x16" + bytes(30)):
            pair.protocol.transport.sendto(data, pair.remote_addr)
        await call.far.send(0)
        await until(lambda: call.packets)
    assert [packet.sequence_number for packet in call.packets] == [0]


async def test_a_failing_consumer_does_not_end_the_connection() -> None:
    """An exception in the consumer of packets is counted, and the next packet is handed on again."""
    seen: list[MediaPacket] = []

    def sink(packet: MediaPacket) -> None:
        seen.append(packet)
        raise ValueError(packet.sequence_number)

    async with calling(Answerer(), sink=sink) as call:
        await call.set_up()
        for number in range(3):
            await call.far.send(number)
        await until(lambda: len(seen) == 3)
        assert call.leg.figures().sink_errors == 3


async def test_audio_before_the_connection_is_forgotten() -> None:
    """Packets given while connecting are not sent in a burst afterwards."""
    async with calling(Answerer()) as call:
        call.leg.send(b"before prepare", 0)
        await call.leg.prepare()
        call.leg.send(b"before offer", 960)
        await call.leg.offer()
        await call.leg.connect()
        await sent_until_heard(call, b"now")
        assert call.leg.figures().send_early == 2
    assert {packet.payload for packet in call.far.received} == {b"now"}


def heard(call: Call, count: int) -> bool:
    """Whether the far side has so many packets."""
    return len(call.far.received) >= count


async def sent_until_heard(call: Call, payload: bytes) -> None:
    """The far side takes packets from a moment after its DTLS is up."""
    for number in range(500):
        call.leg.send(payload, 960 * number)
        await until(lambda: not call.leg._peer.stuck)
        if call.far.received:
            return
    await until(lambda: call.far.received)


def steps(numbers: list[int]) -> set[int]:
    """Differences between neighbours; none of the streams here wraps."""
    return {(b - a) & 0xFFFFFFFF for a, b in pairwise(numbers)}
