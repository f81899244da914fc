"""One join, from the call to a connected room or one clear error, with nothing left behind.

`Room.connect` must not be cancelled: the participant would stay in the room without a handle, for ever. So it runs in
a task of its own; when nobody waits for it any more, it goes on alone, and leaves the room should it succeed.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog
from livekit import rtc

from connector.base.causes import Cause
from connector.base.ends import EndReason
from connector.base.errors import RoomLegError
from connector.base.redact import redact
from connector.room.seams import keep_runtime, own_events

_log = structlog.get_logger()

JOIN_DEADLINE_S = 15.0
"""The SDK itself gives up between 8 s (no answer) and 20 s (no media path)."""
_LEAVE_S = 3.0

_strays: set[asyncio.Task[None]] = set()


def strays() -> frozenset[asyncio.Task[None]]:
    """Joins and leaves that nobody waits for any more; each ends by itself within some 20 s."""
    return frozenset(_strays)


async def connect_room(room: rtc.Room, url: str, token: str) -> None:
    """Connect, subscribing to nothing by default.

    When the caller is cancelled or the 15 s are over, the join goes on in the background and leaves if it succeeds.

    Args:
        room: A fresh room.
        url: The LiveKit server.
        token: The join token.

    Raises:
        RoomLegError: Why it failed and what to do, in one redacted line.
    """
    options = rtc.RoomOptions(auto_subscribe=False)
    task = asyncio.create_task(room.connect(url, token, options), name="livekit-connect")
    try:
        done, _ = await asyncio.wait({task}, timeout=JOIN_DEADLINE_S)
    except asyncio.CancelledError:
        _let_go(_leave_after(task, room), "livekit-stray-join")
        raise
    if not done:
        _let_go(_leave_after(task, room), "livekit-stray-join")
        raise RoomLegError(
            f"joining the room at {redact(url)}: not done after {JOIN_DEADLINE_S:.0f} s: "
            "check that LiveKit's UDP ports can be reached from here",
            reason=EndReason.LIVEKIT_UNREACHABLE,
            retryable=True,
            cause=Cause.TIMEOUT,
        )
    error = task.exception()
    if error is not None:
        raise explain(error, url)
    keep_runtime(room)
    own_events(room)


async def joined(connecting: asyncio.Task[None]) -> bool:
    """Wait for the end of a join that nobody wants any more; whether it succeeded, so that the room is to be left."""
    await asyncio.wait({connecting})
    return not connecting.cancelled() and connecting.exception() is None


async def leave_room(room: rtc.Room) -> None:
    """Leave; after 3 s this goes on in the background."""
    task = asyncio.create_task(_leave(room), name="livekit-leave")
    _hold(task)
    await asyncio.wait({task}, timeout=_LEAVE_S)


def explain(error: BaseException, url: str) -> RoomLegError:
    """Turn what the SDK raised into one clear line with the remedy.

    Args:
        error: What `Room.connect` raised; its text may hold the whole token.
        url: Where the join went.
    """
    text = redact(error.message if isinstance(error, rtc.ConnectError) else error)
    found = text.removeprefix("engine: signal failure: ").removeprefix("client error: ")
    where = redact(url)
    for mark, cause, remedy in _REMEDIES:
        if found.startswith(mark) if mark.isdigit() else mark in found:
            return _error(f"{remedy}: {found}", where, cause)
    return _error(found or type(error).__name__, where, Cause.UNREACHABLE)


def _error(what: str, where: str, cause: Cause) -> RoomLegError:
    refused = cause in {Cause.AUTH, Cause.CONFIG}
    return RoomLegError(
        f"joining the room at {where}: {what}",
        reason=EndReason.LIVEKIT_REJECTED if refused else EndReason.LIVEKIT_UNREACHABLE,
        retryable=not refused,
        cause=cause,
    )


_REMEDIES: tuple[tuple[str, Cause, str], ...] = (
    (
        "invalid API key",
        Cause.AUTH,
        "LiveKit does not know the key in LIVEKIT_API_KEY: check the key, and that it belongs to this server",
    ),
    (
        "signature is invalid",
        Cause.AUTH,
        "LIVEKIT_API_SECRET does not belong to the key in LIVEKIT_API_KEY: check the secret",
    ),
    (
        "401",
        Cause.AUTH,
        "LiveKit refused the token: check LIVEKIT_API_KEY, LIVEKIT_API_SECRET and this machine's clock",
    ),
    (
        "requested room does not exist",
        Cause.CONFIG,
        "there is no such room, and the server makes none by itself (room.auto_create is off): check its name",
    ),
    ("404", Cause.CONFIG, "no LiveKit answers under this path: check livekit.url (scheme, host and port, no path)"),
    ("400", Cause.CONFIG, "LiveKit refused the request: check the room's name and livekit.url"),
    ("403", Cause.AUTH, "LiveKit forbids the join: check the key's rights"),
    ("429", Cause.RATE, "LiveKit is limiting joins: try later"),
    ("5", Cause.SERVER, "LiveKit could not take the participant: check its log, and whether the room is full"),
    ("failed to parse the url", Cause.CONFIG, "livekit.url is no address: give it as wss://host"),
    ("Connection refused", Cause.UNREACHABLE, "nothing listens there: check livekit.url, and that the server runs"),
    (
        "failed to lookup address",
        Cause.UNREACHABLE,
        "the host name cannot be resolved: check livekit.url and the resolver",
    ),
    (
        "corrupt message of type",
        Cause.CONFIG,
        "the server there does not speak TLS: check whether livekit.url should begin with ws:// instead of wss://",
    ),
    (
        "timed out",
        Cause.TIMEOUT,
        "no answer in time: check livekit.url, and that LiveKit's ports can be reached from here",
    ),
)
"""What stands in the SDK's text (a status at its beginning, or words anywhere), what it means, and what to do."""


async def _leave_after(connecting: asyncio.Task[None], room: rtc.Room) -> None:
    if await joined(connecting):
        _log.warning("late_join_left")
        await _leave(room)


async def _leave(room: rtc.Room) -> None:
    try:
        await room.disconnect()
    except (AssertionError, RuntimeError) as error:  # how the SDK says that the native side knows the room no more
        _log.warning("leave_failed", error=redact(repr(error)))


def _let_go(work: Coroutine[Any, Any, None], name: str) -> None:
    _hold(asyncio.create_task(work, name=name))


def _hold(task: asyncio.Task[None]) -> None:
    _strays.add(task)
    task.add_done_callback(_strays.discard)
