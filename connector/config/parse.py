"""YAML text → nodes with places, reading only the plain part of YAML.

Works on the parser's events, so nothing is built, resolved or expanded behind our back: no alias bomb, no recursion
limit, no ``no`` that turns into False (`facts/faults.md` §3, YAML). Structure that is refused but understood (an
anchor, a tag, a key that occurs twice) is noted and read on, so that all problems show up at once.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from connector.base.redact import redact
from connector.config.errors import Check, Problem
from connector.config.nodes import ListNode, MappingNode, Node, Path, Place, Scalar, found

MAX_DEPTH = 16

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml where PyYAML has it: twenty times faster, the same events."""
_UNWELCOME = re.compile(
    "[^\\t\\n\\r\\x20-\\x7e\\xa0-\\u2027\\u202a-\\ud7ff\\ue000-\\ufefe\\uff00-\\ufffd\\U00010000-\\U0010ffff]"
)
"""What YAML 1.1 §5.1 calls non-printable, and the line separators that no editor shows as lines."""


@dataclass(slots=True)
class Parsed:
    """What was read.

    Attributes:
        root: The document; None when it is empty or cannot be read at all.
        problems: What is wrong with its form.
        broken: Whether the text ends early for us, so that a missing key means nothing.
    """

    root: Node | None = None
    problems: list[Problem] = field(default_factory=list)
    broken: bool = False


class _TooDeepError(Exception):
    """Stops the reading; the problem is already noted."""


def parse(text: str, name: str, loader: Any = _LOADER) -> Parsed:
    """Read YAML text.

    Args:
        text: The whole file.
        name: How problems call the file.
        loader: A PyYAML loader class; only its events are used.
    """
    parsed = Parsed()
    for match in _UNWELCOME.finditer(text):
        place = _place_at(text, match.start(), name)
        message = f"found the character U+{ord(match[0]):04X}, which cannot stand here: is this a text file?"
        parsed.problems.append(Problem(Check.CONTROL_CHARACTER, place, (), message))
        parsed.broken = True
        return parsed
    builder = _Builder(name, parsed)
    try:
        builder.read(yaml.parse(text, Loader=loader))
    except yaml.MarkedYAMLError as error:
        parsed.problems.append(_syntax_problem(error, text, name))
        parsed.broken = True
    except _TooDeepError:
        parsed.broken = True
    if parsed.root is None and not parsed.broken:
        message = "is empty: write livekit.url, millis.url and at least one rule under rooms"
        parsed.problems.append(Problem(Check.FILE_EMPTY, Place(name), (), message))
        parsed.broken = True
    return parsed


