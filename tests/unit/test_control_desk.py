"""What the outside may ask of control."""

import pytest

from connector.base.ends import EndReason
from connector.base.trigger import Trigger
from connector.control.desired import Why
from connector.control.status import JoinAnswer, LookAnswer
from tests.control_world import ADA, Replica, rules_of

RULES = rules_of(
    'room: "lobby", agent: "a1"',
    'room: "asked", agent: {from: room_metadata, key: "agent", allow: ["a1", "a2"]}, join: request',
    'room: "never", join: never',
)


@pytest.mark.parametrize(
    ("room", "agent", "answer"),
    [
        ("nowhere", None, JoinAnswer.NO_RULE),
        ("never", None, JoinAnswer.NEVER),
        ("asked", "a3", JoinAnswer.AGENT_NOT_ALLOWED),
        ("asked", "a2", JoinAnswer.ACCEPTED),
        ("lobby", None, JoinAnswer.ACCEPTED),
    ],
)
async def test_who_may_ask_for_what(room: str, agent: str | None, answer: JoinAnswer) -> None:
    """The rule decides; a refusal says which part of it."""
    assert Replica(RULES).desk.join(room, agent, Trigger.REQUEST) is answer


async def test_joining_is_idempotent() -> None:
    """Asking again while it runs changes nothing; asking after its end starts another session."""
    world = Replica(RULES)
    world.livekit.people = {"lobby": (ADA,)}
    for _ in range(2):
        assert world.desk.join("lobby", None, Trigger.REQUEST) is JoinAnswer.ACCEPTED
    await world.due()
    assert world.desk.join("lobby", None, Trigger.REQUEST) is JoinAnswer.RUNNING
    world.clock.now += 1
    world.end(EndReason.AGENT_HANGUP)
    world.clock.now += 1
    assert world.desk.join("lobby", None, Trigger.REQUEST) is JoinAnswer.ACCEPTED
    await world.due()
    assert world.rooms == ["lobby", "lobby"]


async def test_a_full_or_draining_worker_says_so() -> None:
    """Both ask for another replica; a hint is refused likewise, and a hint that means nothing is ignored."""
    world = Replica(RULES, capacity=0)
    assert world.desk.join("lobby", None, Trigger.REQUEST) is JoinAnswer.FULL
    assert world.desk.look_at("lobby", Trigger.WEBHOOK) is LookAnswer.FULL
    world.life.drain()
    assert world.desk.join("lobby", None, Trigger.REQUEST) is JoinAnswer.DRAINING
    assert world.desk.look_at("lobby", Trigger.WEBHOOK) is LookAnswer.DRAINING
    for room in ("nowhere", "never", "asked"):
        assert world.desk.look_at(room, Trigger.WEBHOOK) is LookAnswer.IGNORED
    assert not world.desk.readiness().ready


async def test_leaving_ends_the_session_and_keeps_the_room_alone() -> None:
    """The session ends as requested, and people in the room do not bring the agent back; a request does."""
    world = Replica(RULES)
    world.livekit.people = {"lobby": (ADA,)}
    await world.passes()
    assert world.desk.leave("lobby")
    assert world.hosts.asked_to_end == [(world.hosts.orders[0].session_id, EndReason.REQUESTED)]
    world.clock.now += 1
    world.end(EndReason.REQUESTED)
    await world.passes()
    assert world.why("lobby") is Why.ENDED_HERE
    assert not world.desk.leave("lobby")


async def test_leaving_a_room_that_is_not_served_yet_keeps_it_so() -> None:
    """A room that waits for a free engine is not served after a `leave`."""
    world = Replica(RULES, capacity=0)
    world.livekit.people = {"lobby": (ADA,)}
    await world.passes()
    assert not world.desk.leave("lobby")
    world.hosts.capacity = 5
    await world.passes()
    assert world.rooms == []
    await world.life.close()


async def test_an_agent_that_left_frees_the_room() -> None:
    """When the participant with our identity leaves, the room is looked at; anybody else's leaving is no news."""
    world = Replica(RULES)
    world.livekit.people = {"lobby": (ADA,)}
    world.desk.left("lobby", "ada")
    await world.due()
    assert world.rooms == []
    world.desk.left("lobby", "millis-agent")
    await world.due()
    assert world.rooms == ["lobby"]


async def test_every_room_is_explained() -> None:
    """The list has a line for each room that a rule matches, with its session or the reason in plain words."""
    world = Replica(RULES)
    world.livekit.people = {"lobby": (ADA,)}
    assert world.desk.join("asked", "a1", Trigger.REQUEST) is JoinAnswer.ACCEPTED
    await world.passes()
    world.say("live", humans=3)
    asked, lobby = world.desk.rooms()
    assert (asked.room, asked.why, asked.requested, asked.session) == ("asked", "no_room", True, None)
    assert lobby.session is not None
    assert (lobby.why, lobby.humans, lobby.session.state, lobby.session.agent) == ("serve", 3, "live", "a1")
    never = world.desk.room("never")
    assert never is not None
    assert never.rule == "never"
    assert world.desk.room("nowhere") is None
    assert world.desk.readiness().ready
