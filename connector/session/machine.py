"""The life of a session as a pure state machine: events and time in, commands out, no I/O.

The shell (`session.py`) carries commands out and brings their outcome back as events. Two things go on side by side:
the *room side* (join, be there, be lost, join again) and the *agent side* (prepare an offer, post it, connect, be
there, be lost, try again). The session's public state is derived from both. Whatever the first cause of an end is
stays the reason; then the agent leg is closed before the room leg, because it is billed.
"""

from collections.abc import Callable
from dataclasses import replace
from enum import Enum, auto
from typing import Any

from connector.base.ends import EndReason
from connector.base.legs import (
    AgentHungUp,
    AgentLost,
    HumansChanged,
    RoomEncrypted,
    RoomLost,
    RoomRecovered,
    RoomRecovering,
)
from connector.session.events import (
    AgentClosed,
    AgentConnected,
    AgentFailed,
    AgentPrepared,
    Command,
    EndRequested,
    Event,
    LimitsChanged,
    OfferAccepted,
    RoomFailed,
    RoomJoined,
    RoomLegClosed,
    State,
    TimePassed,
)
from connector.session.plan import JoinMode, OnHangup, SessionPlan
from connector.session.policy import (
    HOLD_AGENT_S,
    REJOIN_BACKOFF_S,
    REJOIN_FOR_S,
    AgentRetries,
    full_jitter,
)


class _Room(Enum):
    JOINING = auto()
    THERE = auto()
    SHAKY = auto()
    CLEARING = auto()
    WAITING = auto()
    GONE = auto()


class _Agent(Enum):
    PREPARING = auto()
    PREPARED = auto()
    OFFERING = auto()
    CONNECTING = auto()
    THERE = auto()
    CLEARING = auto()
    WAITING = auto()
    GONE = auto()


