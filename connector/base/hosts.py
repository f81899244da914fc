"""Which hosts are private: where plain ``http``/``ws`` is accepted, and which addresses must not come from outside.

Pure: names are judged by their spelling, nothing is ever looked up. A name that is not certainly private is public.
"""

import re
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network


class AddressScope(StrEnum):
    """How far an IP address reaches."""

    LOOPBACK = "loopback"
    PRIVATE = "private"
    LINK_LOCAL = "link_local"
    MULTICAST = "multicast"
    UNSPECIFIED = "unspecified"
    PUBLIC = "public"


_PRIVATE: tuple[IPv4Network | IPv6Network, ...] = tuple(
    ip_network(text)
    for text in (
        "10.0.0.0/8",  # RFC 1918
        "172.16.0.0/12",
        "192.168.0.0/16",
        "fc00::/7",  # RFC 4193
    )
)
_THIS_NETWORK = ip_network("0.0.0.0/8")
"""RFC 6890: "this host on this network"; Linux connects to 0.0.0.0 as to itself."""
_PRIVATE_ENDINGS = (".local", ".internal", ".svc", ".svc.cluster.local")
_ENDS_IN_NUMBER = re.compile(r"(?:^|\.)(?:[0-9]+|0[xX][0-9a-fA-F]*)$")
"""Resolvers read such a host as an IPv4 number (``134744072`` is 8.8.8.8), so it is no name (WHATWG URL §3.5)."""


def address_scope(ip: str | IPv4Address | IPv6Address) -> AddressScope:
    """How far an address reaches; an IPv4-mapped IPv6 address counts as its IPv4 address.

    Args:
        ip: An address, or its text without brackets; an IPv6 zone (``%eth0``) is allowed.

    Raises:
        ValueError: The text is not an IP address.
    """
    address = ip_address(ip)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_loopback:
        return AddressScope.LOOPBACK
    if address.is_unspecified or address in _THIS_NETWORK:
        return AddressScope.UNSPECIFIED
    if address.is_multicast:
        return AddressScope.MULTICAST
    if address.is_link_local:
        return AddressScope.LINK_LOCAL
    if any(address in network for network in _PRIVATE):
        return AddressScope.PRIVATE
    return AddressScope.PUBLIC


def is_private_address(ip: str | IPv4Address | IPv6Address) -> bool:
    """Whether this is a loopback or private (RFC 1918, RFC 4193) address; False for anything that is no IP address.

    Link-local, multicast and unspecified addresses are neither: ask `address_scope` for them.
    """
    try:
        return address_scope(ip) in (AddressScope.LOOPBACK, AddressScope.PRIVATE)
    except ValueError:
        return False


def is_private_host(name: str) -> bool:
    """Whether the design calls this host private, so that plain ``http``/``ws`` to it is accepted.

    Private are: a loopback or private address, ``localhost``, a name without dots, and a name that ends in ``.local``,
    ``.internal``, ``.svc`` or ``.svc.cluster.local``. One trailing dot and the case of letters do not matter.

    Args:
        name: A host name or an IP address; an IPv6 address with or without its brackets.
    """
    host = name.removeprefix("[").removesuffix("]") if name.startswith("[") else name
    host = host.lower().removesuffix(".")
    try:
        ip_address(host)
    except ValueError:
        pass
    else:
        return is_private_address(host)
    if not re.fullmatch(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*", host) or _ENDS_IN_NUMBER.search(host):
        return False
    return "." not in host or host.endswith(_PRIVATE_ENDINGS)
