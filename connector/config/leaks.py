"""Secrets never stand in rooms.yaml: keys that ask for one, tokens by their shape, user info in URLs."""

import re
from collections.abc import Iterator

from connector.base.secrets import JWT_SHAPE
from connector.config.errors import Check, Problem
from connector.config.nodes import MappingNode, Node, Path, Scalar, walk

_WORDS = ("secret", "password", "token", "api[_-]?key", "private[_-]?key")


def _any_case(pattern: str) -> str:
    """Case-insensitive without flags: JSON schema has none."""
    return re.sub("[a-z]", lambda letter: f"[{letter[0]}{letter[0].upper()}]", pattern)


SECRET_KEY_PATTERN = f"(^|[^a-zA-Z])({'|'.join(word.replace('[_-]', '[_-]') for word in map(_any_case, _WORDS))})$"
"""Keys that are refused: these words, alone or at the end of a longer name (``client_secret``, ``apiKey``)."""
_USER_INFO_PATTERN = r"[A-Za-z][A-Za-z0-9+.-]*://[^/\s@]*@"
LEAK_PATTERNS = (JWT_SHAPE.pattern, _USER_INFO_PATTERN)
"""Texts that are refused wherever they stand."""

_SECRET_KEY = re.compile(SECRET_KEY_PATTERN)
_USER_INFO = re.compile(_USER_INFO_PATTERN)
_CAMEL = re.compile("(?<=[a-z])(?=[A-Z])")


def asks_for_secret(key: str) -> bool:
    """Whether a key is named so that a secret would stand beside it; humps count as word ends (``clientSecret``)."""
    return _SECRET_KEY.search(_CAMEL.sub("_", key)) is not None


def find_leaks(root: Node) -> Iterator[Problem]:
    """Every secret in a file; the problems never show it."""
    for path, node in walk(root):
        if isinstance(node, MappingNode):
            yield from _keys(path, node)
        elif isinstance(node, Scalar):
            yield from _scalar(path, node)


def _keys(path: Path, node: MappingNode) -> Iterator[Problem]:
    for key, place in node.key_places.items():
        if asks_for_secret(key):
            message = f"secrets do not stand in this file: take it out, and {_remedy((*path, key))}"
            yield Problem(Check.SECRET_KEY, place, (*path, key), message)
        yield from _scalar((*path, key), Scalar(key, plain=False, place=place))


def _scalar(path: Path, scalar: Scalar) -> Iterator[Problem]:
    if JWT_SHAPE.search(scalar.text):
        message = f"found a JSON web token: secrets do not stand in this file: take it out, and {_remedy(path)}"
        yield Problem(Check.SECRET_TOKEN, scalar.place, path, message)
    if _USER_INFO.search(scalar.text):
        message = f"found a URL with a user name or password before the @: take them out, and {_remedy(path)}"
        yield Problem(Check.SECRET_USER_INFO, scalar.place, path, message)


def _remedy(path: Path) -> str:
    """Where this secret belongs."""
    match path:
        case ("livekit", *_):
            return "set LIVEKIT_API_KEY and LIVEKIT_API_SECRET, or the variables with _FILE behind"
        case ("millis", "ice_servers", *_):
            return "name a file in credential_file"
        case ("millis", *_):
            return "set MILLIS_PRIVATE_KEY or MILLIS_PRIVATE_KEY_FILE"
        case ("worker", "events", *_):
            return "set CONNECTOR_EVENTS_SECRET or CONNECTOR_EVENTS_SECRET_FILE"
        case ("worker", *_):
            return "set it in the environment (REDIS_URL for redis)"
        case _:
            return "keep it where it is used, or set it in the environment"
