import struct

import pytest
from aiortc.rtp import RtpPacket

from connector.base.errors import UsageError
from connector.practice.agent_faults import KNOWN, USELESS, Fault, FaultPlan, FaultyWire, parse_fault, spoil

ANSWER = (
    "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 96\r\na=sendrecv\r\na=mid:0\r\n"
    "a=rtpmap:96 opus/48000/2\r\na=candidate:1 1 udp 1 127.0.0.1 9 typ host\r\na=fingerprint:sha-256 AA\r\n"
)


class Transport:
    """Takes what would go out."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    async def _send_rtp(self, data: bytes) -> None:
        self.sent.append(data)


def rtp(sequence: int, payload: bytes = b"sound") -> bytes:
    return struct.pack("!BBHII", 0x80, 96, sequence & 0xFFFF, sequence * 960, 7) + payload


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("mute", Fault("mute")),
        ("status=503*2", Fault("status", "503", 2)),
        ("status=429:2", Fault("status", "429:2")),
        ("loss=5", Fault("loss", "5")),
        ("late=1.5", Fault("late", "1.5")),
        ("useless=no-candidates*1", Fault("useless", "no-candidates", 1)),
    ],
)
def test_faults_are_read_as_written(text: str, fault: Fault) -> None:
    """Name, value and times stand where the help says."""
    assert parse_fault(text) == fault


@pytest.mark.parametrize(
    "text", ["nonsense", "", "status", "status=99", "loss", "loss=x", "mute=1", "useless=ful", "mute*0", "mute*x"]
)
def test_a_wrong_fault_is_one_line_that_names_it(text: str) -> None:
    """What cannot be read is a usage error with what there is."""
    with pytest.raises(UsageError, match="--fault") as caught:
        parse_fault(text)
    assert "\n" not in str(caught.value)


def test_a_plan_counts_down() -> None:
    """A fault for two offers meets the first two; one without a number meets all."""
    plan = FaultPlan([Fault("status", "503", 2), Fault("mute")])
    assert [sorted(plan.take()) for _ in range(4)] == [["mute", "status"], ["mute", "status"], ["mute"], ["mute"]]


@pytest.mark.parametrize("kind", USELESS)
def test_a_useless_answer_differs_from_a_good_one(kind: str) -> None:
    """Each kind changes the answer, and changes something else than the others."""
    good = {"answer": {"sdp": ANSWER, "type": "answer"}}
    spoiled = [spoil(ANSWER, other) for other in USELESS]
    assert spoil(ANSWER, kind) != good
    assert spoiled.count(spoil(ANSWER, kind)) == 1


async def test_a_wire_without_faults_changes_nothing() -> None:
    """Packets pass as they are."""
    transport = Transport()
    FaultyWire(transport)
    for sequence in range(50):
        await transport._send_rtp(rtp(sequence))
    assert transport.sent == [rtp(sequence) for sequence in range(50)]


async def test_a_wire_loses_its_share() -> None:
    """About 20 % of 1,000 packets are lost, the same ones for the same seed, and counted."""
    sent = []
    for _ in range(2):
        transport = Transport()
        wire = FaultyWire(transport, loss=0.2, seed=3)
        for sequence in range(1_000):
            await transport._send_rtp(rtp(sequence))
        assert len(transport.sent) + wire.lost == 1_000
        assert 150 < wire.lost < 250
        sent.append(transport.sent)
    assert sent[0] == sent[1]


async def test_reports_are_never_lost() -> None:
    """RTCP passes a wire that loses everything."""
    transport = Transport()
    FaultyWire(transport, loss=1.0)
    await transport._send_rtp(bytes([0x80, 200]) + bytes(26))
    await transport._send_rtp(rtp(1))
    assert len(transport.sent) == 1


async def test_late_packets_come_after_the_others() -> None:
    """A delayed packet is not lost: it leaves later."""
    transport = Transport()
    wire = FaultyWire(transport, late=1.0)
    await transport._send_rtp(rtp(1))
    assert transport.sent == []
    assert wire.delayed == 1
    for task in list(wire._waiting):
        await task
    assert transport.sent == [rtp(1)]


async def test_a_closed_wire_forgets_what_waits() -> None:
    """No task is left over."""
    transport = Transport()
    wire = FaultyWire(transport, late=1.0)
    await transport._send_rtp(rtp(1))
    wire.close()
    assert transport.sent == []


async def test_padding_stands_in_the_stream_like_any_packet() -> None:
    """After every 25th packet one follows without payload, numbered in order, with a timestamp of its own."""
    transport = Transport()
    wire = FaultyWire(transport, padding=True)
    for sequence in range(65_500, 65_600):
        await transport._send_rtp(rtp(sequence))
    packets = [RtpPacket.parse(data) for data in transport.sent]
    assert [packet.sequence_number for packet in packets] == [n & 0xFFFF for n in range(65_500, 65_500 + 104)]
    padding = [packet for packet in packets if not packet.payload]
    assert len(padding) == wire.padded == 4
    assert len({packet.timestamp for packet in packets}) == 104


def test_every_fault_is_described() -> None:
    """The help has a line for each."""
    assert all(text and not text.endswith(".") for text in KNOWN.values())
