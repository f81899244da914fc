"""The engine's end of the pipe to control: lines in, lines out, and never a wait on a slow reader."""

import asyncio
import socket
from collections.abc import AsyncIterator

from connector.messages.outbox import Outbox
from connector.messages.types import MAX_LINE_BYTES, ToControl, ToEngine, decode_to_engine


class ControlPipe:
    """Reads control's messages and writes the engine's.

    Args:
        reader: Of the socket to control.
        writer: Of the same socket.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._outbox = Outbox()
        self._filled = asyncio.Event()

    @classmethod
    async def open(cls, fd: int) -> "ControlPipe":
        """Wrap the inherited socket `fd`."""
        return cls(*await asyncio.open_connection(sock=socket.socket(fileno=fd), limit=MAX_LINE_BYTES))

    def put(self, message: ToControl) -> None:
        """Queue a message; never blocks."""
        self._outbox.put(message)
        self._filled.set()

    async def write(self) -> None:
        """Write what is queued, for ever; ends quietly when control is gone."""
        try:
            while True:
                await self._filled.wait()
                self._filled.clear()
                await self.flush()
        except ConnectionError:
            return

    async def flush(self) -> None:
        """Write what is queued now."""
        if len(self._outbox):
            self._writer.write(self._outbox.take())
            await self._writer.drain()

    async def messages(self) -> AsyncIterator[ToEngine]:
        """Control's messages, until its end of the pipe closes."""
        while True:
            try:
                line = await self._reader.readline()
            except ConnectionError:
                return
            if not line.endswith(b"\n"):
                return
            yield decode_to_engine(line)

    async def close(self) -> None:
        """Close the socket."""
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            return
