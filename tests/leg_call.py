"""One call of the real agent leg with our send and receive paths around it, as a session makes it, without a room."""

import asyncio
import time
from types import TracebackType
from typing import Self

import numpy as np

from connector.audio.frames import RATE_HZ, TICK_SECONDS, MediaPacket, Samples
from connector.audio.opus import has_fec
from connector.audio.receive import ReceivePath
from connector.audio.send import SendPath
from connector.base.legs import AgentEvent, AudioCodec
from connector.base.secrets import Secret
from connector.millis.leg import MillisAgentLeg
from connector.millis.offer import OfferClient
from connector.millis.options import AgentLegOptions
from connector.practice.mouth import Mouth
from connector.practice.recorder import Recorder, Recording

TEST_KEY = Secret("practice-key-4711")


class LegCall:
    """A connected call, as an async context manager.

    Args:
        url: The agent's base URL.
        key: The key to show.
        agent_id: The agent to ask for.

    Attributes:
        leg: The leg.
        codec: What the answer picked.
        receive: The receive path.
        packets: RTP packets received.
        with_fec: Those that carry in-band FEC.
    """

    def __init__(self, url: str, *, key: Secret = TEST_KEY, agent_id: str = "practice") -> None:
        self.codec = AudioCodec.OPUS
        self.packets = self.with_fec = 0
        self.receive: ReceivePath | None = None
        self._client = OfferClient()
        options = AgentLegOptions(url=url, key=key, auth="auto", agent_id=agent_id)
        self.leg = MillisAgentLeg(options, self._client, self._packet)
        self._mouth = Mouth()
        self._heard = Recorder()
        self._clock: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        try:
            await self.leg.prepare()
            self.codec = await self.leg.offer()
            self.receive = ReceivePath(self.codec, start=time.monotonic())
            await self.leg.connect()
        except BaseException:
            await self._close()
            raise
        self._clock = asyncio.create_task(self._run(), name="leg-call")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    @property
    def heard(self) -> Recording:
        """What came out of the receive path so far."""
        return self._heard.recording() or Recording(np.zeros(0, dtype=np.int16), time.monotonic())

    def say(self, samples: Samples) -> float:
        """Begin to say something; returns the monotonic time of (about) its first sample."""
        self._mouth.say(samples)
        return time.monotonic() + TICK_SECONDS / 2

    def last(self, seconds: float) -> Samples:
        """The newest so many seconds of what was heard."""
        return self.heard.samples[-round(seconds * RATE_HZ) :]

    async def event(self, within_s: float = 20.0) -> AgentEvent:
        """How the leg ended."""
        async with asyncio.timeout(within_s):
            return await self.leg.next_event()

    async def _close(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            await asyncio.wait({self._clock})
        await self.leg.close()
        await self._client.close()

    def _packet(self, packet: MediaPacket) -> None:
        self.packets += 1
        if self.codec is AudioCodec.OPUS:
            self.with_fec += has_fec(packet.payload)
        if self.receive is not None:
            self._hear(self.receive.add(packet, time.monotonic()))

    def _hear(self, blocks: list[Samples]) -> None:
        for samples in blocks:
            self._heard.write(samples, time.monotonic())

    async def _run(self) -> None:
        assert self.receive is not None
        send, next_at = SendPath(self.codec), time.monotonic()
        while True:
            next_at = max(next_at + TICK_SECONDS, time.monotonic() - 5 * TICK_SECONDS)
            await asyncio.sleep(max(0.0, next_at - time.monotonic()))
            self._hear(self.receive.tick(time.monotonic()))
            packet = send.encode(self._mouth.tick())
            self.leg.send(packet.payload, packet.timestamp)
