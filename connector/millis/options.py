"""What a rule and the worker's settings say about the agent leg, and the figures that the leg gives back."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

from connector.base.hosts import is_private_host
from connector.base.legs import AudioCodec
from connector.base.secrets import Secret

AuthForm: TypeAlias = Literal["auto", "raw", "bearer"]
"""How the key stands in the Authorization header: bare, after ``Bearer ``, or whichever works."""


@dataclass(frozen=True, slots=True)
class IceServer:
    """A STUN or TURN server of our own; Millis supplies none.

    Attributes:
        urls: For example ``("stun:stun.example.com:3478",)``; only the first STUN and the first TURN URL of all
            servers are used.
        username: For TURN.
        credential: For TURN.
    """

    urls: tuple[str, ...]
    username: str | None = None
    credential: Secret | None = None


@dataclass(frozen=True, slots=True)
class AgentLegOptions:
    """Everything that one agent leg needs to know.

    Attributes:
        url: Base URL of the Millis API, without a path.
        key: Millis' private key.
        auth: How the key is sent.
        agent_id: The agent to talk to.
        metadata: Sent along only when it is not empty (`facts`: unknown for this call).
        ice_servers: Empty means host candidates only.
        agent_silence_s: Seconds without RTP, on a stream that had never paused, after which the agent counts as lost.
    """

    url: str
    key: Secret
    auth: AuthForm
    agent_id: str
    metadata: Mapping[str, object] = field(default_factory=dict)
    ice_servers: tuple[IceServer, ...] = ()
    agent_silence_s: float = 30.0

    @property
    def host(self) -> str:
        """The host name or address in the URL."""
        return urlsplit(self.url).hostname or ""

    @property
    def private_host(self) -> bool:
        """Whether Millis' own host is private, so that private addresses in its answer are to be expected."""
        return is_private_host(self.host)


@dataclass(slots=True)
class AgentFigures:
    """What one agent leg counted. All counters start at 0 and only grow.

    Attributes:
        codec: The codec of the answer, once there is one.
        offer_s: Seconds that the offer call took.
        connect_s: Seconds from the answer until media could flow.
        ice_s: Of these, until ICE had found a path.
        dtls_s: And from there until DTLS stood.
        ice_checking: Times that ICE began to look for a path.
        ice_completed: Times that it found one.
        ice_failed: Times that it found none.
        ice_closed: Times that it ended.
        packets_sent: RTP packets handed to the transport.
        bytes_sent: Their payload bytes.
        packets_received: RTP packets received and handed on.
        bytes_received: Their payload bytes.
        datagrams: Every datagram that arrived, STUN and DTLS included.
        empty_payloads: Received packets without payload (padding only).
        unroutable: Received RTP packets that did not reach us (unknown payload type, failed authentication, malformed).
        send_dropped: Packets dropped because the transport did not take them in time, oldest first.
        send_early: Packets given while the leg was not connected.
        send_refused: Packets given without payload.
        sink_errors: Received packets whose consumer failed.
        lost_towards_us: RTP packets missing by sequence number, negative when duplicates outnumber them.
        lost_towards_agent: What the agent's receiver reports say of ours.
        jitter_ms: Interarrival jitter (RFC 3550 section 6.4.1) of what we receive.
        jitter_out_ms: The same of what we send, as the agent reports it; None until it did.
        rtt_ms: Round trip as RTCP shows it; None until the agent reported.
        candidates_dropped: ICE candidates of the answer that were not used, by cause.
        forced_closes: Closes that ran out of time and were finished by force.
    """

    codec: AudioCodec | None = None
    offer_s: float | None = None
    connect_s: float | None = None
    ice_s: float | None = None
    dtls_s: float | None = None
    ice_checking: int = 0
    ice_completed: int = 0
    ice_failed: int = 0
    ice_closed: int = 0
    packets_sent: int = 0
    bytes_sent: int = 0
    packets_received: int = 0
    bytes_received: int = 0
    datagrams: int = 0
    empty_payloads: int = 0
    unroutable: int = 0
    send_dropped: int = 0
    send_early: int = 0
    send_refused: int = 0
    sink_errors: int = 0
    lost_towards_us: int = 0
    lost_towards_agent: int = 0
    jitter_ms: float = 0.0
    jitter_out_ms: float | None = None
    rtt_ms: float | None = None
    candidates_dropped: Mapping[str, int] = field(default_factory=dict)
    forced_closes: int = 0

    def copy(self) -> "AgentFigures":
        """The figures as they are now, untouched by what is counted later."""
        return replace(self)
