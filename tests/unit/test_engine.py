"""An engine at the other end of a real pipe, with legs of our own making."""

import asyncio
import gc
import socket
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import structlog

from connector.audio.frames import AudioInputs, MediaPacket
from connector.base.ends import EndReason
from connector.base.errors import AgentLegError
from connector.base.people import ListenRule
from connector.engine.engine import Engine, plan_of
from connector.engine.pipe import ControlPipe
from connector.engine.watchdog import Watchdog
from connector.messages.types import (
    Configure,
    EndSession,
    EngineBeat,
    ListenSpec,
    SessionEnded,
    SessionState,
    Shutdown,
    StartSession,
    ToControl,
    ToEngine,
    UpdateSession,
    decode_to_control,
    encode,
)
from connector.session.legs import LegFactory
from connector.session.plan import JoinMode, OnHangup
from tests.unit.test_session import FakeAgent, FakeRoom, World
from tests.until import until

SHARED = Configure(worker_id="w1", livekit_url="ws://127.0.0.1:1", millis_url="http://127.0.0.1:1", max_sessions=2)


def order(session: str, room: str = "lobby") -> StartSession:
    return StartSession(
        session_id=session,
        room=room,
        trigger="reconcile",
        agent_id="a1",
        identity="millis-agent",
        name="Agent",
        leave_after_s=10,
        max_duration_s=600,
        on_agent_hangup="close_room",
        reconnect_attempts=1,
        reconnect_within_s=60,
        agent_silence_s=30,
    )


class Legs:
    """Fake legs; one world for each session."""

    def __init__(self, world: World) -> None:
        self.world = world

    def room_leg(self, inputs: AudioInputs) -> FakeRoom:
        return self.world.room_leg(inputs)

    def agent_leg(self, on_packet: Callable[[MediaPacket], None]) -> FakeAgent:
        return self.world.agent_leg(on_packet)


