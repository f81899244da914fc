"""The flood itself, as a process of low priority: bad signatures, slow senders, large bodies. Bounded in every way.

Started by `bench.flood`, prints one JSON object of counts at its end.
"""

import argparse
import asyncio
import base64
import contextlib
import json
import os
import secrets
import time
from collections import Counter
from dataclasses import dataclass, field

MOST_RATE, MOST_SLOW, MOST_LARGE, MOST_S = 3_000, 1_000, 16, 120.0
LARGE_BYTES = 10_000_000
_WORKERS = 32
_FRESH_EVERY = 4
"""Every fourth bad webhook comes on a connection of its own."""
_SLOW_EVERY_S = 1.0
_BACK_S = 0.5
"""A slow sender that was cut off comes back after this; more often only the generator would be busy."""
_CHUNK = bytes(65_536)
_BODY = b'{"event": "participant_joined", "id": "EV_flood", "createdAt": "1", "room": {"name": "flood"}}'
_PATH = "/webhooks/livekit"


@dataclass
class Flood:
    """A flood on one address.

    Attributes:
        host: Loopback.
        port: Its port.
        until: When it ends, in monotonic seconds.
        counts: What was done and seen.
    """

    host: str
    port: int
    until: float
    counts: Counter[str] = field(default_factory=Counter)

    async def run(self, rate: int, slow: int, large: int) -> None:
        """Let it come, until its time is over."""
        bad = [self.bad(rate / _WORKERS, fresh=number % _FRESH_EVERY == 0) for number in range(_WORKERS if rate else 0)]
        others = [self.slow() for _ in range(slow)] + [self.large() for _ in range(large)]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.until - time.monotonic() + 1.0):
                await asyncio.gather(*bad, *others)

    async def bad(self, rate: float, *, fresh: bool) -> None:
        """Bad signatures, so many a second; each is answered before the next is sent."""
        due = time.monotonic()
        connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        while (now := time.monotonic()) < self.until:
            due = max(due + 1.0 / rate, now - 1.0)  # what was missed is made up for, up to a second
            await asyncio.sleep(max(0.0, due - now))
            try:
                connection = connection or await asyncio.open_connection(self.host, self.port)
                connection[1].write(request(len(_BODY)) + _BODY)
                self.counts[f"bad_{await status(connection[0])}"] += 1
            except (OSError, EOFError, ValueError):
                self.counts["bad_cut_off"] += 1
                await _close(connection)
                connection = None
            if fresh:
                await _close(connection)
                connection = None
        await _close(connection)

    async def slow(self) -> None:
        """A head, byte by byte; a new connection when this one is cut off."""
        head = request(len(_BODY))
        while time.monotonic() < self.until:
            connection = None
            try:
                connection = await asyncio.open_connection(self.host, self.port)
                self.counts["slow_opened"] += 1
                for at in range(len(head)):
                    connection[1].write(head[at : at + 1])
                    if await _closed_within(connection[0], min(_SLOW_EVERY_S, self.until - time.monotonic())):
                        self.counts["slow_cut_off"] += 1
                        break
                    if time.monotonic() >= self.until:
                        break
            except OSError:
                self.counts["slow_cut_off"] += 1
            await _close(connection)
            await asyncio.sleep(_BACK_S)

    async def large(self) -> None:
        """Bodies of 10 MB under a bad signature."""
        while time.monotonic() < self.until:
            connection = None
            sent = 0
            try:
                connection = await asyncio.open_connection(self.host, self.port)
                connection[1].write(request(LARGE_BYTES))
                while sent < LARGE_BYTES and time.monotonic() < self.until:
                    connection[1].write(_CHUNK)
                    await connection[1].drain()
                    sent += len(_CHUNK)
                self.counts[f"large_{await status(connection[0])}"] += 1
            except (OSError, EOFError, ValueError):
                self.counts["large_cut_off"] += 1
            self.counts["large_bytes"] += sent
            await _close(connection)
            await asyncio.sleep(0.05)


def request(length: int) -> bytes:
    """The head of a webhook whose token has the right shape and a wrong signature."""
    parts = [base64.urlsafe_b64encode(secrets.token_bytes(count)).rstrip(b"=").decode() for count in (27, 120, 32)]
    lines = (
        f"POST {_PATH} HTTP/1.1",
        "Host: flood",
        "Content-Type: application/webhook+json",
        f"Authorization: {'.'.join(parts)}",
        f"Content-Length: {length}",
    )
    return "\r\n".join([*lines, "", ""]).encode()


async def status(reader: asyncio.StreamReader) -> int:
    """The status of the next answer; its body is read as well."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
    await reader.readexactly(length)
    return int(head.split(b" ", 2)[1])


async def _closed_within(reader: asyncio.StreamReader, seconds: float) -> bool:
    try:
        async with asyncio.timeout(max(0.0, seconds)):
            await reader.read(1)
    except TimeoutError:
        return False
    return True


async def _close(connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None) -> None:
    if connection is not None:
        connection[1].close()
        with contextlib.suppress(OSError):
            await connection[1].wait_closed()


def main() -> None:
    """Flood as the command line says, at the lowest priority."""
    parser = argparse.ArgumentParser()
    for name in ("--port", "--rate", "--slow", "--large"):
        parser.add_argument(name, type=int, required=True)
    parser.add_argument("--host", required=True)
    parser.add_argument("--seconds", type=float, required=True)
    given = parser.parse_args()
    os.nice(19)
    began = time.monotonic()
    flood = Flood(given.host, given.port, began + min(given.seconds, MOST_S))
    asyncio.run(
        flood.run(min(given.rate, MOST_RATE), min(given.slow, MOST_SLOW), min(given.large, MOST_LARGE)),
    )
    print(json.dumps({"seconds": round(time.monotonic() - began, 2), **flood.counts}), flush=True)


if __name__ == "__main__":
    main()
