"""What replicas write into the store for each other, as JSON: bounded, and never trusted when read. Pure.

Times in the store are seconds of the store's own clock, the only one that all replicas share; `SharedClock` translates.
"""

import hashlib
import json
import math
from typing import Any

from connector.base.ends import EndReason
from connector.base.trigger import Trigger
from connector.control.history import LastEnd
from connector.control.replicas import Load
from connector.control.requests import Request

ENDS_FOR_S = 24 * 3600
REQUESTS_FOR_S = 15 * 60
MAX_REQUESTS = 5_000
MAX_BYTES = 16 * 1024
"""No text of ours is longer; a longer one is not read."""
_MAX_CHARS = 200
_MAX_ROOM_CHARS = 1024
_MAX_COUNT = 1_000_000
_MAX_REPLACED = 8
_UNREADABLE = (ValueError, KeyError, TypeError, OverflowError, RecursionError)


class SharedClock:
    """Translates between our monotonic seconds and the seconds of the store's clock.

    Args:
        offset: The store's seconds minus ours; a guess until the store has told its time.
    """

    def __init__(self, offset: float) -> None:
        self._offset = offset

    def learn(self, told: float, *, asked: float, now: float) -> None:
        """The store told its time; `asked` and `now` are ours around its answer."""
        self._offset = told - (asked + now) / 2

    def shared(self, own: float) -> float:
        """One of our times, in the store's seconds."""
        return own + self._offset

    def own(self, shared: float) -> float:
        """One of the store's times, in our seconds."""
        return shared - self._offset


class Keys:
    """The names of everything in the store.

    Args:
        livekit_url: Installations that serve another LiveKit may share the store: their keys begin otherwise.
    """

    def __init__(self, livekit_url: str) -> None:
        digest = hashlib.sha256(livekit_url.rstrip("/").lower().encode()).hexdigest()[:12]
        self._prefix = f"connector:{digest}:".encode()
        self.replica_prefix = self._prefix + b"replica:"
        """What the keys of replicas begin with; the worker id follows."""
        self.replicas = self._prefix + b"replicas"
        """The set of worker ids."""
        self.requests = self._prefix + b"requests"
        """The hash of requests, by room."""
        self.hints = self._prefix + b"hints"
        """The channel of hints."""

    def lease(self, room: str) -> bytes:
        """Who holds a room."""
        return self._prefix + b"lease:" + dump_room(room)

    def end(self, room: str) -> bytes:
        """How a room's last session ended."""
        return self._prefix + b"end:" + dump_room(room)

    def replica(self, worker_id: str) -> bytes:
        """How busy a replica is; gone when it is gone."""
        return self.replica_prefix + dump_room(worker_id)


def dump_room(name: str) -> bytes:
    """A name of any characters, as it stands in a key."""
    return name.encode(errors="surrogatepass")


def read_room(name: bytes) -> str:
    """The other way round; what is no name of ours reads as one that no room has."""
    return name.decode(errors="backslashreplace")


def dump_load(load: Load) -> str:
    """Write how busy a replica is."""
    return json.dumps({"sessions": load.sessions, "capacity": load.capacity})


def read_load(text: bytes) -> Load | None:
    """Read how busy a replica is; None for anything else."""
    try:
        fields = _fields(text)
        return Load(_count(fields["sessions"]), _count(fields["capacity"]))
    except _UNREADABLE:
        return None


def dump_hint(sender: str, room: str) -> str:
    """Write a hint: look at this room (empty: at all)."""
    return json.dumps({"from": sender, "room": room})


def read_hint(text: bytes) -> tuple[str, str] | None:
    """Read a hint as (sender, room); None for anything else."""
    try:
        fields = _fields(text)
        return _text(fields["from"]), _text(fields["room"], _MAX_ROOM_CHARS)
    except _UNREADABLE:
        return None


def dump_end(end: LastEnd, clock: SharedClock) -> str:
    """Write how a room's session ended."""
    return json.dumps(
        {
            "reason": end.reason.value,
            "at": clock.shared(end.at),
            "room_sid": end.room_sid[:_MAX_CHARS],
            "failures": end.failures,
            "cause": end.cause[:_MAX_CHARS],
            "agent": end.agent[:_MAX_CHARS],
            "replaced_at": [clock.shared(at) for at in end.replaced_at[-_MAX_REPLACED:]],
        }
    )


def read_end(text: bytes, clock: SharedClock, now: float) -> LastEnd | None:
    """Read how a room's session ended; None for anything else."""
    try:
        fields = _fields(text)
        replaced_at = fields["replaced_at"]
        if not isinstance(replaced_at, list) or len(replaced_at) > _MAX_REPLACED:
            return None
        return LastEnd(
            reason=EndReason(fields["reason"]),
            at=_time(fields["at"], clock, now),
            room_sid=_text(fields["room_sid"]),
            failures=_count(fields["failures"]),
            cause=_text(fields["cause"]),
            agent=_text(fields["agent"]),
            replaced_at=tuple(_time(at, clock, now) for at in replaced_at),
        )
    except _UNREADABLE:
        return None


def dump_request(request: Request, clock: SharedClock, now: float) -> str:
    """Write a request; it is in force for 15 min from `now`, unless it is written again."""
    return json.dumps(
        {
            "trigger": request.trigger.value,
            "at": clock.shared(request.at),
            "until": clock.shared(now) + REQUESTS_FOR_S,
            "agent": None if request.agent is None else request.agent[:_MAX_CHARS],
        }
    )


def read_request(text: bytes, clock: SharedClock, now: float) -> tuple[Request, bool] | None:
    """Read a request and whether it is still in force; None for anything else."""
    try:
        fields = _fields(text)
        agent = fields["agent"]
        request = Request(
            trigger=Trigger(fields["trigger"]),
            at=_time(fields["at"], clock, now),
            agent=None if agent is None else _text(agent),
        )
        until = clock.own(_number(fields["until"]))
    except _UNREADABLE:
        return None
    return request, now < until <= now + 2 * REQUESTS_FOR_S


def _fields(text: bytes) -> dict[str, Any]:
    if len(text) > MAX_BYTES:
        raise ValueError("too long")
    fields = json.loads(text)
    if not isinstance(fields, dict):
        raise TypeError("not an object")
    return fields


def _text(value: object, most: int = _MAX_CHARS) -> str:
    if not isinstance(value, str) or len(value) > most:
        raise ValueError("not a short text")
    return value


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MAX_COUNT:
        raise ValueError("not a count")
    return value


def _number(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise ValueError("not a number")
    return float(value)


def _time(value: object, clock: SharedClock, now: float) -> float:
    """One of our times; what is told of the future is now."""
    return min(now, clock.own(_number(value)))
