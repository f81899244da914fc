"""One person in a room, in a process of its own: speaks a prepared signal, records everybody, with times.

`python -m bench.person --identity I --room R --folder F [--speak F/signal.npy]`. Prints JSON lines; when standard input
closes it writes `spoken-I.npz` (when each 10 ms frame was handed to the SDK) and one `heard-I-from-….npz` per track.
"""

import argparse
import asyncio
import json
import os
import sys
import time
from pathlib import Path

import numpy as np
from livekit import api, rtc

from bench.recording import FrameLog

RATE_HZ = 48_000
FRAME = 480


def say(**event: object) -> None:
    """Tell the bench."""
    print(json.dumps(event), flush=True)


async def record(track: rtc.RemoteTrack, log: FrameLog) -> None:
    """Keep what arrives, 10 ms frames."""
    stream = rtc.AudioStream(track, sample_rate=RATE_HZ, num_channels=1, frame_size_ms=10)
    async for event in stream:
        log.add(time.monotonic_ns(), np.frombuffer(event.frame.data, dtype=np.int16))


async def speak(source: rtc.AudioSource, signal: np.ndarray, times: list[int]) -> None:
    """Play the signal in a loop, a 10 ms frame at a time, straight into the encoder (no queue)."""
    start = time.monotonic()
    while True:
        at = len(times) * FRAME
        await asyncio.sleep(max(0.0, start + at / RATE_HZ - time.monotonic()))
        frame = np.take(signal, range(at, at + FRAME), mode="wrap")
        times.append(time.monotonic_ns())
        await source.capture_frame(rtc.AudioFrame(frame.tobytes(), RATE_HZ, 1, FRAME))


def token(room: str, identity: str) -> str:
    """A token to join as an ordinary person."""
    access = api.AccessToken(os.environ["LIVEKIT_API_KEY"], os.environ["LIVEKIT_API_SECRET"])
    return access.with_identity(identity).with_grants(api.VideoGrants(room_join=True, room=room)).to_jwt()


async def attend(options: argparse.Namespace) -> None:
    """Be in the room until standard input closes."""
    room, heard, tasks = rtc.Room(), dict[str, FrameLog](), list[asyncio.Task[None]]()

    def subscribed(track: rtc.RemoteTrack, _publication: object, participant: rtc.RemoteParticipant) -> None:
        log = heard.setdefault(participant.identity, FrameLog())
        tasks.append(asyncio.create_task(record(track, log)))
        say(hears=participant.identity)

    room.on("track_subscribed", subscribed)
    await room.connect(options.url, token(options.room, options.identity))
    times: list[int] = []
    source = rtc.AudioSource(RATE_HZ, 1, queue_size_ms=0)
    voice = rtc.LocalAudioTrack.create_audio_track("voice", source)
    if options.speak is not None:
        publication = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE, dtx=False)
        await room.local_participant.publish_track(voice, publication)
        tasks.append(asyncio.create_task(speak(source, np.load(options.speak), times)))
    say(joined=options.identity)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    for task in tasks:
        task.cancel()
    await room.disconnect()
    np.save(options.folder / f"spoken-{options.identity}.npy", np.array(times, dtype=np.int64))
    for identity, log in heard.items():
        log.save(options.folder / f"heard-{options.identity}-from-{identity}.npz")


def main() -> None:
    """Read the command line and attend."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--room", required=True)
    parser.add_argument("--identity", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--speak", type=Path)
    asyncio.run(attend(parser.parse_args()))


if __name__ == "__main__":
    main()
