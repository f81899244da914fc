"""Which rooms are to be served, with which agent, and why not."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.base.ends import EndReason
from connector.base.trigger import Trigger
from connector.config.model import RoomRule
from connector.config.rules import RuleBook
from connector.control.desired import EXPLAINED, Known, Verdict, Why, desired, explain, worth_a_look
from connector.control.history import LastEnd
from connector.control.requests import Request
from connector.control.seen import ParticipantSeen, RoomSeen
from tests.control_world import rules_of

RULES = rules_of(
    'room: "lobby", agent: "a1", listen: {exclude: ["recorder-*"]}',
    'room: "pair", agent: "a1", min_humans: 2',
    'room: "asked", agent: "a1", join: request',
    'room: "never", join: never',
    'room: "always", agent: "a1", join: room',
    'room: "looked-up", agent: {from: room_metadata, key: "agent", allow: ["a1", "a2"]}',
    'room: "call-*", agent: {from: participant_attribute, key: "sip.trunkPhoneNumber", map: {"+49301": "a7"}}',
)
BOOK = RuleBook(RULES)
ADA = ParticipantSeen("ada", "PA_1", "STANDARD")
PHONE = ParticipantSeen("sip_1", "PA_2", "SIP", {"sip.trunkPhoneNumber": "+49301"})
RECORDER = ParticipantSeen("recorder-1", "PA_3", "STANDARD")
EGRESS = ParticipantSeen("EG_1", "PA_4", "EGRESS")


def other_worker(beat: float, worker: str = "w2") -> ParticipantSeen:
    attributes = {"connector.worker": worker, "connector.beat": str(beat)}
    return ParticipantSeen("millis-agent", "PA_9", "AGENT", attributes)


def judge(
    room: str,
    *people: ParticipantSeen,
    last: LastEnd | None = None,
    request: Request | None = None,
    metadata: str = "",
    now: float = 100.0,
    known: bool = True,
    circuit_until: float | None = None,
) -> Verdict:
    seen = RoomSeen(room, "RM_1", metadata, participants=people if known else None)
    history = {} if last is None else {room: last}
    requests = {} if request is None else {room: request}
    return desired(BOOK, [seen], Known(requests, history, "w1", now, 1000.0, circuit_until))[room]


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
        ("looked-up", (ADA,), Why.NO_AGENT),
        ("call-1", (ADA,), Why.NO_AGENT),
        ("call-1", (ADA, PHONE), Why.SERVE),
        ("elsewhere", (ADA,), Why.NO_RULE),
    ],
)
def test_who_is_there_decides(room: str, people: tuple[ParticipantSeen, ...], why: Why) -> None:
    """A room is served when its rule says so and enough humans whom the rule hears are listed."""
    assert judge(room, *people).why is why


@pytest.mark.parametrize("room", ["lobby", "asked", "never", "nowhere"])
def test_a_look_is_spared_where_it_would_not_matter(room: str) -> None:
    """Who is in a room matters only if the room could be served."""
    assert worth_a_look(BOOK.match(room), requested=False) is (room == "lobby")
    assert worth_a_look(BOOK.match(room), requested=True) is (room in ("lobby", "asked"))


def test_the_agent_may_depend_on_the_room_or_the_caller() -> None:
    """Metadata and attributes choose among the rule's agents, and the verdict carries the choice."""
    assert judge("looked-up", ADA, metadata='{"agent": "a2"}').agent == "a2"
    assert judge("call-9", PHONE).agent == "a7"
    verdict = judge("looked-up", ADA, metadata='{"agent": "a9"}')
    assert (verdict.why, "a9" in explain(verdict)) == (Why.NO_AGENT, False)


def test_a_request_is_served_also_without_humans() -> None:
    """Whoever asks wants the agent there: the number of humans does not matter; an agent may be named."""
    request = Request(Trigger.REQUEST, 50.0)
    assert judge("asked", request=request).serve
    assert judge("lobby", request=request).serve
    assert judge("never", request=request).why is Why.NEVER
    assert judge("looked-up", request=replace(request, agent="a2")).agent == "a2"
    assert judge("lobby", request=replace(request, agent="a2")).why is Why.NO_AGENT


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
    [EndReason.AGENT_HANGUP, EndReason.REMOVED, EndReason.MAX_DURATION, EndReason.ROOM_ENCRYPTED, EndReason.REQUESTED],
)
def test_a_wanted_end_holds_for_the_life_of_the_room(reason: EndReason) -> None:
    """The room is left alone until it is another room, or somebody asks for it after that end."""
    last = LastEnd(reason, 10.0, "RM_1")
    assert judge("lobby", ADA, last=last).why is Why.ENDED_HERE
    assert judge("lobby", ADA, last=last, request=Request(Trigger.REQUEST, 9.0)).why is Why.ENDED_HERE
    assert judge("lobby", ADA, last=last, request=Request(Trigger.REQUEST, 11.0)).serve
    assert judge("lobby", ADA, last=replace(last, room_sid="RM_0")).serve


