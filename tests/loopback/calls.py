"""A call between the leg under test and an answerer, with a clock that the test moves."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from connector.audio.frames import MediaPacket
from connector.base.legs import AgentEvent, AudioCodec
from connector.base.secrets import Secret
from connector.millis.leg import MillisAgentLeg
from connector.millis.offer import OfferClient
from connector.millis.options import AgentLegOptions, IceServer
from tests.loopback.answerer import Answerer, answering


class MovableClock:
    """Monotonic seconds that jump when told to.

    Attributes:
        reads: How often it was asked.
    """

    def __init__(self) -> None:
        self._ahead = 0.0
        self.reads = 0

    def __call__(self) -> float:
        self.reads += 1
        return time.monotonic() + self._ahead

    def jump(self, seconds: float) -> None:
        """Let time pass."""
        self._ahead += seconds


async def until(condition: Callable[[], object]) -> None:
    """Wait until `condition()` holds, at most 10 s."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the condition belongs to a library that sets no event
            await asyncio.sleep(0.005)


@dataclass
class Call:
    """One call.

    Attributes:
        leg: The leg under test.
        far: The other side.
        packets: What the leg handed on.
        clock: The leg's clock.
    """

    leg: MillisAgentLeg
    far: Answerer
    clock: MovableClock
    packets: list[MediaPacket] = field(default_factory=list)

    async def set_up(self) -> AudioCodec:
        """Prepare, offer, connect; both sides are up afterwards."""
        await self.leg.prepare()
        codec = await self.leg.offer()
        await self.leg.connect()
        await until(lambda: self.far.dtls.state == "connected")
        return codec

    async def event(self) -> AgentEvent:
        """How the leg ended, within 10 s."""
        return await asyncio.wait_for(self.leg.next_event(), 10)

    async def datagram(self) -> None:
        """Let one datagram that carries no audio reach the leg."""
        before = self.leg.figures().datagrams
        await self.far.send_bye()
        await until(lambda: self.leg.figures().datagrams > before)


def options(url: str, *, ice_servers: tuple[IceServer, ...] = ()) -> AgentLegOptions:
    """Options of a leg towards `url`."""
    key = Secret("loopback-canary-key")
    return AgentLegOptions(url=url, key=key, auth="auto", agent_id="0123", ice_servers=ice_servers)


@asynccontextmanager
async def calling(
    far: Answerer,
    *,
    connect_s: float = 15.0,
    ice_servers: tuple[IceServer, ...] = (),
    sink: Callable[[MediaPacket], None] | None = None,
) -> AsyncIterator[Call]:
    """A leg towards `far`, not prepared yet; closed at the end, whatever happened."""
    clock, client, packets = MovableClock(), OfferClient(), list[MediaPacket]()
    async with answering(far) as url:
        leg = MillisAgentLeg(
            options(url, ice_servers=ice_servers), client, sink or packets.append, clock, connect_s=connect_s
        )
        try:
            yield Call(leg, far, clock, packets)
        finally:
            await leg.close()
            await client.close()
