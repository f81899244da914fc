"""The places where the LiveKit SDK is entered below its public face, each checked at start-up.

| seam | why | without it |
|---|---|---|
| no join retries | a join that lost a race comes back after 15 s and evicts the winner | refuse to start |
| no debug logs through Python | 20 % of the cost of hearing | stock, dearer |
| our callback first | the stock one makes the way of each frame a fifth longer | refuse to start |
| frame tap | half of the cost of hearing is the SDK's queues and tasks | `rtc.AudioStream` |
| stream without a queue | the tap needs a stream that nobody reads | `rtc.AudioStream` |
| publishing without await | an await per frame costs a queue and a task switch | `AudioSource.capture_frame` |
| thread states kept | each callback makes and frees a Python thread state: a third of its cost | stock, dearer |
| own events only | the stock fan-out wakes every room for each room's events | stock, dearer |
| runtime kept | each time the last room goes, five native threads may be left over | they pile up |

`install()` is called before the first use of the SDK and may be called again; `check_seams()` says what does not fit
any more, by name; `try_seams()` uses those that need no server. The frames themselves pass through `tap.py`.
"""

import asyncio
import ctypes
import inspect
import os
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from google.protobuf.descriptor import Descriptor
from livekit import rtc
from livekit.rtc import _ffi_client
from livekit.rtc._ffi_client import FfiClient, FfiHandle, FfiQueue
from livekit.rtc._proto import ffi_pb2
from livekit.rtc.version import __version__ as sdk_version

from connector.audio.frames import RATE_HZ, TAP_SAMPLES, Samples
from connector.base.errors import UnavailableError
from connector.room.tap import CAPTURE_ID, CaptureLine, TapStream, switchboard

TESTED_MINOR = "1.2."
_LOOPS, _LOOP_S = 50, 0.02
_CONNECT_S = 5.0


_known_threads: set[int] = set()
_MOST_THREADS = 64


def _keep_thread_state() -> None:
    """Let the calling native thread keep the Python state that was made for this call.

    Each native call into Python makes one and frees it at the end, unless the thread holds one already
    (`PyGILState_Ensure` counts). The library has a worker per core, which live as long as the process.
    """
    thread = threading.get_ident()
    if thread not in _known_threads and len(_known_threads) < _MOST_THREADS:
        _known_threads.add(thread)
        ctypes.pythonapi.PyGILState_Ensure()


def _take(event: ffi_pb2.FfiEvent) -> bool:
    """Give an event to the switchboard; False when it is not one of ours."""
    _keep_thread_state()
    if event.HasField("audio_stream_event"):
        return switchboard.take(event.audio_stream_event)
    if event.HasField("capture_audio_frame") and event.capture_audio_frame.async_id == CAPTURE_ID:
        switchboard.captured(event.capture_audio_frame)
        return True
    return False


_Callback = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_size_t)
_Bytes = ctypes.POINTER(ctypes.c_ubyte)


def _on_event(data: int, length: int) -> None:
    """Called by the library in its threads: takes our events on the shortest way, leaves the rest to the stock one."""
    if not _take(ffi_pb2.FfiEvent.FromString(ctypes.string_at(data, length))):
        _ffi_client.ffi_event_callback(ctypes.cast(data, _Bytes), length)


_callback = _Callback(_on_event)


class _Queue(FfiQueue[ffi_pb2.FfiEvent]):
    """The SDK's event fan-out, less what the switchboard takes: where the stock callback was there before ours."""

    def put(self, item: ffi_pb2.FfiEvent) -> None:
        if not _take(item):
            super().put(item)


class _QuietInitialize:
    """Stands in for the library's initialisation: our callback, and no logs."""

    used = False

    def __init__(self, stock: Callable[..., object]) -> None:
        self._stock = stock

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "argtypes":
            setattr(self._stock, name, [_Callback, *value[1:]])
        else:
            super().__setattr__(name, value)

    def __call__(self, _stock_callback: object, _capture_logs: object, sdk: object, version: object) -> None:
        self._stock(_callback, False, sdk, version)
        _QuietInitialize.used = True