class SessionMachine:
    """The state of one session.

    Args:
        plan: The session's orders.
        now: Monotonic seconds at the start.
        rand: Uniform in [0, 1), for the jitter of waits.

    Attributes:
        reason: Why the session ends; None while it lives.
        detail: One line for the log beside the reason.
        cause: The word behind the reason: a `Cause`, or LiveKit's disconnect reason; empty when there is none.
        delete_room: Whether the room is to be closed after the end (`close_room`).
    """

    def __init__(self, plan: SessionPlan, now: float, rand: Callable[[], float]) -> None:
        self._plan = plan
        self._rand = rand
        self._room = _Room.JOINING
        self._agent = _Agent.PREPARING
        self._retries = AgentRetries(plan.reconnect_attempts, plan.reconnect_within_s)
        self._humans = 0
        self._had_humans = False
        self._was_live = False
        self._rejoins = 0
        self._started = now
        self._empty_since: float | None = None
        self._room_lost_at: float | None = None
        self._agent_due: float | None = None
        self._room_due: float | None = None
        self._ended = False
        self.reason: EndReason | None = None
        self.detail = ""
        self.cause = ""
        self.delete_room = False
        self._handlers: dict[type, Callable[[Any, float], list[Command]]] = {
            RoomJoined: self._on_joined,
            RoomFailed: self._on_join_failed,
            RoomLegClosed: self._on_room_leg_closed,
            HumansChanged: self._on_humans,
            RoomRecovering: self._on_recovering,
            RoomRecovered: self._on_recovered,
            RoomEncrypted: self._on_encrypted,
            RoomLost: self._on_room_lost,
            AgentPrepared: self._on_prepared,
            OfferAccepted: self._on_accepted,
            AgentConnected: self._on_connected,
            AgentFailed: self._on_agent_failed,
            AgentClosed: self._on_agent_closed,
            AgentHungUp: self._on_hung_up,
            AgentLost: self._on_agent_lost,
            EndRequested: self._on_end_requested,
            LimitsChanged: self._on_limits,
            TimePassed: self._on_time_passed,
        }

    def start(self) -> list[Command]:
        """The first commands: the offer is prepared while the room is being joined."""
        return [Command.JOIN_ROOM, Command.PREPARE_AGENT]

    @property
    def state(self) -> State:
        """The public state."""
        if self._ended:
            return State.ENDED
        if self.reason is not None:
            return State.CLOSING
        if self._room is _Room.THERE and self._agent is _Agent.THERE:
            return State.LIVE
        if self._was_live:
            return State.RECOVERING
        if self._room is _Room.JOINING:
            return State.JOINING
        return State.CONNECTING if self._agent is _Agent.CONNECTING else State.OFFERING

    @property
    def humans(self) -> int:
        """Humans in the room, as last seen."""
        return self._humans

    def next_deadline(self) -> float | None:
        """When `TimePassed` is to be delivered at the latest, in monotonic seconds."""
        if self.reason is not None:
            return None
        deadlines = [self._started + self._plan.max_duration_s]
        if self._empty_since is not None:
            deadlines.append(self._empty_since + self._plan.leave_after_s)
        if self._agent_due is not None and self._room is _Room.THERE:
            deadlines.append(self._agent_due)
        if self._room_due is not None:
            deadlines.append(self._room_due)
        if self._room_lost_at is not None:
            deadlines.append(self._room_lost_at + REJOIN_FOR_S)
            if self._agent in _BILLED:
                deadlines.append(self._room_lost_at + HOLD_AGENT_S)
        return min(deadlines)

    def handle(self, event: Event, now: float) -> list[Command]:
        """Take one event.

        Args:
            event: What happened.
            now: Monotonic seconds.

        Returns:
            What to do next, in order. Events that no longer matter give an empty list.
        """
        if self.reason is not None:
            return self._closing(event)
        if not self._expected(event):
            return []
        commands = self._handlers[type(event)](event, now)
        if self.reason is None and not commands:
            commands = self._on_time(now)
        if self.reason is None and self.state is State.LIVE:
            self._was_live = True
        return commands

    def _expected(self, event: Event) -> bool:
        """Whether an event fits the side it comes from; what a leg said before it was closed no longer counts."""
        room, agent = _ROOM_EVENTS.get(type(event)), _AGENT_EVENTS.get(type(event))
        return (room is None or self._room in room) and (agent is None or self._agent in agent)

    def _end(self, reason: EndReason, detail: str = "", cause: str = "") -> list[Command]:
        self.reason = reason
        self.detail, self.cause = detail, cause
        if self._agent is _Agent.GONE:
            return self._close_room()
        if self._agent is _Agent.CLEARING:
            return []
        self._agent = _Agent.CLEARING
        return [Command.CLOSE_AGENT]

    def _close_room(self) -> list[Command]:
        if self._room is _Room.GONE:
            return self._finish()
        if self._room is _Room.CLEARING:
            return []
        self._room = _Room.CLEARING
        return [Command.CLOSE_ROOM_LEG]

    def _finish(self) -> list[Command]:
        self._ended = True
        return [Command.FINISH]

    def _closing(self, event: Event) -> list[Command]:
        if self._ended:
            return []
        if isinstance(event, AgentClosed):
            self._agent = _Agent.GONE
            return self._close_room()
        if isinstance(event, RoomLegClosed):
            self._room = _Room.GONE
            return self._finish() if self._agent is _Agent.GONE else []
        return []

    def _on_joined(self, event: RoomJoined, now: float) -> list[Command]:
        self._room = _Room.THERE
        self._room_lost_at = self._room_due = None
        self._rejoins = 0
        self._count_humans(event.humans, now)
        if event.encrypted:
            return self._end(EndReason.ROOM_ENCRYPTED, _ENCRYPTED)
        return self._advance_agent(now)

    def _on_join_failed(self, event: RoomFailed, now: float) -> list[Command]:
        if self._room_lost_at is None or not event.error.retryable:
            return self._end(event.error.reason, str(event.error), event.error.cause)
        return self._plan_rejoin(now)

    def _on_humans(self, event: HumansChanged, now: float) -> list[Command]:
        self._count_humans(event.count, now)
        return []

    def _on_recovering(self, _event: RoomRecovering, _now: float) -> list[Command]:
        if self._room is _Room.THERE:
            self._room = _Room.SHAKY
        return []

    def _on_recovered(self, _event: RoomRecovered, now: float) -> list[Command]:
        if self._room is _Room.SHAKY:
            self._room = _Room.THERE
        return self._advance_agent(now)

    def _on_encrypted(self, _event: RoomEncrypted, _now: float) -> list[Command]:
        return self._end(EndReason.ROOM_ENCRYPTED, _ENCRYPTED)

    def _on_room_lost(self, event: RoomLost, now: float) -> list[Command]:
        if not event.rejoin:
            return self._end(event.reason, event.detail, event.cause)
        self.detail, self.cause = event.detail, event.cause
        self._room_lost_at = now if self._room_lost_at is None else self._room_lost_at
        self._room = _Room.CLEARING
        return [Command.CLOSE_ROOM_LEG]

    def _on_room_leg_closed(self, _event: RoomLegClosed, now: float) -> list[Command]:
        return self._plan_rejoin(now)

    def _plan_rejoin(self, now: float) -> list[Command]:
        self._room = _Room.WAITING
        self._room_due = now + full_jitter(*REJOIN_BACKOFF_S, self._rejoins, self._rand)
        self._rejoins += 1
        return []

    def _count_humans(self, count: int, now: float) -> None:
        self._humans = count
        self._had_humans = self._had_humans or count > 0
        mode = self._plan.join
        waits = mode is JoinMode.HUMAN or (mode is JoinMode.REQUEST and self._had_humans)
        if not waits or count >= self._plan.min_humans:
            self._empty_since = None
        elif self._empty_since is None:
            self._empty_since = now

    def _on_prepared(self, _event: AgentPrepared, now: float) -> list[Command]:
        self._agent = _Agent.PREPARED
        return self._advance_agent(now)

    def _on_accepted(self, _event: OfferAccepted, _now: float) -> list[Command]:
        self._agent = _Agent.CONNECTING
        return [Command.CONNECT_AGENT]

    def _on_connected(self, _event: AgentConnected, _now: float) -> list[Command]:
        self._agent = _Agent.THERE
        return []

    def _on_agent_failed(self, event: AgentFailed, now: float) -> list[Command]:
        error = event.error
        wait = self._retries.next_wait(error, now, self._rand) if error.retryable else None
        if wait is None:
            reason = EndReason.AGENT_LOST if self._was_live and error.retryable else error.reason
            return self._end(reason, str(error), error.cause)
        return self._clear_agent(now + wait)

    def _on_agent_lost(self, event: AgentLost, now: float) -> list[Command]:
        wait = self._retries.next_wait(None, now, self._rand)
        if wait is None:
            return self._end(EndReason.AGENT_LOST, event.detail, event.cause)
        self.detail, self.cause = event.detail, event.cause
        return self._clear_agent(now + wait)

    def _on_hung_up(self, _event: AgentHungUp, now: float) -> list[Command]:
        if self._plan.on_agent_hangup is OnHangup.REJOIN:
            wait = self._retries.next_wait(None, now, self._rand)
            if wait is not None:
                return self._clear_agent(now + wait)
        self.delete_room = self._plan.on_agent_hangup is OnHangup.CLOSE_ROOM
        return self._end(EndReason.AGENT_HANGUP)

    def _clear_agent(self, due: float) -> list[Command]:
        self._agent = _Agent.CLEARING
        self._agent_due = due
        return [Command.CLOSE_AGENT]

    def _on_agent_closed(self, _event: AgentClosed, now: float) -> list[Command]:
        self._agent = _Agent.WAITING
        return self._advance_agent(now)

    def _advance_agent(self, now: float) -> list[Command]:
        """Go on with the agent as far as the room allows: nothing is offered while the room is not there."""
        if self._room is not _Room.THERE:
            return []
        if self._agent is _Agent.PREPARED:
            self._agent = _Agent.OFFERING
            return [Command.POST_OFFER]
        if self._agent is _Agent.WAITING and (self._agent_due is None or now >= self._agent_due):
            self._agent = _Agent.PREPARING
            self._agent_due = None
            return [Command.PREPARE_AGENT]
        return []

    def _on_end_requested(self, event: EndRequested, _now: float) -> list[Command]:
        return self._end(event.reason, event.detail)

    def _on_limits(self, event: LimitsChanged, _now: float) -> list[Command]:
        self._plan = replace(self._plan, leave_after_s=event.leave_after_s, max_duration_s=event.max_duration_s)
        return []

    def _on_time_passed(self, _event: TimePassed, now: float) -> list[Command]:
        return self._on_time(now)

    def _on_time(self, now: float) -> list[Command]:
        if now >= self._started + self._plan.max_duration_s:
            return self._end(EndReason.MAX_DURATION)
        if self._empty_since is not None and now >= self._empty_since + self._plan.leave_after_s:
            return self._end(EndReason.ROOM_EMPTY)
        if self._room_lost_at is not None:
            if now >= self._room_lost_at + REJOIN_FOR_S:
                return self._end(EndReason.LIVEKIT_UNREACHABLE, self.detail, self.cause)
            if now >= self._room_lost_at + HOLD_AGENT_S and self._agent in _BILLED:
                return self._clear_agent(now)
        if self._room is _Room.WAITING and self._room_due is not None and now >= self._room_due:
            self._room = _Room.JOINING
            self._room_due = None
            return [Command.JOIN_ROOM]
        return self._advance_agent(now)