class _Builder:
    """Turns events into nodes with a stack of open containers."""

    def __init__(self, name: str, parsed: Parsed) -> None:
        self._name = name
        self._parsed = parsed
        self._open: list[_Open] = []
        self._documents = 0

    def read(self, events: Iterator[yaml.Event]) -> None:
        for event in events:
            match event:
                case yaml.DocumentStartEvent():
                    self._documents += 1
                    if self._documents > 1:
                        self._note(Check.SEVERAL_DOCUMENTS, event, "a second document begins here: keep one in a file")
                        return
                case yaml.MappingStartEvent():
                    self._enter(event, MappingNode(self._place(event)))
                case yaml.SequenceStartEvent():
                    self._enter(event, ListNode(self._place(event)))
                case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                    closed = self._open.pop()
                    self._add(closed.node)
                case yaml.ScalarEvent():
                    self._check_properties(event)
                    self._add(Scalar(event.value, not event.style, self._place(event)))
                case yaml.AliasEvent():
                    hint = f'put the text in quotes ("*{redact(event.anchor)}") if a pattern is meant'
                    self._note(Check.ALIAS, event, f"aliases (*) are not read: write the value out; {hint}")
                    self._add(Scalar("", plain=True, place=self._place(event)))

    def _enter(self, event: yaml.CollectionStartEvent, node: MappingNode | ListNode) -> None:
        self._check_properties(event)
        if len(self._open) >= MAX_DEPTH:
            self._note(Check.DEPTH, event, f"is nested deeper than {MAX_DEPTH} levels")
            raise _TooDeepError
        self._open.append(_Open(node))

    def _add(self, node: Node) -> None:
        if not self._open:
            if self._parsed.root is None and not (isinstance(node, Scalar) and node.is_null):
                self._parsed.root = node
            return
        top = self._open[-1]
        if isinstance(top.node, ListNode):
            top.node.items.append(node)
        elif top.key is None:
            top.key = self._key(node)
        else:
            self._put(top.node, top.key, node)
            top.key = None

    def _put(self, mapping: MappingNode, key: Scalar, node: Node) -> None:
        first = mapping.key_places.get(key.text)
        if first is None:
            mapping.put(key.text, node, key.place)
            return
        message = f"{found(key)} stands in this mapping already, in line {first.line}: keep one of them"
        self._parsed.problems.append(Problem(Check.DUPLICATE_KEY, key.place, self._path(), message))

    def _key(self, node: Node) -> Scalar:
        if isinstance(node, Scalar):
            return node
        self._parsed.problems.append(
            Problem(Check.KEY_TEXT, node.place, self._path(), "expected a text as the key, found a list or a mapping")
        )
        return Scalar("?", plain=True, place=node.place)

    def _check_properties(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        if event.anchor is not None:
            self._note(Check.ANCHOR, event, f"anchors (&{redact(event.anchor)}) are not read: write the value out")
        if event.tag is not None:
            tag = redact(event.tag).removeprefix("tag:yaml.org,2002:")
            self._note(Check.TAG, event, f"tags (!{tag.lstrip('!')}) are not read: leave it out, or quote the text")

    def _note(self, check: Check, event: yaml.Event, message: str) -> None:
        self._parsed.problems.append(Problem(check, self._place(event), self._path(), message))

    def _path(self) -> Path:
        path: list[str | int] = []
        for level in self._open:
            if isinstance(level.node, ListNode):
                path.append(len(level.node.items))
            elif level.key is not None:
                path.append(level.key.text)
        return tuple(path)

    def _place(self, event: yaml.Event) -> Place:
        mark = event.start_mark
        assert mark is not None, "every event of a parser has its place"
        return Place(self._name, mark.line + 1, mark.column + 1)


@dataclass(slots=True)
class _Open:
    node: MappingNode | ListNode
    key: Scalar | None = None


def _syntax_problem(error: yaml.MarkedYAMLError, text: str, name: str) -> Problem:
    """Say in plain words what the parser stumbled over."""
    opened, mark = error.context_mark, error.problem_mark or error.context_mark
    line_number, column = (mark.line, mark.column) if mark is not None else (0, 0)
    lines = text.splitlines()
    line = lines[line_number] if line_number < len(lines) else ""
    indent = line[: len(line) - len(line.lstrip())]
    if "\t" in indent:
        place = Place(name, line_number + 1, indent.index("\t") + 1)
        return Problem(Check.TAB, place, (), "found a tab in the indentation: indent with spaces")
    here = Place(name, line_number + 1, column + 1)
    if line[column : column + 1] == "\t":
        return Problem(Check.TAB, here, (), "found a tab where a value should begin: use spaces")
    context, problem = error.context or "", error.problem or ""
    for words, sentence in _HERE:
        if words in problem:
            return Problem(Check.SYNTAX, here, (), sentence.format(character=line[column : column + 1] or "this"))
    for words, sentence in _AT_OPENING:
        if words in context and opened is not None:
            return Problem(Check.SYNTAX, Place(name, opened.line + 1, opened.column + 1), (), sentence)
    for words, sentence in _IN_BLOCK:
        if words in context and opened is not None:
            return Problem(Check.SYNTAX, here, (), sentence.format(line=opened.line + 1))
    return Problem(Check.SYNTAX, here, (), f"is not YAML: {redact(problem)}")


_HERE = (
    ("unknown escape", 'a backslash in "…" must begin a known escape: write \\\\, or use single quotes'),
    ("mapping values are not allowed", "a colon stands where no key can be: check the indentation, or quote"),
    ("cannot start any token", "a value cannot begin with {character}: put it in quotes"),
)
"""What libyaml and PyYAML call the problem, and what a user is told, where it is."""
_AT_OPENING = (
    ("scanning an a", "* and & have a meaning of their own in YAML: put the text in quotes"),
    ("quoted scalar", "the text that begins here has no closing quote"),
    ("flow sequence", "the [ that opens here is not closed, or a comma is missing"),
    ("flow mapping", "the { that opens here is not closed, or a comma is missing"),
    ("simple key", "a key must be followed by a colon and a space"),
)
"""What they were reading, where the mistake is at its beginning."""
_IN_BLOCK = (
    ("block mapping", "does not belong to the mapping that begins in line {line}: check the indentation"),
    ("block collection", "does not belong to the list that begins in line {line}: check the indentation"),
)
"""What they were reading, where the mistake is where they stopped."""


def _place_at(text: str, offset: int, name: str) -> Place:
    before = text[:offset]
    return Place(name, before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1)