class _Client(FfiClient):
    """The SDK's door to its native library, with our seams in it."""

    def request(self, req: ffi_pb2.FfiRequest) -> ffi_pb2.FfiResponse:
        if req.WhichOneof("message") == "connect":
            req.connect.options.join_retries = 0
            switchboard.figures.joins += 1
        return super().request(req)


_install_lock = threading.Lock()


def install() -> None:
    """Put our seams into the SDK. Idempotent; call it before the SDK's first use.

    If the SDK was used before, its native logs stay on (`check_seams` says so), all else works.

    Raises:
        ImportError: The native library cannot be loaded.
    """
    with _install_lock:
        instance = FfiClient._instance  # noqa: SLF001 - the seam
        if instance is None:
            instance = _start_quietly()
        if not isinstance(instance, _Client):
            instance.__class__ = _Client
        if not isinstance(instance.queue, _Queue):
            instance.queue.__class__ = _Queue


def own_events(room: rtc.Room) -> None:
    """Keep the other rooms' events, and everybody's statistics, out of a connected room's queue.

    The library hands each room the events of all, and each room then looks whether they are its own: of ten rooms' 80
    wake-ups a second, 72 are for nothing, and twice the rooms make four times as many. The answers to requests still go
    to every room, which passes them on to whoever waits for them.
    """
    mine, own = getattr(room, "_ffi_queue", None), room._ffi_handle  # noqa: SLF001 - the seam
    if mine is None or own is None or not vars(FfiClient.instance.queue).keys() >= _FAN_OUT:
        return
    handle, queue = own.handle, FfiClient.instance.queue

    def wanted(event: ffi_pb2.FfiEvent) -> bool:
        kind = event.WhichOneof("message")
        return event.room_event.room_handle == handle if kind == "room_event" else kind not in _NO_ROOMS

    with queue._lock:  # noqa: SLF001
        queue._subscribers[:] = [  # noqa: SLF001
            (each, loop, wanted if each is mine else taste)
            for each, loop, taste in queue._subscribers  # noqa: SLF001
        ]


_FAN_OUT = {"_lock", "_subscribers"}
_NO_ROOMS = frozenset({"audio_stream_event", "video_stream_event", "get_session_stats"})
"""What reaches whoever waits for it by a queue of its own, not by that of a room."""
_kept: list[FfiHandle] = []


def keep_runtime(room: rtc.Room) -> None:
    """Keep the native runtime for as long as the process lives, by the handle of the first room that was joined.

    Otherwise WebRTC's threads end with the last room and begin anew with the next, and a track that the library never
    lets go (it does so whenever the server ends a room) holds a whole set of them: 22 sets after 30 rooms, measured.
    """
    if not _kept and room._ffi_handle is not None:  # noqa: SLF001 - the seam
        _kept.append(room._ffi_handle)  # noqa: SLF001


def logs_are_off() -> bool:
    """Whether the native library was told not to send its logs through Python."""
    return _QuietInitialize.used


def _start_quietly() -> FfiClient:
    stock = _ffi_client.get_ffi_lib

    def quiet() -> ctypes.CDLL:
        library = stock()
        vars(library)["livekit_ffi_initialize"] = _QuietInitialize(library.livekit_ffi_initialize)
        return library

    _ffi_client.get_ffi_lib = quiet
    stderr_level = os.environ.get("RUST_LOG")
    os.environ.setdefault("RUST_LOG", "off")  # without a callback the library logs errors to stderr, not as JSON
    try:
        with FfiClient._instance_lock:  # noqa: SLF001 - the seam
            if FfiClient._instance is None:  # noqa: SLF001
                FfiClient._instance = _Client()  # noqa: SLF001
            return FfiClient._instance  # noqa: SLF001
    finally:
        _ffi_client.get_ffi_lib = stock
        if stderr_level is None:
            os.environ.pop("RUST_LOG", None)


