"""Which rooms are to be served, with which rule and agent, and if not, why not.

Pure: everything known goes in, a verdict per room comes out.

The truth about a room is who is listed in it, by kind; never a count and never an event. What could not be learnt
changes nothing: unknown is not absent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from connector.base.ends import EndReason
from connector.config.model import JoinMode, RoomRule
from connector.config.rules import RuleBook
from connector.control.agents import allowed_agents, choose_agent, humans
from connector.control.history import LastEnd
from connector.control.requests import Request
from connector.control.seen import ParticipantSeen, RoomSeen

BEAT_FRESH_S = 75.0
"""A connector renews its beat every 30 s; one older than this has lost its worker (design §3, served elsewhere)."""
RETRY_FIRST_S, RETRY_CAP_S = 30.0, 300.0
ELSEWHERE_AGAIN_S = 3.0
"""How soon a room that another worker serves is looked at again: it may be a worker that died."""


class Why(StrEnum):
    """Why a room is served, or not. A closed set: it stands in logs and answers."""

    SERVE = "serve"
    NO_RULE = "no_rule"
    NEVER = "never"
    NOT_ASKED = "not_asked"
    NO_ROOM = "no_room"
    NO_HUMAN = "no_human"
    NO_AGENT = "no_agent"
    UNKNOWN = "unknown"
    SERVED_ELSEWHERE = "served_elsewhere"
    ENDED_HERE = "ended_here"
    REJECTED = "rejected"
    WAITING = "waiting"
    REPLACED = "replaced"
    HELD = "held"
    CIRCUIT_OPEN = "circuit_open"
    CLAIMED_ELSEWHERE = "claimed_elsewhere"
    CLAIMS_UNAVAILABLE = "claims_unavailable"
    FULL = "full"
    DRAINING = "draining"


EXPLAINED: Mapping[Why, str] = {
    Why.SERVE: "it is served, or about to be",
    Why.NO_RULE: "no rule of rooms.yaml matches its name; `connector check --room NAME` shows why",
    Why.NEVER: "its rule says join: never",
    Why.NOT_ASKED: "its rule says join: request, and nobody asked yet; `connector join ROOM` asks",
    Why.NO_ROOM: "it was requested, but the room does not exist yet",
    Why.NO_HUMAN: "fewer humans are in it than the rule's min_humans",
    Why.NO_AGENT: "the rule's agent look-up finds none",
    Why.UNKNOWN: "LiveKit could not say who is in it; nothing is changed until it can",
    Why.SERVED_ELSEWHERE: "another worker's agent is in it",
    Why.ENDED_HERE: "its session ended for good; ask for it again, or wait for the room's next life",
    Why.REJECTED: "Millis refused its agent; correct the rule's agent, or ask for the room again",
    Why.WAITING: "its last session failed; it is tried again after a pause",
    Why.REPLACED: "another participant with our identity took our place and is still there",
    Why.HELD: "another participant with our identity took our place three times in ten minutes; is a second"
    " installation serving this room?",
    Why.CIRCUIT_OPEN: "Millis refuses our key: check MILLIS_PRIVATE_KEY; tried again in five minutes or with a new key",
    Why.CLAIMED_ELSEWHERE: "another replica holds its claim",
    Why.CLAIMS_UNAVAILABLE: "the claim store (Redis) does not answer, so no new room is taken",
    Why.FULL: "no engine has room for it now: raise worker.max_sessions or worker.engines, or add replicas",
    Why.DRAINING: "this worker is shutting down and takes no new rooms",
}
"""Every reason in plain words."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be done about one room.

    Attributes:
        room: The room's name.
        why: The reason; `Why.SERVE` means that it is to be served.
        rule: The rule that matched, if any.
        agent: The Millis agent that serves it, if that was got so far.
        humans: Humans in it, as far as known.
        requested: Whether a request for it is in force.
        detail: More than `EXPLAINED` says, in plain words; may be empty.
        again_at: When the verdict may change by time alone, in monotonic seconds.
    """

    room: str
    why: Why
    rule: RoomRule | None = None
    agent: str | None = None
    humans: int = 0
    requested: bool = False
    detail: str = ""
    again_at: float | None = None

    @property
    def serve(self) -> bool:
        """Whether the room is to be served."""
        return self.why is Why.SERVE


@dataclass(frozen=True, slots=True)
class Known:
    """What is known besides the rooms themselves.

    Attributes:
        requests: Requests in force, by room.
        history: How the last session of a room ended, by room.
        worker_id: Ours, as it stands in ``connector.worker``.
        now: Monotonic seconds.
        wall: Wall-clock seconds, to judge other workers' beats.
        circuit_until: While Millis refuses our key: until when nothing starts, in monotonic seconds.
    """

    requests: Mapping[str, Request]
    history: Mapping[str, LastEnd]
    worker_id: str
    now: float
    wall: float
    circuit_until: float | None = None


FINAL = frozenset(
    {
        EndReason.AGENT_HANGUP,
        EndReason.REMOVED,
        EndReason.REQUESTED,
        EndReason.MAX_DURATION,
        EndReason.ROOM_ENCRYPTED,
    },
)
"""After these the room is left alone for as long as it lives: the agent, an admin or the rule wanted it so."""

_BACK_OFF = frozenset(
    {
        EndReason.AGENT_UNREACHABLE,
        EndReason.AGENT_LOST,
        EndReason.LIVEKIT_UNREACHABLE,
        EndReason.LIVEKIT_REJECTED,
        EndReason.INTERNAL_ERROR,
    },
)


def desired(rules: RuleBook, rooms: Sequence[RoomSeen], known: Known) -> dict[str, Verdict]:
    """Judge every room that exists.

    Args:
        rules: The first that matches a room's name decides.
        rooms: What LiveKit shows.
        known: Requests, history, time.

    Returns:
        A verdict per room name.
    """
    return {room.name: _judge(room, rules.match(room.name), known) for room in rooms}


def worth_a_look(rule: RoomRule | None, *, requested: bool) -> bool:
    """Whether it matters who is in a room of this rule."""
    return rule is not None and _unasked(rule, requested=requested) is None


def _unasked(rule: RoomRule, *, requested: bool) -> Why | None:
    """Why a rule never serves a room by itself, if it does not."""
    if rule.join is JoinMode.NEVER:
        return Why.NEVER
    return Why.NOT_ASKED if rule.join is JoinMode.REQUEST and not requested else None


def _judge(room: RoomSeen, rule: RoomRule | None, known: Known) -> Verdict:
    if rule is None:
        return Verdict(room.name, Why.NO_RULE)
    request = known.requests.get(room.name)
    requested = request is not None
    unasked = _unasked(rule, requested=requested)
    if unasked is not None:
        return Verdict(room.name, unasked, rule, requested=requested)
    if room.participants is None:
        return Verdict(room.name, Why.UNKNOWN, rule, requested=requested)
    count = len(humans(rule, room.participants))
    agent, problem = _agent(rule, room, request)
    why, again_at, detail = (
        _empty(rule, count, requested=requested)
        or _elsewhere(rule, room.participants, known)
        or _after(known.history.get(room.name), room, rule, agent, request, known.now)
        or ((Why.NO_AGENT, None, problem) if agent is None else None)
        or ((Why.CIRCUIT_OPEN, known.circuit_until, "") if known.circuit_until is not None else None)
        or (Why.SERVE, None, "")
    )
    return Verdict(room.name, why, rule, agent, count, requested, detail, again_at)


_Obstacle: TypeAlias = tuple[Why, float | None, str]
"""Why a room is not served, when that may change by time alone, and more in plain words."""


def _empty(rule: RoomRule, count: int, *, requested: bool) -> _Obstacle | None:
    waits = rule.join is JoinMode.HUMAN and not requested and count < rule.min_humans
    return (Why.NO_HUMAN, None, "") if waits else None


def _agent(rule: RoomRule, room: RoomSeen, request: Request | None) -> tuple[str | None, str]:
    if request is not None and request.agent is not None:
        if request.agent in allowed_agents(rule):
            return request.agent, ""
        return None, "the agent that was asked for is not one of the rule's"
    choice = choose_agent(rule, room)
    return choice.agent, choice.problem


def _elsewhere(rule: RoomRule, participants: Sequence[ParticipantSeen], known: Known) -> _Obstacle | None:
    served = any(
        p.identity == rule.participant.identity
        and p.attributes.get("connector.worker", known.worker_id) != known.worker_id
        and known.wall - _number(p.attributes.get("connector.beat", "")) < BEAT_FRESH_S
        for p in participants
    )
    return (Why.SERVED_ELSEWHERE, known.now + ELSEWHERE_AGAIN_S, "") if served else None


def _after(
    last: LastEnd | None, room: RoomSeen, rule: RoomRule, agent: str | None, request: Request | None, now: float
) -> _Obstacle | None:
    """What the last end says against a new session now."""
    if last is None:
        return None
    held, again_at = last.held_until, _again_at(last)
    listed = any(p.identity == rule.participant.identity for p in room.participants or ())
    after = f"the last session ended with {last.reason}"
    if held is not None and now < held:
        return Why.HELD, held, ""
    if _settled(last, room, request):
        if last.reason in FINAL:
            return Why.ENDED_HERE, None, after
        if _rejected_agent(last) and last.agent == agent:
            return Why.REJECTED, None, ""
    if last.reason is EndReason.REPLACED and listed:
        return Why.REPLACED, now + ELSEWHERE_AGAIN_S, ""
    return (Why.WAITING, again_at, after) if again_at is not None and now < again_at else None


def _settled(last: LastEnd, room: RoomSeen, request: Request | None) -> bool:
    """Whether the end still counts: the room lives on since, and nobody asked for it again."""
    same_life = not last.room_sid or last.room_sid == room.sid
    return same_life and (request is None or request.at <= last.at)


def _rejected_agent(last: LastEnd) -> bool:
    """Whether Millis refused the agent itself; a refused key is the circuit's business."""
    return last.reason is EndReason.AGENT_REJECTED and last.cause != "auth"


def _again_at(last: LastEnd) -> float | None:
    if last.reason not in _BACK_OFF:
        return None
    return last.at + min(RETRY_CAP_S, RETRY_FIRST_S * 2.0 ** min(16, max(0, last.failures - 1)))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def explain(verdict: Verdict) -> str:
    """The verdict's reason in one plain sentence."""
    return f"{EXPLAINED[verdict.why]} ({verdict.detail})" if verdict.detail else EXPLAINED[verdict.why]
