"""Audio past the SDK's queues, in the real native library but without a server: what goes into a source comes out."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable

import numpy as np
import pytest
import pytest_asyncio
from livekit import rtc
from livekit.rtc._ffi_client import FfiClient
from livekit.rtc._proto import audio_frame_pb2, ffi_pb2

from connector.audio.frames import RATE_HZ, TAP_SAMPLES, FrameSink, Samples
from connector.practice.sound import tone
from connector.room import seams, tap
from connector.room.streams import TrackStream, open_public, open_tap
from connector.room.tap import CaptureLine, TapStream, switchboard
from tests.until import until


class Loop:
    """A source, a line into it, and its track."""

    def __init__(self) -> None:
        seams.install()
        self.source = rtc.AudioSource(RATE_HZ, 1, queue_size_ms=0)
        self.track = rtc.LocalAudioTrack.create_audio_track("loop", self.source)
        self.line = CaptureLine(self.source)
        self.heard: list[Samples] = []

    def hear(self, samples: Samples) -> None:
        self.heard.append(samples.copy())

    async def send(self, frames: Samples) -> None:
        """Send frames, a little apart, so that each is read before its buffer is used again."""
        for frame in frames.reshape(-1, TAP_SAMPLES):
            assert self.line.send(frame)
            await asyncio.sleep(0.004)

    async def warm(self) -> None:
        """Wait until the track delivers to its sink."""

        def delivered() -> bool:
            self.line.send(np.zeros(TAP_SAMPLES, np.int16))
            return bool(self.heard)

        await until(delivered)


@pytest_asyncio.fixture
async def loop() -> AsyncIterator[Loop]:
    loop = Loop()
    yield loop
    loop.line.close()
    await loop.source.aclose()


@pytest.mark.parametrize("open_stream", [open_tap, open_public])
async def test_what_is_captured_is_heard_bit_by_bit(
    loop: Loop, open_stream: Callable[[rtc.Track, FrameSink], TrackStream]
) -> None:
    """A second of sound comes out in order and unchanged, by the tap and by the public stream."""
    stream = open_stream(loop.track, loop.hear)
    await loop.warm()
    sound = tone(440, 1.0)
    await loop.send(sound)
    await until(lambda: np.array_equal(loop.heard[-1], sound[-TAP_SAMPLES:]))
    heard = np.concatenate(loop.heard)
    assert np.array_equal(heard[-len(sound) :], sound)
    assert stream.frames == len(loop.heard)
    closing = stream.close()
    assert stream.close() is closing
    if closing is not None:
        await closing


async def test_a_closed_stream_delivers_nothing_and_is_forgotten(loop: Loop) -> None:
    """The library's end of stream takes a closed stream off the switchboard; from then on no frame reaches the sink."""
    before = switchboard.figures.taps_open
    stream = TapStream(loop.track, loop.hear)
    assert switchboard.figures.taps_open == before + 1
    await loop.warm()
    stream.close()
    await until(lambda: stream not in switchboard.streams.values())
    heard = len(loop.heard)
    await loop.send(tone(440, 0.05))
    assert len(loop.heard) == heard
    assert switchboard.figures.taps_open == before


async def test_a_native_thread_keeps_its_python_state(loop: Loop) -> None:
    """What a sink leaves with its thread is there in the thread's next call: no state is made and freed per frame."""
    local, most = threading.local(), [0]

    def count(_samples: Samples) -> None:
        local.calls = getattr(local, "calls", 0) + 1
        most[0] = max(most[0], local.calls)

    stream = TapStream(loop.track, count)

    def called_again() -> bool:
        loop.line.send(np.zeros(TAP_SAMPLES, np.int16))
        return most[0] >= 10

    await until(called_again)
    stream.close()


async def test_a_sink_that_fails_is_counted_and_goes_on(loop: Loop) -> None:
    """An error of a sink stays in the native thread, is counted, and the next frames come all the same."""

    def fail(_samples: Samples) -> None:
        raise ValueError("no")

    before = switchboard.figures.sink_failures
    stream = TapStream(loop.track, fail)
    second = TapStream(loop.track, loop.hear)
    await loop.warm()
    await loop.send(tone(440, 0.05))
    await until(lambda: switchboard.figures.sink_failures > before + 1)
    assert stream.frames > 1
    stream.close()
    second.close()


def frame_event(handle: int, samples: Samples) -> audio_frame_pb2.AudioStreamEvent:
    """The library's event for a frame of a stream."""
    event = audio_frame_pb2.AudioStreamEvent(stream_handle=handle)
    event.frame_received.frame.handle.id = 2**62  # a handle that the library does not have: dropping it does nothing
    event.frame_received.frame.info.data_ptr = samples.ctypes.data
    event.frame_received.frame.info.samples_per_channel = len(samples)
    return event


@pytest.mark.parametrize(("samples", "heard", "odd"), [(1, 1, 0), (960, 1, 0), (4800, 1, 0), (0, 0, 1), (4801, 0, 1)])
async def test_frames_of_other_sizes(loop: Loop, samples: int, heard: int, odd: int) -> None:
    """Frames up to 100 ms are delivered as they are; one that is empty or longer is counted and dropped."""
    stream = TapStream(loop.track, loop.hear)
    before = switchboard.figures.odd_frames
    (handle,) = [handle for handle, other in switchboard.streams.items() if other is stream]
    sound = np.arange(max(samples, 1), dtype=np.int16)[:samples]
    assert switchboard.take(frame_event(handle, sound))
    assert len(loop.heard) == heard
    assert all(np.array_equal(block, sound) for block in loop.heard)
    assert switchboard.figures.odd_frames == before + odd
    stream.close()


async def test_streams_of_others_are_left_to_the_sdk() -> None:
    """An event of a stream that is not ours reaches the SDK's own subscribers."""
    seams.install()
    assert not switchboard.take(audio_frame_pb2.AudioStreamEvent(stream_handle=2**61))
    queue = FfiClient.instance.queue.subscribe()
    event = ffi_pb2.FfiEvent()
    event.audio_stream_event.stream_handle = 2**61
    FfiClient.instance.queue.put(event)
    async with asyncio.timeout(5):
        assert await queue.get() == event
    FfiClient.instance.queue.unsubscribe(queue)


async def test_completions_of_our_captures_stay_with_us() -> None:
    """A completion of ours is counted when it failed and shown to nobody; those of others are passed on."""
    seams.install()
    queue = FfiClient.instance.queue.subscribe()
    before = switchboard.figures.capture_failures
    ours, theirs = ffi_pb2.FfiEvent(), ffi_pb2.FfiEvent()
    ours.capture_audio_frame.async_id = tap.CAPTURE_ID
    ours.capture_audio_frame.error = "no"
    theirs.capture_audio_frame.async_id = 7
    for event in (ours, theirs):
        FfiClient.instance.queue.put(event)
    async with asyncio.timeout(5):
        assert await queue.get() == theirs
    FfiClient.instance.queue.unsubscribe(queue)
    assert switchboard.figures.capture_failures == before + 1


async def test_the_buffers_of_a_closed_line_stay_a_while(loop: Loop) -> None:
    """What the native side may still read is not freed with the line, and not kept for ever either."""
    frames = loop.line._frames
    loop.line.close()
    assert any(frames is kept for kept in tap._retired)
    for _ in range(16):
        CaptureLine(loop.source).close()
    assert not any(frames is kept for kept in tap._retired)
