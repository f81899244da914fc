"""One session, run: the machine decides, this shell acts, the audio core sounds.

Everything that a session starts lives in one TaskGroup and ends with it. Commands of the machine become tasks; what
comes of them goes back as events through one queue. The agent leg is always closed before the room leg.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from connector.audio.quality import CallQuality
from connector.audio.ticks import TickGrid
from connector.base.catalog import MEASURES
from connector.base.ends import EndReason
from connector.base.errors import LegError
from connector.base.legs import AgentState, AudioCodec, RoomLost
from connector.base.measures import Tally
from connector.base.people import ListenRule
from connector.base.redact import redact
from connector.session.core import AudioCore
from connector.session.counting import SessionCounts
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
from connector.session.ledger import Ledger, numbers
from connector.session.legs import AgentLeg, LegFactory, RoomLeg
from connector.session.machine import SessionMachine
from connector.session.plan import SessionPlan
from connector.session.summary import Summary, SummaryLine

CLOSE_LIMIT_S = 5.0
"""For each leg; the whole teardown stays within the design's 10 s."""
_EVENTS = 256


class Ticker(Protocol):
    """The engine's clock.

    Attributes:
        grid: Where the sessions' ticks are.
    """

    grid: TickGrid

    def now(self) -> float:
        """Monotonic seconds; callable from any thread."""

    def add(self, run: Callable[[float], float], *stages: Callable[[], None]) -> Callable[[], None]:
        """Call `run(now)` now and at each time that it returns, each `stages` after it, until the result is called."""


@dataclass(frozen=True, slots=True)
class SessionResult:
    """How a session ended; `summary` is what its one line in the log says of it."""

    reason: EndReason
    detail: str
    cause: str
    delete_room: bool
    summary: SummaryLine


