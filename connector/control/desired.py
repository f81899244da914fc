"""Which rooms are to be served, with which rule, and if not, why not.

Pure: everything known goes in, a verdict per room comes out.

The truth about a room is who is listed in it, by kind; never a count and never an event. What could not be learnt
changes nothing: unknown is not absent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from connector.base.ends import EndReason
from connector.base.people import Person
from connector.config.model import JoinMode, RoomRule
from connector.config.rules import match_rule
from connector.control.history import LastEnd
from connector.control.seen import ParticipantSeen, RoomSeen

BEAT_FRESH_S = 75.0
"""A connector renews its beat every 30 s; one older than this has lost its worker (design §3, served elsewhere)."""
RETRY_FIRST_S, RETRY_CAP_S = 30.0, 300.0


class Why(StrEnum):
    """Why a room is served, or not. A closed set: it stands in logs and answers."""

    SERVE = "serve"
    NO_RULE = "no_rule"
    NEVER = "never"
    NOT_ASKED = "not_asked"
    AGENT_LOOK_UP = "agent_look_up"
    NO_HUMAN = "no_human"
    UNKNOWN = "unknown"
    SERVED_ELSEWHERE = "served_elsewhere"
    ENDED_HERE = "ended_here"
    WAITING = "waiting"
    REPLACED = "replaced"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be done about one room.

    Attributes:
        room: The room's name.
        why: The reason; `Why.SERVE` means that it is to be served.
        rule: The rule that matched, if any.
        humans: Humans in it, as far as known.
        again_at: When the verdict may change by time alone, in monotonic seconds.
    """

    room: str
    why: Why
    rule: RoomRule | None = None
    humans: int = 0
    again_at: float | None = None

    @property
    def serve(self) -> bool:
        """Whether the room is to be served."""
        return self.why is Why.SERVE


_FINAL = frozenset(
    {
        EndReason.AGENT_HANGUP,
        EndReason.REMOVED,
        EndReason.REQUESTED,
        EndReason.MAX_DURATION,
        EndReason.AGENT_REJECTED,
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


def desired(
    rules: Sequence[RoomRule],
    rooms: Sequence[RoomSeen],
    history: Mapping[str, LastEnd],
    *,
    worker_id: str,
    now: float,
    wall: float,
) -> dict[str, Verdict]:
    """Judge every room that exists.

    Args:
        rules: In order; the first that matches a room's name decides.
        rooms: What LiveKit shows.
        history: How the last session of a room ended, by room name.
        worker_id: Ours, as it stands in ``connector.worker``.
        now: Monotonic seconds.
        wall: Wall-clock seconds, to judge other workers' beats.

    Returns:
        A verdict per room name.
    """
    return {
        room.name: _judge(room, match_rule(rules, room.name), history.get(room.name), worker_id, now, wall)
        for room in rooms
    }


def _judge(
    room: RoomSeen,
    rule: RoomRule | None,
    last: LastEnd | None,
    worker_id: str,
    now: float,
    wall: float,
) -> Verdict:
    if rule is None:
        return Verdict(room.name, Why.NO_RULE)
    unasked = _unasked(rule)
    if unasked is not None:
        return Verdict(room.name, unasked, rule)
    if room.participants is None:
        return Verdict(room.name, Why.UNKNOWN, rule)
    humans = _humans(rule, room.participants)
    why, again_at = Why.SERVE, None
    if rule.join is JoinMode.HUMAN and humans < rule.min_humans:
        why = Why.NO_HUMAN
    elif _served_elsewhere(rule, room.participants, worker_id, wall):
        why = Why.SERVED_ELSEWHERE
    elif last is not None:
        why, again_at = _after(last, room, rule, now)
    return Verdict(room.name, why, rule, humans, again_at)


def _unasked(rule: RoomRule) -> Why | None:
    """Why a rule never serves a room by itself, if it does not."""
    if rule.join is JoinMode.NEVER:
        return Why.NEVER
    if rule.join is JoinMode.REQUEST:
        return Why.NOT_ASKED
    return None if isinstance(rule.agent, str) else Why.AGENT_LOOK_UP


def _humans(rule: RoomRule, participants: Sequence[ParticipantSeen]) -> int:
    listen = rule.listen_rule
    people = (Person(p.identity, p.kind, p.attributes) for p in participants)
    return sum(listen.is_human(person, rule.participant.identity) for person in people)


def _served_elsewhere(rule: RoomRule, participants: Sequence[ParticipantSeen], worker_id: str, wall: float) -> bool:
    return any(
        p.identity == rule.participant.identity
        and p.attributes.get("connector.worker", worker_id) != worker_id
        and wall - _number(p.attributes.get("connector.beat", "")) < BEAT_FRESH_S
        for p in participants
    )


def _after(last: LastEnd, room: RoomSeen, rule: RoomRule, now: float) -> tuple[Why, float | None]:
    """What the last end says on a new session now."""
    same_life = not last.room_sid or last.room_sid == room.sid
    if last.reason in _FINAL and same_life:
        return Why.ENDED_HERE, None
    if last.reason is EndReason.REPLACED and any(
        p.identity == rule.participant.identity for p in room.participants or ()
    ):
        return Why.REPLACED, None
    if last.reason in _BACK_OFF:
        again_at = last.at + min(RETRY_CAP_S, RETRY_FIRST_S * 2.0 ** max(0, last.failures - 1))
        if now < again_at:
            return Why.WAITING, again_at
    return Why.SERVE, None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
