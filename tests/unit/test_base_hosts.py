"""Private hosts and how far an address reaches."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.base.hosts import AddressScope, address_scope, is_private_address, is_private_host


@pytest.mark.parametrize(
    "name",
    [
        "localhost",
        "LOCALHOST.",
        "127.0.0.1",
        "127.9.9.9",
        "10.1.2.3",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "::1",
        "[::1]",
        "[fd00::1]",
        "::ffff:10.0.0.1",
        "livekit",
        "livekit-server_1",
        "nas.local",
        "a.b.internal",
        "livekit.default.svc",
        "livekit.default.svc.cluster.local",
        "livekit.default.svc.cluster.local.",
    ],
)
def test_private_hosts_are_known_by_their_spelling(name: str) -> None:
    """Loopback and private addresses, names without dots and the design's four endings are private."""
    assert is_private_host(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "example.com",
        "livekit.example.com",
        "local.example.com",
        "evil.com.localx",
        "internal.evil.com",
        ".local",
        "a..local",
        "8.8.8.8",
        "172.32.0.1",
        "169.254.169.254",
        "0.0.0.0",
        "224.0.0.1",
        "[fe80::1]",
        "[2001:db8::1]",
        "::ffff:8.8.8.8",
        "134744072",
        "0x08080808",
        "8.8.2056",
        "a.0x7f",
        "user@localhost",
        "localhost:80",
        "loc alhost",
        "bücher",
    ],
)
def test_what_is_not_certainly_private_is_public(name: str) -> None:
    """Public names, number spellings of public addresses and anything odd do not pass as private."""
    assert not is_private_host(name)


@pytest.mark.parametrize(
    ("ip", "scope"),
    [
        ("127.0.0.1", AddressScope.LOOPBACK),
        ("::1", AddressScope.LOOPBACK),
        ("0.0.0.0", AddressScope.UNSPECIFIED),
        ("0.1.2.3", AddressScope.UNSPECIFIED),
        ("::", AddressScope.UNSPECIFIED),
        ("239.1.1.1", AddressScope.MULTICAST),
        ("ff02::1", AddressScope.MULTICAST),
        ("169.254.1.1", AddressScope.LINK_LOCAL),
        ("fe80::1%eth0", AddressScope.LINK_LOCAL),
        ("10.0.0.1", AddressScope.PRIVATE),
        ("fc00::1", AddressScope.PRIVATE),
        ("::ffff:192.168.0.1", AddressScope.PRIVATE),
        ("100.64.0.1", AddressScope.PUBLIC),
        ("8.8.8.8", AddressScope.PUBLIC),
        ("2606:4700::1111", AddressScope.PUBLIC),
    ],
)
def test_every_address_has_one_scope(ip: str, scope: AddressScope) -> None:
    """An address is judged by its network; an IPv4-mapped one by the IPv4 address inside."""
    assert address_scope(ip) is scope
    assert is_private_address(ip) is (scope in (AddressScope.LOOPBACK, AddressScope.PRIVATE))


def test_a_text_that_is_no_address_has_no_scope() -> None:
    """A name is refused where an address is asked for, and is no private address."""
    with pytest.raises(ValueError, match="localhost"):
        address_scope("localhost")
    assert not is_private_address("localhost")


@given(st.ip_addresses())
def test_an_address_is_private_however_it_is_asked(ip: object) -> None:
    """Host and address agree about every IP address, in text or as a value."""
    assert is_private_host(str(ip)) is is_private_address(str(ip))


@given(st.text(max_size=40))
def test_no_text_breaks_the_judgement(text: str) -> None:
    """Any text gets an answer; one with white space or an @ is never private."""
    private = is_private_host(text)
    assert not private or not set(text) & set(" \t\n@/:?#\\") or text.strip("[]").count(":") > 1
