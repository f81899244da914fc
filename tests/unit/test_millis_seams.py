import pytest
from aioice.ice import Connection, StunProtocol
from aiortc import RTCIceGatherer, RTCIceTransport, RTCRtpReceiver
from aiortc.rtcdtlstransport import RTCCertificate, RTCDtlsTransport
from aiortc.rtp import RtpPacket

from connector.audio.frames import MediaPacket
from connector.base.errors import UnavailableError
from connector.millis import seams


def transport() -> RTCDtlsTransport:
    return RTCDtlsTransport(RTCIceTransport(RTCIceGatherer(iceServers=[])), [RTCCertificate.generateCertificate()])


def test_the_installed_libraries_fit() -> None:
    """With the pinned versions every seam is there and no fallback is needed."""
    assert seams.check_seams() == ()


@pytest.mark.parametrize(
    ("owner", "name", "found"),
    [
        (StunProtocol, "datagram_received", "datagram_received of an ICE socket"),
        (Connection, "get_component_candidates", "get_component_candidates"),
    ],
)
def test_a_missing_seam_is_named(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, found: str) -> None:
    """When a library lost a name, start-up is refused with that name and the remedy."""
    monkeypatch.delattr(owner, name)
    with pytest.raises(UnavailableError, match=found) as caught:
        seams.check_seams()
    assert "requirements.txt" in str(caught.value)


def test_a_changed_signature_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A function that takes something else now counts as missing."""
    monkeypatch.setattr(StunProtocol, "datagram_received", lambda self, data: None)
    with pytest.raises(UnavailableError, match="datagram_received"):
        seams.check_seams()


@pytest.mark.parametrize(("library", "version"), [("aiortc", "1.17.0"), ("aioice", "0.14.1")])
def test_another_version_is_named(monkeypatch: pytest.MonkeyPatch, library: str, version: str) -> None:
    """A minor version that was never looked at is refused."""
    monkeypatch.setattr(f"{library}.__version__", version)
    with pytest.raises(UnavailableError, match=f"{library} {version} is not"):
        seams.check_seams()


async def test_the_tap_stands_where_the_jitter_buffer_stood() -> None:
    """A packet that the receiver takes reaches the sink with all that the receive path needs."""
    got: list[MediaPacket] = []
    receiver = RTCRtpReceiver("audio", transport())
    seams.tap_packets(receiver, got.append)
    tap = getattr(receiver, "_RTCRtpReceiver__jitter_buffer")  # noqa: B009 - the mangled name, as the library sees it
    packet = RtpPacket(96, marker=1, sequence_number=7, timestamp=960, ssrc=42, payload=b"opus")
    assert tap.add(packet) == (False, None)
    assert tap.add(RtpPacket(96, sequence_number=8, timestamp=960, ssrc=42)) == (False, None)
    assert got == [MediaPacket(7, 960, 42, b"opus", marker=True), MediaPacket(8, 960, 42, b"", marker=False)]


ADDRESSES = ["192.168.1.5", "169.254.7.7", "2001:db8::5", "fe80::1", "127.0.0.2"]


def test_a_public_agent_is_offered_no_loopback() -> None:
    """Link-local and loopback addresses are of no use to anybody outside."""
    assert seams.offered_addresses(ADDRESSES, private_host=False) == ["192.168.1.5", "2001:db8::5"]


def test_a_private_agent_is_offered_loopback_first() -> None:
    """An agent on this machine is reached by the shortest way, one in the network by the others."""
    assert seams.offered_addresses(ADDRESSES, private_host=True)[0] == "127.0.0.1"
    assert "192.168.1.5" in seams.offered_addresses(ADDRESSES, private_host=True)


def test_the_number_of_sockets_is_bounded() -> None:
    """A machine with many bridges does not cost a socket for each."""
    many = [f"172.17.{n}.1" for n in range(50)]
    assert seams.offered_addresses(many, private_host=False) == many[:8]


def test_a_connection_that_never_was_did_not_hang_up() -> None:
    """Before DTLS there is nothing that could have been closed in good order."""
    assert not seams.hung_up(transport())
