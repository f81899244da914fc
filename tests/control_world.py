"""Control's deciding part in a world of our own making: rooms, engines and a claim store that a test moves by hand."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from connector.base.ends import EndReason
from connector.base.errors import ConnectorError
from connector.base.trigger import Trigger
from connector.config.load import load_text
from connector.config.model import RoomRule
from connector.config.rules import RuleBook
from connector.control.claims import ClaimEvents, ClaimOutcome, Claims, MemoryClaims
from connector.control.desired import Why
from connector.control.desk import Desk
from connector.control.history import LastEnd
from connector.control.life import Life
from connector.control.observer import Observer
from connector.control.placement import Refusal
from connector.control.ports import LifeActions
from connector.control.reconcile import Reconciler, Timing
from connector.control.requests import Request
from connector.control.seen import ParticipantSeen, RoomSeen
from connector.messages.types import SessionEnded, SessionState, StartSession, UpdateSession

ADA = ParticipantSeen("ada", "PA_1", "STANDARD")
WALL = 1_000_000.0


def rules_of(*lines: str) -> tuple[RoomRule, ...]:
    """Rules out of YAML flow lines."""
    text = 'livekit: {url: "ws://127.0.0.1:7880"}\nmillis: {url: "http://127.0.0.1:8090"}\nrooms:\n'
    return load_text(text + "".join(f"  - {{{line}}}\n" for line in lines), environ={}).config.rules


class Clock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now

    def wall(self) -> float:
        return WALL + self.now


class FakeLiveKit:
    """Rooms that the test fills: people by room; an error when there is one."""

    def __init__(self) -> None:
        self.people: dict[str, tuple[ParticipantSeen, ...]] = {}
        self.sids: dict[str, str] = {}
        self.metadata: dict[str, str] = {}
        self.asked: list[list[str] | None] = []
        self.list_error: ConnectorError | None = None
        self.people_error: ConnectorError | None = None

    async def list_rooms(self, names: Iterable[str] | None = None) -> Sequence[RoomSeen]:
        wanted = None if names is None else list(names)
        self.asked.append(wanted)
        if self.list_error is not None:
            raise self.list_error
        there = [name for name in self.people if wanted is None or name in wanted]
        return [RoomSeen(name, self.sids.get(name, f"RM_{name}"), self.metadata.get(name, "")) for name in there]

    async def participants(self, room: str) -> tuple[ParticipantSeen, ...]:
        if self.people_error is not None:
            raise self.people_error
        return self.people.get(room, ())


@dataclass
class FakeHosts:
    """Engines that take what they are given, up to a number, and never do anything with it by themselves."""

    capacity: int = 10
    late: bool = False
    orders: list[StartSession] = field(default_factory=list)
    updates: list[UpdateSession] = field(default_factory=list)
    asked_to_end: list[tuple[str, EndReason]] = field(default_factory=list)
    live: dict[str, StartSession] = field(default_factory=dict)

    def room_for_one(self, *, rescue: bool = False) -> int | Refusal:
        if self.capacity == 0:
            return Refusal.NO_ENGINE
        if self.late and not rescue:
            return Refusal.LATE
        return Refusal.MAX_SESSIONS if len(self.live) >= self.capacity else 0

    def start_session(self, start: StartSession, *, rescue: bool = False) -> int | Refusal:
        found = self.room_for_one(rescue=rescue)
        if not isinstance(found, Refusal):
            self.orders.append(start)
            self.live[start.session_id] = start
        return found

    def update_session(self, update: UpdateSession) -> None:
        self.updates.append(update)

    def end_session(self, session_id: str, reason: EndReason) -> None:
        self.asked_to_end.append((session_id, reason))


class SharedStore:
    """What several replicas share: leases that time out, ends, requests."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.leases: dict[str, tuple[str, float]] = {}
        self.ends: dict[str, LastEnd] = {}
        self.requests: dict[str, Request] = {}
        self.up = True

    def holder(self, room: str) -> str | None:
        lease = self.leases.get(room)
        return lease[0] if lease is not None and lease[1] > self.clock.now else None


