"""Audio past the SDK's queues: heard frames straight from the native thread, reply frames straight into the source.

What flows: native frames → a sink per stream, in the native thread; reply frames → the native source, in the caller's
thread. `seams.install()` must have put the switchboard into the SDK's event fan-out before. Field names and figures
were measured with livekit 1.2.1.
"""

import ctypes
import functools
import threading
from collections import deque
from dataclasses import dataclass

import numpy as np
import structlog
from livekit import rtc
from livekit.rtc._ffi_client import INVALID_HANDLE, FfiClient, FfiHandle
from livekit.rtc._proto import audio_frame_pb2, ffi_pb2

from connector.audio.frames import RATE_HZ, TAP_SAMPLES, FrameSink, Samples
from connector.base.redact import redact

_log = structlog.get_logger()

SAMPLE_BYTES = 2
_FRAME_MS = 10
_LARGEST_FRAME = RATE_HZ // 10
_BUFFERS = 32
"""The native side reads a buffer after the call: eight 10 ms buffers are enough (measured); 32 allow a 60 ms burst."""
CAPTURE_ID = 0x7FFF_0000_0000_0001
"""Marks the completions of our captures, so that nobody else has to look at them."""


@dataclass(slots=True)
class SeamFigures:
    """Counters of the process.

    Attributes:
        joins: Joins that went through the seam.
        taps_open: Taps open now.
        odd_frames: Frames of a size that cannot be.
        sink_failures: Frames whose sink raised.
        capture_failures: Published frames that the native side refused later.
    """

    joins: int = 0
    taps_open: int = 0
    odd_frames: int = 0
    sink_failures: int = 0
    capture_failures: int = 0


class Switchboard:
    """Which stream's frames go where. Read in native threads; changed by `TapStream` only."""

    def __init__(self) -> None:
        self.streams: dict[int, TapStream] = {}
        self.opening = threading.Lock()
        self.figures = SeamFigures()

    def take(self, event: audio_frame_pb2.AudioStreamEvent) -> bool:
        """Deliver a stream's event; False when the stream is not ours."""
        stream = self.streams.get(event.stream_handle)
        if stream is None:
            with self.opening:  # its first frames may come before `TapStream` knows the stream's handle
                stream = self.streams.get(event.stream_handle)
            if stream is None:
                return False
        if event.HasField("frame_received"):
            frame = event.frame_received.frame
            try:
                stream.deliver(frame.info.data_ptr, frame.info.samples_per_channel)
            finally:
                _library().livekit_ffi_drop_handle(frame.handle.id)
        else:  # end of stream: nothing of it comes any more
            self.streams.pop(event.stream_handle, None)
        return True

    def captured(self, answer: audio_frame_pb2.CaptureAudioFrameCallback) -> None:
        """Note the completion of one of our captures."""
        if answer.error:
            self.figures.capture_failures += 1


switchboard = Switchboard()
"""The process's one switchboard."""


