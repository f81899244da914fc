"""The places where aiortc and aioice are entered below their public face, and the check that they are still there.

- Receive path: an object of ours in place of the receiver's jitter buffer. With the stock one, a single lost packet
  costs 200 ms of delay for the rest of the call (`facts`, aiortc).
- Datagram clock: `datagram_received` of each ICE socket is wrapped. A leg is alive by datagrams, and the ICE consent
  checks alone keep a silent one alive.
- Short way: audio passes the library's tasks by, in both directions (`shortcut.py`). They cost 12 of 30 ms per
  room-second.
- Host addresses: `get_component_candidates` of the ICE agent is wrapped. The stock one offers every interface but
  never loopback, and a silent STUN server costs 5 s.
- close_notify: the shutdown flags of the DTLS connection are read, to tell a hang-up from a lost connection.

All are set on single objects, never on a class or module, so other peers in the process keep the stock behaviour. None
has a fallback that would leave the product what it is: minor versions are pinned, and `check_seams` refuses to start
when a name is missing.
"""

import inspect
import ipaddress
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import aioice.ice
import aiortc
import pylibsrtp
from aiortc import RTCIceGatherer, RTCIceTransport, RTCRtpReceiver, RTCRtpSender, RTCRtpTransceiver
from aiortc.rtcdtlstransport import RTCCertificate, RTCDtlsTransport, State
from aiortc.rtcrtpreceiver import StreamStatistics
from aiortc.rtp import HeaderExtensionsMap
from OpenSSL import SSL

from connector.audio.frames import MediaPacket
from connector.base.errors import UnavailableError
from connector.millis import shortcut

GATHER_SECONDS = 2
"""How long STUN and TURN servers may take before the offer goes out without them (the library's own limit is 5)."""
LARGEST_DATAGRAM = 8_192
"""asyncio reads every datagram into a new buffer of 256 KiB, which takes 15 µs instead of 2; none of ours exceeds an
Ethernet frame."""
_MAX_ADDRESSES = 8
"""Each address is a socket; container bridges come last in the system's order."""
_JITTER_BUFFER = "_RTCRtpReceiver__jitter_buffer"
_VERSIONS = {"aiortc": "1.16.", "aioice": "0.13."}


class ReceivedRtp(Protocol):
    """What the library's RTP packet has of interest to us."""

    sequence_number: int
    timestamp: int
    ssrc: int
    payload: bytes
    marker: int


class PacketTap:
    """Stands where the receiver's jitter buffer stood: passes each packet on and yields no frame.

    The receiver keeps its statistics and receiver reports; its decoder thread never wakes. It works on after an RTCP
    BYE, and an empty payload (padding only) passes like any other.

    Args:
        sink: Takes every packet of the negotiated payload type, in arrival order; must not raise.
    """

    def __init__(self, sink: Callable[[MediaPacket], None]) -> None:
        self._sink = sink

    def add(self, packet: ReceivedRtp) -> tuple[bool, None]:
        """Take a packet; the result says that no picture was lost and no frame is complete."""
        self._sink(
            MediaPacket(
                packet.sequence_number, packet.timestamp, packet.ssrc, bytes(packet.payload), bool(packet.marker)
            )
        )
        return False, None


def tap_packets(receiver: RTCRtpReceiver, sink: Callable[[MediaPacket], None]) -> None:
    """Send everything that `receiver` receives to `sink`; before the remote description is set."""
    setattr(receiver, _JITTER_BUFFER, PacketTap(sink))


def tap_datagrams(dtls: RTCDtlsTransport, heard: Callable[[bytes], bool]) -> None:
    """Call `heard` with every datagram that reaches the gathered sockets under `dtls`, before the library has it.

    Where it returns True the library does not get the datagram.
    """
    for protocol in _ice(dtls)._protocols:  # noqa: SLF001 - the seam
        protocol.datagram_received = _announced(protocol.datagram_received, heard)
        if hasattr(protocol.transport, "max_size"):  # not at a TURN relay, and of asyncio's own loops only
            protocol.transport.max_size = LARGEST_DATAGRAM


def _announced(received: Callable[[bytes, Any], None], heard: Callable[[bytes], bool]) -> Callable[[bytes, Any], None]:
    def datagram_received(data: bytes, addr: Any) -> None:
        if not heard(data) and data:  # from Python 3.13 on an empty datagram arrives here; the library dies of it
            received(data, addr)

    return datagram_received


def choose_addresses(dtls: RTCDtlsTransport, *, private_host: bool) -> None:
    """Decide which of the machine's addresses are offered, and how long gathering may take; before gathering.

    Args:
        dtls: The transport about to gather.
        private_host: Whether the peer's host is private; only then loopback is offered, first of all.
    """
    connection = _ice(dtls)
    stock: Callable[..., Awaitable[Any]] = connection.get_component_candidates

    def get_component_candidates(component: int, addresses: list[str]) -> Awaitable[Any]:
        offered = offered_addresses(addresses, private_host=private_host)
        return stock(component=component, addresses=offered, timeout=GATHER_SECONDS)

    connection.get_component_candidates = get_component_candidates


