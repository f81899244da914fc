"""ICE candidates of an answer, pure: which of them we are ready to send datagrams to.

A candidate makes us send UDP to any address it names, so addresses inside our own network count only when Millis' own
host is inside it too (`facts`, security: SDP as SSRF).
"""

import ipaddress
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from connector.base.hosts import AddressScope, address_scope

_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_CANDIDATE = re.compile(  # RFC 8839 section 5.1
    r"[\w+/.-]{1,64} (?P<component>\d{1,3}) (?P<transport>\S+) (?P<priority>\d{1,10}) (?P<host>\S+) (?P<port>\d{1,5})"
    r" typ (?P<kind>\S+)(?: .*)?"
)
_KINDS = ("host", "srflx", "relay")
_RTP_COMPONENT = "1"
_MAX_PORT = 65_535
_MAX_PRIORITY = 2**32 - 1
_NOWHERE = (AddressScope.MULTICAST, AddressScope.UNSPECIFIED)
_BROADCAST = ipaddress.IPv4Address("255.255.255.255")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052 section 2.1


@dataclass(frozen=True, slots=True)
class UsableCandidate:
    """A candidate that passed: RTP over UDP to an address that we may send to."""

    number: int
    host: str
    port: int
    priority: int
    kind: str

    def to_sdp(self) -> str:
        """The value of its ``a=candidate`` line."""
        return f"{self.number} 1 udp {self.priority} {self.host} {self.port} typ {self.kind}"


def usable_candidates(values: Iterable[str], *, private_host: bool) -> tuple[list[UsableCandidate], Counter[str]]:
    """Sort candidates into usable ones and dropped ones.

    Args:
        values: The values of the ``a=candidate`` lines.
        private_host: Whether Millis' own host is private: then loopback, link-local and private addresses are kept.

    Returns:
        The usable ones, in their order, and how many were dropped for which cause.
    """
    usable: list[UsableCandidate] = []
    dropped: Counter[str] = Counter()
    for value in values:
        candidate = _judge(value, len(usable) + 1, private_host=private_host)
        if isinstance(candidate, str):
            dropped[candidate] += 1
        else:
            usable.append(candidate)
    return usable, dropped


def _judge(value: str, number: int, *, private_host: bool) -> UsableCandidate | str:
    """The candidate, or the cause to drop it."""
    match = _CANDIDATE.fullmatch(value)
    if not match:
        return "malformed"
    port, priority = int(match["port"]), int(match["priority"])
    if match["transport"].lower() != "udp" or match["component"] != _RTP_COMPONENT or match["kind"] not in _KINDS:
        return "not_udp" if match["transport"].lower() != "udp" else "unsupported"
    if not 0 < port <= _MAX_PORT or priority > _MAX_PRIORITY:
        return "malformed"
    cause = _address_problem(match["host"], private_host=private_host)
    return cause or UsableCandidate(number, match["host"], port, priority, match["kind"])


def _address_problem(host: str, *, private_host: bool) -> str | None:
    if host.lower().rstrip(".").endswith(".local"):
        return "local_name"  # would be asked for by multicast, and waits for a reply
    try:
        address = _reached(ipaddress.ip_address(host))
    except ValueError:
        return "name"
    scope = address_scope(address)
    if "%" in host or scope in _NOWHERE or address == _BROADCAST:
        return "unusable"  # a zone (after %) is one of the other machine
    if private_host:
        return None
    if scope is AddressScope.PUBLIC:
        return None if address.is_global else "private"
    return str(scope)


def _reached(address: _Address) -> _Address:
    """The address where a datagram would really go: IPv4 inside IPv6 counts as IPv4."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        return address.ipv4_mapped or address.sixtofour or address
    return address