class Session:
    """Serves one room until it ends.

    Args:
        plan: The session's orders.
        legs: Makes the legs.
        ticker: The clock that drives the audio.
        on_state: Told of every change: state, humans, detail.
        rand: Uniform in [0, 1), for the jitter of waits.

    Attributes:
        tally: What was counted for the metrics so far.
    """

    def __init__(
        self,
        plan: SessionPlan,
        legs: LegFactory,
        ticker: Ticker,
        *,
        on_state: Callable[[State, int, str], None],
        rand: Callable[[], float],
    ) -> None:
        self._plan = plan
        self._legs = legs
        self._ticker = ticker
        self._on_state = on_state
        self._machine = SessionMachine(plan, ticker.now(), rand)
        self._core = AudioCore(ticker.now, self._on_speaking, ticker.grid)
        self._summary = Summary(ticker.now())
        self._ledger = Ledger()
        self.tally = Tally(MEASURES)
        self._counts = SessionCounts(self.tally)
        self._events: asyncio.Queue[Event] = asyncio.Queue(_EVENTS)
        self._room: RoomLeg | None = None
        self._agent: AgentLeg | None = None
        self._room_task: asyncio.Task[None] | None = None
        self._agent_task: asyncio.Task[None] | None = None
        self._requested: EndRequested | None = None
        self._limits: LimitsChanged | None = None
        self._listen: ListenRule | None = None
        self._wake = asyncio.Event()
        self._log = structlog.get_logger().bind(session=plan.session_id, room=plan.room)

    @property
    def state(self) -> State:
        """The public state."""
        return self._machine.state

    @property
    def quality(self) -> CallQuality:
        """How it sounds."""
        return self._core.quality

    def figures(self) -> dict[str, float]:
        """Every counter of the session, all its legs together, flat and named ``part.counter``."""
        live = {"agent": self._agent, "room": self._room}
        legs = self._ledger.totals({part: leg.figures() for part, leg in live.items() if leg is not None})
        return legs | self._core.figures()

    def end(self, reason: EndReason, detail: str = "") -> None:
        """Ask the session to end; the first reason counts."""
        if self._requested is None:
            self._requested = EndRequested(reason, detail)
            self._wake.set()

    def update(self, listen: ListenRule, *, leave_after_s: float, max_duration_s: float) -> None:
        """Take what a reload of the rules may change in a running session; the latest counts. Never blocks.

        Args:
            listen: Whom to hear from now on, by this room leg and by every later one.
            leave_after_s: Seconds without enough humans before the end, from when they became too few.
            max_duration_s: Seconds from the session's start; when they are over already it ends at once.
        """
        self._listen = listen
        self._limits = LimitsChanged(leave_after_s, max_duration_s)
        if self._room is not None:
            self._room.update_listen(listen)
        self._wake.set()

    async def run(self) -> SessionResult:
        """Serve the room until the session's end, then return how it ended. Cancelling it closes both legs first."""
        remove = self._ticker.add(self._core.run, *self._core.stages)
        try:
            async with asyncio.TaskGroup() as group:
                try:
                    await self._live(group)
                finally:
                    await self._close_all()
        finally:
            remove()
        machine = self._machine
        figures = self.figures()
        self._log.debug("session_figures", **{name.replace(".", "_"): value for name, value in figures.items()})
        summary = self._summary.close(self._ticker.now(), figures)
        reason = machine.reason or EndReason.INTERNAL_ERROR
        return SessionResult(reason, machine.detail, machine.cause, machine.delete_room, summary)

    async def _live(self, group: asyncio.TaskGroup) -> None:
        shown: tuple[State, int] | None = None
        commands = self._machine.start()
        while True:
            for command in commands:
                self._do(command, group)
            machine = self._machine
            if (machine.state, machine.humans) != shown:
                shown = (machine.state, machine.humans)
                self._note_state(machine.state, machine.humans)
                self._on_state(machine.state, machine.humans, machine.detail)
            if machine.state is State.ENDED:
                return
            event = await self._next_event()
            commands = machine.handle(event, self._ticker.now())
            if machine.reason is None and Command.CLOSE_AGENT in commands:
                self._counts.restarted(event)
                self._summary.leg_restarts += 1

    def _note_state(self, state: State, humans: int) -> None:
        now = self._ticker.now()
        self._summary.state(state, humans, now)
        if state is State.LIVE:
            self._counts.stage("total", self._summary.mark("live", now))

    async def _next_event(self) -> Event:
        if self._requested is not None and self._machine.reason is None:
            return self._requested
        if self._limits is not None:
            limits, self._limits = self._limits, None
            return limits
        deadline = self._machine.next_deadline()
        getter = asyncio.ensure_future(self._events.get())
        waker = asyncio.ensure_future(self._wake.wait())
        try:
            timeout = None if deadline is None else max(0.0, deadline - self._ticker.now())
            await asyncio.wait({getter, waker}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            self._wake.clear()
            return getter.result() if getter.done() else TimePassed()
        finally:
            getter.cancel()
            waker.cancel()

    def _do(self, command: Command, group: asyncio.TaskGroup) -> None:
        match command:
            case Command.JOIN_ROOM:
                self._room_task = self._start(group, "join_room", self._join_room())
            case Command.PREPARE_AGENT:
                self._agent_task = self._start(group, "prepare_agent", self._prepare_agent())
            case Command.POST_OFFER:
                self._agent_task = self._start(group, "post_offer", self._post_offer())
            case Command.CONNECT_AGENT:
                self._agent_task = self._start(group, "connect_agent", self._connect_agent())
            case Command.CLOSE_AGENT:
                self._start(group, "close_agent", self._close_agent())
            case Command.CLOSE_ROOM_LEG:
                self._start(group, "close_room", self._close_room())
            case Command.FINISH:
                pass

    def _start(self, group: asyncio.TaskGroup, what: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return group.create_task(self._guarded(work), name=f"session-{self._plan.session_id}-{what}")

    async def _guarded(self, work: Awaitable[None]) -> None:
        """The task boundary: what nobody foresaw ends this session, with both legs closed, and nothing else."""
        try:
            await work
        except Exception as error:  # noqa: BLE001 - the task boundary
            self._log.exception("session_task_failed", error=redact(error))
            self.end(EndReason.INTERNAL_ERROR, f"{type(error).__name__}: {redact(error)}")

    async def _join_room(self) -> None:
        room = self._room = self._legs.room_leg(self._core.inputs)
        if self._listen is not None:
            room.update_listen(self._listen)
        began = self._ticker.now()
        try:
            await room.join()
            took = self._ticker.now() - began
            room.set_agent_state(AgentState.INITIALIZING)
            await room.settled()
        except LegError as error:
            self._counts.not_joined(error)
            self._room = None
            await self._close_leg("room", room)
            await self._events.put(RoomFailed(error))
            return
        self._counts.joined(took)
        self._summary.mark("joined", self._ticker.now())
        self._core.attach_room(room.push)
        await self._events.put(RoomJoined(room.humans, room.encrypted))
        lost = False
        while not lost:
            event = await room.next_event()
            self._counts.room(event)
            lost = isinstance(event, RoomLost)
            await self._events.put(event)

    async def _prepare_agent(self) -> None:
        agent = self._agent = self._legs.agent_leg(self._core.on_packet)
        await self._try_agent(agent.prepare, AgentPrepared())

    async def _post_offer(self) -> None:
        agent = _there(self._agent)

        async def offer() -> None:
            codec = await self._offer(agent)
            self._summary.codec = codec.value
            self._core.answer(codec)

        await self._try_agent(offer, OfferAccepted())

    async def _offer(self, agent: AgentLeg) -> AudioCodec:
        began = self._ticker.now()
        try:
            codec = await agent.offer()
        except LegError as error:
            self._counts.offered(self._ticker.now() - began, error)
            raise
        self._counts.offered(self._ticker.now() - began, None)
        return codec

    async def _connect_agent(self) -> None:
        agent = _there(self._agent)
        if not await self._try_agent(agent.connect, AgentConnected()):
            return
        self._summary.mark("connected", self._ticker.now())
        figures = numbers("agent", agent.figures())
        for stage in ("ice", "dtls"):
            self._counts.stage(stage, figures.get(f"agent.{stage}_s"))
        self._core.attach_agent(agent.send)
        self._on_speaking(speaking=False)
        await self._events.put(await agent.next_event())

    async def _try_agent(self, step: Callable[[], Awaitable[None]], done: Event) -> bool:
        try:
            await step()
        except LegError as error:
            self._log.warning("agent_failed", error=str(error), may_have_begun=error.may_have_begun)
            self._summary.agent_failure(ambiguous=error.may_have_begun)
            await self._events.put(AgentFailed(error))
            return False
        await self._events.put(done)
        return True

    async def _close_agent(self) -> None:
        await _stop(self._agent_task)
        self._core.detach_agent()
        agent, self._agent = self._agent, None
        if agent is not None:
            await self._close_leg("agent", agent)
        await self._events.put(AgentClosed())

    async def _close_room(self) -> None:
        await _stop(self._room_task)
        self._core.detach_room()
        room, self._room = self._room, None
        if room is not None:
            await self._close_leg("room", room)
            self._counts.left()
        await self._events.put(RoomLegClosed())

    async def _close_leg(self, part: str, leg: RoomLeg | AgentLeg) -> None:
        try:
            try:
                async with asyncio.timeout(CLOSE_LIMIT_S):
                    await leg.close()
            finally:
                self._ledger.close(part, leg.figures())
        except Exception as error:  # noqa: BLE001 - a leg that cannot be closed must not keep the other open
            self._summary.termination_failures += 1
            self._log.exception("leg_close_failed", leg=part, limit_s=CLOSE_LIMIT_S, error=redact(error))

    async def _close_all(self) -> None:
        """When the session was cancelled or broke half-way: the agent first, then the room."""
        await _stop(self._agent_task)
        await _stop(self._room_task)
        agent, self._agent = self._agent, None
        if agent is not None:
            await self._close_leg("agent", agent)
        room, self._room = self._room, None
        if room is not None:
            await self._close_leg("room", room)
            self._counts.left()

    def _on_speaking(self, speaking: bool) -> None:  # noqa: FBT001 - a callback with one argument
        if self._room is not None:
            self._room.set_agent_state(AgentState.SPEAKING if speaking else AgentState.LISTENING)
        if speaking:
            self._counts.stage("first_agent_audio", self._summary.mark("heard", self._ticker.now(), since="connected"))


def _there(agent: AgentLeg | None) -> AgentLeg:
    if agent is None:
        raise RuntimeError("the machine asked for an agent leg that was never prepared")
    return agent


async def _stop(task: asyncio.Task[None] | None) -> None:
    """Cancel a task of ours and wait for its end."""
    if task is None or task.done():
        return
    task.cancel()
    await asyncio.wait({task})
