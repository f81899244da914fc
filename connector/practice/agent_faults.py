"""Scripted faults of the practice agent: what it does wrong on request, in its HTTP answer and on the wire.

A fault is written ``NAME``, ``NAME=VALUE``, and ``…*TIMES`` when only the first so many offers meet it.
"""

import asyncio
import random
import struct
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from aiortc.rtcdtlstransport import RTCDtlsTransport

from connector.base.errors import UsageError

KNOWN = {
    "status": "answer with this HTTP status; status=429:2 adds Retry-After: 2",
    "stall": "take the offer and never answer",
    "reset": "break the TCP connection instead of answering",
    "huge": "answer with 4 MiB",
    "redirect": "answer with a redirect to itself",
    "useless": "answer with something that cannot be used: one of not-json, no-answer, not-sdp, offer-type, "
    "rejected, inactive, recvonly, other-codec, no-candidates, no-fingerprint",
    "unreachable": "answer well, but never react to a datagram",
    "mute": "connect, and never send audio",
    "freeze": "go silent in every way after so many seconds, as a killed machine does",
    "hang-up": "hang up after so many seconds",
    "loss": "lose this percentage of the packets towards the connector",
    "late": "send this percentage of them 200 ms late",
    "padding": "send a padding-only packet with a timestamp of its own after every 25th",
}
"""Every fault, with what it does."""
_NEEDS_NUMBER = frozenset({"freeze", "hang-up", "loss", "late"})
USELESS = (
    "not-json",
    "no-answer",
    "not-sdp",
    "offer-type",
    "rejected",
    "inactive",
    "recvonly",
    "other-codec",
    "no-candidates",
    "no-fingerprint",
)
"""The kinds of useless answers."""
_LATE_S = 0.2
_PADDING_EVERY = 25
_PADDING_BYTES = 40
_RTP_HEADER = struct.Struct("!BBHII")
_RTP_VERSION_AND_PADDING = 0xA0


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        name: A key of `KNOWN`.
        value: What stands after the ``=``.
        times: How many offers meet it; None means all.
    """

    name: str
    value: str = ""
    times: int | None = None

    @property
    def number(self) -> float:
        """The value as a number; 0 when there is none."""
        return float(self.value or 0)


def parse_fault(text: str) -> Fault:
    """Read a fault as it is written on the command line.

    Raises:
        UsageError: Unknown name or unfit value; the message lists what there is.
    """
    head, star, times = text.partition("*")
    name, _, value = head.partition("=")
    if name not in KNOWN:
        raise UsageError(f"--fault {text}: there is no such fault; there are {', '.join(KNOWN)}")
    if star and not (times.isdecimal() and int(times) > 0):
        raise UsageError(f"--fault {text}: after * stands how many offers meet it")
    if not _fits(name, value):
        raise UsageError(f"--fault {text}: {name} is to {KNOWN[name]}")
    return Fault(name, value, int(times) if star else None)


def _fits(name: str, value: str) -> bool:
    if name == "status":
        code, _, wait = value.partition(":")
        return code.isdecimal() and 200 <= int(code) <= 599 and (not wait or wait.isdecimal())  # noqa: PLR2004 -- HTTP
    if name == "useless":
        return value in USELESS
    if name in _NEEDS_NUMBER:
        return value.replace(".", "", 1).isdecimal()
    return not value


class FaultPlan:
    """Which faults the next offer meets.

    Args:
        faults: All faults that were asked for.
    """

    def __init__(self, faults: Sequence[Fault]) -> None:
        self._left = [(fault, fault.times) for fault in faults]

    def take(self) -> dict[str, Fault]:
        """The faults of the next offer, by name; counts them down."""
        met = {fault.name: fault for fault, left in self._left if left is None or left > 0}
        self._left = [(fault, None if left is None else left - 1) for fault, left in self._left]
        return met


def spoil(sdp: str, kind: str) -> object:
    """Make a useless answer out of a good one.

    Returns:
        What stands in the body: an object to be sent as JSON, or bytes to be sent as they are.
    """
    swaps = {
        "inactive": ("a=sendrecv", "a=inactive"),
        "recvonly": ("a=sendrecv", "a=recvonly"),
        "other-codec": ("opus/48000/2", "L16/44100/2"),
    }
    drops = {"no-candidates": "a=candidate:", "no-fingerprint": "a=fingerprint:"}
    if kind == "not-json":
        return b"<html>Bad gateway</html>"
    if kind == "no-answer":
        return {"session": "yes"}
    if kind == "not-sdp":
        return {"answer": {"sdp": "hello", "type": "answer"}}
    if kind == "offer-type":
        return {"answer": {"sdp": sdp, "type": "offer"}}
    lines = sdp.splitlines()
    if kind == "rejected":
        lines = [f"m=audio 0 {line.split(' ', 2)[2]}" if line.startswith("m=audio") else line for line in lines]
    elif kind in swaps:
        lines = [line.replace(*swaps[kind]) for line in lines]
    else:
        lines = [line for line in lines if not line.startswith(drops[kind])]
    return {"answer": {"sdp": "".join(f"{line}\r\n" for line in lines), "type": "answer"}}


def silence_sockets(dtls: RTCDtlsTransport) -> None:
    """From now on the peer neither hears nor sends a datagram, STUN included, though its sockets stay open."""
    connection: Any = dtls.transport._connection  # noqa: SLF001 -- no public way to stop answering checks
    for protocol in connection._protocols:  # noqa: SLF001 -- the same
        protocol.datagram_received = _ignore
        protocol.send_stun = _ignore
        protocol.send_data = _ignore_later


def _ignore(*_: object) -> None:
    return


async def _ignore_later(*_: object) -> None:
    return


class FaultyWire:
    """Stands between the WebRTC sender and its transport: loses and delays RTP packets, and slips padding in.

    Args:
        dtls: The DTLS transport whose outgoing RTP is touched; RTCP and STUN are not.
        loss: Part of the packets that never go out, 0 to 1.
        late: Part of them that goes out 200 ms late.
        padding: Whether a padding-only packet follows every 25th.
        seed: Makes the pattern repeatable.

    Attributes:
        lost: Packets lost so far.
        delayed: Packets delayed so far.
        padded: Padding packets sent so far.
    """

    def __init__(
        self, dtls: Any, *, loss: float = 0.0, late: float = 0.0, padding: bool = False, seed: int = 1
    ) -> None:
        self.lost = self.delayed = self.padded = 0
        self._send: Callable[[bytes], Awaitable[Any]] = dtls._send_rtp  # noqa: SLF001 -- the one place all RTP passes
        self._loss, self._late, self._padding = loss, late, padding
        self._random = random.Random(seed)
        self._count = 0
        self._waiting: set[asyncio.Task[None]] = set()
        dtls._send_rtp = self._pass  # noqa: SLF001 -- see above

    def close(self) -> None:
        """Forget the packets that still wait."""
        for task in self._waiting:
            task.cancel()

    async def _pass(self, data: bytes) -> None:
        """Take a packet from the sender, before encryption."""
        if 192 <= data[1] < 224:  # noqa: PLR2004 -- RTCP, RFC 5761 section 4
            await self._send(data)
            return
        self._count += 1
        data = self._renumbered(data)
        chance = self._random.random()
        if chance < self._loss:
            self.lost += 1
        elif chance < self._loss + self._late:
            self.delayed += 1
            task = asyncio.create_task(self._later(data), name="practice-late-packet")
            self._waiting.add(task)
            task.add_done_callback(self._waiting.discard)
        else:
            await self._send(data)
        if self._padding and self._count % _PADDING_EVERY == 0:
            await self._send(self._padding_after(data))
            self.padded += 1

    async def _later(self, data: bytes) -> None:
        await asyncio.sleep(_LATE_S)
        await self._send(data)

    def _renumbered(self, data: bytes) -> bytes:
        """The packet with its sequence number moved by the padding packets before it."""
        first, second, sequence, timestamp, ssrc = _RTP_HEADER.unpack_from(data)
        head = _RTP_HEADER.pack(first, second, (sequence + self.padded) & 0xFFFF, timestamp, ssrc)
        return head + data[_RTP_HEADER.size :]

    def _padding_after(self, data: bytes) -> bytes:
        """A packet of the same stream that is nothing but padding (RFC 3550 section 5.1), 10 ms after `data`."""
        _, second, sequence, timestamp, ssrc = _RTP_HEADER.unpack_from(data)
        next_sequence, moved = (sequence + 1) & 0xFFFF, (timestamp + 480) & 0xFFFFFFFF
        head = _RTP_HEADER.pack(_RTP_VERSION_AND_PADDING, second & 0x7F, next_sequence, moved, ssrc)
        return head + bytes(_PADDING_BYTES - 1) + bytes([_PADDING_BYTES])