def offered_addresses(addresses: list[str], *, private_host: bool) -> list[str]:
    """The addresses of this machine to offer: no link-local ones, loopback only towards a private host, at most 8."""
    kept = [a for a in addresses if not (ipaddress.ip_address(a).is_loopback or ipaddress.ip_address(a).is_link_local)]
    return (["127.0.0.1", *kept] if private_host else kept)[:_MAX_ADDRESSES]


def hung_up(dtls: RTCDtlsTransport) -> bool:
    """Whether the peer closed in good order: its DTLS close_notify has arrived (RFC 8446 section 6.1)."""
    ssl = dtls._ssl  # noqa: SLF001 - the seam
    return ssl is not None and bool(ssl.get_shutdown() & SSL.RECEIVED_SHUTDOWN)


def abort_sockets(dtls: RTCDtlsTransport) -> None:
    """Close the sockets under `dtls` at once, whatever the library waits for."""
    for protocol in _ice(dtls)._protocols:  # noqa: SLF001 - the seam
        protocol.transport.close()


def _ice(dtls: RTCDtlsTransport) -> Any:
    return dtls.transport._connection  # noqa: SLF001 - the seam


def check_seams() -> tuple[str, ...]:
    """Check at start-up that every seam of this module exists with the expected shape.

    Returns:
        The fallbacks in force: always none, because no seam here has one.

    Raises:
        UnavailableError: A version is not the pinned one or a name is missing; names all of them and the remedy.
    """
    missing = [*_wrong_versions(), *_missing_names()]
    if missing:
        raise UnavailableError(
            f"The WebRTC library does not have the shape that the agent leg needs: {'; '.join(missing)}. "
            "Install exactly what requirements.txt names"
        )
    return ()


def _wrong_versions() -> list[str]:
    found = {"aiortc": aiortc.__version__, "aioice": aioice.__version__}
    wrong = {name: want for name, want in _VERSIONS.items() if not found[name].startswith(want)}
    return [f"{name} {found[name]} is not {want}x" for name, want in wrong.items()]


def _missing_names() -> list[str]:
    """Build the stock objects once, unconnected, and look at them."""
    ice = RTCIceTransport(RTCIceGatherer(iceServers=[]))
    dtls = RTCDtlsTransport(ice, [RTCCertificate.generateCertificate()])
    receiver = RTCRtpReceiver("audio", dtls)
    buffer = getattr(receiver, _JITTER_BUFFER, None)
    connection = getattr(ice, "_connection", None)
    shapes = {
        "jitter buffer of the receiver": _takes(getattr(buffer, "add", None), "packet"),
        "ICE connection of the transport": isinstance(connection, aioice.ice.Connection),
        "sockets of the ICE connection": isinstance(getattr(connection, "_protocols", None), list),
        "datagram_received of an ICE socket": _takes(
            vars(aioice.ice.StunProtocol).get("datagram_received"), "self", "data", "addr"
        ),
        "get_component_candidates of the ICE connection": _takes(
            getattr(connection, "get_component_candidates", None), "component", "addresses", "timeout"
        ),
        "DTLS connection of the transport": hasattr(dtls, "_ssl") and hasattr(SSL.Connection, "get_shutdown"),
        **_short_way(dtls, receiver, connection),
    }
    return [f"no {name}" for name, there in shapes.items() if not there]


def _short_way(dtls: RTCDtlsTransport, receiver: RTCRtpReceiver, connection: object) -> dict[str, bool]:
    """What `shortcut.py` uses."""
    sender = RTCRtpSender("audio", dtls)
    transceiver = RTCRtpTransceiver("audio", receiver, sender)
    return {
        "nominated pair of the ICE connection": isinstance(getattr(connection, "_nominated", None), dict),
        "address of an ICE pair": isinstance(vars(aioice.ice.CandidatePair).get("remote_addr"), property),
        "SRTP sessions of the transport": {"_rx_srtp", "_tx_srtp"} <= vars(dtls).keys()
        and hasattr(pylibsrtp.Session, "protect")
        and hasattr(pylibsrtp.Session, "unprotect"),
        "state of the transport": getattr(dtls, "_state", None) is State.NEW,
        "counters of the sender": {*shortcut.SENDER_NAMES, "_ssrc"} <= vars(sender).keys(),
        "streams of the receiver": {*shortcut.RECEIVER_NAMES} <= vars(receiver).keys(),
        "statistics of a received stream": _takes(getattr(StreamStatistics, "add", None), "self", "packet"),
        "codecs of the transceiver": hasattr(transceiver, "_codecs"),
        "header extensions of RTP": _takes(getattr(HeaderExtensionsMap, "set", None), "self", "values"),
    }


def _takes(function: object, *names: str) -> bool:
    return callable(function) and tuple(inspect.signature(function).parameters) == names
