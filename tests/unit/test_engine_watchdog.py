"""The self-fence."""

import threading

from connector.engine.watchdog import FENCED_EXIT_CODE, Fence, Watchdog


def test_a_healthy_process_is_left_alone() -> None:
    """With regular looks and beats there is no verdict, for any length of time."""
    fence = Fence(0.0)
    for tick in range(100_000):
        now = tick * 0.01
        if tick % 100 == 0:
            fence.beat(now)
        assert fence.verdict(now) is None


def test_a_thawed_process_is_ended() -> None:
    """The first look after standing still for more than 5 s gives the verdict."""
    fence = Fence(0.0)
    fence.beat(0.0)
    assert fence.verdict(4.9) is None
    assert fence.verdict(10.0) == "this process stood still for 5.1 s"


def test_a_hung_loop_is_ended() -> None:
    """Looks go on but the loop has not beaten for more than 12 s."""
    fence = Fence(0.0)
    verdicts = [fence.verdict(second) for second in range(14)]
    assert verdicts[:13] == [None] * 13
    assert verdicts[13] == "the event loop has not run for 13.0 s"


def test_the_thread_ends_the_process_at_once() -> None:
    """The watching thread calls the exit with its code when the clock leaps."""
    times = iter([0.0, 0.01, 100.0])
    left = threading.Event()
    codes: list[int] = []

    def leave(code: int) -> None:
        codes.append(code)
        left.set()

    watchdog = Watchdog(leave=leave, clock=lambda: next(times))
    watchdog.start()
    assert left.wait(5)
    watchdog.stop()
    assert codes == [FENCED_EXIT_CODE]