class SharedClaims(MemoryClaims):
    """One replica's view of a `SharedStore`; `renew` stands for its heartbeat."""

    shared = True

    def __init__(self, store: SharedStore, worker: str) -> None:
        self.store = store
        self.worker = worker
        self.held: set[str] = set()
        self.told: list[str] = []
        self.events: ClaimEvents | None = None

    def listen(self, events: ClaimEvents) -> None:
        self.events = events

    async def claim(self, room: str) -> ClaimOutcome:
        if not self.store.up:
            return ClaimOutcome.ERROR
        if self.store.holder(room) not in (None, self.worker):
            return ClaimOutcome.LOST
        self.store.leases[room] = (self.worker, self.store.clock.now + 6)
        self.held.add(room)
        return ClaimOutcome.WON

    def renew(self) -> None:
        """Extend every lease, or learn that another replica has it."""
        if not self.store.up:
            return
        for room in list(self.held):
            if self.store.holder(room) in (None, self.worker):
                self.store.leases[room] = (self.worker, self.store.clock.now + 6)
            else:
                self.held.discard(room)
                assert self.events is not None
                self.events.lost(room)

    async def release(self, room: str) -> None:
        self.held.discard(room)
        if self.store.up and self.store.holder(room) == self.worker:
            del self.store.leases[room]

    async def tell(self, room: str) -> None:
        self.told.append(room)

    async def remember_end(self, room: str, end: LastEnd) -> None:
        if self.store.up:
            self.store.ends[room] = end

    async def remember_request(self, room: str, request: Request | None) -> None:
        if request is None:
            self.store.requests.pop(room, None)
        else:
            self.store.requests[room] = request

    async def ends(self, rooms: frozenset[str]) -> Mapping[str, LastEnd]:
        return {room: end for room, end in self.store.ends.items() if room in rooms and self.store.up}

    async def requests(self) -> Mapping[str, Request]:
        return dict(self.store.requests) if self.store.up else {}


class Diary(Observer):
    """Notes what was reported."""

    def __init__(self) -> None:
        self.started: list[tuple[str, Trigger]] = []
        self.ended: list[SessionEnded] = []
        self.circuits: list[tuple[str, bool]] = []
        self.judged: tuple[int, int, float] = (0, 0, 0.0)
        self.held = 0

    def session_started(self, start: StartSession, trigger: Trigger) -> None:
        self.started.append((start.room, trigger))

    def session_ended(self, ended: SessionEnded) -> None:
        self.ended.append(ended)

    def circuit(self, target: str, *, is_open: bool) -> None:
        self.circuits.append((target, is_open))

    def rooms_judged(self, desired: int, unserved: int, oldest_unserved_s: float) -> None:
        self.judged = (desired, unserved, oldest_unserved_s)

    def room_held(self, count: int) -> None:
        self.held = count


class Replica:
    """One control process without its shell: what decides, with everything around it under the test's hand."""

    def __init__(
        self,
        rules: Sequence[RoomRule],
        *,
        livekit: FakeLiveKit | None = None,
        clock: Clock | None = None,
        claims: Claims | None = None,
        worker: str = "w1",
        capacity: int = 10,
    ) -> None:
        self.worker = worker
        self.clock = clock or Clock()
        self.livekit = livekit or FakeLiveKit()
        self.hosts = FakeHosts(capacity)
        self.claims = claims or MemoryClaims()
        self.diary = Diary()
        self.closed: list[str] = []
        self.alive_elsewhere: set[str] = set()
        self.life = Life(self.hosts, self.claims, self.diary, now=self.clock)
        self.reconciler = Reconciler(
            RuleBook(rules),
            self.livekit,
            self.life,
            observer=self.diary,
            worker_id=worker,
            timing=Timing(10.0, self.clock, self.clock.wall),
        )
        self.desk = Desk(self.reconciler, self.life, self.hosts, problems=lambda: (), now=self.clock)
        self.life.connect(
            LifeActions(self.reconciler.look_at, self.reconciler.look_at_later, self._close_room, self._answers)
        )
        self.claims.listen(ClaimEvents(self.life.claim_lost, lambda _room: self.reconciler.look_at_all()))

    async def _close_room(self, room: str) -> None:
        self.closed.append(room)

    async def _answers(self, room: str, _identity: str) -> bool:
        return room in self.alive_elsewhere

    async def passes(self) -> None:
        """One pass over everything."""
        await self.reconciler.one_pass()

    async def due(self) -> None:
        """What hints and time ask for now, as the worker's loop would do it."""
        rooms, everything = self.reconciler._hints.take(self.clock.now)
        await self.reconciler.one_pass(rooms)
        if everything:
            await self.reconciler.one_pass()

    def say(self, state: str, room: str = "lobby", humans: int = 1) -> None:
        """The room's engine reports a state."""
        session = self.life.running.by_room[room].session_id
        self.life.on_state(SessionState(session_id=session, room=room, state=state, humans=humans))

    def end(self, reason: EndReason, room: str = "lobby", *, cause: str = "", delete_room: bool = False) -> None:
        """The room's engine reports the end of its session."""
        session = self.life.running.by_room[room].session_id
        self.hosts.live.pop(session, None)
        self.life.on_ended(
            SessionEnded(session_id=session, room=room, reason=reason, cause=cause, delete_room=delete_room)
        )

    def why(self, room: str) -> Why:
        """The last verdict about a room that is not served here."""
        return self.reconciler.verdicts[room].why

    @property
    def rooms(self) -> list[str]:
        """The rooms of all orders so far."""
        return [order.room for order in self.hosts.orders]
