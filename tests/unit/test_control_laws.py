"""Laws of control, under any order of webhooks, time, reloads, failures and deaths (hypothesis, stateful)."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from connector.base.ends import EndReason
from connector.base.errors import UnavailableError
from connector.base.trigger import Trigger
from connector.config.rules import RuleBook
from connector.control.desired import FINAL, Why
from connector.control.history import LastEnd
from connector.control.seen import ParticipantSeen
from connector.messages.types import SessionEnded, SessionState
from tests.control_world import ADA, Clock, FakeLiveKit, Replica, SharedClaims, SharedStore, rules_of

ROOMS = ("lobby", "call-1", "call-2", "asked", "private")
RULES = rules_of(
    'room: "lobby", agent: "a1"',
    'room: "asked", agent: "a1", join: request',
    'room: "private", join: never',
    'room: "call-*", agent: "a2", min_humans: 1',
)
FEWER = rules_of('room: "lobby", agent: "a1", leave_after: 3s', 'room: "asked", agent: "a1", join: request')
ENDS = (
    EndReason.ROOM_EMPTY,
    EndReason.AGENT_HANGUP,
    EndReason.MAX_DURATION,
    EndReason.REMOVED,
    EndReason.AGENT_UNREACHABLE,
    EndReason.AGENT_LOST,
    EndReason.AGENT_REJECTED,
    EndReason.LIVEKIT_UNREACHABLE,
    EndReason.OVERLOADED,
    EndReason.INTERNAL_ERROR,
    EndReason.REPLACED,
)
SETTLED = frozenset({Why.ENDED_HERE, Why.REJECTED})


class World(RuleBasedStateMachine):
    """One, two or three replicas on one LiveKit and one claim store; every engine's sessions are known here."""

    @initialize(count=st.integers(1, 3), capacity=st.integers(1, 4))
    def set_up(self, count: int, capacity: int) -> None:
        self.loop = asyncio.new_event_loop()
        self.clock = Clock()
        self.livekit = FakeLiveKit()
        self.store = SharedStore(self.clock)
        self.number = 0
        self.gone: list[Replica] = []
        self.in_force = RULES
        self.lives: dict[str, int] = {}
        self.replicas: list[Replica] = self.run(self.make(count, capacity))

    async def make(self, count: int, capacity: int) -> list[Replica]:
        return [
            Replica(
                RULES,
                livekit=self.livekit,
                clock=self.clock,
                claims=SharedClaims(self.store, f"w{index}") if count > 1 else None,
                worker=f"w{index}",
                capacity=capacity,
            )
            for index in range(count)
        ]

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        async def settle() -> Any:
            result = await work
            for _ in range(5):  # what an end leaves to do: tell the store, release the lease
                await asyncio.sleep(0)
            return result

        return self.loop.run_until_complete(settle())

    def sessions(self) -> list[tuple[Replica, str, str]]:
        """Every session that an engine runs: replica, session id, room."""
        return [(replica, key, order.room) for replica in self.replicas for key, order in replica.hosts.live.items()]

    @property
    def any_replica(self) -> Replica:
        self.number += 1
        return self.replicas[self.number % len(self.replicas)]

    def show_agents(self) -> None:
        """LiveKit lists the agent of every session, as the sessions are; those of living replicas answer there."""
        for replica in self.replicas:
            replica.alive_elsewhere = {room for other, _, room in self.sessions() if other is not replica}
        for room, people in self.livekit.people.items():
            humans = tuple(p for p in people if p.kind != "AGENT")
            agents = tuple(
                ParticipantSeen(
                    "millis-agent",
                    f"PA_{key}",
                    "AGENT",
                    {"connector.worker": replica.worker, "connector.beat": str(self.clock.wall())},
                )
                for replica, key, where in self.sessions()
                if where == room
            )
            self.livekit.people[room] = (*humans, *agents[:1])

    @rule(room=st.sampled_from(ROOMS))
    def human_joins(self, room: str) -> None:
        self.lives.setdefault(room, 0)
        self.livekit.people[room] = (ADA, *self.livekit.people.get(room, ()))
        self.livekit.sids[room] = f"RM_{room}_{self.lives[room]}"

    @rule(room=st.sampled_from(ROOMS))
    def room_ends(self, room: str) -> None:
        if self.livekit.people.pop(room, None) is not None:
            self.lives[room] += 1
            for replica, key, where in self.sessions():
                if where == room:
                    self.end(replica, key, room, EndReason.ROOM_CLOSED)

    @rule(room=st.sampled_from([*ROOMS, "nowhere"]), again=st.integers(1, 3))
    def webhook(self, room: str, again: int) -> None:
        """Delivered once, repeated, late or for a room that is long gone; a lost one is one that is not drawn."""
        self.show_agents()
        for _ in range(again):
            replica = self.any_replica
            replica.desk.look_at(room, Trigger.WEBHOOK)
            self.run(replica.due())

    @rule(room=st.sampled_from(ROOMS), agent=st.sampled_from([None, "a1", "zz"]))
    def request(self, room: str, agent: str | None) -> None:
        async def ask() -> None:
            replica = self.any_replica
            replica.desk.join(room, agent, Trigger.REQUEST)
            await replica.due()

        self.show_agents()
        self.run(ask())

    @rule(room=st.sampled_from(ROOMS))
    def leave(self, room: str) -> None:
        async def ask() -> None:
            for replica in self.replicas:
                replica.desk.leave(room)

        self.run(ask())
        self.obey()

    def obey(self) -> None:
        """Engines end what they were asked to end."""
        for replica in self.replicas:
            asked, replica.hosts.asked_to_end = replica.hosts.asked_to_end, []
            for key, reason in asked:
                order = replica.hosts.live.get(key)
                if order is not None:
                    self.end(replica, key, order.room, reason)

    def end(self, replica: Replica, key: str, room: str, reason: EndReason, cause: str = "") -> None:
        async def report() -> None:
            replica.hosts.live.pop(key, None)
            replica.life.on_ended(SessionEnded(session_id=key, room=room, reason=reason, cause=cause))

        self.run(report())

    @rule(seconds=st.sampled_from([0.5, 2.0, 7.0, 31.0, 301.0]))
    def time_passes(self, seconds: float) -> None:
        steps = max(1, int(seconds / 2))
        for _ in range(steps):
            self.clock.now += seconds / steps
            for replica in self.replicas:
                if isinstance(replica.claims, SharedClaims):
                    replica.claims.renew()
            self.obey()
        self.show_agents()
        for replica in self.replicas:
            self.run(replica.due())
        self.obey()

    @rule()
    def full_pass(self) -> None:
        self.show_agents()
        for replica in self.replicas:
            self.run(replica.passes())
        self.obey()

    @rule(which=st.integers(0, 99), reason=st.sampled_from(ENDS), auth=st.booleans())
    def session_ends(self, which: int, reason: EndReason, auth: bool) -> None:
        sessions = self.sessions()
        if sessions:
            replica, key, room = sessions[which % len(sessions)]
            self.end(replica, key, room, reason, "auth" if auth else "config")

    @rule(which=st.integers(0, 99))
    def session_lives(self, which: int) -> None:
        sessions = self.sessions()
        if sessions:
            replica, key, room = sessions[which % len(sessions)]
            for state in ("connecting", "live"):
                replica.life.on_state(SessionState(session_id=key, room=room, state=state, humans=1))

    @rule(which=st.integers(0, 9))
    def engine_dies(self, which: int) -> None:
        replica = self.replicas[which % len(self.replicas)]
        for key, order in list(replica.hosts.live.items()):
            self.end(replica, key, order.room, EndReason.ENGINE_LOST)
        self.show_agents()
        self.run(replica.due())

    @precondition(lambda self: len(self.replicas) > 1)
    @rule(which=st.integers(0, 9))
    def replica_dies(self, which: int) -> None:
        """Kill -9: nobody reports anything, the leases run out by themselves."""
        self.gone.append(self.replicas.pop(which % len(self.replicas)))

    @rule(fewer=st.booleans())
    def reload(self, fewer: bool) -> None:
        self.in_force = FEWER if fewer else RULES
        for replica in self.replicas:
            replica.reconciler.rules = RuleBook(self.in_force)
            replica.life.apply_rules(self.in_force)

    @rule(fails=st.booleans())
    def livekit_fails(self, fails: bool) -> None:
        self.livekit.people_error = UnavailableError("no answer") if fails else None

    @rule(seconds=st.sampled_from([3.0, 8.0, 60.0]))
    def store_fails(self, seconds: float) -> None:
        """Nobody can claim or renew for a while; whoever asks first afterwards may find every lease expired."""
        self.store.up = False
        self.clock.now += seconds / 2
        self.show_agents()
        for replica in self.replicas:
            self.run(replica.passes())
        self.clock.now += seconds / 2
        self.store.up = True
        self.show_agents()
        self.run(self.any_replica.passes())

    @invariant()
    def never_two_sessions_for_one_room(self) -> None:
        rooms = [room for _, _, room in self.sessions()]
        assert len(rooms) == len(set(rooms)), rooms

    @invariant()
    def control_and_engines_agree(self) -> None:
        for replica in self.replicas:
            running = {(r.session_id, r.room) for r in replica.life.running.by_room.values()}
            assert running == {(key, order.room) for key, order in replica.hosts.live.items()}

    @invariant()
    def never_an_end_without_a_reason(self) -> None:
        for replica in (*self.replicas, *self.gone):
            started, ended = len(replica.diary.started), len(replica.diary.ended)
            assert started == ended + len(replica.life.running)
            assert all(isinstance(end.reason, EndReason) for end in replica.diary.ended)

    @invariant()
    def private_rooms_are_never_served(self) -> None:
        assert not any(room == "private" for _, _, room in self.sessions())

    def teardown(self) -> None:
        """When the troubles are over, every room with a human that a rule wants is served, or settled for a reason."""
        self.livekit.people_error = None
        for replica in self.replicas:
            replica.hosts.capacity = 50
        for _ in range(60):
            self.time_passes(20.0)
            self.full_pass()
            for replica, key, room in self.sessions():
                replica.life.on_state(SessionState(session_id=key, room=room, state="live", humans=1))
        self.never_two_sessions_for_one_room()
        served = {room for _, _, room in self.sessions()}
        for room in self.waiting() - served:
            whys = {replica.why(room) for replica in self.replicas if room in replica.reconciler.verdicts}
            assert whys <= SETTLED, (room, whys)
            assert any(self.settles(replica.life.history.ends.get(room)) for replica in self.replicas)
        for replica in (*self.replicas, *self.gone):
            self.run(replica.life.close())
        self.loop.close()

    def waiting(self) -> set[str]:
        """Rooms with a human whose rule serves humans."""
        book = RuleBook(self.in_force)
        occupied = (room for room, people in self.livekit.people.items() if any(p.kind == "STANDARD" for p in people))
        return {room for room in occupied if (found := book.match(room)) is not None and found.join == "human"}

    @staticmethod
    def settles(end: LastEnd | None) -> bool:
        return end is not None and (end.reason in FINAL or end.reason is EndReason.AGENT_REJECTED)


TestWorld = World.TestCase
TestWorld.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
