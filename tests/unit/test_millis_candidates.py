import pytest

from connector.millis.candidates import usable_candidates


def cause(host: str, *, private_host: bool = False) -> str | None:
    usable, dropped = usable_candidates([f"1 1 udp 2122260223 {host} 5000 typ host"], private_host=private_host)
    assert len(usable) + dropped.total() == 1
    return next(iter(dropped), None)


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("8.8.8.8", None),
        ("2a00:1450:4001::1", None),
        ("10.1.2.3", "private"),
        ("172.31.0.1", "private"),
        ("192.168.1.1", "private"),
        ("100.64.0.1", "private"),
        ("fd00::1", "private"),
        ("127.0.0.53", "loopback"),
        ("::1", "loopback"),
        ("169.254.169.254", "link_local"),
        ("fe80::1", "link_local"),
        ("::ffff:10.0.0.1", "private"),
        ("::ffff:127.0.0.1", "loopback"),
        ("64:ff9b::a00:1", "private"),
        ("2002:a00:1::1", "private"),
        ("7d3c2c5e-7f2b.local", "local_name"),
        ("7D3C.LOCAL.", "local_name"),
        ("media.example.com", "name"),
        ("127.1", "name"),
        ("0x7f000001", "name"),
    ],
)
def test_addresses_inside_our_network_are_dropped(host: str, why: str | None) -> None:
    """From a public Millis only public addresses are used, however a private one is written."""
    assert cause(host) == why


@pytest.mark.parametrize("host", ["10.1.2.3", "127.0.0.1", "169.254.1.1", "fd00::1", "8.8.8.8"])
def test_a_private_host_may_send_us_inside(host: str) -> None:
    """When Millis' own host is private its answer may name any unicast address."""
    assert cause(host, private_host=True) is None


@pytest.mark.parametrize("host", ["224.0.0.1", "0.0.0.0", "::", "255.255.255.255", "ff02::1", "fe80::1%eth0"])
def test_addresses_that_are_no_machine_are_always_dropped(host: str) -> None:
    """Multicast, broadcast, unspecified and zoned addresses are of no use to anybody."""
    assert cause(host, private_host=True) == "unusable"


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("", "malformed"),
        ("1 1 udp 1 8.8.8.8", "malformed"),
        ("1 1 udp -1 8.8.8.8 5000 typ host", "malformed"),
        ("1 1 udp 1 8.8.8.8 0 typ host", "malformed"),
        ("1 1 udp 1 8.8.8.8 70000 typ host", "malformed"),
        ("1 1 udp 9999999999 8.8.8.8 5000 typ host", "malformed"),
        ("1 2 udp 1 8.8.8.8 5000 typ host", "unsupported"),
        ("1 1 udp 1 8.8.8.8 5000 typ prflx", "unsupported"),
        ("1 1 TCP 1 8.8.8.8 5000 typ host", "not_udp"),
        ("1 1 ssltcp 1 8.8.8.8 5000 typ host", "not_udp"),
    ],
)
def test_candidates_of_no_use_are_dropped_with_their_cause(value: str, why: str) -> None:
    """Malformed lines, other transports, RTCP components and unknown kinds are counted apart."""
    usable, dropped = usable_candidates([value], private_host=True)
    assert (usable, dict(dropped)) == ([], {why: 1})


def test_what_is_kept_is_written_anew() -> None:
    """A usable candidate keeps address, port, priority and kind, and nothing else."""
    usable, _ = usable_candidates(
        ["x 1 UDP 7 10.0.0.9 5000 typ host", "y 1 UDP 8 8.8.8.8 6000 typ srflx raddr 10.0.0.9 rport 5000 x y"],
        private_host=False,
    )
    assert [candidate.to_sdp() for candidate in usable] == ["1 1 udp 8 8.8.8.8 6000 typ srflx"]
