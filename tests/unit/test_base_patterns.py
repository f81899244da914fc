"""Patterns over names."""

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.base.patterns import covers, is_pattern, matches

NAMES = st.text(alphabet="ab-_[].\n", max_size=8)
PATTERNS = st.text(alphabet="ab*?", max_size=8)


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("front-desk", "front-desk", True),
        ("front-desk", "Front-Desk", False),
        ("front-desk", "front-desk2", False),
        ("call-*", "call-", True),
        ("call-*", "call-1\n2", True),
        ("call-*", "acall-1", False),
        ("call-?", "call-1", True),
        ("call-?", "call-", False),
        ("*", "", True),
        ("**", "anything", True),
        ("*-eu-*", "a-eu-b-eu-c", True),
        ("[ab]", "a", False),
        ("[ab]", "[ab]", True),
        ("a.c", "abc", False),
        ("", "", True),
        ("", "a", False),
    ],
)
def test_star_and_question_mark_are_all_there_is(pattern: str, name: str, *, expected: bool) -> None:
    """``*`` is any run, ``?`` exactly one character, everything else stands for itself, and case matters."""
    assert matches(pattern, name) is expected


@pytest.mark.parametrize(("text", "expected"), [("a*", True), ("a?", True), ("[a]", False), ("", False)])
def test_a_pattern_is_told_from_a_name(text: str, *, expected: bool) -> None:
    """Only ``*`` and ``?`` make a pattern."""
    assert is_pattern(text) is expected


@given(PATTERNS, st.text(alphabet="ab", max_size=8))
def test_matching_agrees_with_fnmatch(pattern: str, name: str) -> None:
    """Without brackets a pattern means what a shell's pattern means."""
    assert matches(pattern, name) is fnmatchcase(name, pattern)


@given(NAMES)
def test_a_name_matches_itself(name: str) -> None:
    """A text without wildcards matches itself and nothing longer."""
    assert matches(name, name)
    assert not matches(name, f"{name}x")


@given(PATTERNS, PATTERNS, st.text(alphabet="ab", max_size=8))
def test_what_a_pattern_covers_it_matches(pattern: str, other: str, name: str) -> None:
    """If one pattern covers another, every name of the other is one of its own."""
    if covers(pattern, other) and matches(other, name):
        assert matches(pattern, name)


@pytest.mark.parametrize(
    ("pattern", "other", "expected"),
    [("*", "a*b?", True), ("a*", "ab-*", True), ("a?", "a*", False), ("a*", "*", False), ("?", "a", True)],
)
def test_covering_is_certain_or_denied(pattern: str, other: str, *, expected: bool) -> None:
    """``?`` covers no ``*``; a wider pattern covers a narrower one and not the other way round."""
    assert covers(pattern, other) is expected


def test_many_stars_cannot_blow_up() -> None:
    """A name made to make a naive matcher go back and forth is answered at once (the test would time out)."""
    assert not matches("*a" * 100, "a" * 5_000 + "b")
    assert matches("*a" * 100, "a" * 5_000)
