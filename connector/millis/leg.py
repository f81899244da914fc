"""The agent leg of a session: one billed WebRTC session with a Millis agent, behind the face that a session sees.

`prepare` costs nothing, `offer` may begin a session that is billed, `connect` brings it to where media flows, and
`close` is due whatever happened before. Used once: every try is a new leg with a new offer.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable

import structlog
from aiortc.exceptions import OperationError

from connector.audio.frames import MediaPacket
from connector.audio.liveness import LegLiveness
from connector.base.causes import Cause
from connector.base.ends import EndReason
from connector.base.errors import AgentLegError
from connector.base.legs import AgentEvent, AgentHungUp, AgentLost, AudioCodec
from connector.base.redact import redact
from connector.millis import responses
from connector.millis.offer import OfferClient
from connector.millis.options import AgentFigures, AgentLegOptions
from connector.millis.peer import AgentPeer, PeerState
from connector.millis.sdp import CheckedAnswer

CONNECT_SECONDS = 15.0
"""From the answer until media can flow (fault 25: the library alone would take 63 s)."""
POLL_SECONDS = 0.25
_REPORTS_EVERY = 20
_STUCK_POLLS = 8
"""2 s of polls with a full queue and nothing taken: the library's sender has ended. A stalled loop makes one poll."""

_log = structlog.get_logger()
_LOST_BECAUSE = {
    "no_datagrams": "no datagram from the agent for 12 s: its process or the network between is gone",
    "no_media": "the agent sent no audio within 15 s of connecting",
    "agent_silence": "the agent's audio stream, never paused before, has stopped",
}

_NOT_CONNECTED_CAUSES = {
    PeerState.ICE_FAILED: Cause.ICE_FAILED,
    PeerState.DTLS_FAILED: Cause.DTLS_FAILED,
    PeerState.HUNG_UP: Cause.HUNG_UP,
}


