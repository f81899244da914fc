"""Which rule a room falls under: the first that matches its name. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from connector.base.patterns import covers, is_pattern, matches
from connector.config.model import RoomRule


class Match(StrEnum):
    """What became of one rule for one room."""

    DECIDES = "decides"
    TOO_LATE = "too late"
    NO = "does not match"


@dataclass(frozen=True, slots=True)
class Explanation:
    """What one rule has to do with one room.

    Attributes:
        index: The rule's position, from 0.
        rule: The rule.
        match: Whether it decides.
        why: Half a sentence for people.
    """

    index: int
    rule: RoomRule
    match: Match
    why: str


def match_rule(rules: Sequence[RoomRule], name: str) -> RoomRule | None:
    """The first rule that matches a room's name, if any does."""
    return next((rule for rule in rules if matches(rule.room, name)), None)


def explain(rules: Sequence[RoomRule], name: str) -> list[Explanation]:
    """Say for every rule, in order, whether it decides about a room, and why or why not."""
    out: list[Explanation] = []
    winner: int | None = None
    for index, rule in enumerate(rules):
        if not matches(rule.room, name):
            out.append(Explanation(index, rule, Match.NO, _why_not(rule.room, name)))
        elif winner is None:
            winner = index
            out.append(Explanation(index, rule, Match.DECIDES, _why(rule.room)))
        else:
            why = f"matches too, but rooms[{winner}] comes first"
            out.append(Explanation(index, rule, Match.TOO_LATE, why))
    return out


def shadowed(rules: Sequence[RoomRule]) -> Iterator[tuple[int, int]]:
    """Rules that can never decide, each as (its index, the index of the earlier rule that takes all its rooms)."""
    exact: dict[str, int] = {}
    patterns: list[int] = []
    for index, rule in enumerate(rules):
        taker = exact.get(rule.room)
        if taker is None:
            taker = next((earlier for earlier in patterns if covers(rules[earlier].room, rule.room)), None)
        if taker is not None:
            yield index, taker
            continue
        if is_pattern(rule.room):
            patterns.append(index)
        exact[rule.room] = index


def _why(room: str) -> str:
    return "the pattern matches" if is_pattern(room) else "the name is the same"


def _why_not(room: str, name: str) -> str:
    if room.casefold() == name.casefold():
        return "differs in case: names are case-sensitive"
    if room.strip() == name.strip():
        return "differs in spaces at an end"
    if not is_pattern(room):
        return "is another name"
    if matches(room.casefold(), name.casefold()):
        return "the pattern would match in another case: names are case-sensitive"
    return "the pattern does not match"
