"""What the outside may ask of control: look at a room, join it, leave it, tell about it. Fits `http.desk.Desk`.

Every call returns at once; the reconcile pass does the work.
"""

from collections.abc import Callable

from connector.base.ends import EndReason
from connector.base.trigger import Trigger
from connector.config.model import JoinMode, RoomRule
from connector.control.agents import allowed_agents
from connector.control.desired import FINAL, Verdict, Why, explain
from connector.control.life import Life
from connector.control.placement import Refusal
from connector.control.ports import Hosts
from connector.control.reconcile import Reconciler
from connector.control.requests import Request
from connector.control.sessions import Running
from connector.control.status import JoinAnswer, LookAnswer, Readiness, RoomStatus, SessionStatus


class Desk:
    """Answers for one worker.

    Args:
        reconciler: Looks at rooms.
        life: Has the sessions.
        engines: May be full.
        problems: What else an operator should know, one line each.
        now: Monotonic seconds.
    """

    def __init__(
        self,
        reconciler: Reconciler,
        life: Life,
        engines: Hosts,
        *,
        problems: Callable[[], tuple[str, ...]],
        now: Callable[[], float],
    ) -> None:
        self._reconciler = reconciler
        self._life = life
        self._engines = engines
        self._problems = problems
        self._now = now

    def look_at(self, room: str, trigger: Trigger) -> LookAnswer:
        """Hasten the look at a room."""
        rule = self._reconciler.rules.match(room)
        if rule is None or rule.join is JoinMode.NEVER or room in self._life.running:
            return LookAnswer.IGNORED
        if rule.join is JoinMode.REQUEST and room not in self._life.requests.by_room:
            return LookAnswer.IGNORED
        if self._life.draining:
            return LookAnswer.DRAINING
        if isinstance(self._engines.room_for_one(), Refusal):
            return LookAnswer.FULL
        self._reconciler.look_at(room, trigger)
        return LookAnswer.TAKEN

    def left(self, room: str, identity: str) -> None:
        """Somebody left: if it was an agent with our identity, the room may need us now."""
        rule = self._reconciler.rules.match(room)
        if rule is not None and room not in self._life.running and identity == rule.participant.identity:
            self._reconciler.look_at(room, Trigger.WEBHOOK)

    def join(self, room: str, agent: str | None, trigger: Trigger) -> JoinAnswer:
        """Request a session for a room; idempotent."""
        refusal = self._refused(self._reconciler.rules.match(room), agent)
        if refusal is not None:
            return refusal
        if room in self._life.running:
            return JoinAnswer.RUNNING
        if self._life.draining:
            return JoinAnswer.DRAINING
        full = isinstance(self._engines.room_for_one(), Refusal)
        taken = not full and self._life.ask(room, Request(trigger, self._now(), agent))
        return JoinAnswer.ACCEPTED if taken else JoinAnswer.FULL

    @staticmethod
    def _refused(rule: RoomRule | None, agent: str | None) -> JoinAnswer | None:
        if rule is None:
            return JoinAnswer.NO_RULE
        if rule.join is JoinMode.NEVER:
            return JoinAnswer.NEVER
        allowed = agent is None or agent in allowed_agents(rule)
        return None if allowed else JoinAnswer.AGENT_NOT_ALLOWED

    def leave(self, room: str) -> bool:
        """End a room's session and withdraw its request; it is left alone until it is requested again."""
        found = self._life.end_room(room, EndReason.REQUESTED)
        verdict = self._reconciler.verdicts.get(room)
        if room not in self._life.running and verdict is not None and verdict.why is not Why.NO_RULE:
            last = self._life.history.ends.get(room)
            if last is None or last.reason not in FINAL:
                self._life.leave_alone(room)
        return found

    def rooms(self) -> tuple[RoomStatus, ...]:
        """Every room that a rule matches, is served or was requested, by name."""
        verdicts = self._reconciler.verdicts
        known = {name for name, verdict in verdicts.items() if verdict.why is not Why.NO_RULE}
        names = known | self._life.running.by_room.keys() | self._life.requests.by_room.keys()
        return tuple(self._status(name) for name in sorted(names))

    def room(self, name: str) -> RoomStatus | None:
        """One room; None when nothing is known of it and no rule matches."""
        known = name in self._reconciler.verdicts or name in self._life.running
        return self._status(name) if known or self._reconciler.rules.match(name) is not None else None

    def readiness(self) -> Readiness:
        """For `/readyz`: never LiveKit's or Millis' reachability, never "full"."""
        lines = []
        if self._life.draining:
            lines.append("draining: no new rooms are taken")
        if self._engines.capacity == 0:
            lines.append("no engine is ready")
        return Readiness(not lines, (*lines, *self._problems()))

    def _status(self, name: str) -> RoomStatus:
        running = self._life.running.by_room.get(name)
        rule = self._reconciler.rules.match(name)
        last = self._life.history.ends.get(name)
        requested = name in self._life.requests.by_room
        verdict = self._reconciler.verdicts.get(name)
        if running is not None:
            verdict = Verdict(name, Why.SERVE, rule, humans=running.humans)
        elif verdict is None:
            why = Why.NO_RULE if rule is None else Why.NO_ROOM
            verdict = Verdict(name, why, rule, requested=requested)
        return RoomStatus(
            room=name,
            why=verdict.why.value,
            detail=explain(verdict),
            humans=verdict.humans,
            rule=rule.room if rule is not None else None,
            session=_session(running) if running is not None else None,
            requested=requested,
            last_end=last.reason.value if last is not None else "",
        )


def _session(running: Running) -> SessionStatus:
    return SessionStatus(
        session_id=running.session_id,
        state=running.state,
        agent=running.agent,
        trigger=running.trigger,
        engine=running.engine,
        humans=running.humans,
        started=running.started,
    )
