"""The engine's clock."""

import asyncio
from collections.abc import Callable

import structlog

from connector.engine.clock import EngineClock


async def test_every_session_is_called_at_its_own_times() -> None:
    """Two sessions with different times are each called when due, never before."""
    clock = EngineClock()
    calls: dict[str, list[float]] = {"a": [], "b": []}
    done = asyncio.Event()

    def session(name: str, period: float, enough: int) -> None:
        due = [clock.now()]

        def run(now: float) -> float:
            assert now >= due[0] - 0.0006
            calls[name].append(now)
            due[0] = now + period
            if all(len(c) >= enough for c in calls.values()):
                done.set()
            return due[0]

        removers.append(clock.add(run))

    removers: list[Callable[[], None]] = []
    session("a", 0.005, 5)
    session("b", 0.011, 5)
    await asyncio.wait_for(done.wait(), 10)
    for remove in removers:
        remove()
    seen = {name: len(c) for name, c in calls.items()}
    assert seen["a"] > seen["b"]


async def test_a_broken_session_does_not_stop_the_others() -> None:
    """A tick that raises is counted, tried again later, and the other session goes on."""
    clock = EngineClock()
    others = 0
    done = asyncio.Event()

    def broken(_now: float) -> float:
        raise RuntimeError("a bug")

    def healthy(now: float) -> float:
        nonlocal others
        others += 1
        if others == 5:
            done.set()
        return now + 0.02

    remove_broken, remove_healthy = clock.add(broken), clock.add(healthy)
    await asyncio.wait_for(done.wait(), 10)
    remove_broken()
    remove_healthy()
    assert clock.failures >= 2


async def test_sessions_go_through_each_stage_together() -> None:
    """All run before the first encodes; a stage that raises, or one of a session that is gone, holds up no other."""
    clock, calls, done = EngineClock(), list[str](), asyncio.Event()

    def note(what: str) -> Callable[[], None]:
        def stage() -> None:
            calls.append(what)
            if what == "a encodes":
                raise RuntimeError("a bug")
            if what == "c encodes":
                removers[2]()

        return stage

    def session(name: str) -> Callable[[], None]:
        def run(now: float) -> float:
            calls.append(f"{name} mixes")
            return now + 60

        return clock.add(run, note(f"{name} encodes"), note(f"{name} sends"))

    removers = [session(name) for name in "abc"]

    def last(now: float) -> float:
        return now + 60

    removers.append(clock.add(last, lambda: None, lambda: None, done.set))
    await asyncio.wait_for(done.wait(), 10)
    for remove in removers:
        remove()
    assert calls == [
        *("a mixes", "b mixes", "c mixes"),
        *("a encodes", "b encodes", "c encodes"),
        *("a sends", "b sends"),
    ]
    assert clock.failures == 1


async def test_a_removed_session_is_not_called_again() -> None:
    """Removing a session, even from within its own tick, ends its calls."""
    clock = EngineClock()
    calls = 0
    removers: list[Callable[[], None]] = []

    def once(now: float) -> float:
        nonlocal calls
        calls += 1
        removers[0]()
        return now

    done = asyncio.Event()
    removers.append(clock.add(once))
    remaining = 10

    def other(now: float) -> float:
        nonlocal remaining
        remaining -= 1
        if remaining == 0:
            done.set()
        return now + 0.001

    remove = clock.add(other)
    await asyncio.wait_for(done.wait(), 10)
    remove()
    assert calls == 1


async def test_a_tick_runs_in_the_context_of_its_session() -> None:
    """What a tick logs says whose it is, although one timer serves all sessions; so does the line of a broken tick."""
    clock, seen, done = EngineClock(), dict[str, object](), asyncio.Event()

    def session(name: str) -> Callable[[], None]:
        def run(now: float) -> float:
            seen[name] = structlog.contextvars.get_contextvars().get("session")
            if len(seen) == 3:
                done.set()
            if name == "broken":
                raise RuntimeError("a bug")
            return now + 0.005

        with structlog.contextvars.bound_contextvars(session=name):
            return clock.add(run)

    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        removers = [session(name) for name in ("a", "broken", "b")]
        await asyncio.wait_for(done.wait(), 10)
    for remove in removers:
        remove()
    assert seen == {"a": "a", "broken": "broken", "b": "b"}
    assert {line["session"] for line in lines if line["event"] == "tick_failed"} == {"broken"}


async def test_sessions_that_are_due_shortly_after_each_other_share_a_wake_up() -> None:
    """Ticks 1 ms apart are run together at the time of the later one; one that is far away waits for its own."""
    clock = EngineClock()
    done = asyncio.Event()
    start = clock.now() + 0.02
    ran: dict[str, float] = {}

    def session(name: str, at: float) -> Callable[[float], float]:
        waiting = [at]

        def run(now: float) -> float:
            if waiting and now >= at - 0.0006:
                waiting.clear()
                ran[name] = now
            if len(ran) == 3:
                done.set()
            return at if waiting else now + 60

        return run

    times = {"first": start, "near": start + 0.001, "far": start + 0.05}
    removers = [clock.add(session(name, at)) for name, at in times.items()]
    await asyncio.wait_for(done.wait(), 10)
    for remove in removers:
        remove()
    assert ran["first"] >= times["near"] - 0.0006
    assert ran["far"] >= times["far"] - 0.0006
