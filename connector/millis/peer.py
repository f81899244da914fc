"""The WebRTC peer of one agent leg: one aiortc connection, from gathering until its last socket is closed.

Payloads go in, `MediaPacket`s come out; nothing here encodes, decodes or buffers audio. Every wait is bounded, because
the library's own limits are not: 63 s for an unreachable candidate, for ever for a DTLS handshake that stalls
(`facts`, aiortc).
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from enum import StrEnum

import structlog
from aiortc import (
    RTCConfiguration,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpSender,
    RTCRtpTransceiver,
    RTCSessionDescription,
)
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcrtpparameters import RTCRtpCodecCapability
from aiortc.stats import RTCInboundRtpStreamStats, RTCRemoteInboundRtpStreamStats

from connector.audio.frames import MediaPacket
from connector.base.legs import AudioCodec
from connector.base.redact import redact
from connector.millis import seams
from connector.millis.options import AgentFigures, IceServer
from connector.millis.sdp import CheckedAnswer, prepare_offer
from connector.millis.shortcut import DirectReceiver, DirectSender
from connector.millis.track import PacketTrack

CLOSE_SECONDS = 4.0
"""After this long a close is finished by force; with that it stays under the 5 s that a session allows a leg."""
_SETTLE_SECONDS = 0.5
_SETTLE_STEP_SECONDS = 0.01
_GATHER_MARGIN_SECONDS = 0.5
_CODECS = ("audio/opus", "audio/PCMU", "audio/PCMA")
_CLOCK_HZ = {AudioCodec.OPUS: 48_000, AudioCodec.PCMU: 8_000, AudioCodec.PCMA: 8_000}
_RTP_HEADER = 12
_RTP_FIRST_BYTES = range(128, 192)  # RFC 7983 section 7
_RTCP_SECOND_BYTES = range(192, 224)  # RFC 5761 section 4

_log = structlog.get_logger()


class PeerState(StrEnum):
    """How far the connection is, or how it ended."""

    NEW = "new"
    CONNECTED = "connected"
    HUNG_UP = "hung_up"
    ICE_FAILED = "ice_failed"
    DTLS_FAILED = "dtls_failed"
    LOST = "lost"


_OVER = frozenset({PeerState.HUNG_UP, PeerState.ICE_FAILED, PeerState.DTLS_FAILED, PeerState.LOST})


class AgentPeer:
    """One peer connection towards the agent; used once.

    Args:
        on_packet: Takes every received RTP packet in arrival order, on the event loop. If it raises, the packet is
            counted as a sink error and the connection lives on.
        on_datagram: Called for every datagram that arrives, STUN and DTLS included.
        ice_servers: STUN and TURN servers; empty means host candidates only.
        private_host: Whether the agent's host is private, so that loopback is offered too.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        on_packet: Callable[[MediaPacket], None],
        on_datagram: Callable[[], None],
        *,
        ice_servers: Sequence[IceServer] = (),
        private_host: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._on_packet = on_packet
        self._on_datagram = on_datagram
        self._ice_servers = ice_servers
        self._private_host = private_host
        self._connection: RTCPeerConnection | None = None
        self._transceiver: RTCRtpTransceiver | None = None
        self._track = PacketTrack()
        self._sender: DirectSender | None = None
        self._receiver: DirectReceiver | None = None
        self._gathering: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._answered = False
        self._rtp_datagrams = 0
        self._figures = AgentFigures()
        self.ice_at: float | None = None
        """When ICE had found a path, in seconds of the clock."""
        self.state = PeerState.NEW
        self.changed = asyncio.Event()
        """Set whenever `state` changes; whoever waits clears it first."""

    async def gather(self) -> str:
        """Build the connection and gather every local candidate.

        Returns:
            The complete offer, with in-band FEC asked for.

        Raises:
            ValueError: An ICE server's URL is malformed.
            OSError: No socket could be opened.
        """
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[_ice_server(s) for s in self._ice_servers]))
        self._connection = connection
        self._transceiver = connection.addTransceiver(self._track, direction="sendrecv")
        self._transceiver.setCodecPreferences(_preferred_codecs())
        seams.tap_packets(self._transceiver.receiver, self._packet)
        self._receiver = DirectReceiver(self._transceiver, self._packet)
        seams.choose_addresses(self._dtls, private_host=self._private_host)
        self._dtls.on("statechange", self._update)
        self._dtls.transport.on("statechange", self._note_ice)
        self._dtls.transport.on("statechange", self._update)
        # In a task of its own: gathering that is cancelled half-way leaves sockets and queries behind.
        self._gathering = asyncio.create_task(connection.setLocalDescription(), name="millis-gather")
        await asyncio.shield(self._gathering)
        seams.tap_datagrams(self._dtls, self._datagram)
        if "\r\na=candidate:" not in connection.localDescription.sdp:
            raise OSError("no network address to offer")
        return prepare_offer(connection.localDescription.sdp)

    async def apply(self, answer: CheckedAnswer) -> None:
        """Use an answer: from here on the library connects by itself.

        Raises:
            Exception: Whatever the library thinks of it.
        """
        assert self._connection is not None
        self._figures.codec = answer.codec
        self._figures.candidates_dropped = answer.dropped
        await self._connection.setRemoteDescription(RTCSessionDescription(answer.sdp, "answer"))
        self._answered = True

    def send(self, payload: bytes, timestamp: int) -> None:
        """Send one RTP payload at once, or drop it; never blocks or raises.

        Args:
            payload: Without one nothing is sent: the far side's decoder might take it as its end.
            timestamp: In units of 1/48000 s whatever the codec, never going back.
        """
        if not payload:
            self._figures.send_refused += 1
        elif self._sender is None:
            self._figures.send_early += 1
        else:
            self._sender.send(payload, timestamp)

    @property
    def stuck(self) -> bool:
        """Whether the transport takes no packets for the agent."""
        return self._sender is not None and self._sender.refusing

    @property
    def taken(self) -> int:
        """Packets that the transport has taken so far."""
        return 0 if self._sender is None else self._sender.sent

    @property
    def over(self) -> bool:
        """Whether the connection has ended, in whichever way."""
        return self.state in _OVER

    def figures(self) -> AgentFigures:
        """The counters as they stand, the library's own as `read_reports` saw them last; a new object each time."""
        figures, sender = self._figures, self._sender
        if sender is not None:
            figures.packets_sent, figures.bytes_sent = sender.sent, sender.sent_bytes
            figures.send_dropped = sender.dropped
        figures.unroutable = max(0, self._rtp_datagrams - figures.packets_received)
        return figures.copy()

    async def read_reports(self) -> None:
        """Take loss, jitter and round trip over from the library's statistics (RFC 3550 reports)."""
        if self._transceiver is None or self.state is not PeerState.CONNECTED:
            return
        figures = self._figures
        received = await self._transceiver.receiver.getStats()
        streams = [s for s in received.values() if isinstance(s, RTCInboundRtpStreamStats)]
        if streams:
            figures.lost_towards_us = sum(s.packetsLost for s in streams)
            figures.jitter_ms = 1000 * streams[-1].jitter / _CLOCK_HZ[figures.codec or AudioCodec.OPUS]
        sent = await self._transceiver.sender.getStats()
        for report in sent.values():
            if isinstance(report, RTCRemoteInboundRtpStreamStats):
                figures.lost_towards_agent = report.packetsLost
                figures.rtt_ms = None if report.roundTripTime is None else 1000 * report.roundTripTime
                figures.jitter_out_ms = 1000 * report.jitter / _CLOCK_HZ[figures.codec or AudioCodec.OPUS]

    async def close(self) -> None:
        """End the connection: the agent hears a DTLS close_notify; sockets and tasks are gone afterwards.

        Idempotent, bounded by `CLOSE_SECONDS`, and good at any moment, also half-way through gathering or connecting.
        """
        if self._connection is None:
            return
        if self._closing is None:
            self._closing = asyncio.create_task(self._shut(self._connection), name="millis-close")
        await asyncio.wait({self._closing}, timeout=CLOSE_SECONDS)
        why = _failure(self._closing)
        if why is None or self._figures.forced_closes:
            return
        self._figures.forced_closes += 1
        _log.warning("millis_close_forced", error=why)
        self._closing.cancel()
        if self._transceiver is not None:
            seams.abort_sockets(self._dtls)

    async def _shut(self, connection: RTCPeerConnection) -> None:
        if self._gathering is not None:
            await asyncio.wait({self._gathering}, timeout=seams.GATHER_SECONDS + _GATHER_MARGIN_SECONDS)
            _failure(self._gathering)  # whoever waited for it has seen it, or is gone
        await connection.close()
        if self._answered:
            await self._settle()

    async def _settle(self) -> None:
        """Wait until the library's connect task, which it keeps no hold of, has noticed the close.

        It does so at its next 20 ms step; then it fails the DTLS transport.
        """
        for _ in range(int(_SETTLE_SECONDS / _SETTLE_STEP_SECONDS)):
            if self._dtls_state() in {"failed", "closed"}:
                return
            await asyncio.sleep(_SETTLE_STEP_SECONDS)

    def _dtls_state(self) -> str:
        return self._dtls.state

    @property
    def _dtls(self) -> RTCDtlsTransport:
        assert self._transceiver is not None
        return self._transceiver.receiver.transport

    def _packet(self, packet: MediaPacket) -> None:
        figures = self._figures
        figures.packets_received += 1
        figures.bytes_received += len(packet.payload)
        figures.empty_payloads += not packet.payload
        try:
            self._on_packet(packet)
        except Exception as error:  # noqa: BLE001 - out of here it would end the library's receive task
            figures.sink_errors += 1
            if figures.sink_errors == 1:
                _log.exception("millis_packet_sink_failed", error=redact(error))

    def _datagram(self, data: bytes) -> bool:
        """Count a datagram; True when it was audio and is dealt with."""
        self._figures.datagrams += 1
        self._on_datagram()
        if len(data) < _RTP_HEADER or data[0] not in _RTP_FIRST_BYTES or data[1] in _RTCP_SECOND_BYTES:
            return False
        self._rtp_datagrams += 1
        return self._receiver is not None and self._receiver.take(data)

    def _note_ice(self) -> None:
        state, figures = self._dtls.transport.state, self._figures
        match state:
            case "checking":
                figures.ice_checking += 1
            case "completed":
                figures.ice_completed += 1
                self.ice_at = self._clock() if self.ice_at is None else self.ice_at
            case "failed":
                figures.ice_failed += 1
            case "closed":
                figures.ice_closed += 1

    def _update(self) -> None:
        """Follow the transports' states; the first end counts."""
        if self._closing is not None or self.over:
            return
        state = self._state()
        if state is not self.state:
            self.state = state
            if state is PeerState.CONNECTED:
                self._rtp_datagrams = self._figures.packets_received
                assert self._transceiver is not None
                self._sender = DirectSender(self._transceiver)
            self.changed.set()

    def _state(self) -> PeerState:
        connected, dtls, ice = self.state is PeerState.CONNECTED, self._dtls.state, self._dtls.transport.state
        if dtls == "closed":
            return PeerState.HUNG_UP if seams.hung_up(self._dtls) else PeerState.LOST
        if dtls == "failed":
            return PeerState.HUNG_UP if seams.hung_up(self._dtls) else PeerState.DTLS_FAILED
        if ice in {"failed", "closed"}:
            return PeerState.LOST if connected else PeerState.ICE_FAILED
        return PeerState.CONNECTED if dtls == "connected" else PeerState.NEW


def _ice_server(server: IceServer) -> RTCIceServer:
    credential = server.credential.reveal() if server.credential else None
    return RTCIceServer(urls=list(server.urls), username=server.username, credential=credential)


def _preferred_codecs() -> list[RTCRtpCodecCapability]:
    capabilities = RTCRtpSender.getCapabilities("audio").codecs
    return [codec for name in _CODECS for codec in capabilities if codec.mimeType == name]


def _failure(task: asyncio.Task[None]) -> str | None:
    """Why a task has not ended well, if so; marks its exception as seen."""
    if not task.done():
        return "it takes too long"
    if task.cancelled():
        return "it was cancelled"
    error = task.exception()
    return None if error is None else f"{type(error).__name__}: {redact(error)}"
