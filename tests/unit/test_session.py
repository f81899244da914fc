"""A session run with legs of our own making: what is opened is closed, in order, whatever happens."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
import structlog

from connector.audio.frames import TICK_SAMPLES, AudioInputs, FrameSink, MediaPacket, Samples
from connector.audio.opus import OpusDecoder, OpusEncoder
from connector.base.ends import EndReason
from connector.base.errors import AgentLegError, RoomLegError
from connector.base.legs import AgentEvent, AgentHungUp, AgentState, AudioCodec, HumansChanged, RoomEvent, RoomLost
from connector.base.people import ListenRule
from connector.engine.clock import EngineClock
from connector.session.events import State
from connector.session.plan import SessionPlan
from connector.session.session import Session, SessionResult

PLAN = SessionPlan("s1", "lobby", leave_after_s=0.02, reconnect_attempts=2)


@dataclass
class FigureBox:
    joins: int = 1


@dataclass
class World:
    """What both fake legs share with the test: a diary, and handles to steer them."""

    diary: list[str] = field(default_factory=list)
    states: list[State] = field(default_factory=list)
    join_error: RoomLegError | None = None
    offer_errors: list[AgentLegError | Exception] = field(default_factory=list)
    room_events: asyncio.Queue[RoomEvent] = field(default_factory=asyncio.Queue)
    agent_events: asyncio.Queue[AgentEvent] = field(default_factory=asyncio.Queue)
    sent: list[bytes] = field(default_factory=list)
    pushed: list[Samples] = field(default_factory=list)
    shown: list[AgentState] = field(default_factory=list)
    sink: FrameSink | None = None
    on_packet: Callable[[MediaPacket], None] | None = None
    live: asyncio.Event = field(default_factory=asyncio.Event)
    close_hangs: bool = False
    figures_break: bool = False
    says: str = ""
    listens: list[ListenRule] = field(default_factory=list)

    def on_state(self, state: State, _humans: int, _detail: str) -> None:
        self.states.append(state)
        if state is State.LIVE:
            self.live.set()

    def room_leg(self, inputs: AudioInputs) -> "FakeRoom":
        return FakeRoom(self, inputs)

    def agent_leg(self, on_packet: Callable[[MediaPacket], None]) -> "FakeAgent":
        return FakeAgent(self, on_packet)


class FakeRoom:
    humans = 1
    encrypted = False

    def __init__(self, world: World, inputs: AudioInputs) -> None:
        self.world = world
        self.inputs = inputs

    async def join(self) -> None:
        self.world.diary.append("room joined")
        if self.world.says:
            structlog.get_logger().info(self.world.says)
        if self.world.join_error is not None:
            raise self.world.join_error
        self.world.sink = self.inputs.open("ada", 0.0)

    async def settled(self) -> None:
        await asyncio.sleep(0)

    async def next_event(self) -> RoomEvent:
        return await self.world.room_events.get()

    def push(self, samples: Samples) -> None:
        self.world.pushed.append(samples.copy())

    def set_agent_state(self, state: AgentState) -> None:
        self.world.shown.append(state)

    def update_listen(self, listen: ListenRule) -> None:
        self.world.listens.append(listen)
        self.world.diary.append("listens anew")

    def figures(self) -> FigureBox:
        return FigureBox()

    async def close(self) -> None:
        self.inputs.close("ada")
        self.world.diary.append("room closed")


class FakeAgent:
    def __init__(self, world: World, on_packet: Callable[[MediaPacket], None]) -> None:
        self.world = world
        world.on_packet = on_packet

    async def prepare(self) -> None:
        self.world.diary.append("agent prepared")

    async def offer(self) -> AudioCodec:
        if self.world.offer_errors:
            raise self.world.offer_errors.pop(0)
        self.world.diary.append("offer accepted")
        return AudioCodec.OPUS

    async def connect(self) -> None:
        self.world.diary.append("agent connected")

    def send(self, payload: bytes, timestamp: int) -> None:
        self.world.sent.append(payload)

    async def next_event(self) -> AgentEvent:
        return await self.world.agent_events.get()

    def figures(self) -> FigureBox:
        if self.world.figures_break and self.world.live.is_set():
            raise RuntimeError("a leg without figures")
        return FigureBox()

    async def close(self) -> None:
        if self.world.close_hangs:
            raise RuntimeError("a leg that cannot be closed")
        self.world.diary.append("agent closed")


def start(world: World, plan: SessionPlan = PLAN) -> tuple[Session, "asyncio.Task[SessionResult]"]:
    session = Session(plan, world, EngineClock(), on_state=world.on_state, rand=lambda: 0.01)
    return session, asyncio.create_task(session.run())


def usual_gain_db(pieces: list[Samples], sent: Samples) -> float:
    """The median level of the ticks in a sound, against what was sent: a busy machine tears single ticks."""
    sound = np.concatenate(pieces)
    ticks = sound[: len(sound) // TICK_SAMPLES * TICK_SAMPLES].reshape(-1, TICK_SAMPLES)
    return float(20 * np.log10(np.median(ticks.std(axis=1)) / np.std(sent)))


async def until(condition: Callable[[], bool], limit_s: float = 10) -> None:
    async with asyncio.timeout(limit_s):
        while not condition():  # noqa: ASYNC110 - the fakes write plain lists
            await asyncio.sleep(0.005)


async def test_a_session_from_join_to_hang_up() -> None:
    """Both legs are opened once, live, and closed once, the agent first."""
    world = World()
    session, running = start(world)
    await world.live.wait()
    world.agent_events.put_nowait(AgentHungUp())
    result = await running
    assert (result.reason, result.delete_room) == (EndReason.AGENT_HANGUP, False)
    assert world.diary == [
        "room joined",
        "agent prepared",
        "offer accepted",
        "agent connected",
        "agent closed",
        "room closed",
    ]
    assert world.states[-3:] == [State.LIVE, State.CLOSING, State.ENDED]
    assert session.figures()["room.joins"] == 1
    assert float(result.summary["connected_s"]) >= float(result.summary["joined_s"])
    assert result.summary["codec"] == "opus"
    counted = {key for key in session.tally.counts if not key.startswith(("stage_", "millis_offer_seconds"))}
    assert counted == {
        "livekit_connects_total|ok",
        "livekit_disconnects_total|client_initiated",
        "ice_state_total|room|completed",
        "ice_state_total|room|closed",
        "millis_offers_total|ok",
    }
    stages = {key.split("|")[1] for key in session.tally.counts if key.startswith("stage_")}
    assert stages == {"livekit_connect", "offer_http", "total"}


async def test_the_agent_hears_the_room_and_the_room_hears_the_agent() -> None:
    """A tone in the room leaves as Opus at its level; the agent's packets are pushed into the room; its state shows."""
    world = World()
    session, running = start(world)
    await world.live.wait()
    assert world.sink is not None
    assert world.on_packet is not None
    tone = (8000 * np.sin(2 * np.pi * 1000 * np.arange(TICK_SAMPLES) / 48_000)).astype(np.int16)
    heard = OpusDecoder()
    encoder = OpusEncoder()
    for number in range(100):
        before = len(world.sent)
        world.sink(tone)
        world.on_packet(MediaPacket(number, number * TICK_SAMPLES, 7, encoder.encode(tone)))
        await until(lambda before=before: len(world.sent) > before)  # type: ignore[misc]
    assert usual_gain_db([heard.decode(payload) for payload in world.sent], tone) == pytest.approx(0, abs=0.5)
    assert usual_gain_db(world.pushed, tone) == pytest.approx(0, abs=0.5)
    assert AgentState.SPEAKING in world.shown
    session.end(EndReason.REQUESTED)
    assert (await running).reason is EndReason.REQUESTED


