"""What `connector check` shows: the rules as a table, what is worth a warning, and why a room gets the rule it gets."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from connector.base.redact import redact
from connector.config.kinds import format_duration
from connector.config.load import Loaded
from connector.config.model import AgentLookUp, JoinMode, LookUp, RoomRule
from connector.config.rules import Look, look, never_apply

_MAX_CELL = 48
_MAX_LOOKS = 20
"""So many rules above the deciding one are shown one by one."""
_MAX_WARNINGS = 20
_JOINS = {
    JoinMode.HUMAN: "while a person is there",
    JoinMode.ROOM: "while the room exists",
    JoinMode.REQUEST: "when asked",
    JoinMode.NEVER: "never",
}


@dataclass(frozen=True)
class RoomExplanation:
    """Which rule decides about a room.

    Attributes:
        found: Whether a rule decides, and the room is to be served at all.
        text: Lines for people.
    """

    found: bool
    text: Text


def rules_table(loaded: Loaded) -> Group:
    """The whole configuration at a glance: a verdict, the rules in order, warnings."""
    config = loaded.config
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("rooms", "line", "room", "agent", "join", "leave_after", "hears"):
        table.add_column(heading, overflow="fold")
    for index, rule in enumerate(config.rules):
        line = loaded.rule_places[index].rsplit(":", 2)[1]
        cells = (f"[{index}]", line, rule.room, agent_text(rule), _join_cell(rule), _leaves(rule), _hears(rule))
        table.add_row(*(Text(_cut(cell)) for cell in cells))
    head = Text(
        f"✓ {loaded.name} is valid: {_count(len(config.rules), 'rule')}, the first that matches a room decides."
    )
    servers = Text(f"  LiveKit {config.livekit.url} · Millis {config.millis.url} · claims in {config.worker.claims}")
    overridden = [Text(f"  From the environment: {', '.join(loaded.overridden)}")] if loaded.overridden else []
    notes = [Text(f"! {line}") for line in warnings(loaded)]
    return Group(head, servers, *overridden, *([table] if config.rules else []), *notes)


def warnings(loaded: Loaded) -> list[str]:
    """What is allowed but hardly meant, one line each."""
    lines: list[str] = []
    if not loaded.config.rules:
        lines.append(f"{loaded.name} has no rules: no room is served")
    hidden = never_apply(loaded.config.rules)
    for index, by in hidden[:_MAX_WARNINGS]:
        rule, above = loaded.config.rules[index], loaded.config.rules[by]
        lines.append(
            f'{loaded.rule_places[index]} rooms[{index}] "{_cut(rule.room)}" never decides: rooms[{by}]'
            f' "{_cut(above.room)}" matches all of its rooms first; move it up or take it out'
        )
    if len(hidden) > _MAX_WARNINGS:
        lines.append(f"… and {len(hidden) - _MAX_WARNINGS} more rules that never decide")
    return lines


def explain_room(loaded: Loaded, room: str) -> RoomExplanation:
    """Say which rule decides about a room of this name, and why none above it does."""
    rules = loaded.config.rules
    looks = look(rules, room)
    decides = looks[-1] if looks and looks[-1].matched else None
    above = looks[:-1] if decides else looks
    lines = [*_verdict(loaded, redact(room), decides), *_others(loaded, above)]
    served = decides is not None and rules[decides.index].join is not JoinMode.NEVER
    return RoomExplanation(served, Text("\n".join(lines)))


def agent_text(rule: RoomRule) -> str:
    """The agent of a rule in a few words."""
    match rule.agent:
        case None:
            return "none"
        case AgentLookUp() as look_up:
            place = "attribute" if look_up.source is LookUp.PARTICIPANT_ATTRIBUTE else "room metadata"
            choices = len(look_up.map or look_up.allow or ())
            return f"by {place} {look_up.key} ({_count(choices, 'choice')})"
        case str() as agent:
            return agent


def _verdict(loaded: Loaded, room: str, decides: Look | None) -> Iterator[str]:
    if decides is None:
        yield f'Room "{room}" is not served: no rule matches. Add one to {loaded.name}, or a last rule with room: "*".'
        return
    rule = loaded.config.rules[decides.index]
    where = f'rooms[{decides.index}] "{rule.room}" ({loaded.rule_places[decides.index]})'
    if rule.join is JoinMode.NEVER:
        yield f'Room "{room}" is not served: {where} decides, its {decides.why}, and it says join: never.'
        return
    yield f'Room "{room}" is served by {where}: its {decides.why} and no rule above it does.'
    for name, value in _settings(rule):
        yield f"  {name:<16} {value}"


def _settings(rule: RoomRule) -> Iterator[tuple[str, str]]:
    """What is in force, defaults included."""
    yield "agent", agent_text(rule)
    yield "joins", _joins(rule)
    yield "leaves after", f"{_leaves(rule)}, at the latest after {format_duration(rule.max_duration)}"
    yield "as", f"{rule.participant.identity} ({rule.participant.name})"
    yield "hears", _hears(rule)
    if rule.listen.gain_db:
        yield "gain", ", ".join(f"{pattern} {gain:+g} dB" for pattern, gain in rule.listen.gain_db.items())
    yield "agent hangs up", rule.on_agent_hangup.value
    tries = _count(rule.reconnect.attempts, "try", "tries")
    yield "agent is lost", f"{tries} within {format_duration(rule.reconnect.within)}"
    if rule.metadata:
        yield "metadata", ", ".join(rule.metadata)


def _others(loaded: Loaded, above: list[Look]) -> Iterator[str]:
    if not above:
        return
    yield "Rules above it:" if len(above) < len(loaded.config.rules) else "Rules:"
    for one in above[-_MAX_LOOKS:]:
        rule = loaded.config.rules[one.index]
        yield f'  rooms[{one.index}] "{_cut(rule.room)}" ({loaded.rule_places[one.index]}): {one.why}'
    if len(above) > _MAX_LOOKS:
        yield f"  … and {len(above) - _MAX_LOOKS} more above them, which do not match either"


def _joins(rule: RoomRule) -> str:
    if rule.join is JoinMode.HUMAN and rule.min_humans > 1:
        return f"while {rule.min_humans} people are there"
    return _JOINS[rule.join]


def _join_cell(rule: RoomRule) -> str:
    return f"{rule.join.value} ≥ {rule.min_humans}" if rule.min_humans > 1 else rule.join.value


def _leaves(rule: RoomRule) -> str:
    return format_duration(rule.leave_after)


def _hears(rule: RoomRule) -> str:
    who = "everybody" if rule.listen.include == ("*",) else _list(rule.listen.include)
    but = f" but {_list(rule.listen.exclude)}" if rule.listen.exclude else ""
    what = (
        "" if [source.value for source in rule.listen.sources] == ["microphone"] else f" ({_list(rule.listen.sources)})"
    )
    return f"{who}{but}{what}"


def _list(words: Iterable[str]) -> str:
    return ", ".join(str(word) for word in words)


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_CELL else text[: _MAX_CELL - 1] + "…"