def test_a_refused_agent_is_not_tried_again_but_another_is() -> None:
    """A refusal that is not about the key holds the room for that agent."""
    last = LastEnd(EndReason.AGENT_REJECTED, 10.0, "RM_1", cause="config", agent="a1")
    assert judge("lobby", ADA, last=last).why is Why.REJECTED
    assert judge("lobby", ADA, last=replace(last, agent="a0")).serve
    assert judge("lobby", ADA, last=replace(last, cause="auth")).serve


def test_a_refused_key_holds_everything() -> None:
    """While the circuit is open nothing starts, and the verdict says until when."""
    verdict = judge("lobby", ADA, circuit_until=400.0)
    assert (verdict.why, verdict.again_at) == (Why.CIRCUIT_OPEN, 400.0)


def test_a_failure_backs_off() -> None:
    """After a failure the room is tried again after 30 s, doubling to five minutes."""
    waits = []
    for failures in range(1, 8):
        verdict = judge("lobby", ADA, last=LastEnd(EndReason.AGENT_UNREACHABLE, 100.0, "RM_1", failures))
        assert verdict.why is Why.WAITING
        assert verdict.again_at is not None
        waits.append(verdict.again_at - 100)
    assert waits == [30, 60, 120, 240, 300, 300, 300]
    assert judge("lobby", ADA, last=LastEnd(EndReason.AGENT_UNREACHABLE, 60.0, "RM_1", 1)).serve


@pytest.mark.parametrize("reason", [EndReason.ENGINE_LOST, EndReason.ROOM_EMPTY, EndReason.DRAINED])
def test_a_lost_engine_or_an_emptied_room_is_served_at_once(reason: EndReason) -> None:
    """A room whose engine died, or that people came back to, is served without delay."""
    assert judge("lobby", ADA, last=LastEnd(reason, 100.0, "RM_1", 3)).serve


def test_an_evicted_agent_does_not_fight() -> None:
    """After an eviction the room is left alone while such a participant is listed; three in ten minutes hold it."""
    last = LastEnd(EndReason.REPLACED, 100.0, "RM_1", 1, replaced_at=(90.0, 100.0))
    assert judge("lobby", ADA, other_worker(0), last=last).why is Why.REPLACED
    assert judge("lobby", ADA, last=last).serve
    held = judge("lobby", ADA, last=replace(last, replaced_at=(50.0, 90.0, 100.0)))
    assert (held.why, held.again_at) == (Why.HELD, 650.0)


def test_every_reason_is_explained() -> None:
    """Each verdict has a plain sentence."""
    assert EXPLAINED.keys() == set(Why)
    assert explain(Verdict("lobby", Why.NO_AGENT, detail="no key")).endswith("(no key)")


PEOPLE = st.lists(st.sampled_from([ADA, PHONE, RECORDER, EGRESS, other_worker(990), other_worker(1)]), max_size=5)
ENDS = st.none() | st.builds(
    LastEnd, st.sampled_from(EndReason), st.floats(0, 100), st.sampled_from(["RM_1", "RM_0", ""]), st.integers(0, 20)
)
ASKED = st.none() | st.builds(Request, st.sampled_from(Trigger), st.floats(0, 100), st.sampled_from([None, "a1", "zz"]))


@given(st.sampled_from([*[r.room for r in RULES], "other"]), PEOPLE, ENDS, ASKED)
def test_every_room_gets_one_verdict_and_none_is_served_without_cause(
    room: str, people: list[ParticipantSeen], last: LastEnd | None, request: Request | None
) -> None:
    """Whatever is seen, a room that is served has a rule with an agent, and no living agent of another worker."""
    verdict = judge(room, *people, last=last, request=request)
    assert isinstance(verdict.why, Why)
    if verdict.serve:
        assert isinstance(verdict.rule, RoomRule)
        assert verdict.agent in {"a1", "a2", "a7"}
        assert other_worker(990) not in people
