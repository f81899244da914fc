"""RTP packets as bytes (RFC 3550 section 5.1), as far as an audio stream needs them."""

import struct

from connector.audio.frames import RATE_HZ, MediaPacket

_HEADER = struct.Struct("!BBHLL")
_EXTENSION = struct.Struct("!HH")
_PLAIN = 0x80
"""Version 2, no padding, no extension, no contributing sources."""
_VERSION = 0xC0
_PADDING = 0x20
_EXTENDED = 0x10
_SOURCES = 0x0F
_MARKER = 0x80


def parse(datagram: bytes) -> MediaPacket | None:
    """Read a packet; contributing sources, header extensions and padding are left out.

    Returns:
        None when this is no RTP packet, or one that is cut off.
    """
    end = len(datagram)
    if end < _HEADER.size:
        return None
    first, second, number, timestamp, ssrc = _HEADER.unpack_from(datagram)
    begin = _HEADER.size
    if first != _PLAIN:
        begin, end = _payload_range(datagram, first)
        if begin > end:
            return None
    return MediaPacket(number, timestamp, ssrc, datagram[begin:end], second >= _MARKER)


def _payload_range(datagram: bytes, first: int) -> tuple[int, int]:
    """Where the payload begins and ends; it begins behind its end when there is none to be found."""
    nowhere = (1, 0)
    begin, end = _HEADER.size + 4 * (first & _SOURCES), len(datagram)
    if first & _VERSION != _PLAIN:
        return nowhere
    if first & _EXTENDED:
        if end < begin + _EXTENSION.size:
            return nowhere
        _, words = _EXTENSION.unpack_from(datagram, begin)
        begin += _EXTENSION.size + 4 * words
    if first & _PADDING:
        padding = datagram[-1]
        if not padding:
            return nowhere
        end -= padding
    return begin, end


class PacketWriter:
    """Numbers and writes the packets of one outgoing stream.

    Args:
        payload_type: As negotiated.
        clock_hz: Rate of the codec's RTP timestamps; a divisor of 48,000.
        ssrc: 32-bit synchronisation source.
        number: First sequence number.
        origin: Timestamp of time 0, 32 bits.
        extension: Profile and value of the header extension that every packet carries; an empty value for none.

    Attributes:
        timestamp: RTP timestamp of the newest packet.
    """

    def __init__(
        self, payload_type: int, clock_hz: int, ssrc: int, *, number: int, origin: int, extension: tuple[int, bytes]
    ) -> None:
        profile, value = extension
        self._first = _PLAIN | (_EXTENDED if value else 0)
        self._extension = _EXTENSION.pack(profile, len(value) // 4) + value if value else b""
        self._second = _MARKER | payload_type
        self._scale = RATE_HZ // clock_hz
        self._ssrc = ssrc
        self._number = number
        self._origin = origin
        self.timestamp = origin

    def write(self, payload: bytes, timestamp: int) -> bytes:
        """The next packet.

        Args:
            payload: Its payload.
            timestamp: Start of its audio in units of 1/48000 s, whatever the codec.
        """
        self.timestamp = (self._origin + timestamp // self._scale) & 0xFFFF_FFFF
        number, self._number = self._number, (self._number + 1) & 0xFFFF
        return _HEADER.pack(self._first, self._second, number, self.timestamp, self._ssrc) + self._extension + payload
