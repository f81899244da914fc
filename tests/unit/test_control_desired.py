"""Which rooms are to be served, and why not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.base.ends import EndReason
from connector.config.load import load_text
from connector.config.model import RoomRule
from connector.control.desired import Verdict, Why, desired
from connector.control.history import LastEnd
from connector.control.seen import ParticipantSeen, RoomSeen

RULES = load_text(
    """
livekit: {url: "ws://127.0.0.1:7880"}
millis: {url: "http://127.0.0.1:8090"}
rooms:
  - {room: "lobby", agent: "a1", listen: {exclude: ["recorder-*"]}}
  - {room: "pair", agent: "a1", min_humans: 2}
  - {room: "asked", agent: "a1", join: request}
  - {room: "never", join: never}
  - {room: "always", agent: "a1", join: room}
  - {room: "looked-up", agent: {from: room_metadata, key: "agent", allow: ["a1"]}}
""",
    environ={},
).config.rules
ADA = ParticipantSeen("ada", "PA_1", "STANDARD")
PHONE = ParticipantSeen("sip_1", "PA_2", "SIP")
RECORDER = ParticipantSeen("recorder-1", "PA_3", "STANDARD")
EGRESS = ParticipantSeen("EG_1", "PA_4", "EGRESS")


def other_worker(beat: float, worker: str = "w2") -> ParticipantSeen:
    attributes = {"connector.worker": worker, "connector.beat": str(beat)}
    return ParticipantSeen("millis-agent", "PA_9", "AGENT", attributes)


def judge(
    room: str, *people: ParticipantSeen, last: LastEnd | None = None, now: float = 100.0, known: bool = True
) -> Verdict:
    seen = RoomSeen(room, "RM_1", participants=people if known else None)
    history = {} if last is None else {room: last}
    return desired(RULES, [seen], history, worker_id="w1", now=now, wall=1000.0)[room]


@pytest.mark.parametrize(
    ("room", "people", "why"),
    [
        ("lobby", (ADA,), Why.SERVE),
        ("lobby", (PHONE,), Why.SERVE),
        ("lobby", (), Why.NO_HUMAN),
        ("lobby", (RECORDER, EGRESS), Why.NO_HUMAN),
        ("pair", (ADA,), Why.NO_HUMAN),
        ("pair", (ADA, PHONE), Why.SERVE),
        ("asked", (ADA,), Why.NOT_ASKED),
        ("never", (ADA,), Why.NEVER),
        ("always", (), Why.SERVE),
        ("looked-up", (ADA,), Why.AGENT_LOOK_UP),
        ("elsewhere", (ADA,), Why.NO_RULE),
    ],
)
def test_who_is_there_decides(room: str, people: tuple[ParticipantSeen, ...], why: Why) -> None:
    """A room is served when its rule says so and enough humans whom the rule hears are listed."""
    assert judge(room, *people).why is why


def test_unknown_is_not_absent() -> None:
    """A room whose people could not be learnt is neither served nor empty."""
    assert judge("lobby", known=False).why is Why.UNKNOWN


@pytest.mark.parametrize(
    ("agent", "why"),
    [
        (other_worker(990), Why.SERVED_ELSEWHERE),
        (other_worker(930), Why.SERVED_ELSEWHERE),
        (other_worker(900), Why.SERVE),
        (other_worker(990, "w1"), Why.SERVE),
        (
            ParticipantSeen("millis-agent", "PA_9", "AGENT", {"connector.worker": "w2", "connector.beat": "x"}),
            Why.SERVE,
        ),
    ],
)
def test_a_room_served_by_another_worker_is_left_alone(agent: ParticipantSeen, why: Why) -> None:
    """An agent of our identity, of another worker, with a beat younger than 75 s holds the room."""
    assert judge("lobby", ADA, agent).why is why


@pytest.mark.parametrize(
    "reason",
    [EndReason.AGENT_HANGUP, EndReason.REMOVED, EndReason.AGENT_REJECTED, EndReason.ROOM_ENCRYPTED],
)
def test_a_wanted_end_holds_for_the_life_of_the_room(reason: EndReason) -> None:
    """After a hang-up, a removal or a refusal the room is left alone until it is another room."""
    assert judge("lobby", ADA, last=LastEnd(reason, 0.0, "RM_1")).why is Why.ENDED_HERE
    assert judge("lobby", ADA, last=LastEnd(reason, 0.0, "RM_0")).why is Why.SERVE


def test_a_failure_backs_off() -> None:
    """After a failure the room is tried again after 30 s, doubling to five minutes."""
    waits = []
    for failures in range(1, 8):
        verdict = judge("lobby", ADA, last=LastEnd(EndReason.AGENT_UNREACHABLE, 100.0, "RM_1", failures))
        assert verdict.why is Why.WAITING
        assert verdict.again_at is not None
        waits.append(verdict.again_at - 100)
    assert waits == [30, 60, 120, 240, 300, 300, 300]
    assert judge("lobby", ADA, last=LastEnd(EndReason.AGENT_UNREACHABLE, 60.0, "RM_1", 1)).why is Why.SERVE


@pytest.mark.parametrize("reason", [EndReason.ENGINE_LOST, EndReason.ROOM_EMPTY, EndReason.DRAINED])
def test_a_lost_engine_or_an_emptied_room_is_served_at_once(reason: EndReason) -> None:
    """A room whose engine died, or that people came back to, is served without delay."""
    assert judge("lobby", ADA, last=LastEnd(reason, 100.0, "RM_1", 3)).why is Why.SERVE


def test_an_evicted_agent_does_not_fight() -> None:
    """After an eviction the room is left alone while such a participant is listed."""
    last = LastEnd(EndReason.REPLACED, 100.0, "RM_1", 1)
    stale = other_worker(0)
    assert judge("lobby", ADA, stale, last=last).why is Why.REPLACED
    assert judge("lobby", ADA, last=last).why is Why.SERVE


PEOPLE = st.lists(st.sampled_from([ADA, PHONE, RECORDER, EGRESS, other_worker(990), other_worker(1)]), max_size=5)
ENDS = st.none() | st.builds(
    LastEnd, st.sampled_from(EndReason), st.floats(0, 100), st.sampled_from(["RM_1", "RM_0", ""]), st.integers(0, 20)
)


@given(st.sampled_from([*[r.room for r in RULES], "other"]), PEOPLE, ENDS)
def test_every_room_gets_one_verdict_and_none_is_served_without_cause(
    room: str, people: list[ParticipantSeen], last: LastEnd | None
) -> None:
    """Whatever is seen, a room that is served has a rule with an agent, and no living agent of another worker."""
    verdict = judge(room, *people, last=last)
    assert isinstance(verdict.why, Why)
    if verdict.serve:
        assert isinstance(verdict.rule, RoomRule)
        assert isinstance(verdict.rule.agent, str)
        assert other_worker(990) not in people