class MillisAgentLeg:
    """One session with a Millis agent.

    Args:
        options: Where to and as whom.
        client: Makes the offer call; shared by all legs of an engine.
        on_packet: Takes every received RTP packet, in arrival order, on the event loop; it should not raise.
        clock: Monotonic seconds.
        connect_s: The deadline of `connect`.
    """

    def __init__(
        self,
        options: AgentLegOptions,
        client: OfferClient,
        on_packet: Callable[[MediaPacket], None],
        clock: Callable[[], float] = time.monotonic,
        *,
        connect_s: float = CONNECT_SECONDS,
    ) -> None:
        self._options = options
        self._client = client
        self._on_packet = on_packet
        self._clock = clock
        self._connect_s = connect_s
        self._liveness = LegLiveness(options.agent_silence_s)
        self._peer = AgentPeer(
            self._packet,
            self._datagram,
            ice_servers=options.ice_servers,
            private_host=options.private_host,
            clock=clock,
        )
        self._offer: str | None = None
        self._offer_s: float | None = None
        self._connect_took_s: float | None = None
        self._answered_at = 0.0
        self._event: AgentEvent | None = None
        self._closed = False
        self._polls = 0
        self._stuck_polls = 0
        self._taken = 0

    async def prepare(self) -> None:
        """Build the connection and a fully gathered offer; nothing is sent to Millis yet.

        Raises:
            AgentLegError: No offer could be made (no network address, a malformed ICE server); nothing has begun.
        """
        try:
            self._offer = await self._peer.gather()
        except (OSError, ValueError, OperationError) as error:
            raise AgentLegError(
                f"Cannot prepare a WebRTC offer: {redact(error)}. Check the machine's network and millis.ice_servers",
                reason=EndReason.AGENT_UNREACHABLE,
                retryable=isinstance(error, OSError),
                cause=Cause.UNREACHABLE if isinstance(error, OSError) else Cause.CONFIG,
            ) from None

    async def offer(self) -> AudioCodec:
        """Post the offer and use the answer; a session may be billed from here on.

        Returns:
            The codec that the answer picked.

        Raises:
            AgentLegError: Refused, unreachable, or an answer that cannot be used.
        """
        if self._offer is None:
            raise RuntimeError("offer() before prepare()")
        asked_at = self._clock()
        answer = await self._client.offer(self._options, self._offer)
        self._answered_at = self._clock()
        self._offer_s = self._answered_at - asked_at
        await self._apply(answer)
        return answer.codec

    async def _apply(self, answer: CheckedAnswer) -> None:
        try:
            await self._peer.apply(answer)
        except Exception as error:  # noqa: BLE001 - whatever the library raises at a checked answer ends this try only
            _log.warning("millis_answer_failed", error=f"{type(error).__name__}: {redact(error)}")
            what = f"Millis' answer cannot be used: {type(error).__name__}: {redact(error)}"
            raise responses.BAD_ANSWER.error(what) from None

    async def connect(self) -> None:
        """Wait until ICE and DTLS are up and media can flow.

        Raises:
            AgentLegError: Not within the deadline, or ICE or DTLS failed; a session may have begun.
        """
        peer = self._peer
        remaining = self._answered_at + self._connect_s - self._clock()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(remaining, 0.0)):
                while peer.state is PeerState.NEW:
                    peer.changed.clear()
                    await peer.changed.wait()
        if peer.state is not PeerState.CONNECTED:
            raise self._not_connected(peer.state)
        now = self._clock()
        self._connect_took_s = now - self._answered_at
        self._liveness.connected(now)

    def _not_connected(self, state: PeerState) -> AgentLegError:
        what = {
            PeerState.ICE_FAILED: "No network path to the agent: every ICE candidate of Millis' answer failed",
            PeerState.DTLS_FAILED: "The agent's certificate or keys do not fit Millis' answer (DTLS failed)",
            PeerState.HUNG_UP: "The agent closed the connection before it stood",
        }.get(state, f"No connection to the agent within {self._connect_s:g} s")
        return AgentLegError(
            f"{what}. Check that UDP is let out of this network, and millis.ice_servers; a new try follows",
            reason=EndReason.AGENT_UNREACHABLE,
            retryable=True,
            may_have_begun=True,
            cause=_NOT_CONNECTED_CAUSES.get(state, Cause.CONNECT_TIMEOUT),
        )

    def send(self, payload: bytes, timestamp: int) -> None:
        """Send one RTP packet; never blocks, never raises, drops the oldest when the transport lags (200 ms).

        Args:
            payload: Encoded with the codec that `offer` returned.
            timestamp: In units of 1/48000 s, never going back, whatever the codec.
        """
        self._peer.send(payload, timestamp)

    async def next_event(self) -> AgentEvent:
        """How the leg ended: waits until it has.

        Returns:
            `AgentHungUp` after a close in good order, else `AgentLost`; the same again when called again. Once the
            leg was closed from here without either, it never returns.
        """
        while True:
            if self._event is None and not self._closed:
                self._event = self._ended() or await self._poll()
            if self._event is not None:
                return self._event
            self._peer.changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._peer.changed.wait()

    def _ended(self) -> AgentEvent | None:
        if self._peer.state is PeerState.HUNG_UP:
            return AgentHungUp()
        if self._peer.over:
            return AgentLost(
                Cause.TRANSPORT_FAILED, "the connection to the agent broke: ICE consent or the transport failed"
            )
        return None

    async def _poll(self) -> AgentEvent | None:
        """What only the passing of time shows."""
        cause = self._liveness.verdict(self._clock())
        if cause is not None:
            return AgentLost(cause, _LOST_BECAUSE.get(cause, cause))
        taken = self._peer.taken
        self._stuck_polls = self._stuck_polls + 1 if self._peer.stuck and taken == self._taken else 0
        self._taken = taken
        if self._stuck_polls >= _STUCK_POLLS:
            return AgentLost(Cause.TRANSPORT_FAILED, "the transport has stopped taking packets for the agent")
        self._polls += 1
        if self._polls % _REPORTS_EVERY == 0:
            await self._peer.read_reports()
        return None

    def figures(self) -> AgentFigures:
        """The counters of this leg; a new object each time."""
        figures = self._peer.figures()
        figures.offer_s, figures.connect_s = self._offer_s, self._connect_took_s
        if self._connect_took_s is not None and self._peer.ice_at is not None:
            figures.ice_s = max(0.0, self._peer.ice_at - self._answered_at)
            figures.dtls_s = max(0.0, self._connect_took_s - figures.ice_s)
        return figures

    async def close(self) -> None:
        """Hang up: idempotent, under 5 s, good at any moment, also after a half-way failure."""
        self._closed = True
        await self._peer.close()

    def _packet(self, packet: MediaPacket) -> None:
        self._liveness.rtp(self._clock())
        self._on_packet(packet)

    def _datagram(self) -> None:
        self._liveness.datagram(self._clock())