_IN_ROOM = frozenset({_Room.THERE, _Room.SHAKY})
_ROOM_EVENTS: dict[type, frozenset[_Room]] = {
    RoomJoined: frozenset({_Room.JOINING}),
    RoomFailed: frozenset({_Room.JOINING}),
    RoomLegClosed: frozenset({_Room.CLEARING}),
    HumansChanged: _IN_ROOM,
    RoomRecovering: _IN_ROOM,
    RoomRecovered: _IN_ROOM,
    RoomEncrypted: _IN_ROOM,
    RoomLost: _IN_ROOM | {_Room.JOINING},
}
_AGENT_EVENTS: dict[type, frozenset[_Agent]] = {
    AgentPrepared: frozenset({_Agent.PREPARING}),
    OfferAccepted: frozenset({_Agent.OFFERING}),
    AgentConnected: frozenset({_Agent.CONNECTING}),
    AgentFailed: frozenset({_Agent.PREPARING, _Agent.OFFERING, _Agent.CONNECTING}),
    AgentClosed: frozenset({_Agent.CLEARING}),
    AgentHungUp: frozenset({_Agent.CONNECTING, _Agent.THERE}),
    AgentLost: frozenset({_Agent.CONNECTING, _Agent.THERE}),
}
_BILLED = frozenset({_Agent.OFFERING, _Agent.CONNECTING, _Agent.THERE})
_ENCRYPTED = "the room is end-to-end encrypted: the agent could not hear anybody; turn encryption off for this room"
