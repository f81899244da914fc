"""Which Millis agent serves a room."""

import pytest

from connector.control.agents import allowed_agents, choose_agent, humans
from connector.control.seen import ParticipantSeen, RoomSeen
from tests.control_world import ADA, rules_of

PLAIN, MAPPED, META, NONE = rules_of(
    'room: "a", agent: "a1"',
    'room: "b", agent: {from: participant_attribute, key: "number", map: {"1": "a1", "2": "a2"}}',
    'room: "c", agent: {from: room_metadata, key: "agent", allow: ["a1", "a2"]}',
    'room: "d", join: never',
)


def caller(number: str, joined_ms: int, kind: str = "SIP") -> ParticipantSeen:
    return ParticipantSeen(f"sip_{joined_ms}", f"PA_{joined_ms}", kind, {"number": number}, joined_ms)


def room(metadata: str = "", *people: ParticipantSeen) -> RoomSeen:
    return RoomSeen("x", "RM_1", metadata, people)


def test_a_named_agent_serves_every_room() -> None:
    """A rule with an id needs nothing from the room."""
    assert choose_agent(PLAIN, room()).agent == "a1"
    assert choose_agent(NONE, room()).agent is None


def test_the_first_human_with_the_attribute_decides() -> None:
    """Whoever joined first counts; people without it, and agents with it, do not."""
    people = (caller("2", 30), ADA, caller("1", 20), caller("2", 10, "AGENT"), caller(" ", 5))
    assert choose_agent(MAPPED, room("", *people)).agent == "a1"


@pytest.mark.parametrize(
    ("people", "words"),
    [((ADA,), "no attribute"), ((caller("+4917012345", 1),), "not in the rule's map")],
)
def test_what_is_missing_is_said_without_the_value(people: tuple[ParticipantSeen, ...], words: str) -> None:
    """The problem names the attribute; a caller's number is never repeated."""
    choice = choose_agent(MAPPED, room("", *people))
    assert choice.agent is None
    assert words in choice.problem
    assert "4917012345" not in choice.problem


@pytest.mark.parametrize(
    ("metadata", "agent"),
    [
        ('{"agent": "a2"}', "a2"),
        ('{"agent": "a3"}', None),
        ('{"agent": 2}', None),
        ('["agent"]', None),
        ("agent=a2", None),
        ("", None),
        ("[" * 50_000, None),
        ('{"agent": "a2", "x": "' + "y" * 70_000 + '"}', None),
    ],
)
def test_metadata_is_a_stranger_s_text(metadata: str, agent: str | None) -> None:
    """Only a JSON object of reasonable size whose key holds an allowed agent chooses one."""
    assert choose_agent(META, room(metadata)).agent == agent


def test_a_request_may_name_what_the_rule_could_give() -> None:
    """Allowed are the rule's own agents, whatever way it finds them."""
    assert allowed_agents(PLAIN) == {"a1"}
    assert allowed_agents(MAPPED) == allowed_agents(META) == {"a1", "a2"}
    assert allowed_agents(NONE) == frozenset()


def test_humans_come_in_the_order_of_joining() -> None:
    """Agents are left out."""
    assert [p.joined_ms for p in humans(PLAIN, (caller("1", 9), caller("1", 3), caller("1", 1, "AGENT")))] == [3, 9]