async def test_the_last_human_leaving_ends_the_session() -> None:
    """`leave_after` without a human ends with `room_empty`."""
    world = World()
    _, running = start(world)
    await world.live.wait()
    world.room_events.put_nowait(HumansChanged(0))
    assert (await running).reason is EndReason.ROOM_EMPTY


async def test_a_failed_join_closes_the_prepared_agent() -> None:
    """When the room cannot be joined, nothing is offered and both legs are closed."""
    world = World(join_error=RoomLegError("wrong key", reason=EndReason.LIVEKIT_REJECTED, cause="auth"))
    _, running = start(world)
    result = await running
    assert (result.reason, result.detail, result.cause) == (EndReason.LIVEKIT_REJECTED, "wrong key", "auth")
    assert "offer accepted" not in world.diary
    assert {"agent closed", "room closed"} <= set(world.diary)


async def test_a_failed_offer_is_tried_again_with_a_new_leg() -> None:
    """A retryable failure closes the leg and prepares another; the failure is counted."""
    error = AgentLegError("503", reason=EndReason.AGENT_UNREACHABLE, retryable=True)
    world = World(offer_errors=[error])
    session, running = start(world)
    await world.live.wait()
    assert [line for line in world.diary if "agent" in line] == [
        "agent prepared",
        "agent closed",
        "agent prepared",
        "agent connected",
    ]
    session.end(EndReason.DRAINED)
    summary = (await running).summary
    assert (summary["agent_failures"], summary["leg_restarts"]) == (1, 1)
    assert session.figures()["agent.joins"] == 2
    assert session.tally.counts["millis_leg_restarts_total|other"] == 1
    assert session.tally.counts["millis_offers_total|other"] == 1
    assert session.tally.counts["millis_offers_total|ok"] == 1


