"""Every message between the control process and an engine: small, typed, one JSON object per line.

Control says `Configure` once, then `StartSession`, `UpdateSession`, `EndSession` and `Shutdown`. An engine says `Ready`
once, then `SessionState`, `SessionEnded` and `EngineBeat`. No secret ever stands in a message: engines read theirs from
the environment. A line that does not parse is an error of the program, not of a user: the reader raises `ValueError`.
"""

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from connector.base.ends import EndReason

MAX_LINE_BYTES = 1 << 20
"""The longest line either side accepts."""


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class IceServerSpec(_Message):
    """A STUN or TURN server; the credential itself stays in its file."""

    urls: tuple[str, ...]
    username: str | None = None
    credential_file: str | None = None


class Configure(_Message):
    """What every session of an engine shares. First message to an engine."""

    type: Literal["configure"] = "configure"
    worker_id: str
    livekit_url: str
    millis_url: str
    millis_auth: Literal["auto", "raw", "bearer"] = "auto"
    ice_servers: tuple[IceServerSpec, ...] = ()
    max_sessions: int = 10


class ListenSpec(_Message):
    """Which participants and sources are heard, and with which gain."""

    sources: tuple[str, ...] = ("microphone",)
    include: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()
    gain_db: dict[str, float] = Field(default_factory=dict)


class StartSession(_Message):
    """Serve a room: the rule, resolved for this room. Times are in seconds."""

    type: Literal["start_session"] = "start_session"
    session_id: str
    room: str
    trigger: str
    agent_id: str
    fenced: bool = False
    identity: str
    name: str
    listen: ListenSpec = ListenSpec()
    join: Literal["human", "room", "request"] = "human"
    min_humans: int = 1
    leave_after_s: float
    max_duration_s: float
    on_agent_hangup: Literal["leave", "close_room", "rejoin"] = "leave"
    reconnect_attempts: int
    reconnect_within_s: float
    agent_silence_s: float
    metadata: dict[str, object] = Field(default_factory=dict)


class UpdateSession(_Message):
    """What a reload of rooms.yaml may change in a live session; an unknown session is ignored. Times are in seconds."""

    type: Literal["update_session"] = "update_session"
    session_id: str
    listen: ListenSpec
    leave_after_s: float
    max_duration_s: float


class EndSession(_Message):
    """End one session with this reason; an unknown session is ignored."""

    type: Literal["end_session"] = "end_session"
    session_id: str
    reason: EndReason


class Shutdown(_Message):
    """End every session with `drained` and exit."""

    type: Literal["shutdown"] = "shutdown"


class Ready(_Message):
    """The engine has its native libraries loaded and its seams checked."""

    type: Literal["ready"] = "ready"
    pid: int
    opus: str
    fallbacks: tuple[str, ...] = ()


class SessionState(_Message):
    """The state of a session changed; only the latest matters."""

    type: Literal["session_state"] = "session_state"
    session_id: str
    room: str
    state: str
    humans: int = 0
    detail: str = ""


class SessionEnded(_Message):
    """A session is over, both legs closed.

    Attributes:
        cause: What lies behind the reason: a `Cause`, or LiveKit's disconnect reason in small letters.
        delete_room: The rule wants the room closed now (the agent hung up under ``close_room``).
        summary: Figures of the whole session, for its one summary line.
    """

    type: Literal["session_ended"] = "session_ended"
    session_id: str
    room: str
    reason: EndReason
    detail: str = ""
    cause: str = ""
    delete_room: bool = False
    summary: dict[str, float | int | str] = Field(default_factory=dict)


class EngineBeat(_Message):
    """Sent every second: the engine lives.

    Attributes:
        sessions: How many it runs.
        counters: What was added since the last beat that was sent; beats that wait for the pipe add up.
        gauges: The latest value of each.
        late_share: Of the ticks of the last seconds, the share that came more than 10 ms late, 0 to 1.
        memory_mb: Resident memory of the process.
    """

    type: Literal["engine_beat"] = "engine_beat"
    sessions: int
    counters: dict[str, float] = Field(default_factory=dict)
    gauges: dict[str, float] = Field(default_factory=dict)
    late_share: float = 0.0
    memory_mb: float = 0.0


ToEngine: TypeAlias = Configure | StartSession | UpdateSession | EndSession | Shutdown
ToControl: TypeAlias = Ready | SessionState | SessionEnded | EngineBeat

_to_engine: TypeAdapter[ToEngine] = TypeAdapter(Annotated[ToEngine, Field(discriminator="type")])
_to_control: TypeAdapter[ToControl] = TypeAdapter(Annotated[ToControl, Field(discriminator="type")])


def encode(message: ToEngine | ToControl) -> bytes:
    """One line, newline included."""
    return message.model_dump_json().encode() + b"\n"


def decode_to_engine(line: bytes) -> ToEngine:
    """Parse a line that control wrote.

    Raises:
        ValueError: It is not such a message.
    """
    return _to_engine.validate_json(line)


def decode_to_control(line: bytes) -> ToControl:
    """Parse a line that an engine wrote.

    Raises:
        ValueError: It is not such a message.
    """
    return _to_control.validate_json(line)
