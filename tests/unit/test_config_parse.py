from typing import Any

import pytest
import yaml

from connector.config.errors import Check
from connector.config.nodes import ListNode, MappingNode, Place, Scalar, value_of, walk
from connector.config.parse import MAX_DEPTH, Parsed, parse

LOADERS = [yaml.SafeLoader, *([yaml.CSafeLoader] if yaml.__with_libyaml__ else [])]
"""PyYAML's own parser and, where it is built in, libyaml: both must tell the same."""


@pytest.fixture(params=LOADERS, ids=lambda loader: str(loader.__name__))
def loader(request: pytest.FixtureRequest) -> Any:
    return request.param


def _lines(parsed: Parsed) -> list[str]:
    return [problem.line for problem in parsed.problems]


def test_everything_has_its_place(loader: Any) -> None:
    """Lines and columns count from 1, as editors do."""
    root = parse('a:\n  - "x"\n  - {b: y}\n', "f", loader).root
    assert root is not None
    places = {path: node.place for path, node in walk(root)}
    assert places == {
        (): Place("f", 1, 1),
        ("a",): Place("f", 2, 3),
        ("a", 0): Place("f", 2, 5),
        ("a", 1): Place("f", 3, 5),
        ("a", 1, "b"): Place("f", 3, 9),
    }
    assert isinstance(root, MappingNode)
    assert root.key_places == {"a": Place("f", 1, 1)}


@pytest.mark.parametrize(
    ("text", "literal", "plain"),
    [
        ("a: 0123", "0123", True),
        ("a: no", "no", True),
        ("a: 12:30:45", "12:30:45", True),
        ('a: "no"', "no", False),
        ("a: 'it''s'", "it's", False),
        ('a: "\\u00e9"', "é", False),
        ("a: |\n  b\n", "b\n", False),
        ("a:", "", True),
    ],
)
def test_a_scalar_keeps_its_text(text: str, literal: str, plain: bool, loader: Any) -> None:
    """Nothing is resolved: the model decides what it is."""
    root = parse(text, "f", loader).root
    assert isinstance(root, MappingNode)
    node = root.entries["a"]
    assert isinstance(node, Scalar)
    assert (node.text, node.plain) == (literal, plain)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('a: "x\n', "f:1:4: the text that begins here has no closing quote"),
        ("a: [1,\nb: 2\n", "f:1:4: the [ that opens here is not closed, or a comma is missing"),
        ("a: {b: c\n", "f:1:4: the { that opens here is not closed, or a comma is missing"),
        ("a: b: c\n", "f:1:5: a colon stands where no key can be: check the indentation, or quote"),
        ("- a\nb: c\n", "f:2:1: does not belong to the list that begins in line 1: check the indentation"),
        ("a: *\n", "f:1:4: * and & have a meaning of their own in YAML: put the text in quotes"),
        ("a: 1\nkey\nb: 2\n", "f:2:1: a key must be followed by a colon and a space"),
        ("a: @x\n", "f:1:4: a value cannot begin with @: put it in quotes"),
        ("a:\n\t- b\n", "f:2:1: found a tab in the indentation: indent with spaces"),
        ("a:\n  - b\n c\n", "f:3:2: does not belong to the mapping that begins in line 1: check the indentation"),
    ],
)
def test_syntax_is_explained_in_plain_words(text: str, line: str, loader: Any) -> None:
    """The place is where the mistake begins, not where the parser gave up."""
    parsed = parse(text, "f", loader)
    assert parsed.broken
    assert len(parsed.problems) == 1
    assert _lines(parsed)[0].startswith(line)


def test_an_unknown_escape_is_named(loader: Any) -> None:
    """A Windows path in double quotes is the usual case."""
    [line] = _lines(parse('a: "C:\\quiet"\n', "f", loader))
    assert line.startswith("f:1:")
    assert 'a backslash in "…" must begin a known escape: write \\\\, or use single quotes' in line


def test_what_is_refused_but_understood_is_read_on(loader: Any) -> None:
    """An anchor, an alias, a tag and a second key are all reported, and the rest is there."""
    parsed = parse("a: &x 1\nb: *x\nc: !!int 2\na: 3\nd: 4\n", "f", loader)
    assert not parsed.broken
    assert [problem.check for problem in parsed.problems] == [Check.ANCHOR, Check.ALIAS, Check.TAG, Check.DUPLICATE_KEY]
    assert isinstance(parsed.root, MappingNode)
    assert list(parsed.root.entries) == ["a", "b", "c", "d"]


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n", "---\n", "~\n", "null\n"])
def test_a_file_that_says_nothing_is_empty(text: str, loader: Any) -> None:
    """Comments alone are no configuration."""
    parsed = parse(text, "f", loader)
    assert [problem.check for problem in parsed.problems] == [Check.FILE_EMPTY]
    assert parsed.root is None


def test_only_one_document_is_read(loader: Any) -> None:
    """A second one is reported where it begins."""
    parsed = parse("a: 1\n---\nb: 2\n", "f", loader)
    assert _lines(parsed) == ["f:2:1: a second document begins here: keep one in a file"]


def test_nesting_is_bounded(loader: Any) -> None:
    """Sixteen levels pass; thousands are refused at the seventeenth, without recursion."""
    assert parse("[" * MAX_DEPTH + "]" * MAX_DEPTH, "f", loader).problems == []
    deep = parse("[" * 900, "f", loader)
    assert [problem.check for problem in deep.problems] == [Check.DEPTH]
    assert deep.problems[0].place == Place("f", 1, MAX_DEPTH + 1)


def test_characters_that_no_editor_shows_are_refused() -> None:
    """Controls and Unicode line separators are named by their number, with their place."""
    for character in ("\x00", "\x07", "\x85", "\u2028", "\ufeff", "\ud800"):
        parsed = parse(f"a: 1\nb: {character}", "f")
        assert _lines(parsed)[0].startswith(f"f:2:4: found the character U+{ord(character):04X}")


def test_nodes_become_plain_containers() -> None:
    """What the model reads are lists and mappings with scalars inside."""
    root = parse("- a\n- {b: c}\n", "f").root
    assert isinstance(root, ListNode)
    value = value_of(root)
    assert isinstance(value, list)
    assert isinstance(value[0], Scalar)
    assert isinstance(value[1], dict)
