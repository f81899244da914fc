"""Which Millis agent serves a room: named by the rule, or looked up in the room's metadata or a human's attribute.

Pure. What was found in a room is a stranger's text: it may choose among the agents of the rule and is never repeated
in a message.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from connector.base.people import Person
from connector.config.model import AgentLookUp, LookUp, RoomRule
from connector.control.seen import ParticipantSeen, RoomSeen

_MAX_METADATA = 64 * 1024


@dataclass(frozen=True, slots=True)
class AgentChoice:
    """The agent of a room, or why there is none.

    Attributes:
        agent: The Millis agent id, or None.
        problem: What is missing, in plain words; empty when there is an agent.
    """

    agent: str | None
    problem: str = ""


def choose_agent(rule: RoomRule, room: RoomSeen) -> AgentChoice:
    """The agent that the rule gives this room.

    Args:
        rule: The rule that matched.
        room: The room with its participants; with several humans the first who joined and has the attribute decides.
    """
    match rule.agent:
        case str() as agent:
            return AgentChoice(agent)
        case AgentLookUp(source=LookUp.ROOM_METADATA) as look_up:
            return _found(look_up, _from_metadata(look_up.key, room.metadata), f'key "{look_up.key}" of its metadata')
        case AgentLookUp() as look_up:
            value = _from_attributes(rule, look_up.key, room.participants or ())
            return _found(look_up, value, f'attribute "{look_up.key}" of its humans')
        case _:
            return AgentChoice(None, "the rule names no agent")


def allowed_agents(rule: RoomRule) -> frozenset[str]:
    """The agents that a request for a room of this rule may name."""
    match rule.agent:
        case str() as agent:
            return frozenset({agent})
        case AgentLookUp(map=None, allow=allow):
            return frozenset(allow or ())
        case AgentLookUp(map=mapping):
            return frozenset(mapping.values() if mapping else ())
        case _:
            return frozenset()


def humans(rule: RoomRule, participants: Sequence[ParticipantSeen]) -> list[ParticipantSeen]:
    """The humans of a room, in the order in which they joined."""
    listen, own = rule.listen_rule, rule.participant.identity
    people = [p for p in participants if listen.is_human(Person(p.identity, p.kind, p.attributes), own)]
    return sorted(people, key=lambda p: (p.joined_ms, p.sid))


def _found(look_up: AgentLookUp, value: str | None, where: str) -> AgentChoice:
    if value is None:
        return AgentChoice(None, f"the room has no {where}")
    if look_up.map is not None:
        agent = look_up.map.get(value)
        return AgentChoice(agent) if agent else AgentChoice(None, f"the value of the {where} is not in the rule's map")
    if value in (look_up.allow or ()):
        return AgentChoice(value)
    return AgentChoice(None, f"the value of the {where} is not one of the rule's allowed agents")


def _from_attributes(rule: RoomRule, key: str, participants: Sequence[ParticipantSeen]) -> str | None:
    values = (person.attributes.get(key, "").strip() for person in humans(rule, participants))
    return next((value for value in values if value), None)


def _from_metadata(key: str, metadata: str) -> str | None:
    if len(metadata) > _MAX_METADATA:
        return None
    try:
        parsed = json.loads(metadata)
    except (ValueError, RecursionError):
        return None
    value = parsed.get(key) if isinstance(parsed, dict) else None
    return value.strip() or None if isinstance(value, str) else None
