"""A network in virtual time, and a listener at its end: what the receive path is judged by. No clock, no sockets."""

import functools
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from connector.audio.coding import PayloadError
from connector.audio.frames import RATE_HZ, TICK_SAMPLES, TICK_SECONDS, MediaPacket, Samples
from connector.audio.opus import OpusEncoder
from connector.audio.receive import ReceivePath
from connector.practice.sound import load_clip

Arrival: TypeAlias = tuple[float, MediaPacket]
"""When a packet comes, in seconds, and the packet."""

WINDOW = RATE_HZ // 100
QUIET_RMS = 100.0
"""-50 dBFS."""


CLIPS = ("agent-greets", "ada-asks", "grace-asks", "ada-together", "grace-together", "grace-interrupts")


@functools.cache
def speech(seconds: float, *, pauses: bool = False) -> Samples:
    """Recorded speech, over and over; without its pauses, so that any gap in what comes out is the network's."""
    said = np.concatenate([load_clip(name) for name in CLIPS])
    if not pauses:
        windows = said[: len(said) // WINDOW * WINDOW].reshape(-1, WINDOW)
        said = windows[loudness(windows) > 3 * QUIET_RMS].reshape(-1)
    return np.resize(said, round(seconds * RATE_HZ))


def loudness(windows: Samples) -> NDArray[np.float64]:
    """The RMS of each row."""
    return np.asarray(np.sqrt((windows.astype(np.float64) ** 2).mean(axis=1)))


@functools.cache
def payloads(seconds: float, *, frame: int = TICK_SAMPLES, fec: bool = True) -> list[bytes]:
    """`speech` in Opus."""
    encoder, audio = OpusEncoder(fec=fec), speech(seconds)
    return [encoder.encode(one) for one in audio[: len(audio) // frame * frame].reshape(-1, frame)]


def packets(seconds: float, *, frame: int = TICK_SAMPLES, fec: bool = True) -> list[Arrival]:
    """`speech` as an agent would send it; each packet leaves when its frame is complete."""
    return [
        ((index + 1) * frame / RATE_HZ, MediaPacket(index & 0xFFFF, index * frame, 7, payload))
        for index, payload in enumerate(payloads(seconds, frame=frame, fec=fec))
    ]


def lossy(sent: Iterable[Arrival], share: float, seed: int, *, burst: int = 1) -> list[Arrival]:
    """The packets that are left when a share of them is lost, `burst` in a row each time."""
    rng = np.random.default_rng(seed)
    left, losing = [], 0
    for arrival in sent:
        if not losing and rng.random() < share / burst:
            losing = burst
        if losing:
            losing -= 1
        else:
            left.append(arrival)
    return left


def delayed(sent: Iterable[Arrival], delay: Callable[[np.random.Generator], float], seed: int) -> list[Arrival]:
    """The packets as they come when each takes its own time."""
    rng = np.random.default_rng(seed)
    return sorted(((at + delay(rng), packet) for at, packet in sent), key=lambda arrival: arrival[0])


@dataclass(slots=True)
class Heard:
    """What came out of a receive path.

    Attributes:
        at: When each piece was handed on.
        pieces: The pieces.
        delays: (time, delay in ms) at each tick.
    """

    at: list[float] = field(default_factory=list)
    pieces: list[Samples] = field(default_factory=list)
    delays: list[tuple[float, float]] = field(default_factory=list)

    @property
    def audio(self) -> Samples:
        """All of it in one piece."""
        return np.concatenate([*self.pieces, np.zeros(0, dtype=np.int16)])

    @property
    def seconds(self) -> float:
        """How much it is."""
        return len(self.audio) / RATE_HZ

    def listened(self, *, buffer_s: float = 0.070) -> Samples:
        """As a listener hears it who plays each piece `buffer_s` after it comes, silence where he has nothing left.

        Silence that he played makes all the rest later, until he has heard nothing for 200 ms and begins anew.
        """
        out: list[Samples] = []
        end = self.at[0] + buffer_s
        for at, piece in zip(self.at, self.pieces, strict=True):
            starved = at - end
            if starved > 0:
                starved += buffer_s if starved > 0.2 else 0.0
                out.append(np.zeros(round(starved * RATE_HZ), dtype=np.int16))
                end += starved
            out.append(piece)
            end += len(piece) / RATE_HZ
        return np.concatenate(out)


def run(path: ReceivePath, arrivals: Iterable[Arrival], *, until: float, phase: float = 0.007) -> Heard:
    """Bring packets and ticks to a receive path in the order of their times."""
    heard = Heard()

    def note(pieces: list[Samples], now: float) -> None:
        for piece in pieces:
            heard.at.append(now)
            heard.pieces.append(piece)

    tick = phase
    for at, packet in arrivals:
        while tick <= at:
            note(path.tick(tick), tick)
            heard.delays.append((tick, path.figures.delay_ms))
            tick += TICK_SECONDS
        note(path.add(packet, at), at)
    while tick <= until:
        note(path.tick(tick), tick)
        heard.delays.append((tick, path.figures.delay_ms))
        tick += TICK_SECONDS
    return heard


def gaps_ms(audio: Samples, *, longer_than_ms: int = 60) -> list[int]:
    """The audible gaps: stretches of near-silence (below -50 dBFS) longer than 60 ms before the end, in ms."""
    windows = audio[: len(audio) // WINDOW * WINDOW].reshape(-1, WINDOW)
    found, length = [], 0
    for quiet in np.trim_zeros(loudness(windows) < QUIET_RMS, "b"):
        if quiet:
            length += 10
            continue
        if length > longer_than_ms:
            found.append(length)
        length = 0
    return found


class MarkedDecoder:
    """A codec whose packets tell which one they are: a cheap stand-in where the sound itself does not matter.

    Packet n (`marked`) decodes to samples of value n + 1; what is restored has the number of the packet before;
    what is concealed is 0.
    """

    clock_hz = RATE_HZ
    quantum = 120

    def __init__(self, *, fec: bool = True) -> None:
        self._fec = fec

    def packet_samples(self, payload: bytes) -> int:
        return 0 if len(payload) != 4 else struct.unpack(">HH", payload)[1]

    def spare_samples(self, payload: bytes) -> int:
        return self.packet_samples(payload) if self._fec else 0

    def decode(self, payload: bytes) -> Samples:
        number, samples = struct.unpack(">HH", payload)
        if number == UNDECODABLE:
            raise PayloadError("decoding a marked packet: it is the bad one")
        return np.full(samples, number + 1, dtype=np.int16)

    def restore(self, next_payload: bytes, samples: int) -> Samples:
        return np.full(samples, struct.unpack(">HH", next_payload)[0], dtype=np.int16)

    def conceal(self, samples: int) -> Samples:
        return np.zeros(samples, dtype=np.int16)

    def reset(self) -> None:
        pass


UNDECODABLE = 9_999


def marked(number: int, *, samples: int = TICK_SAMPLES, ssrc: int = 7, payload: bytes | None = None) -> MediaPacket:
    """Packet `number` of a stream for the `MarkedDecoder`; sequence number and timestamp wrap."""
    data = struct.pack(">HH", number % UNDECODABLE, samples) if payload is None else payload
    return MediaPacket(number & 0xFFFF, number * samples & 0xFFFFFFFF, ssrc, data)


def marked_stream(count: int, *, samples: int = TICK_SAMPLES) -> list[Arrival]:
    """A stream of marked packets, each as its audio is complete."""
    return [((index + 1) * samples / RATE_HZ, marked(index, samples=samples)) for index in range(count)]


def shifted(
    sent: Iterable[Arrival], *, seconds: float = 0.0, numbers: int = 0, timestamps: int = 0, ssrc: int | None = None
) -> list[Arrival]:
    """The same packets later, or under other numbers."""
    return [
        (
            at + seconds,
            replace(
                packet,
                sequence_number=(packet.sequence_number + numbers) & 0xFFFF,
                timestamp=(packet.timestamp + timestamps) & 0xFFFFFFFF,
                ssrc=packet.ssrc if ssrc is None else ssrc,
            ),
        )
        for at, packet in sent
    ]
