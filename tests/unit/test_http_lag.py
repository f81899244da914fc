"""The lag of the event loop."""

import asyncio
import time

import pytest
import structlog

from connector.http.lag import LagMeter
from tests.until import until


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_last_and_max() -> None:
    """The newest and the largest measurement are kept, and every one is passed on."""
    heard: list[float] = []
    meter = LagMeter(heard.append)
    for lag_s in (0.01, 0.2, 0.05):
        meter.measured(lag_s)
    assert (meter.last_s, meter.max_s, heard) == (0.05, 0.2, [0.01, 0.2, 0.05])


async def test_a_blocked_loop_is_noticed() -> None:
    """Something that blocks the loop shows up as lag of that length."""
    meter = LagMeter(every_s=0.01)
    async with meter.running():
        await asyncio.sleep(0.05)
        time.sleep(0.3)  # noqa: ASYNC251 - this is what is measured
        await until(lambda: meter.max_s > 0.2)
    assert 0.2 < meter.max_s < 5


async def test_an_overdue_measurement_counts() -> None:
    """While the loop is stuck the lag grows, before the late measurement is made."""
    clock = Clock()
    meter = LagMeter(clock=clock, every_s=30.0)
    assert meter.now_s() == 0.0
    async with meter.running():
        await asyncio.sleep(0)
        clock.now += 75.0
        assert meter.now_s() == 45.0
    assert meter.now_s() == 0.0


def test_warnings_are_rare() -> None:
    """A loop that stays late is told once in ten seconds."""
    clock = Clock()
    with structlog.testing.capture_logs() as logs:
        meter = LagMeter(clock=clock)
        for _ in range(100):
            clock.now += 0.25
            meter.measured(0.4)
    assert [line["event"] for line in logs] == ["event_loop_late"] * 3


@pytest.mark.parametrize("lag_s", [0.0, 0.24])
def test_small_lags_are_no_news(lag_s: float) -> None:
    """Below a quarter of a second nothing is logged."""
    with structlog.testing.capture_logs() as logs:
        LagMeter().measured(lag_s)
    assert logs == []