class TapStream:
    """One heard track: its 10 ms frames go to the sink as they are decoded, in a native thread.

    Attributes:
        frames: Frames delivered so far; a healthy stream yields 100 per second, also when its track is muted.
    """

    def __init__(self, track: rtc.Track, sink: FrameSink) -> None:
        """Open the stream.

        Args:
            track: A subscribed audio track.
            sink: Takes each frame; it must return soon, for it holds up the decoding of all tracks.
        """
        self._sink: FrameSink | None = sink
        self._buffer: Samples = np.zeros(_LARGEST_FRAME, np.int16)
        self._address = self._buffer.ctypes.data
        self._frame = self._buffer[:TAP_SAMPLES]
        self.frames = 0
        request = ffi_pb2.FfiRequest()
        request.new_audio_stream.track_handle = track._ffi_handle.handle  # noqa: SLF001 - the seam
        request.new_audio_stream.sample_rate = RATE_HZ
        request.new_audio_stream.num_channels = 1
        request.new_audio_stream.frame_size_ms = _FRAME_MS
        request.new_audio_stream.queue_size_frames = 0
        request.new_audio_stream.type = audio_frame_pb2.AudioStreamType.AUDIO_STREAM_NATIVE
        with switchboard.opening:
            answer = FfiClient.instance.request(request)
            self._handle = FfiHandle(answer.new_audio_stream.stream.handle.id)
            switchboard.streams[self._handle.handle] = self
        switchboard.figures.taps_open += 1

    def deliver(self, pointer: int, samples: int) -> None:
        """Hand a frame on, in the native thread; the native buffer is copied before this returns."""
        sink = self._sink
        if sink is None:
            return
        if not 0 < samples <= _LARGEST_FRAME:
            switchboard.figures.odd_frames += 1
            return
        ctypes.memmove(self._address, pointer, samples * SAMPLE_BYTES)
        self.frames += 1
        try:
            sink(self._frame if samples == TAP_SAMPLES else self._buffer[:samples])
        except Exception as error:  # noqa: BLE001 - the end of a native thread's call: nobody above could catch it
            if not switchboard.figures.sink_failures:
                _log.error("sink_failed", error=redact(repr(error)))
            switchboard.figures.sink_failures += 1

    def close(self) -> None:
        """End the stream; idempotent, does not wait: a frame that is being delivered still reaches the sink."""
        if self._sink is not None:
            self._sink = None
            switchboard.figures.taps_open -= 1
            self._handle.dispose()


class CaptureLine:
    """Prebuilt capture requests for one `rtc.AudioSource`: a frame costs one copy and one native call.

    Made for a source with ``queue_size_ms=0``, which takes frames of exactly 10 ms and keeps no queue.
    """

    def __init__(self, source: rtc.AudioSource) -> None:
        self._library = _library()
        self._frames: Samples = np.zeros((_BUFFERS, TAP_SAMPLES), np.int16)
        self._requests = [self._request(source, row) for row in self._frames]
        self._next = 0
        self._answer = ctypes.POINTER(ctypes.c_ubyte)()
        self._answer_length = ctypes.c_size_t()
        self._answer_at = (ctypes.byref(self._answer), ctypes.byref(self._answer_length))

    def send(self, frame: Samples) -> bool:
        """Publish 480 samples; returns at once, False when the native side refused."""
        index = self._next
        self._next = (index + 1) % _BUFFERS
        self._frames[index] = frame
        data, length, _ = self._requests[index]
        handle: int = self._library.livekit_ffi_request(data, length, *self._answer_at)
        if handle == INVALID_HANDLE:
            return False
        self._library.livekit_ffi_drop_handle(handle)
        return True

    def close(self) -> None:
        """Send nothing more. The buffers stay a while: the native side may still read the last of them."""
        _retired.append(self._frames)

    @staticmethod
    def _request(source: rtc.AudioSource, buffer: Samples) -> tuple[object, int, bytes]:
        request = ffi_pb2.FfiRequest()
        capture = request.capture_audio_frame
        capture.source_handle = source._ffi_handle.handle  # noqa: SLF001 - the seam
        capture.request_async_id = CAPTURE_ID
        capture.buffer.data_ptr = buffer.ctypes.data
        capture.buffer.sample_rate = RATE_HZ
        capture.buffer.num_channels = 1
        capture.buffer.samples_per_channel = len(buffer)
        data = request.SerializeToString()
        return ctypes.cast(ctypes.c_char_p(data), ctypes.POINTER(ctypes.c_ubyte)), len(data), data


_retired: deque[Samples] = deque(maxlen=16)
"""Buffers of closed lines, 30 KB each. A capture is done after 0.3 ms, far sooner than 16 more lines are closed."""


@functools.cache
def _library() -> ctypes.CDLL:
    library: ctypes.CDLL = FfiClient.instance._ffi_lib  # noqa: SLF001 - the seam
    return library