@dataclass(frozen=True, slots=True)
class SeamProblem:
    """A seam that does not fit.

    Attributes:
        seam: Its name: ``library``, ``version``, ``join_retries``, ``logs``, ``callback``, ``events``, ``tap``,
            ``stream``, ``capture``.
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
    ("callback", _ffi_client, "ffi_event_callback", None),
)


@cache
def shape_problems() -> tuple[SeamProblem, ...]:
    """What does not fit by name; empty when all does. Installs the seams."""
    try:
        install()
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
    if not vars(FfiClient.instance.queue).keys() >= _FAN_OUT:
        problems.append(SeamProblem("events", "FfiQueue keeps its subscribers elsewhere", "each room gets all events"))
    if not logs_are_off():
        problems.append(SeamProblem("logs", "the SDK was used before its seams were installed", "native logs stay on"))
    if not sdk_version.startswith(TESTED_MINOR):
        found = f"livekit {sdk_version} is not the tested {TESTED_MINOR}x"
        problems.append(SeamProblem("version", found, "going on, for every name is there"))
    return tuple(problems)


def check_seams() -> tuple[str, ...]:
    """Install the seams and check them by name, at start-up.

    Returns:
        The fallbacks in force, one line each; empty when everything fits.

    Raises:
        UnavailableError: A seam without fallback does not fit; says what to do.
    """
    problems = shape_problems()
    fatal = [str(problem) for problem in problems if problem.fallback is None]
    if fatal:
        raise UnavailableError(f"the LiveKit library does not fit: {'; '.join(fatal)}")
    return tuple(str(problem) for problem in problems)


async def try_seams() -> tuple[SeamProblem, ...]:
    """Check every seam by name, and use them without a server: a frame in and out again, a join that nobody answers.

    Returns:
        The problems, each with what happens instead; empty when all is well. Takes some 50 ms.
    """
    problems = list(shape_problems())
    if any(problem.seam == "library" for problem in problems):
        return tuple(problems)
    if not await _loops_back():
        problems.append(
            SeamProblem("tap", "a captured frame did not come back", f"{_PUBLIC_STREAM}; {_PUBLIC_CAPTURE}")
        )
    if not await _joins_once():
        problems.append(SeamProblem("join_retries", "a join went past the place where retries are turned off", None))
    return tuple(problems)


async def _loops_back() -> bool:
    """Whether a frame that goes into a source comes out of a tap on its track, bit by bit.

    It is sent until it is heard: the very first one may come before the track has its sink.
    """
    frame = np.arange(TAP_SAMPLES, dtype=np.int16)
    source = rtc.AudioSource(RATE_HZ, 1, queue_size_ms=0)
    heard = threading.Event()

    def listen(samples: Samples) -> None:
        if np.array_equal(samples, frame):
            heard.set()

    track = rtc.LocalAudioTrack.create_audio_track("loop", source)
    stream = TapStream(track, listen)
    line = CaptureLine(source)
    try:
        for _ in range(_LOOPS):
            if not line.send(frame):
                break
            if await asyncio.to_thread(heard.wait, _LOOP_S):
                return True
        return False
    finally:
        line.close()
        stream.close()
        await source.aclose()


async def _joins_once() -> bool:
    before = switchboard.figures.joins
    with socket.socket() as nobody:  # bound, but not listening: connections are refused
        nobody.bind(("127.0.0.1", 0))
        try:
            async with asyncio.timeout(_CONNECT_S):
                await rtc.Room().connect(f"ws://127.0.0.1:{nobody.getsockname()[1]}", "no-token")
        except (rtc.ConnectError, TimeoutError):
            pass
    return switchboard.figures.joins > before


def _has(message: Descriptor | None, path: str) -> bool:
    for name in path.split("."):
        if message is None or name not in message.fields_by_name:
            return False
        message = message.fields_by_name[name].message_type
    return True
