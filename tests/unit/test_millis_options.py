import pytest

from connector.base.secrets import Secret
from connector.millis.options import AgentFigures, AgentLegOptions, IceServer


def options(url: str) -> AgentLegOptions:
    return AgentLegOptions(url=url, key=Secret("options-canary-1"), auth="auto", agent_id="a")


@pytest.mark.parametrize(
    ("url", "host", "private"),
    [
        ("https://api-west.millis.ai", "api-west.millis.ai", False),
        ("https://api-west.millis.ai:8080/", "api-west.millis.ai", False),
        ("http://127.0.0.1:8123", "127.0.0.1", True),
        ("http://[::1]:8123", "::1", True),
        ("http://practice-agent:8123", "practice-agent", True),
        ("https://millis.example.internal", "millis.example.internal", True),
        ("https://8.8.8.8", "8.8.8.8", False),
    ],
)
def test_the_host_decides_whether_private_addresses_are_expected(url: str, host: str, private: bool) -> None:
    """The host of the URL is read, and judged private or not."""
    assert (options(url).host, options(url).private_host) == (host, private)


def test_options_never_show_a_secret() -> None:
    """Neither the key nor a TURN credential stands in a repr."""
    server = IceServer(("turn:turn.example.com",), "user", Secret("options-canary-2"))
    text = repr(options("https://api-west.millis.ai")) + repr(server)
    assert "canary" not in text


def test_figures_are_copied() -> None:
    """A copy does not follow what is counted later."""
    figures = AgentFigures()
    copy = figures.copy()
    figures.packets_sent += 1
    assert (copy.packets_sent, figures.packets_sent) == (0, 1)
