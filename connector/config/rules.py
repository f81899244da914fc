"""Which rule decides about a room: the first that matches its name. Pure, and the reasons can be told."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from connector.base.patterns import covers, is_pattern, matches
from connector.config.model import RoomRule

_PATTERN_CHECKS = 500
"""So many patterns are compared with every later rule when looking for rules that never apply."""


def match_rule(rules: Sequence[RoomRule], room: str) -> RoomRule | None:
    """The first rule that matches a room's name, or None."""
    return next((rule for rule in rules if rule_matches(rule, room)), None)


def rule_matches(rule: RoomRule, room: str) -> bool:
    """Whether one rule matches: its exact name, or its pattern. Case matters."""
    return rule.room == room or (is_pattern(rule.room) and matches(rule.room, room))


class RuleBook:
    """The rules, indexed: a look-up costs one dictionary access and the patterns above the exact match.

    Args:
        rules: In order.
    """

    def __init__(self, rules: Sequence[RoomRule]) -> None:
        self._rules = tuple(rules)
        self._exact: dict[str, int] = {}
        for index, rule in enumerate(self._rules):
            self._exact.setdefault(rule.room, index)
        self._patterns = [index for index, rule in enumerate(self._rules) if rule.is_pattern]

    @property
    def rules(self) -> tuple[RoomRule, ...]:
        """In order."""
        return self._rules

    @property
    def has_patterns(self) -> bool:
        """Whether some rule stands for many names."""
        return bool(self._patterns)

    @property
    def exact_rooms(self) -> tuple[str, ...]:
        """The names of the rules that are no patterns, each once, in order."""
        return tuple(room for room, index in self._exact.items() if not self._rules[index].is_pattern)

    def index(self, room: str) -> int | None:
        """The position of the rule that decides about this room, or None."""
        exact = self._exact.get(room)
        above = self._patterns if exact is None else self._patterns[: bisect_left(self._patterns, exact)]
        return next((index for index in above if matches(self._rules[index].room, room)), exact)

    def match(self, room: str) -> RoomRule | None:
        """The rule that decides about this room, or None."""
        index = self.index(room)
        return None if index is None else self._rules[index]


@dataclass(frozen=True)
class Look:
    """One rule, held against a room's name.

    Attributes:
        index: The rule's position.
        matched: Whether it matches.
        why: Why, or why not, in a few words.
    """

    index: int
    matched: bool
    why: str


def look(rules: Sequence[RoomRule], room: str) -> list[Look]:
    """Hold rule after rule against a room's name, down to the first that matches."""
    looks: list[Look] = []
    for index, rule in enumerate(rules):
        matched = rule_matches(rule, room)
        looks.append(Look(index, matched, _why(rule, room, matched=matched)))
        if matched:
            break
    return looks


def never_apply(rules: Sequence[RoomRule]) -> list[tuple[int, int]]:
    """Rules that can never decide about a room.

    Returns:
        Pairs: the rule's position, and that of the earlier rule which matches all of its names.
    """
    first: dict[str, int] = {}
    patterns: list[int] = []
    hidden: list[tuple[int, int]] = []
    for index, rule in enumerate(rules):
        by = first.get(rule.room)
        if by is None:
            by = next((above for above in patterns if covers(rules[above].room, rule.room)), None)
        if by is not None:
            hidden.append((index, by))
            continue
        first[rule.room] = index
        if rule.is_pattern and len(patterns) < _PATTERN_CHECKS:
            patterns.append(index)
    return hidden


def _why(rule: RoomRule, room: str, *, matched: bool) -> str:
    kind = "pattern" if rule.is_pattern else "exact name"
    if matched:
        return f"{kind} matches"
    lower = rule.room.lower()
    if lower == room.lower() or (rule.is_pattern and matches(lower, room.lower())):
        return f"{kind} differs in upper and lower case only"
    return f"{kind} does not match"
