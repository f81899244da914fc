"""Prepared Opus packets, and reading the packet logs of the load generator.

The codec is ffmpeg's face of libopus, not the product's: what the bench sends and how it reads what came back must not
depend on the code that it measures.
"""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from bench.recording import FrameLog, Recording

RATE_HZ = 48_000
PACKET = 960

SENT_LOG = np.dtype([("time", "<i8"), ("position", "<i4"), ("fate", "u1")])
FATES = ("sent", "lost", "late", "padding")


def encode(samples: NDArray[np.int16]) -> list[bytes]:
    """Encode 48 kHz mono int16 as 20 ms packets: 32 kbit/s voice with in-band FEC."""
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate = RATE_HZ
    encoder.layout = "mono"
    encoder.format = "s16"
    encoder.bit_rate = 32_000
    encoder.options = {"application": "voip", "fec": "1", "packet_loss": "10", "frame_duration": "20"}
    packets: list[bytes] = []
    for start in range(0, len(samples) - PACKET + 1, PACKET):
        frame = av.AudioFrame.from_ndarray(samples[np.newaxis, start : start + PACKET], format="s16", layout="mono")
        frame.sample_rate = RATE_HZ
        frame.pts = start
        frame.time_base = Fraction(1, RATE_HZ)
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    return packets


class Decoder:
    """Decodes packets in order; 48 kHz mono int16."""

    def __init__(self) -> None:
        self._decoder = av.CodecContext.create("libopus", "r")
        self._decoder.sample_rate = RATE_HZ
        self._decoder.layout = "mono"

    def decode(self, payload: bytes) -> NDArray[np.int16]:
        """The samples of one packet."""
        frames = self._decoder.decode(av.Packet(payload))
        return np.concatenate([frame.to_ndarray()[0] for frame in frames]).astype(np.int16)


def save_packets(path: Path, packets: Iterable[bytes]) -> None:
    """Write packets as the load generator reads them: a little-endian uint16 length before each."""
    path.write_bytes(b"".join(len(packet).to_bytes(2, "little") + packet for packet in packets))


def read_received(path: Path) -> Recording:
    """Decode a log of packets that an agent received, in the order of their timestamps."""
    data = path.read_bytes()
    packets: dict[int, tuple[int, bytes]] = {}
    at = 0
    while at + 16 <= len(data):
        time_ns = int.from_bytes(data[at : at + 8], "little")
        timestamp = int.from_bytes(data[at + 8 : at + 12], "little")
        length = int.from_bytes(data[at + 14 : at + 16], "little")
        packets[timestamp] = (time_ns, data[at + 16 : at + 16 + length])
        at += 16 + length
    decoder, log = Decoder(), FrameLog()
    for _, (time_ns, payload) in sorted(packets.items()):
        log.add(time_ns, decoder.decode(payload))
    return log.recording()


def read_sent(path: Path) -> NDArray[np.void]:
    """The log of an agent's sent packets: columns time (ns), position, fate (an index into `FATES`)."""
    return np.fromfile(path, dtype=SENT_LOG)
