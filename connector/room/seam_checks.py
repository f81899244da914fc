"""Whether the SDK still has the shape that `seams.py` relies on: by name at every start, once by use."""

import asyncio
import inspect
import socket
from dataclasses import dataclass
from functools import cache

import numpy as np
from google.protobuf.descriptor import Descriptor
from livekit import rtc
from livekit.rtc import _ffi_client
from livekit.rtc._proto import ffi_pb2
from livekit.rtc.version import __version__ as sdk_version

from connector.audio.frames import RATE_HZ, TAP_SAMPLES
from connector.room import seams

TESTED_MINOR = "1.2."
_CAPTURE_S = 1.0
_CONNECT_S = 5.0


@dataclass(frozen=True, slots=True)
class SeamProblem:
    """A seam that does not fit.

    Attributes:
        seam: Its name: ``library``, ``version``, ``join_retries``, ``logs``, ``tap``, ``stream``, ``capture``.
        found: What was found.
        fallback: What happens instead; None = nothing can, the connector must not start.
    """

    seam: str
    found: str
    fallback: str | None

    def __str__(self) -> str:
        return f"{self.seam}: {self.found}; {self.fallback or 'refusing to start: install the pinned livekit version'}"


_PUBLIC_STREAM = "hearing through rtc.AudioStream"
_PUBLIC_CAPTURE = "publishing through AudioSource.capture_frame"

_FIELDS: tuple[tuple[str, Descriptor, str, str | None], ...] = (
    ("join_retries", ffi_pb2.FfiRequest.DESCRIPTOR, "connect.options.join_retries", None),
    ("tap", ffi_pb2.FfiEvent.DESCRIPTOR, "audio_stream_event.stream_handle", _PUBLIC_STREAM),
    ("tap", ffi_pb2.FfiEvent.DESCRIPTOR, "audio_stream_event.frame_received.frame.handle.id", _PUBLIC_STREAM),
    ("tap", ffi_pb2.FfiEvent.DESCRIPTOR, "audio_stream_event.frame_received.frame.info.data_ptr", _PUBLIC_STREAM),
    (
        "tap",
        ffi_pb2.FfiEvent.DESCRIPTOR,
        "audio_stream_event.frame_received.frame.info.samples_per_channel",
        _PUBLIC_STREAM,
    ),
    ("stream", ffi_pb2.FfiRequest.DESCRIPTOR, "new_audio_stream.track_handle", _PUBLIC_STREAM),
    ("stream", ffi_pb2.FfiRequest.DESCRIPTOR, "new_audio_stream.frame_size_ms", _PUBLIC_STREAM),
    ("stream", ffi_pb2.FfiRequest.DESCRIPTOR, "new_audio_stream.queue_size_frames", _PUBLIC_STREAM),
    ("stream", ffi_pb2.FfiResponse.DESCRIPTOR, "new_audio_stream.stream.handle.id", _PUBLIC_STREAM),
    ("capture", ffi_pb2.FfiRequest.DESCRIPTOR, "capture_audio_frame.source_handle", _PUBLIC_CAPTURE),
    ("capture", ffi_pb2.FfiRequest.DESCRIPTOR, "capture_audio_frame.request_async_id", _PUBLIC_CAPTURE),
    ("capture", ffi_pb2.FfiRequest.DESCRIPTOR, "capture_audio_frame.buffer.data_ptr", _PUBLIC_CAPTURE),
    ("capture", ffi_pb2.FfiEvent.DESCRIPTOR, "capture_audio_frame.async_id", _PUBLIC_CAPTURE),
)

_NAMES: tuple[tuple[str, object, str, str | None], ...] = (
    ("join_retries", _ffi_client.FfiClient, "request", None),
    ("tap", _ffi_client.FfiQueue, "put", _PUBLIC_STREAM),
    ("tap", _ffi_client.FfiClient, "queue", _PUBLIC_STREAM),
    ("logs", _ffi_client, "get_ffi_lib", "native logs pass through Python, which costs 20 %"),
)


@cache
def shape_problems() -> tuple[SeamProblem, ...]:
    """What does not fit by name; empty when all does. Installs the seams."""
    try:
        seams.install()
    except ImportError as error:
        return (SeamProblem("library", str(error), None),)
    problems = [
        SeamProblem(seam, f"livekit {sdk_version} has no {path}", fallback)
        for seam, message, path, fallback in _FIELDS
        if not _has(message, path)
    ]
    problems += [
        SeamProblem(seam, f"livekit {sdk_version} has no {name} where it was", fallback)
        for seam, owner, name, fallback in _NAMES
        if not hasattr(owner, name)
    ]
    if list(inspect.signature(_ffi_client.FfiQueue.put).parameters) != ["self", "item"]:
        problems.append(SeamProblem("tap", "FfiQueue.put takes other arguments", _PUBLIC_STREAM))
    if not seams.logs_are_off():
        problems.append(SeamProblem("logs", "the SDK was used before its seams were installed", "native logs stay on"))
    if not sdk_version.startswith(TESTED_MINOR):
        found = f"livekit {sdk_version} is not the tested {TESTED_MINOR}x"
        problems.append(SeamProblem("version", found, "going on, for every name is there"))
    return tuple(problems)


async def check_seams() -> tuple[SeamProblem, ...]:
    """Check every seam by name, and use those that need no server: a capture, and a join that nobody answers.

    Returns:
        The problems, each with what happens instead; empty when all is well. Takes some 50 ms.
    """
    problems = list(shape_problems())
    if any(problem.seam == "library" for problem in problems):
        return tuple(problems)
    if not await _captures():
        problems.append(SeamProblem("capture", "a captured frame was never completed", _PUBLIC_CAPTURE))
    if not await _joins_once():
        problems.append(SeamProblem("join_retries", "a join went past the place where retries are turned off", None))
    return tuple(problems)


async def _captures() -> bool:
    source = rtc.AudioSource(RATE_HZ, 1, queue_size_ms=0)
    try:
        await asyncio.to_thread(seams.wait_for_capture, 0)
        sent = seams.CaptureLine(source).send(np.zeros(TAP_SAMPLES, np.int16))
        return sent and await asyncio.to_thread(seams.wait_for_capture, _CAPTURE_S)
    finally:
        await source.aclose()


async def _joins_once() -> bool:
    before = seams.seam_figures().joins
    with socket.socket() as nobody:  # bound, but not listening: connections are refused
        nobody.bind(("127.0.0.1", 0))
        try:
            async with asyncio.timeout(_CONNECT_S):
                await rtc.Room().connect(f"ws://127.0.0.1:{nobody.getsockname()[1]}", "no-token")
        except (rtc.ConnectError, TimeoutError):
            pass
    return seams.seam_figures().joins > before


def _has(message: Descriptor | None, path: str) -> bool:
    for name in path.split("."):
        if message is None or name not in message.fields_by_name:
            return False
        message = message.fields_by_name[name].message_type
    return True
