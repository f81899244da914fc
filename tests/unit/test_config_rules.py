"""Which rule decides about a room."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.base.patterns import matches
from connector.config.model import RoomRule
from connector.config.rules import RuleBook, look, match_rule, never_apply

NAMES = st.text(alphabet="ab", max_size=4)
ROOMS = st.lists(st.text(alphabet="ab*?", min_size=1, max_size=4), max_size=12)


def _rules(*rooms: str) -> tuple[RoomRule, ...]:
    return tuple(RoomRule(room=room, agent=f"agent-{index}") for index, room in enumerate(rooms))


def _decides(rules: Sequence[RoomRule], name: str) -> int | None:
    rule = match_rule(rules, name)
    return None if rule is None else next(index for index, one in enumerate(rules) if one is rule)


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("front-desk", 0),
        ("call-vip", 2),
        ("call-vip-1", 1),
        ("call-", 3),
        ("Call-vip", None),
        ("front-desk2", None),
        ("", None),
    ],
)
def test_the_first_rule_that_matches_decides(name: str, index: int | None) -> None:
    """Exact names and patterns are tried in the order of the file; case matters."""
    rules = _rules("front-desk", "call-vip-*", "call-vip", "call-*", "call-vip")
    assert _decides(rules, name) == index


@given(ROOMS, NAMES)
def test_the_index_agrees_with_the_plain_search(rooms: list[str], name: str) -> None:
    """The rule book finds what trying rule after rule finds."""
    rules = _rules(*rooms)
    expected = next((index for index, room in enumerate(rooms) if matches(room, name)), None)
    book = RuleBook(rules)
    assert _decides(rules, name) == expected == book.index(name)
    assert book.match(name) is match_rule(rules, name)


@given(ROOMS, NAMES)
def test_a_rule_that_never_applies_decides_nothing(rooms: list[str], name: str) -> None:
    """A rule that is reported as hidden decides about no name, and the rule named for it takes all of its rooms."""
    rules = _rules(*rooms)
    for index, by in never_apply(rules):
        assert by < index
        assert _decides(rules, name) != index
        assert not matches(rooms[index], name) or matches(rooms[by], name)


def test_hidden_rules_are_found() -> None:
    """The same name again, and a name or pattern below a wider pattern."""
    assert never_apply(_rules("a", "a", "b*", "bc", "b?c", "*b", "*", "z")) == [(1, 0), (3, 2), (4, 2), (7, 6)]


def test_every_rule_looked_at_says_why() -> None:
    """Down to the one that decides, in words; a near miss by case is named."""
    rules = _rules("Lobby", "LOB*", "other", "x-*", "lobby", "*")
    assert [(one.index, one.matched, one.why) for one in look(rules, "lobby")] == [
        (0, False, "exact name differs in upper and lower case only"),
        (1, False, "pattern differs in upper and lower case only"),
        (2, False, "exact name does not match"),
        (3, False, "pattern does not match"),
        (4, True, "exact name matches"),
    ]


def test_a_room_without_a_rule_was_held_against_all() -> None:
    """When none matches, every rule says why not."""
    looks = look(_rules("a", "b"), "c")
    assert [one.matched for one in looks] == [False, False]
    assert match_rule((), "c") is None


def test_the_book_knows_which_names_it_asks_for() -> None:
    """Exact names in order, each once; with a pattern every room is a possible one."""
    exact, mixed = RuleBook(_rules("b", "a", "b")), RuleBook(_rules("b", "a*"))
    assert (exact.exact_rooms, exact.has_patterns, len(exact.rules)) == (("b", "a"), False, 3)
    assert (mixed.exact_rooms, mixed.has_patterns) == (("b",), True)
