"""A flood against a worker's public port, from a process of low priority: bad signatures, slow senders, huge bodies.

`python -m bench.live.senders --address HOST:PORT --seconds S`. At the end it prints one JSON line: how many requests of
each kind got which status; `dropped` is a connection that was closed without an answer.
"""

import argparse
import asyncio
import contextlib
import json
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Self

from bench.live.webhooks import event, signed

NICE = 19
RATE = 1_000
BAD_CONNECTIONS, SLOW_CONNECTIONS, HUGE_CONNECTIONS = 40, 150, 4
HUGE_BYTES = 10 << 20
MALFORMED_EVERY_S, HUGE_EVERY_S, SLOW_EVERY_S = 0.1, 0.5, 0.5
_PIECE = bytes(64 << 10)
_HEAD_END = b"\r\n\r\n"


class Flood:
    """All senders.

    Args:
        address: Host and port.
        key: Id and secret of LiveKit's real key, for what is signed well and bad all the same.
        until: When to stop, in monotonic seconds.

    Attributes:
        answers: How many requests of each kind got which status.
    """

    def __init__(self, address: tuple[str, int], key: tuple[str, str], until: float) -> None:
        self.answers: dict[str, Counter[str]] = {kind: Counter() for kind in ("bad", "malformed", "huge", "slow")}
        self._address, self._key, self._until = address, key, until

    async def run(self) -> None:
        """Send until the time is over."""
        async with asyncio.TaskGroup() as group:
            for place in range(BAD_CONNECTIONS):
                group.create_task(self._steadily(self._bad, BAD_CONNECTIONS / RATE, place / RATE))
            group.create_task(self._steadily(self._malformed, MALFORMED_EVERY_S))
            for place in range(HUGE_CONNECTIONS):
                group.create_task(self._steadily(self._huge_ways()[place % 3], HUGE_EVERY_S, 0.1 * place))
            for place in range(SLOW_CONNECTIONS):
                group.create_task(self._steadily(self._slow, SLOW_EVERY_S, 0.01 * place))

    async def _steadily(
        self,
        use: Callable[["Connection", Callable[[], Awaitable[bool]]], Awaitable[None]],
        every_s: float,
        after: float = 0,
    ) -> None:
        """Give one connection after the other to a sender, with turns at a steady rate."""
        next_at = time.monotonic() + after

        async def turn() -> bool:
            nonlocal next_at
            await asyncio.sleep(max(0.0, next_at - time.monotonic()))
            next_at += every_s
            return time.monotonic() < self._until

        while await turn():
            with contextlib.suppress(OSError, EOFError, asyncio.LimitOverrunError):
                async with Connection(*self._address) as connection:
                    await use(connection, turn)

    async def _bad(self, connection: "Connection", turn: Callable[[], Awaitable[bool]]) -> None:
        body = event("participant_joined", "flood", "nobody")
        wrong = connection.head(len(body), signed(body, (self._key[0], "a-secret-that-nobody-ever-had-0123456789")))
        while await turn():
            self._note("bad", await connection.ask(wrong + body))

    async def _malformed(self, connection: "Connection", turn: Callable[[], Awaitable[bool]]) -> None:
        body = b"this is no event"
        request = connection.head(len(body), signed(body, self._key)) + body
        while await turn():
            self._note("malformed", await connection.ask(request))

    def _huge_ways(self) -> list[Callable[["Connection", Callable[[], Awaitable[bool]]], Awaitable[None]]]:
        return [self._huge_unsigned, self._huge, self._huge_chunked]

    async def _huge_unsigned(self, connection: "Connection", _turn: Callable[[], Awaitable[bool]]) -> None:
        self._note("huge", await connection.pour(connection.head(HUGE_BYTES, "no-token"), HUGE_BYTES))

    async def _huge(self, connection: "Connection", _turn: Callable[[], Awaitable[bool]]) -> None:
        head = connection.head(HUGE_BYTES, signed(b"something", self._key))
        self._note("huge", await connection.pour(head, HUGE_BYTES))

    async def _huge_chunked(self, connection: "Connection", _turn: Callable[[], Awaitable[bool]]) -> None:
        head = connection.head(None, signed(b"something", self._key))
        self._note("huge", await connection.pour(head, HUGE_BYTES, chunked=True))

    async def _slow(self, connection: "Connection", turn: Callable[[], Awaitable[bool]]) -> None:
        for byte in connection.head(100, "no-token"):
            if not await turn():
                return
            if not await connection.drip(bytes([byte])):
                self._note("slow", None)
                return

    def _note(self, kind: str, status: str | None) -> None:
        self.answers[kind][status or "dropped"] += 1


class Connection:
    """One connection, used by hand: no client library does what is done here."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.transport.abort()

    @staticmethod
    def head(length: int | None, authorization: str) -> bytes:
        """The head of a webhook request; without a length its body comes in chunks."""
        size = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
        lines = ["POST /webhooks/livekit HTTP/1.1", "Host: flood", f"Authorization: {authorization}", size]
        return "\r\n".join([*lines, "Content-Type: application/webhook+json", "", ""]).encode()

    async def ask(self, request: bytes) -> str | None:
        """Send a request.

        Returns:
            Its status, or None when the connection was closed instead.
        """
        self._writer.write(request)
        return await self._answer()

    async def pour(self, head: bytes, count: int, *, chunked: bool = False) -> str | None:
        """Send a large body for as long as the other end takes it.

        Returns:
            The status, or None.
        """
        answer = asyncio.ensure_future(self._answer())
        piece = b"%x\r\n%b\r\n" % (len(_PIECE), _PIECE) if chunked else _PIECE
        with contextlib.suppress(OSError):
            self._writer.write(head)
            for _ in range(count // len(_PIECE)):
                if answer.done():
                    break
                self._writer.write(piece)
                await self._writer.drain()
        return await answer

    async def drip(self, byte: bytes) -> bool:
        """Send one byte; whether the connection still stands."""
        self._writer.write(byte)
        return not self._reader.at_eof() and not self._writer.transport.is_closing()

    async def _answer(self) -> str | None:
        try:
            head = (await self._reader.readuntil(_HEAD_END)).decode("latin-1").lower()
            length = next((line for line in head.split("\r\n") if line.startswith("content-length:")), ":0")
            await self._reader.readexactly(int(length.partition(":")[2]))
        except (OSError, EOFError):
            return None
        return head.split()[1]


async def flood(options: argparse.Namespace) -> None:
    """Flood, and tell what came of it."""
    host, _, port = options.address.rpartition(":")
    key = (os.environ["LIVEKIT_API_KEY"], os.environ["LIVEKIT_API_SECRET"])
    senders = Flood((host, int(port)), key, time.monotonic() + options.seconds)
    print(json.dumps({"flooding": True}), flush=True)
    await senders.run()
    print(json.dumps({"answers": senders.answers}), flush=True)


def main() -> None:
    """Read the command line and flood."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", required=True)
    parser.add_argument("--seconds", type=float, required=True)
    os.nice(NICE)
    asyncio.run(flood(parser.parse_args()))


if __name__ == "__main__":
    main()