async def test_a_lost_room_is_joined_again_while_the_agent_stays() -> None:
    """Losing LiveKit closes only the room leg; the same agent leg is live again afterwards."""
    world = World()
    session, running = start(world)
    await world.live.wait()
    world.live.clear()
    world.room_events.put_nowait(RoomLost(EndReason.LIVEKIT_UNREACHABLE, rejoin=True, detail="gone"))
    await world.live.wait()
    assert world.diary.count("room joined") == 2
    assert world.diary.count("offer accepted") == 1
    session.end(EndReason.DRAINED)
    await running
    assert session.tally.counts["livekit_connects_total|ok"] == 2
    assert session.tally.counts["livekit_disconnects_total|other"] == 1
    assert session.tally.counts["livekit_disconnects_total|client_initiated"] == 1


async def test_a_bug_in_a_leg_ends_the_session_with_both_legs_closed() -> None:
    """An unforeseen exception is an `internal_error`, and nothing stays open."""
    world = World(offer_errors=[RuntimeError("a bug")])
    _, running = start(world)
    result = await running
    assert (result.reason, result.detail) == (EndReason.INTERNAL_ERROR, "RuntimeError: a bug")
    assert world.diary[-2:] == ["agent closed", "room closed"]


async def test_a_leg_that_cannot_be_closed_does_not_keep_the_other_open() -> None:
    """A failing close is counted, and the room is left all the same."""
    world = World(close_hangs=True)
    session, running = start(world)
    await world.live.wait()
    session.end(EndReason.REQUESTED)
    result = await running
    assert world.diary[-1] == "room closed"
    assert result.summary["termination_failures"] == 1


async def test_a_cancelled_session_closes_both_legs() -> None:
    """Cancelling the session's task leaves nothing open, the agent first."""
    world = World()
    _, running = start(world)
    await world.live.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert world.diary[-2:] == ["agent closed", "room closed"]


async def test_an_update_reaches_the_room_leg_and_every_later_one() -> None:
    """The new listening rule goes to the leg that is there, and to the next one before it joins."""
    world = World()
    session, running = start(world)
    await world.live.wait()
    world.live.clear()
    quieter = ListenRule(gain_db={"ada": -6.0})
    session.update(quieter, leave_after_s=5, max_duration_s=600)
    assert world.listens == [quieter]
    world.room_events.put_nowait(RoomLost(EndReason.LIVEKIT_UNREACHABLE, rejoin=True, detail="gone"))
    await world.live.wait()
    assert world.listens == [quieter, quieter]
    assert world.diary[-2:] == ["listens anew", "room joined"]
    session.end(EndReason.DRAINED)
    await running


async def test_a_shorter_limit_ends_a_running_session() -> None:
    """`max_duration` below the time that has passed ends the session with both legs closed; only the latest counts."""
    world = World()
    session, running = start(world)
    await world.live.wait()
    session.update(ListenRule(), leave_after_s=5, max_duration_s=600)
    session.update(ListenRule(), leave_after_s=5, max_duration_s=0)
    assert (await running).reason is EndReason.MAX_DURATION
    assert world.diary[-2:] == ["agent closed", "room closed"]
