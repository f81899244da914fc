"""Hints between replicas, by Redis' publish and subscribe: a connection of its own that listens for them.

A hint may be lost; it only hastens what the next pass would find. After a break, in which hints may have been missed,
whoever listens is told so.
"""

import asyncio
import random
from collections.abc import Callable
from typing import Any

from connector.base.errors import ConnectorError, UnavailableError
from connector.control.redis_link import RedisLink

_READ_S = 1.0
_PING_AFTER = 2
_DEAD_AFTER = 5
"""Reads in a row without anything: by then the connection should have answered a ping."""
_BACK_OFF_S = (0.2, 1.0)


class HintLine:
    """Listens on one channel, and keeps listening whatever happens to the connection.

    Args:
        link: The connection to Redis.
        channel: The channel.
        on_hint: Takes each message.
        on_gap: Called when it listens again after a break.
    """

    def __init__(
        self, link: RedisLink, channel: bytes, on_hint: Callable[[bytes], None], on_gap: Callable[[], None]
    ) -> None:
        self._link = link
        self._channel = channel
        self._on_hint = on_hint
        self._on_gap = on_gap
        self._line: Any = None
        self._listened = False

    async def open(self) -> None:
        """Subscribe, if that is not done.

        Raises:
            UnavailableError: Redis is not there.
            ConfigError: It refuses.
        """
        if self._line is not None:
            return
        self._line = self._link.client.pubsub()
        try:
            await self._link.ask(self._line.subscribe(self._channel), "listening for hints")
            if await self._read() is None:
                raise UnavailableError(f"listening for hints at {self._link.where}: no answer")
        except ConnectorError:
            await self.close()
            raise
        if self._listened:
            self._on_gap()
        self._listened = True

    async def run(self) -> None:
        """Listen until cancelled."""
        while True:
            try:
                await self.open()
                await self._listen()
            except ConnectorError:
                await self.close()
            await asyncio.sleep(random.uniform(*_BACK_OFF_S))

    async def close(self) -> None:
        """Stop listening."""
        line, self._line = self._line, None
        if line is not None:
            try:
                await self._link.ask(line.aclose(), "closing")
            except ConnectorError:
                return

    async def _listen(self) -> None:
        quiet = 0
        while quiet < _DEAD_AFTER:
            message = await self._read()
            quiet = 0 if message is not None else quiet + 1
            if message is None and quiet >= _PING_AFTER:
                await self._link.ask(self._line.ping(), "listening for hints")
            elif message is not None and message["type"] == "message":
                self._on_hint(message["data"])
            elif message is not None and message["type"] == "subscribe":
                self._on_gap()  # redis-py has reconnected
        raise UnavailableError(f"listening for hints at {self._link.where}: no answer")

    async def _read(self) -> dict[str, Any] | None:
        """The next message of any type, or None after a second."""
        message: dict[str, Any] | None = await self._link.ask(
            self._line.get_message(timeout=_READ_S), "listening for hints"
        )
        return message
