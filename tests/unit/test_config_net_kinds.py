import re

import pytest
from pydantic_core import PydanticCustomError

from connector.config.errors import Check
from connector.config.net_kinds import Address, FilePath, IceUrl, Url, split_address

WEBSOCKET = Url((("wss", "wss"), ("ws", "ws"), ("https", "wss"), ("http", "ws")), "wss://livekit.example.com")
HTTP = Url((("https", "https"), ("http", "http")), "https://api-west.millis.ai", path=False)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("wss://livekit.example.com", "wss://livekit.example.com"),
        ("https://livekit.example.com/", "wss://livekit.example.com"),
        ("WSS://LiveKit.Example.com:443/Path/", "wss://livekit.example.com:443/Path"),
        ("ws://127.0.0.1:7880", "ws://127.0.0.1:7880"),
        ("http://localhost:7880", "ws://localhost:7880"),
        ("ws://livekit.media.svc.cluster.local", "ws://livekit.media.svc.cluster.local"),
        ("ws://[fd00::1]:7880", "ws://[fd00::1]:7880"),
        ("ws://livekit-server:7880", "ws://livekit-server:7880"),
    ],
)
def test_a_url_is_read_in_one_form(written: str, read: str) -> None:
    """Scheme and host in small letters, WebSocket where one is meant, no slash at the end."""
    assert WEBSOCKET.read(written) == read
    assert re.search(WEBSOCKET.json_schema()["pattern"], read)


@pytest.mark.parametrize(
    ("text", "check"),
    [
        ("livekit.example.com", Check.URL),
        ("wss://", Check.URL),
        ("wss:///path", Check.URL),
        ("wss://a.b:99999", Check.URL),
        ("wss://a.b:0", Check.URL),
        ("wss://a.b:x", Check.URL),
        ("wss://[::1", Check.URL),
        ("wss://exämple.com", Check.URL),
        ("wss://a.b\\c", Check.URL),
        ("wss://a.b/?token=1", Check.URL),
        ("wss://a.b/#x", Check.URL),
        ("wss://a b", Check.TEXT_CHARACTERS),
        ("ftp://a.b", Check.URL_SCHEME),
        ("ws://livekit.example.com", Check.URL_PLAIN),
        ("ws://8.8.8.8", Check.URL_PLAIN),
        ("ws://134744072", Check.URL_PLAIN),
        ("ws://0x08080808", Check.URL_PLAIN),
        ("http://[2001:4860:4860::8888]", Check.URL_PLAIN),
        ("ws://local.example.com", Check.URL_PLAIN),
        ("ws://localhost.example.com", Check.URL_PLAIN),
    ],
)
def test_a_wrong_url_is_refused(text: str, check: Check) -> None:
    """Incomplete, of another scheme, or plain towards a host that is not certainly private."""
    with pytest.raises(PydanticCustomError) as caught:
        WEBSOCKET.read(text)
    assert caught.value.type == check.value


def test_a_path_is_refused_where_only_a_host_belongs() -> None:
    """Millis' URL is a base: the connector adds the path."""
    assert HTTP.read("https://api-west.millis.ai:8080/") == "https://api-west.millis.ai:8080"
    with pytest.raises(PydanticCustomError, match='leave out the path "/webrtc/offer"'):
        HTTP.read("https://api-west.millis.ai/webrtc/offer")


@pytest.mark.parametrize("text", ["0.0.0.0:8080", "[::]:8080", "localhost:0", "connector:65535"])
def test_an_address_is_host_and_port(text: str) -> None:
    """Port 0 stands for any free one; IPv6 stands in brackets."""
    assert Address().read(text) == text
    host, port = split_address(text)
    assert host == text.rpartition(":")[0].strip("[]")
    assert port == int(text.rpartition(":")[2])


@pytest.mark.parametrize("text", ["8080", ":8080", "0.0.0.0:", "0.0.0.0:65536", "::1:80", "http://a:80", "a b:80"])
def test_a_wrong_address_is_refused(text: str) -> None:
    """Half an address binds something that nobody meant."""
    with pytest.raises(PydanticCustomError, match="expected host:port"):
        Address().read(text)


@pytest.mark.parametrize(
    "text",
    [
        "stun:stun.example.com",
        "stuns:a.b:5349",
        "turn:a.b:3478?transport=udp",
        "turns:[2001:db8::1]:5349?transport=tcp",
    ],
)
def test_an_ice_url_is_a_stun_or_turn_url(text: str) -> None:
    """The forms of RFC 7064 and RFC 7065."""
    assert IceUrl().read(text) == text
    assert re.search(IceUrl().json_schema()["pattern"], text)


@pytest.mark.parametrize(
    "text", ["stun.example.com", "stun://a.b", "stun:a.b?transport=udp", "turn:a.b?transport=sctp", "turn:"]
)
def test_a_wrong_ice_url_is_refused(text: str) -> None:
    """The WebRTC library would fail on it in the middle of a call."""
    with pytest.raises(PydanticCustomError, match="expected a URL such as stun:"):
        IceUrl().read(text)


def test_a_credential_file_is_named_absolutely() -> None:
    """An engine's working folder is nobody's business."""
    assert FilePath().read("/run/secrets/turn") == "/run/secrets/turn"
    with pytest.raises(PydanticCustomError, match="expected the absolute path of a file"):
        FilePath().read("turn")
