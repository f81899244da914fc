"""What a reload of rooms.yaml means: for each running session, and for the log. Pure.

Some keys of a rule apply to running sessions (`Applies.LIVE` in the model), the others from the next session on. A
session that no rule wants any more ends after the `leave_after` of the rule that it runs by.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from connector.config.changes import Change, applies_of, rule_changes, worker_changes
from connector.config.model import Applies, Config, JoinMode, RoomRule
from connector.config.rules import RuleBook

LIVE_KEYS = tuple(name for name, field in RoomRule.model_fields.items() if applies_of(field) is Applies.LIVE)
"""The keys of a rule that apply to running sessions: what `UpdateSession` carries."""


class SessionChange(StrEnum):
    """What a reload means for one running session."""

    UNCHANGED = "unchanged"
    UPDATE = "update"
    ORPHANED = "orphaned"


@dataclass(frozen=True, slots=True)
class SessionUpdate:
    """What is to be done about one running session.

    Attributes:
        change: `UPDATE`: send the rule's live keys to the engine. `ORPHANED`: no rule wants the room any more; the
            session ends with `rule_removed` after `rule.leave_after`, unless a later reload wants it again.
        rule: The rule that the session runs by from now on: its own, with the new rule's live keys.
    """

    change: SessionChange
    rule: RoomRule


def session_updates(rules: Sequence[RoomRule], running: Mapping[str, RoomRule]) -> dict[str, SessionUpdate]:
    """Judge every running session by new rules.

    Args:
        rules: The new rules, in order; the first that matches a room's name decides, as always.
        running: For each room with a session of ours, the rule that the session runs by: the one that it was started
            with, or the one that the last call of this function gave.

    Returns:
        For each of these rooms what is to be done.
    """
    book = RuleBook(rules)
    return {room: _judge(rule, book.match(room)) for room, rule in running.items()}


def _judge(running: RoomRule, new: RoomRule | None) -> SessionUpdate:
    if new is None or new.join is JoinMode.NEVER:
        return SessionUpdate(SessionChange.ORPHANED, running)
    merged = running.model_copy(update={key: getattr(new, key) for key in LIVE_KEYS})
    same = merged.model_dump_json() == running.model_dump_json()  # as text: the order of gain_db's patterns matters
    return SessionUpdate(SessionChange.UNCHANGED if same else SessionChange.UPDATE, merged)


@dataclass(frozen=True, slots=True)
class ReloadReport:
    """What differs after a reload, for one log line; keys are named as ``room.key``.

    Attributes:
        added: The `room` keys of rules that are new.
        removed: Those of rules that are gone.
        live: Keys that apply to running sessions.
        next_session: Keys that apply from the next session on.
        restart: Keys that differ from what the worker was started with: it must be restarted for them.
        reordered: Whether rules that stayed stand in another order.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    live: tuple[str, ...] = ()
    next_session: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()
    reordered: bool = False


def reload_report(started: Config, old: Config, new: Config) -> ReloadReport:
    """Say what a reload changes, and when.

    Args:
        started: What the worker was started with.
        old: The configuration in force so far.
        new: The file as it is now.
    """
    before, after = _by_name(old.rules), _by_name(new.rules)
    stayed = [name for name in before if name in after]
    changes = [(name, change) for name in stayed for change in rule_changes(before[name], after[name])]
    return ReloadReport(
        added=tuple(name for name in after if name not in before),
        removed=tuple(name for name in before if name not in after),
        live=_keys(changes, Applies.LIVE),
        next_session=_keys(changes, Applies.NEXT_SESSION),
        restart=tuple(change.key for change in worker_changes(started, new)),
        reordered=stayed != [name for name in after if name in before],
    )


def in_force(started: Config, new: Config) -> Config:
    """The configuration after a reload: the new rules, and whatever needs a restart as it was at the start."""
    return Config(livekit=started.livekit, millis=started.millis, worker=started.worker, rules=new.rules)


def _by_name(rules: Sequence[RoomRule]) -> dict[str, RoomRule]:
    """The rules by their `room` key; of several with the same one only the first ever decides."""
    named: dict[str, RoomRule] = {}
    for rule in rules:
        named.setdefault(rule.room, rule)
    return named


def _keys(changes: Sequence[tuple[str, Change]], applies: Applies) -> tuple[str, ...]:
    return tuple(sorted(f"{name}.{change.key}" for name, change in changes if change.applies is applies))