class Control:
    """The other end of the pipe."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.worlds: dict[str, World] = {}

    def legs(self, start: StartSession, _shared: Configure) -> LegFactory:
        return Legs(self.worlds.setdefault(start.session_id, World()))

    def say(self, message: ToEngine) -> None:
        self.writer.write(encode(message))

    async def hear(self, wanted: Callable[[ToControl], bool]) -> ToControl:
        """The next message that fits; beats and other states are passed over."""
        async with asyncio.timeout(10):
            while True:
                message = decode_to_control(await self.reader.readline())
                if wanted(message):
                    return message

    async def state(self, session: str, state: str) -> None:
        await self.hear(lambda m: isinstance(m, SessionState) and (m.session_id, m.state) == (session, state))

    async def ended(self, session: str) -> EndReason:
        message = await self.hear(lambda m: isinstance(m, SessionEnded) and m.session_id == session)
        assert isinstance(message, SessionEnded)
        return message.reason


@asynccontextmanager
async def an_engine() -> AsyncIterator[tuple[Control, "asyncio.Task[None]"]]:
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=ours)
    pipe = await ControlPipe.open(theirs.detach())
    control = Control(reader, writer)
    engine = Engine(pipe, Watchdog(), control.legs)
    running = asyncio.create_task(engine.run())
    try:
        yield control, running
    finally:
        writer.close()
        await asyncio.wait_for(running, 10)
        await pipe.close()


async def test_sessions_start_and_end_on_orders() -> None:
    """A session becomes live on `StartSession` and ends with the reason of `EndSession`; a beat says that we live."""
    async with an_engine() as (control, _):
        control.say(SHARED)
        control.say(order("s1"))
        await control.state("s1", "live")
        await control.hear(lambda m: isinstance(m, EngineBeat) and m.sessions == 1)
        control.say(EndSession(session_id="unknown", reason=EndReason.REQUESTED))
        control.say(EndSession(session_id="s1", reason=EndReason.RULE_REMOVED))
        assert await control.ended("s1") is EndReason.RULE_REMOVED


async def test_what_an_ended_session_leaves_in_cycles_is_freed_at_once() -> None:
    """Its memory does not wait until Python has seen enough of it."""

    class Ring:
        def __init__(self) -> None:
            self.itself = self

    gc.disable()  # so that only the engine collects
    try:
        async with an_engine() as (control, _):
            control.say(SHARED)
            control.say(order("s1"))
            await control.state("s1", "live")
            ring = weakref.ref(Ring())
            assert ring() is not None
            control.say(EndSession(session_id="s1", reason=EndReason.REQUESTED))
            await control.ended("s1")
            await until(lambda: ring() is None)
    finally:
        gc.enable()


async def test_an_update_changes_a_live_session() -> None:
    """The room leg gets the new listening rule and the session its new limits; an unknown session is passed over."""
    listen = ListenSpec(sources=("screen_share_audio",), include=("a*",), exclude=("ab",), gain_db={"a?": 6.0})
    async with an_engine() as (control, _):
        control.say(SHARED)
        control.say(order("s1"))
        await control.state("s1", "live")
        control.say(UpdateSession(session_id="unknown", listen=listen, leave_after_s=1, max_duration_s=0))
        control.say(UpdateSession(session_id="s1", listen=listen, leave_after_s=1, max_duration_s=0))
        assert await control.ended("s1") is EndReason.MAX_DURATION
        assert control.worlds["s1"].listens == [
            ListenRule(("screen_share_audio",), ("a*",), ("ab",), {"a?": 6.0}),
        ]


async def test_one_too_many_is_refused() -> None:
    """Past its capacity the engine ends a session as `overloaded` before it begins, and the others go on."""
    async with an_engine() as (control, _):
        control.say(SHARED)
        for number in range(3):
            control.say(order(f"s{number}", f"room-{number}"))
        assert await control.ended("s2") is EndReason.OVERLOADED
        assert "s2" not in control.worlds


async def test_the_cause_of_an_end_reaches_control() -> None:
    """What lies behind the reason of an end is told beside it."""
    async with an_engine() as (control, _):
        refused = AgentLegError("401", reason=EndReason.AGENT_REJECTED, cause="auth")
        control.worlds["s1"] = World(offer_errors=[refused])
        control.say(SHARED)
        control.say(order("s1"))
        ended = await control.hear(lambda m: isinstance(m, SessionEnded))
        assert isinstance(ended, SessionEnded)
        assert (ended.reason, ended.cause) == (EndReason.AGENT_REJECTED, "auth")


async def counters_until_the_end(control: Control) -> dict[str, float]:
    """What all beats of the engine add up to, its last one included."""
    sums: dict[str, float] = {}
    async with asyncio.timeout(10):
        while line := await control.reader.readline():
            message = decode_to_control(line)
            if isinstance(message, EngineBeat):
                assert message.memory_mb > 1
                for key, more in message.counters.items():
                    sums[key] = sums.get(key, 0) + more
    return sums


async def test_beats_carry_what_sessions_counted_up_to_their_end() -> None:
    """An ended session's last counters arrive, and the engine's last beat is written before it leaves."""
    async with an_engine() as (control, running):
        control.say(SHARED)
        control.say(order("s1"))
        control.say(order("s2", "other"))
        await control.state("s1", "live")
        control.say(EndSession(session_id="s1", reason=EndReason.REQUESTED))
        control.say(Shutdown())
        beats = asyncio.create_task(counters_until_the_end(control))
        await asyncio.wait_for(asyncio.shield(running), 10)
        control.reader.feed_eof()
        sums = await beats
    assert sums["livekit_connects_total|ok"] == 2
    assert sums["livekit_disconnects_total|client_initiated"] == 2
    assert sums["millis_offers_total|ok"] >= 1


async def test_figures_that_cannot_be_read_end_no_call() -> None:
    """A leg whose counters raise is a line in the log; the call goes on and ends as it should."""
    async with an_engine() as (control, _):
        world = control.worlds["s1"] = World(figures_break=True)
        control.say(SHARED)
        control.say(order("s1"))
        await control.state("s1", "live")
        await control.hear(lambda m: isinstance(m, EngineBeat) and "event_loop_lag_seconds|sum" in m.counters)
        world.figures_break = False
        control.say(EndSession(session_id="s1", reason=EndReason.REQUESTED))
        assert await control.ended("s1") is EndReason.REQUESTED


async def test_every_line_of_a_session_says_whose_it_is() -> None:
    """Whatever a leg or a library logs inside a session carries the session's id, and no other session's."""
    async with an_engine() as (control, _):
        control.worlds = {name: World(says="a_leg_says") for name in ("s1", "s2")}
        control.say(SHARED)
        with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
            control.say(order("s1"))
            control.say(order("s2", "other"))
            await control.state("s1", "live")
            await control.state("s2", "live")
    said = {(line["session"], line["room"]) for line in lines if line["event"] == "a_leg_says"}
    assert said == {("s1", "lobby"), ("s2", "other")}


async def test_a_shutdown_ends_every_call() -> None:
    """`Shutdown` closes both legs of every session, reports each as drained, and ends the engine."""
    async with an_engine() as (control, running):
        control.say(SHARED)
        control.say(order("s1"))
        control.say(order("s2", "other"))
        await control.state("s2", "live")
        control.say(Shutdown())
        assert {await control.ended("s1"), await control.ended("s2")} == {EndReason.DRAINED}
        await asyncio.wait_for(asyncio.shield(running), 10)
        assert [w.diary[-2:] for w in control.worlds.values()] == [["agent closed", "room closed"]] * 2


async def test_an_engine_without_control_closes_its_calls() -> None:
    """When the pipe ends, every call is closed, the agent first, and the engine ends."""
    async with an_engine() as (control, running):
        control.say(SHARED)
        control.say(order("s1"))
        await control.state("s1", "live")
        control.writer.close()
        await asyncio.wait_for(asyncio.shield(running), 10)
        assert control.worlds["s1"].diary[-2:] == ["agent closed", "room closed"]


def test_a_plan_says_what_the_order_says() -> None:
    """Every setting of a session's life reaches its plan."""
    plan = plan_of(order("s1"))
    assert (plan.session_id, plan.room, plan.join, plan.min_humans) == ("s1", "lobby", JoinMode.HUMAN, 1)
    assert (plan.leave_after_s, plan.max_duration_s, plan.on_agent_hangup) == (10, 600, OnHangup.CLOSE_ROOM)
    assert (plan.reconnect_attempts, plan.reconnect_within_s) == (1, 60)


async def test_an_order_before_configure_is_a_bug() -> None:
    """Control must configure first; anything else ends the engine loudly."""
    ours, theirs = socket.socketpair()
    _, writer = await asyncio.open_connection(sock=ours)
    pipe = await ControlPipe.open(theirs.detach())
    writer.write(encode(order("s1")))
    with pytest.raises(ExceptionGroup) as caught:
        await Engine(pipe, Watchdog(), Control(pipe._reader, writer).legs).run()
    assert "before configure" in repr(caught.value)
    writer.close()
    await pipe.close()
