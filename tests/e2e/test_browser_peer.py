"""An independent peer: the agent leg talks with a real browser's WebRTC instead of with its own library."""

import random
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from connector.audio.frames import RATE_HZ, TICK_SAMPLES, Samples
from connector.base.legs import AgentHungUp, AudioCodec
from connector.practice.sound import level_dbfs, tone
from tests.e2e.browser import BrowserAgent
from tests.leg_call import LegCall
from tests.until import until

Receiver = Callable[[bytes, tuple[str, int]], None]
pytestmark = pytest.mark.browser

ITS_HZ, OUR_HZ = 700, 1_000
ITS_DBFS = 20 * np.log10(0.25) - 3.01
OUR_DBFS = -12 - 3.01
SETTLE_S = 4.0


@pytest_asyncio.fixture
async def browser() -> AsyncIterator[BrowserAgent]:
    async with BrowserAgent() as agent:
        yield agent


def loudest_hz(samples: Samples) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum)) * RATE_HZ / len(samples)


async def test_both_sides_hear_each_other_at_the_right_level(browser: BrowserAgent) -> None:
    """The browser's tone arrives here, ours there, each at its own pitch and level; the browser's hang-up is seen."""
    async with LegCall(browser.url) as call:
        assert call.codec is AudioCodec.OPUS
        assert "useinbandfec=1" in browser.offer["sdp"]
        assert "useinbandfec=1" in browser.answer["sdp"]
        call.say(tone(OUR_HZ, 30, -12))
        await until(lambda: call.heard.seconds > SETTLE_S)
        assert loudest_hz(call.last(1.0)) == pytest.approx(ITS_HZ, abs=2)
        assert level_dbfs(call.last(1.0)) == pytest.approx(ITS_DBFS, abs=1.0)
        await browser.until(lambda r: abs(r["hz"] - OUR_HZ) < 6 and abs(r["dbfs"] - OUR_DBFS) < 1.5, "hear our tone")
        await browser.until(lambda r: r["fec"] > 0, "find FEC in our packets")
        browser.orders["hang_up"] = True
        assert await call.event() == AgentHungUp()


async def test_its_packets_carry_fec_when_we_lose_some(browser: BrowserAgent) -> None:
    """When our receiver reports tell of loss, the browser's speech comes with in-band FEC, and FEC fills the holes."""
    browser.orders["speak"] = True
    dice = random.Random(7)
    async with LegCall(browser.url) as call:
        lose_datagrams(call, dice, 0.1)
        await until(lambda: call.with_fec > 50, 40)
        assert call.receive is not None
        figures, before = call.receive.figures, call.receive.figures.restored_samples
        await until(lambda: figures.restored_samples > before + 10 * TICK_SAMPLES, 40)


def lose_datagrams(call: LegCall, dice: random.Random, share: float) -> None:
    """Lose a part of the RTP that reaches the leg, before its transport sees it."""
    connection: Any = call.leg._peer._dtls.transport._connection
    for protocol in connection._protocols:
        protocol.datagram_received = leaking(protocol.datagram_received, dice, share)


def leaking(received: Receiver, dice: random.Random, share: float) -> Receiver:
    """A receiver of datagrams that drops a part of the RTP."""

    def datagram_received(data: bytes, addr: tuple[str, int]) -> None:
        is_rtp = 127 < data[0] < 192 and not 192 <= data[1] < 224
        if not (is_rtp and dice.random() < share):
            received(data, addr)

    return datagram_received
