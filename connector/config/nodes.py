"""What a file says before anybody judges it: texts, lists and mappings, each with the place where it stands.

A scalar keeps its literal text, because only the model knows whether ``0123`` is a name or a number.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from connector.base.redact import redact

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MAX_KEY_CHARS = 40
_MAX_FOUND_CHARS = 60

Path: TypeAlias = tuple[str | int, ...]
"""Keys and list positions from the top of the file."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where something stands: in a file, or in an environment variable (then line and column are 0)."""

    source: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}" if self.line else self.source


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value as it was written.

    Attributes:
        text: Its literal text, without quotes.
        plain: Whether it stood without quotes.
        place: Where it stands.
    """

    text: str
    plain: bool
    place: Place

    @property
    def is_null(self) -> bool:
        """Whether YAML reads it as nothing."""
        return self.plain and self.text in _NULLS


@dataclass(frozen=True, slots=True)
class ListNode:
    """A list."""

    place: Place
    items: list["Node"] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class MappingNode:
    """A mapping; every key is a text and occurs once."""

    place: Place
    entries: dict[str, "Node"] = field(default_factory=dict)
    key_places: dict[str, Place] = field(default_factory=dict)

    def put(self, key: str, node: "Node", place: Place) -> None:
        """Set a value."""
        self.entries[key] = node
        self.key_places[key] = place


Node: TypeAlias = Scalar | ListNode | MappingNode
Value: TypeAlias = Scalar | list["Value"] | dict[str, "Value"]
"""What the model reads: plain containers with scalars inside."""


def value_of(node: Node) -> Value:
    """The node as plain containers. Depth is bounded by the parser."""
    match node:
        case MappingNode():
            return {key: value_of(item) for key, item in node.entries.items()}
        case ListNode():
            return [value_of(item) for item in node.items]
        case Scalar():
            return node


def walk(node: Node, path: Path = ()) -> Iterator[tuple[Path, Node]]:
    """Every node from here downwards, with its path."""
    yield path, node
    if isinstance(node, MappingNode):
        for key, item in node.entries.items():
            yield from walk(item, (*path, key))
    elif isinstance(node, ListNode):
        for index, item in enumerate(node.items):
            yield from walk(item, (*path, index))


def path_text(path: Sequence[str | int]) -> str:
    """A path as users write it: ``rooms[1].listen.gain_db["sip_*"]``."""
    out = ""
    for part in path:
        if isinstance(part, int):
            out += f"[{part}]"
        elif _PLAIN_KEY.fullmatch(part) and len(part) <= _MAX_KEY_CHARS:
            out += f".{part}" if out else part
        else:
            out += f'["{redact(part, limit=_MAX_KEY_CHARS)}"]'
    return out


def found(value: object) -> str:
    """How an error names what it found: short, on one line, without secrets."""
    match value:
        case Scalar() if value.is_null:
            return "nothing"
        case Scalar() if value.plain and not value.text.isprintable():
            return "control characters"
        case Scalar():
            return f'"{redact(value.text, limit=_MAX_FOUND_CHARS)}"'
        case dict():
            return "a mapping"
        case list() | tuple():
            return "a list"
        case _:
            return f'"{redact(value, limit=_MAX_FOUND_CHARS)}"'
