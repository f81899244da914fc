"""The far side of a call: a plain aiortc peer behind Millis' HTTP call, all on 127.0.0.1.

It shares no code with the leg under test. Its own audio is sent packet by packet by the test, so that every loss
pattern and every oddity of RTP can be written down literally.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from aiortc import (
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCRtpTransceiver,
    RTCSessionDescription,
)
from aiortc.mediastreams import AudioStreamTrack
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtp import RtcpByePacket, RtpPacket
from av import AudioFrame

from tests.loopback.servers import Seen, answered, millis

PAYLOAD = b"\xf8\xff\xfe"
"""A valid Opus packet: 20 ms of silence."""


class _SilentTrack(AudioStreamTrack):
    """Has nothing to say: the library's sender waits for ever, and the test sends."""

    async def recv(self) -> AudioFrame:
        await asyncio.Event().wait()
        raise AssertionError


class Answerer:
    """Answers one offer after the other; the newest peer counts.

    Args:
        codec: For example ``audio/PCMU``, to answer with this codec only.
        mangle: Changes the answer's SDP before it is sent.
    """

    def __init__(self, *, codec: str | None = None, mangle: Callable[[str], str] = str) -> None:
        self.codec = codec
        self.mangle = mangle
        self.offers: list[str] = []
        self.received: list[RtpPacket] = []
        self.states: list[str] = []
        self.http = Seen()
        self._peers: list[RTCPeerConnection] = []
        self._transceiver: RTCRtpTransceiver | None = None

    async def handle(self, request: web.Request) -> web.Response:
        """The HTTP call."""
        offer = (await request.json())["offer"]
        self.offers.append(offer["sdp"])
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._peers.append(peer)
        peer.on("connectionstatechange", lambda: self.states.append(peer.connectionState))
        self._transceiver = peer.addTransceiver(_SilentTrack())
        if self.codec:
            known = RTCRtpSender.getCapabilities("audio").codecs
            self._transceiver.setCodecPreferences([codec for codec in known if codec.mimeType == self.codec])
        self._record(self._transceiver)
        await peer.setRemoteDescription(RTCSessionDescription(offer["sdp"], "offer"))
        await peer.setLocalDescription(await peer.createAnswer())
        return answered(self.mangle(peer.localDescription.sdp))

    def _record(self, transceiver: RTCRtpTransceiver) -> None:
        stock = transceiver.receiver._handle_rtp_packet

        async def handle(packet: RtpPacket, arrival_time_ms: int) -> None:
            self.received.append(packet)
            await stock(packet, arrival_time_ms)

        transceiver.receiver._handle_rtp_packet = handle  # type: ignore[method-assign]

    @property
    def transceiver(self) -> RTCRtpTransceiver:
        """The newest peer's only transceiver."""
        assert self._transceiver is not None
        return self._transceiver

    @property
    def dtls(self) -> RTCDtlsTransport:
        """The newest peer's transport."""
        return self.transceiver.receiver.transport

    @property
    def ssrc(self) -> int:
        """The source that `send` uses."""
        return self.transceiver.sender._ssrc

    async def send(
        self, number: int, payload: bytes = PAYLOAD, *, payload_type: int | None = None, padding: int = 0
    ) -> None:
        """Send one RTP packet with this sequence number and a timestamp of 20 ms per number.

        Args:
            number: Sequence number.
            payload: The payload, empty for padding only.
            payload_type: Instead of the negotiated one.
            padding: Bytes of padding behind the payload.
        """
        codec = self.transceiver._codecs[0]
        assert codec.payloadType is not None
        packet = RtpPacket(
            payload_type=codec.payloadType if payload_type is None else payload_type,
            sequence_number=number & 0xFFFF,
            timestamp=number * codec.clockRate // 50,
            ssrc=self.ssrc,
            payload=payload,
        )
        packet.padding_size = padding
        await self.dtls._send_rtp(packet.serialize())

    async def send_bye(self) -> None:
        """Send an RTCP BYE for our source."""
        await self.dtls._send_rtp(bytes(RtcpByePacket(sources=[self.ssrc])))

    def vanish(self) -> None:
        """Be gone without a word, as after kill -9: the sockets are closed, nothing is sent any more."""
        for protocol in list(self.dtls.transport._connection._protocols):
            protocol.transport.abort()

    async def hang_up(self) -> None:
        """Close the newest peer in good order."""
        await self._peers[-1].close()

    async def close(self) -> None:
        """Close every peer."""
        for peer in self._peers:
            await asyncio.wait_for(peer.close(), 10)


@asynccontextmanager
async def answering(answerer: Answerer) -> AsyncIterator[str]:
    """Serve `answerer` over HTTP; yields the base URL."""
    async with millis(answerer.handle) as seen:
        answerer.http = seen
        try:
            yield seen.url
        finally:
            await answerer.close()
