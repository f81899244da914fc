import asyncio
from fractions import Fraction

import pytest
from aiortc.codecs.g711 import PcmuEncoder
from aiortc.codecs.opus import OpusEncoder

from connector.millis.track import QUEUE_PACKETS, PacketTrack


async def taken(track: PacketTrack) -> tuple[bytes, int]:
    packet = await asyncio.wait_for(track.recv(), 5)
    assert packet.time_base == Fraction(1, 48_000)
    assert packet.pts is not None
    return bytes(packet), packet.pts


async def test_packets_come_out_as_they_went_in() -> None:
    """Payload and timestamp pass unchanged and in order."""
    track = PacketTrack()
    track.open()
    for number in range(3):
        track.push(bytes([number]), 960 * number)
    assert [await taken(track) for _ in range(3)] == [(b"\0", 0), (b"\1", 960), (b"\2", 1920)]
    assert (track.taken, track.taken_bytes, track.dropped) == (3, 3, 0)


async def test_recv_waits_for_the_next_packet() -> None:
    """An empty track waits, also again and again, instead of raising or ending."""
    track = PacketTrack()
    track.open()
    for number in range(3):
        waiting = asyncio.create_task(taken(track))
        await asyncio.sleep(0)
        assert not waiting.done()
        track.push(b"x", number)
        assert await waiting == (b"x", number)


async def test_the_oldest_packets_go_when_nobody_takes_them() -> None:
    """The queue is bounded: what is dropped is counted, what stays is the newest."""
    track = PacketTrack()
    track.open()
    for number in range(QUEUE_PACKETS + 5):
        track.push(b"x", number)
    assert track.full
    assert (track.dropped, (await taken(track))[1]) == (5, 5)
    assert not track.full


async def test_packets_before_the_connection_are_not_kept() -> None:
    """What is given before the track is open is counted and forgotten, so no burst of old audio is sent."""
    track = PacketTrack()
    track.push(b"old", 0)
    track.open()
    track.push(b"new", 960)
    assert await taken(track) == (b"new", 960)
    assert track.early == 1


async def test_a_packet_without_payload_is_refused() -> None:
    """An empty payload is counted, not sent."""
    track = PacketTrack()
    track.open()
    track.push(b"", 0)
    track.push(b"x", 960)
    assert await taken(track) == (b"x", 960)
    assert track.refused == 1


@pytest.mark.parametrize(("encoder", "timestamps"), [(OpusEncoder(), [0, 960, 1920]), (PcmuEncoder(), [0, 160, 320])])
async def test_the_library_converts_to_the_codecs_clock(
    encoder: OpusEncoder | PcmuEncoder, timestamps: list[int]
) -> None:
    """960 units of 1/48000 s are 960 for Opus and 160 for G.711, with the payload untouched."""
    track = PacketTrack()
    track.open()
    packed = []
    for number in range(3):
        track.push(b"payload", 960 * number)
        packed.append(encoder.pack(await track.recv()))
    assert packed == [([b"payload"], timestamp) for timestamp in timestamps]
