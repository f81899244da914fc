"""Which address leads where."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.http.routes import PRIVATE, PUBLIC, BadRoom, Found, NotFound, OtherMethod, RouteName, find


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=256))
def test_every_room_name_has_an_address(room: str) -> None:
    """A name of any characters, percent-encoded as one segment, comes back as it was."""
    segment = quote(room, safe="")
    assert find(PUBLIC, "POST", f"/v1/rooms/{segment}/join") == Found(RouteName.JOIN, room)
    assert find(PUBLIC, "DELETE", f"/v1/rooms/{segment}") == Found(RouteName.LEAVE, room)
    assert find(PUBLIC, "GET", f"/v1/rooms/{segment}") == Found(RouteName.ROOM, room)


@given(st.text(max_size=60))
def test_any_path_has_an_answer(path: str) -> None:
    """Nothing raises, whatever the path."""
    assert isinstance(find(PUBLIC, "GET", path), Found | NotFound | BadRoom | OtherMethod)


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", "/webhooks/livekit", Found(RouteName.WEBHOOK)),
        ("GET", "/v1/rooms", Found(RouteName.ROOMS)),
        ("HEAD", "/v1/rooms", Found(RouteName.ROOMS)),
        ("GET", "/openapi.json", Found(RouteName.OPENAPI)),
        ("GET", "/webhooks/livekit", OtherMethod(("POST",))),
        ("PUT", "/v1/rooms/lobby", OtherMethod(("DELETE", "GET", "HEAD"))),
        ("GET", "/v1/rooms/lobby/join", OtherMethod(("POST",))),
        ("GET", "/v1/rooms/", NotFound()),
        ("POST", "/v1/rooms//join", NotFound()),
        ("GET", "/", NotFound()),
        ("GET", "/livez", NotFound()),
        ("GET", "/v1/rooms/a/b/c", NotFound()),
        ("GET", "/v1/rooms/%FF", BadRoom()),
        ("GET", "/v1/rooms/" + "x" * 257, BadRoom()),
        ("GET", "/v1/rooms/%2e%2e", Found(RouteName.ROOM, "..")),
        ("GET", "/v1/rooms/%252F", Found(RouteName.ROOM, "%2F")),
        ("GET", "/v1/rooms/a%2fb", Found(RouteName.ROOM, "a/b")),
    ],
)
def test_what_is_found(method: str, path: str, expected: object) -> None:
    """Methods are told for a known path; a name that is no text, or too long, is one clear case."""
    assert find(PUBLIC, method, path) == expected


def test_the_ports_are_apart() -> None:
    """What is private is not on the public port, and the other way round."""
    assert find(PRIVATE, "GET", "/livez") == Found(RouteName.LIVEZ)
    assert find(PRIVATE, "GET", "/v1/rooms") == NotFound()
