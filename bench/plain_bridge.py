"""The plain bridge: one room, one agent, written as the libraries' own documentation suggests.

LiveKit's `AudioStream` and `AudioMixer` feed a stock aiortc `MediaStreamTrack`; what the stock receiver's `recv()`
yields goes to `AudioSource.capture_frame`. It is the yardstick of the bench: no trick in it, and no mistake put in on
purpose (the mixer's block is 20 ms, not its default of 100 ms, as a voice bridge would choose).

One process serves one room: `python -m bench.plain_bridge --room R --agent-url http://…`, keys from the environment.
"""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from fractions import Fraction
from pathlib import Path

import av
import httpx
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from livekit import api, rtc

from bench.recording import FrameLog

RATE_HZ = 48_000
BLOCK = 960


class MixTrack(MediaStreamTrack):
    """What the agent hears: the room's mix as 20 ms audio frames."""

    kind = "audio"

    def __init__(self, mixer: rtc.AudioMixer) -> None:
        super().__init__()
        self._mixer = mixer
        self._pts = 0

    async def recv(self) -> av.AudioFrame:
        """The next mixed frame."""
        mixed = await anext(self._mixer)
        frame = av.AudioFrame(format="s16", layout="mono", samples=mixed.samples_per_channel)
        frame.planes[0].update(bytes(mixed.data))
        frame.sample_rate = RATE_HZ
        frame.pts = self._pts
        frame.time_base = Fraction(1, RATE_HZ)
        self._pts += mixed.samples_per_channel
        return frame


async def frames(stream: rtc.AudioStream) -> AsyncIterator[rtc.AudioFrame]:
    """The frames of a stream's events, as the mixer wants them."""
    async for event in stream:
        yield event.frame


async def play(track: MediaStreamTrack, source: rtc.AudioSource, log: FrameLog | None) -> None:
    """Publish what the agent says until it stops for good."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE_HZ)
    while True:
        try:
            received = await track.recv()
        except MediaStreamError:
            return
        assert isinstance(received, av.AudioFrame)
        for frame in resampler.resample(received):
            samples = frame.to_ndarray()[0]
            if log is not None:
                log.add(time.monotonic_ns(), samples)
            await source.capture_frame(rtc.AudioFrame(samples.tobytes(), RATE_HZ, 1, len(samples)))


def hear_everybody(room: rtc.Room, mixer: rtc.AudioMixer) -> None:
    """Put each audio track that is subscribed into the mix, and take it out again."""
    streams: dict[str, AsyncIterator[rtc.AudioFrame]] = {}

    def subscribed(track: rtc.Track, _publication: object, _participant: object) -> None:
        if track.kind == rtc.TrackKind.KIND_AUDIO:
            streams[track.sid] = frames(rtc.AudioStream(track, sample_rate=RATE_HZ, num_channels=1, frame_size_ms=20))
            mixer.add_stream(streams[track.sid])

    def unsubscribed(track: rtc.Track, _publication: object, _participant: object) -> None:
        if stream := streams.pop(track.sid, None):
            mixer.remove_stream(stream)

    room.on("track_subscribed", subscribed)
    room.on("track_unsubscribed", unsubscribed)


async def call_agent(
    agent_url: str, track: MediaStreamTrack, source: rtc.AudioSource, log: FrameLog | None
) -> RTCPeerConnection:
    """Offer the call to the agent and connect it."""
    peer = RTCPeerConnection()
    peer.addTrack(track)
    players: list[asyncio.Task[None]] = []
    peer.on("track", lambda remote: players.append(asyncio.create_task(play(remote, source, log))))
    await peer.setLocalDescription(await peer.createOffer())
    async with httpx.AsyncClient() as client:
        response = await client.post(
            f"{agent_url}/webrtc/offer",
            headers={"Authorization": "bench"},
            json={"agent_id": "plain", "offer": {"sdp": peer.localDescription.sdp, "type": "offer"}},
        )
    await peer.setRemoteDescription(RTCSessionDescription(**response.raise_for_status().json()["answer"]))
    return peer


def token(room: str) -> str:
    """A token to join `room` as the bridge."""
    grants = api.VideoGrants(room_join=True, room=room, can_publish=True, can_subscribe=True)
    access = api.AccessToken(os.environ["LIVEKIT_API_KEY"], os.environ["LIVEKIT_API_SECRET"])
    return access.with_identity("millis-agent").with_kind("agent").with_grants(grants).to_jwt()


async def bridge(url: str, name: str, agent_url: str, record: Path | None) -> None:
    """Serve one room until standard input closes."""
    log = None if record is None else FrameLog()
    room, mixer = rtc.Room(), rtc.AudioMixer(RATE_HZ, 1, blocksize=BLOCK)
    hear_everybody(room, mixer)
    await room.connect(url, token(name))
    source = rtc.AudioSource(RATE_HZ, 1)
    voice = rtc.LocalAudioTrack.create_audio_track("agent", source)
    await room.local_participant.publish_track(voice, rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE))
    peer = await call_agent(agent_url, MixTrack(mixer), source, log)
    print('{"bridged": true}', flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await peer.close()
    await mixer.aclose()
    await room.disconnect()
    if log is not None and record is not None:
        log.save(record)


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--room", required=True)
    parser.add_argument("--agent-url", required=True)
    parser.add_argument("--record", type=Path)
    options = parser.parse_args()
    asyncio.run(bridge(options.url, options.room, options.agent_url, options.record))


if __name__ == "__main__":
    main()
