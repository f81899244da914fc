"""Nodes with their places, and how they are named to people."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.base.secrets import Secret
from connector.config.nodes import ListNode, MappingNode, Path, Place, Scalar, found, path_text, value_of, walk

HERE = Place("rooms.yaml", 3, 7)


def _tree() -> MappingNode:
    tree = MappingNode(HERE)
    items = ListNode(HERE, [Scalar("x", plain=True, place=HERE)])
    tree.put("a", items, Place("rooms.yaml", 1, 1))
    return tree


def test_a_place_reads_as_editors_write_it() -> None:
    """File, line and column; a variable is its name alone."""
    assert str(HERE) == "rooms.yaml:3:7"
    assert str(Place("LIVEKIT_URL")) == "LIVEKIT_URL"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ((), ""),
        (("rooms", 1, "listen", "gain_db", "sip_*"), 'rooms[1].listen.gain_db["sip_*"]'),
        (("a b",), '["a b"]'),
        (("", 0), '[""][0]'),
        (("x" * 50,), f'["{"x" * 39}…"]'),
        (("a\nb",), '["a b"]'),
    ],
)
def test_a_path_reads_as_users_write_it(path: Path, text: str) -> None:
    """Plain keys with dots, positions and odd keys in brackets, long ones cut."""
    assert path_text(path) == text


@pytest.mark.parametrize(
    ("text", "plain", "expected"),
    [
        ("", True, True),
        ("~", True, True),
        ("null", True, True),
        ("NULL", True, True),
        ("nUll", True, False),
        ("", False, False),
        ("null", False, False),
    ],
)
def test_nothing_is_what_yaml_reads_as_nothing(text: str, *, plain: bool, expected: bool) -> None:
    """Only without quotes."""
    assert Scalar(text, plain=plain, place=HERE).is_null is expected


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Scalar("", plain=True, place=HERE), "nothing"),
        (Scalar("x", plain=True, place=HERE), '"x"'),
        (Scalar("canary-found", plain=False, place=HERE), '"[redacted]"'),
        (Scalar("a" * 100, plain=False, place=HERE), f'"{"a" * 59}…"'),
        ({}, "a mapping"),
        ([], "a list"),
        (3, '"3"'),
    ],
)
def test_what_was_found_is_short_and_harmless(value: object, text: str) -> None:
    """Containers by their kind, texts in quotes, cut, without secrets."""
    Secret("canary-found")
    assert found(value) == text


@given(st.text(max_size=100))
def test_whatever_was_found_fits_a_line(text: str) -> None:
    """No text breaks the line that names it."""
    for plain in (True, False):
        said = found(Scalar(text, plain=plain, place=HERE))
        assert said.isprintable()
        assert len(said) <= 62


def test_a_tree_becomes_plain_containers_and_can_be_walked() -> None:
    """Scalars stay what they are, with their places; a walk meets every node once, from the top."""
    tree = _tree()
    assert value_of(tree) == {"a": [Scalar("x", plain=True, place=HERE)]}
    assert [path for path, _ in walk(tree)] == [(), ("a",), ("a", 0)]
    assert tree.key_places == {"a": Place("rooms.yaml", 1, 1)}
