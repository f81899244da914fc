import struct

import pytest
from aiortc.rtp import HeaderExtensions, HeaderExtensionsMap, RtpPacket
from hypothesis import example, given
from hypothesis import strategies as st

from connector.audio.frames import MediaPacket
from connector.millis import rtp

NO_EXTENSION = (0, b"")


def library_packet(number: int, timestamp: int, ssrc: int, payload: bytes) -> RtpPacket:
    return RtpPacket(96, sequence_number=number, timestamp=timestamp, ssrc=ssrc, payload=payload)


@given(
    number=st.integers(0, 0xFFFF),
    timestamp=st.integers(0, 0xFFFF_FFFF),
    ssrc=st.integers(0, 0xFFFF_FFFF),
    payload=st.binary(max_size=100),
    marker=st.booleans(),
    sources=st.lists(st.integers(0, 0xFFFF_FFFF), max_size=15),
    padding=st.integers(0, 255),
)
def test_what_another_implementation_writes_is_read(
    number: int, timestamp: int, ssrc: int, payload: bytes, *, marker: bool, sources: list[int], padding: int
) -> None:
    """Any packet of the library's is read as it was meant, with contributing sources and padding left out."""
    packet = library_packet(number, timestamp, ssrc, payload)
    packet.marker, packet.csrc, packet.padding_size = int(marker), sources, padding
    assert rtp.parse(packet.serialize()) == MediaPacket(number, timestamp, ssrc, payload, marker)


def test_header_extensions_are_passed_over() -> None:
    """The payload begins behind the extension, however long that is."""
    packet = library_packet(1, 2, 3, b"opus")
    for profile, value in ((0xBEDE, b"\x10\x30\x00\x00"), (0x1000, b""), (0xBEDE, bytes(400))):
        plain = packet.serialize()
        data = b"\x90" + plain[1:12] + struct.pack("!HH", profile, len(value) // 4) + value + plain[12:]
        assert rtp.parse(data) == MediaPacket(1, 2, 3, b"opus")


@given(st.binary(max_size=60))
@example(b"\xa0" + bytes(11))
@example(b"\xbf\x60" + b"\xff" * 80)
def test_nothing_makes_the_reader_fail(data: bytes) -> None:
    """Whatever authenticated bytes come, they are a packet or none."""
    packet = rtp.parse(data)
    assert packet is None or len(packet.payload) <= len(data) - 12


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80" * 11,
        b"\x00" + bytes(20),
        b"\x81" + bytes(13),
        b"\x90" + bytes(13),
        b"\x90" + bytes(11) + b"\xbe\xde\x00\x05" + bytes(19),
        b"\xa0" + bytes(20),
        b"\xa0" + bytes(20) + b"\x20",
    ],
    ids=["empty", "short", "version", "sources", "no extension", "short extension", "padding 0", "padding too long"],
)
def test_what_is_cut_off_is_no_packet(data: bytes) -> None:
    """Lengths that do not fit the datagram make it no packet."""
    assert rtp.parse(data) is None


def test_written_packets_are_what_the_library_reads() -> None:
    """Number and timestamp go on from their origins and wrap; payload type, source and extension are as given."""
    extensions = HeaderExtensionsMap()
    extensions._HeaderExtensionsMap__ids.mid = 1  # type: ignore[attr-defined]
    writer = rtp.PacketWriter(
        96,
        48_000,
        42,
        number=0xFFFF,
        origin=0xFFFF_FFFF,
        extension=extensions.set(HeaderExtensions(mid="0")),
    )
    read = [RtpPacket.parse(writer.write(b"opus", 960 * n), extensions) for n in range(3)]
    assert [packet.sequence_number for packet in read] == [0xFFFF, 0, 1]
    assert [packet.timestamp for packet in read] == [0xFFFF_FFFF, 959, 1919]
    assert {(p.payload_type, p.ssrc, p.payload, p.extensions.mid, p.marker) for p in read} == {
        (96, 42, b"opus", "0", 1)
    }
    assert writer.timestamp == 1919


def test_g711_timestamps_count_in_8_khz() -> None:
    """20 ms are 160 units of a codec with an 8 kHz clock."""
    writer = rtp.PacketWriter(0, 8_000, 42, number=0, origin=7, extension=NO_EXTENSION)
    read = [RtpPacket.parse(writer.write(b"x", 960 * n)) for n in range(3)]
    assert [packet.timestamp for packet in read] == [7, 167, 327]
    assert writer.write(b"x", 0)[0] == 0x80
