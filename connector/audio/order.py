"""Where a packet belongs: streams told apart, 16- and 32-bit counters made endless, packets put in order.

The first station of the receive path. Packets come in as the network brings them; out come the same packets by
sequence number, the doubles gone, the empty ones marked. Nothing here knows audio or time.
"""

from collections import deque
from dataclasses import dataclass
from enum import Enum, auto

from connector.audio.figures import ReceiveFigures
from connector.audio.frames import RATE_HZ, MediaPacket

_MAX_DROPOUT = 3000
_MAX_MISORDER = 100
"""A sequence number further on, or further back, is another sequence (RFC 3550 appendix A.1)."""
_MAX_HELD = 128
"""More than the longest delay of the shortest packets (160 ms of 2.5 ms), and a burst on top."""
_MAX_REMEMBERED = 256
_MAX_STRAYS = 50
"""A second of packets: the stream before the last one is ignored for so long, as its last packets may be late."""


@dataclass(frozen=True, slots=True)
class Held:
    """A packet in its place.

    Attributes:
        number: Its sequence number, never wrapping.
        start: Its timestamp in 48 kHz samples, never wrapping.
        samples: Length of its audio in 48 kHz samples; 0 for a packet without payload.
        payload: The payload; empty for a padding-only packet.
        fresh: Whether it begins a new stream.
        newest: Whether it is the furthest in its stream so far.
        leap: Whether its timestamp stands still or goes back although its number goes on.
    """

    number: int
    start: int
    samples: int
    payload: bytes
    fresh: bool = False
    newest: bool = True
    leap: bool = False


class Standing(Enum):
    """What became of a packet."""

    TAKEN = auto()
    LATE = auto()
    REFUSED = auto()


def _signed(value: int, bits: int) -> int:
    half = 1 << (bits - 1)
    return (value + half & (1 << bits) - 1) - half


class Stream:
    """Follows one synchronisation source, and notices when another one, or another sequence, takes over.

    Args:
        clock_hz: Rate of the RTP timestamps.
        figures: Where to count.
    """

    def __init__(self, clock_hz: int, figures: ReceiveFigures) -> None:
        self._scale = RATE_HZ // clock_hz
        self._figures = figures
        self._ssrc: int | None = None
        self._former_ssrc: int | None = None
        self._strays = 0
        self._number = self._timestamp = self._start = 0
        self._stray: int | None = None

    def place(self, packet: MediaPacket, samples: int) -> Held | None:
        """Find a packet's place.

        Args:
            packet: As it came.
            samples: Length of its audio.

        Returns:
            The packet in its place, or None when it belongs to no stream that is followed (yet).
        """
        fresh = self._takes_over(packet)
        if fresh is None:
            self._figures.stray += 1
            return None
        if fresh:
            self._number, self._timestamp, self._start = packet.sequence_number, packet.timestamp, packet.timestamp
            self._start *= self._scale
        number = self._number + _signed(packet.sequence_number - self._number, 16)
        start = self._start + _signed(packet.timestamp - self._timestamp, 32) * self._scale
        newest = number > self._number or fresh
        leap = newest and not fresh and start <= self._start and bool(packet.payload)
        if newest and packet.payload:
            self._timestamp, self._start = packet.timestamp, start
        self._number = max(self._number, number)
        return Held(number, start, samples, packet.payload, fresh, newest, leap)

    def _takes_over(self, packet: MediaPacket) -> bool | None:
        """Whether a packet begins a new stream; None when it is to be ignored."""
        if packet.ssrc != self._ssrc:
            if packet.ssrc == self._former_ssrc and self._strays < _MAX_STRAYS:
                self._strays += 1
                return None
            self._figures.ssrc_changes += self._ssrc is not None
            self._former_ssrc, self._ssrc, self._strays = self._ssrc, packet.ssrc, 0
            self._stray = None
            return True
        step = _signed(packet.sequence_number - self._number, 16)
        if -_MAX_MISORDER <= step <= _MAX_DROPOUT:
            self._stray = None
            return False
        former, self._stray = self._stray, packet.sequence_number
        if former is None or not 0 < abs(_signed(packet.sequence_number - former, 16)) <= _MAX_MISORDER:
            return None
        self._figures.sequence_restarts += 1
        self._stray = None
        return True


class Order:
    """Holds packets until their turn; bounded.

    Args:
        figures: Where to count.
    """

    def __init__(self, figures: ReceiveFigures) -> None:
        self._figures = figures
        self._held: dict[int, Held] = {}
        self._empty: set[int] = set()
        self._missed: deque[int] = deque(maxlen=_MAX_REMEMBERED)
        self._newest: int | None = None
        self._next = 0

    def restart(self) -> None:
        """Another stream begins: its first packet is the next one."""
        self._held.clear()
        self._empty.clear()
        self._missed.clear()
        self._newest = None

    @property
    def samples(self) -> int:
        """How much audio is held, in 48 kHz samples."""
        return sum(held.samples for held in self._held.values())

    def passes(self, held: Held) -> bool:
        """Whether a packet with payload is the next one while none is held: it may go straight through, by `passed`."""
        return held.number == self._next and not self._held and not self._empty and self._newest is not None

    def passed(self, held: Held) -> None:
        """A packet that `passes` has had its turn."""
        self._newest = held.number
        self._next = held.number + 1

    def put(self, held: Held) -> Standing:
        """Take a packet in, unless it is there already or its turn has passed.

        An empty packet is only remembered: it uses up its number, and has no turn.
        """
        number = held.number
        if self._newest is None:
            self._next = self._newest = number
        if number < self._next and number in self._missed:
            self._missed.remove(number)
            self._figures.late += 1
            return Standing.LATE
        if number < self._next or number in self._held or number in self._empty:
            self._figures.duplicates += 1
            return Standing.REFUSED
        self._figures.reordered += number < self._newest
        self._newest = max(self._newest, number)
        if held.payload:
            self._held[number] = held
        else:
            self._empty.add(number)
        self._pass_empty()
        if len(self._empty) > _MAX_HELD:
            self._empty.remove(min(self._empty))
        if len(self._held) > _MAX_HELD:
            self.drop()
        return Standing.TAKEN

    def head(self) -> Held | None:
        """The packet whose turn is next, if it or a later one is there."""
        return self._held[min(self._held)] if self._held else None

    @property
    def missing(self) -> int:
        """How many packets before the head have not come; the empty ones have."""
        if not self._held:
            return 0
        first = min(self._held)
        return first - self._next - sum(number < first for number in self._empty)

    def pop(self) -> Held:
        """Take the head out; what is missing before it has lost its turn."""
        number = min(self._held)
        skipped = range(max(self._next, number - _MAX_REMEMBERED), number)
        self._missed.extend(passed for passed in skipped if passed not in self._empty)
        self._empty = {later for later in self._empty if later > number}
        self._next = number + 1
        self._pass_empty()
        return self._held.pop(number)

    def drop(self) -> None:
        """Leave the head out unheard: it is too old, or there are too many."""
        self.pop()
        self._figures.dropped += 1

    def _pass_empty(self) -> None:
        """Empty packets whose turn it is go."""
        while self._next in self._empty:
            self._empty.remove(self._next)
            self._next += 1
