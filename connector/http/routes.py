"""Which address leads where. Pure: method and raw path in, a route and the room's name out.

Room names are user text, so a name is one path segment, percent-encoded (a slash in it is ``%2F``).
"""

from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import unquote

from connector.http.events import MAX_ROOM_CHARS


class RouteName(StrEnum):
    """What can be asked; also the label of the API's metric."""

    WEBHOOK = "webhook"
    JOIN = "join"
    LEAVE = "leave"
    ROOMS = "rooms"
    ROOM = "room"
    OPENAPI = "openapi"
    LIVEZ = "livez"
    READYZ = "readyz"
    METRICS = "metrics"


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path.

    Attributes:
        name: What it is.
        method: In capitals. HEAD is answered wherever GET is.
        path: A template; ``{room}`` stands for one segment.
    """

    name: RouteName
    method: str
    path: str


PUBLIC = (
    Route(RouteName.WEBHOOK, "POST", "/webhooks/livekit"),
    Route(RouteName.JOIN, "POST", "/v1/rooms/{room}/join"),
    Route(RouteName.LEAVE, "DELETE", "/v1/rooms/{room}"),
    Route(RouteName.ROOM, "GET", "/v1/rooms/{room}"),
    Route(RouteName.ROOMS, "GET", "/v1/rooms"),
    Route(RouteName.OPENAPI, "GET", "/openapi.json"),
)
PRIVATE = (
    Route(RouteName.LIVEZ, "GET", "/livez"),
    Route(RouteName.READYZ, "GET", "/readyz"),
    Route(RouteName.METRICS, "GET", "/metrics"),
)


@dataclass(frozen=True, slots=True)
class Found:
    """A route, with the room of its path if it has one."""

    name: RouteName
    room: str = ""


@dataclass(frozen=True, slots=True)
class NotFound:
    """Nothing under this path."""


@dataclass(frozen=True, slots=True)
class BadRoom:
    """The room's name in the path is not one."""


@dataclass(frozen=True, slots=True)
class OtherMethod:
    """The path takes these methods only."""

    allowed: tuple[str, ...]


def find(routes: tuple[Route, ...], method: str, raw_path: str) -> Found | NotFound | BadRoom | OtherMethod:
    """Find what was asked for.

    Args:
        routes: `PUBLIC` or `PRIVATE`.
        method: The request's method.
        raw_path: Its path as it came, percent-encoded, without the query.
    """
    segments = raw_path.split("/")
    here = [route for route in routes if _fits(route.path.split("/"), segments)]
    if not here:
        return NotFound()
    wanted = "GET" if method == "HEAD" else method
    route = next((route for route in here if route.method == wanted), None)
    if route is None:
        methods = {route.method for route in here}
        return OtherMethod(tuple(sorted(methods | ({"HEAD"} if "GET" in methods else set()))))
    if "{room}" not in route.path:
        return Found(route.name)
    room = _room(segments[route.path.split("/").index("{room}")])
    return BadRoom() if room is None else Found(route.name, room)


def _fits(template: list[str], segments: list[str]) -> bool:
    return len(template) == len(segments) and all(
        segment != "" if part == "{room}" else part == segment for part, segment in zip(template, segments, strict=True)
    )


def _room(segment: str) -> str | None:
    try:
        room = unquote(segment, errors="strict")
        room.encode()  # a lone surrogate is no text
    except UnicodeError:
        return None
    return room if len(room) <= MAX_ROOM_CHARS else None
