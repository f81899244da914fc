"""Audio past the library's tasks and queues: from the tick into the socket, from the socket into the receive path.

The library sends each packet by a task that is woken for it, and receives each by another; together they cost more
than all of our own work on a packet. ICE, DTLS, RTCP and its statistics stay the library's, and whatever is not plain
audio of a known source takes the library's way. Names as in aiortc 1.16; `seams.check_seams` asks for all of them.
"""

import random
import time
from collections.abc import Callable
from typing import Any

import pylibsrtp
from aiortc import RTCRtpTransceiver
from aiortc.rtcdtlstransport import State
from aiortc.rtp import HeaderExtensions

from connector.audio.frames import MediaPacket
from connector.millis import rtp

SENDER_NAMES = tuple(
    f"_RTCRtpSender__{name}"
    for name in (
        "packet_count",
        "octet_count",
        "rtp_timestamp",
        "ntp_timestamp",
        "mid",
        "rtp_header_extensions_map",
        "started",
    )
)
RECEIVER_NAMES = tuple(f"_RTCRtpReceiver__{name}" for name in ("codecs", "remote_streams"))
_PACKETS, _OCTETS, _RTP_TIME, _NTP_TIME, _MID, _EXTENSIONS, _STARTED = SENDER_NAMES
_CODECS, _STREAMS = RECEIVER_NAMES

_NTP_EPOCH_S = 2_208_988_800
"""From 1900 to 1970 (RFC 868)."""
_MOST_WAITING = 4_096
"""Bytes that may wait for a socket: about half a second of audio. A socket that takes nothing holds up nobody."""


class DirectSender:
    """Sends the audio of a connected transceiver. The library's sender, whose track yields nothing, keeps RTCP going.

    Args:
        transceiver: With negotiated codecs.

    Attributes:
        sent: Packets handed to the socket.
        sent_bytes: Their payload bytes.
        dropped: Packets given up because the transport takes none.
        refusing: Whether the newest one was.
    """

    def __init__(self, transceiver: RTCRtpTransceiver) -> None:
        self._transceiver = transceiver
        self._library = vars(transceiver.sender)
        self._dtls = transceiver.sender.transport
        self._ice: Any = self._dtls.transport._connection  # noqa: SLF001 - the seam
        self._writer: rtp.PacketWriter | None = None
        self.sent = self.sent_bytes = self.dropped = 0
        self.refusing = False

    def send(self, payload: bytes, timestamp: int) -> None:
        """Send one packet at once, or drop it; never blocks or raises.

        Args:
            payload: An RTP payload, not empty.
            timestamp: In units of 1/48000 s.
        """
        pair, writer = self._ice._nominated.get(1), self._writer or self._begin()  # noqa: SLF001
        connected = self._dtls._state is State.CONNECTED  # noqa: SLF001
        if not connected or pair is None or writer is None or _waiting(pair.protocol.transport) > _MOST_WAITING:
            self.refusing = True
            self.dropped += 1
            return
        self.refusing = False
        packet = writer.write(payload, timestamp)
        pair.protocol.transport.sendto(self._dtls._tx_srtp.protect(packet), pair.remote_addr)  # noqa: SLF001
        self.sent += 1
        self.sent_bytes += len(payload)
        # What the library's sender reports are made of:
        library = self._library
        library[_PACKETS], library[_OCTETS] = self.sent, self.sent_bytes
        library[_RTP_TIME], library[_NTP_TIME] = writer.timestamp, int((time.time() + _NTP_EPOCH_S) * 2**32)

    def _begin(self) -> rtp.PacketWriter | None:
        """Take over what was negotiated, as soon as the library's sender has it: a moment after DTLS is up."""
        if not self._library[_STARTED]:
            return None
        codec = self._transceiver._codecs[0]  # noqa: SLF001
        assert codec.payloadType is not None
        self._writer = rtp.PacketWriter(
            codec.payloadType,
            codec.clockRate,
            self._transceiver.sender._ssrc,  # noqa: SLF001
            number=random.getrandbits(15),  # away from the wrap, which some SRTP receivers do not survive early on
            origin=random.getrandbits(32),
            extension=self._library[_EXTENSIONS].set(HeaderExtensions(mid=self._library[_MID])),
        )
        return self._writer


def _waiting(transport: Any) -> int:
    """Bytes that a socket has not taken yet; a TURN relay knows no such thing."""
    waiting: Callable[[], int] | None = getattr(transport, "get_write_buffer_size", None)
    return 0 if waiting is None else waiting()


class DirectReceiver:
    """Takes the audio of a transceiver out of the datagrams.

    Args:
        transceiver: The stock one; before or after negotiation.
        sink: Takes every packet in arrival order; must not raise.
    """

    def __init__(self, transceiver: RTCRtpTransceiver, sink: Callable[[MediaPacket], None]) -> None:
        receiver = vars(transceiver.receiver)
        self._dtls = transceiver.receiver.transport
        self._codecs: dict[int, Any] = receiver[_CODECS]
        self._streams: dict[int, Any] = receiver[_STREAMS]
        self._sink = sink

    def take(self, datagram: bytes) -> bool:
        """Take an SRTP packet.

        Returns:
            False when it is one for the library: not connected yet, another payload type, a source that it has not
            met (it keeps the statistics of each).
        """
        stream = self._streams.get(int.from_bytes(datagram[8:12], "big"))
        if stream is None or self._dtls._state is not State.CONNECTED or datagram[1] & 0x7F not in self._codecs:  # noqa: SLF001
            return False
        try:
            packet = rtp.parse(self._dtls._rx_srtp.unprotect(datagram))  # noqa: SLF001
        except (pylibsrtp.Error, ValueError):  # forged, repeated, or longer than any RTP packet
            return True
        if packet is not None:
            stream.add(packet)
            self._sink(packet)
        return True
