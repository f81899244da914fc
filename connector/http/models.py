"""What the API takes and gives, as models: they check what comes in, write what goes out, and describe both. Pure."""

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from connector.control.status import JoinAnswer, RoomStatus, SessionStatus
from connector.http.events import MAX_ROOM_CHARS

MAX_AGENT_CHARS = 128


class ErrorCode(StrEnum):
    """What went wrong: a closed set for programs; the message is for people."""

    BAD_REQUEST = "bad_request"
    BAD_ROOM = "bad_room"
    BAD_BODY = "bad_body"
    NOT_AUTHENTICATED = "not_authenticated"
    NOT_ALLOWED = "not_allowed"
    NOT_FOUND = "not_found"
    UNKNOWN_ROOM = "unknown_room"
    NO_RULE = "no_rule"
    NEVER = "never"
    AGENT_NOT_ALLOWED = "agent_not_allowed"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    BODY_TIMEOUT = "body_timeout"
    TOO_LARGE = "too_large"
    INTERNAL = "internal"
    BUSY = "busy"
    FULL = "full"
    DRAINING = "draining"


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class JoinRequest(_Body):
    """What may be said besides the room."""

    agent: str | None = Field(
        None,
        min_length=1,
        max_length=MAX_AGENT_CHARS,
        description="A Millis agent id that the room's rule allows; left out, it is the rule's own.",
    )


class ErrorDetail(_Body):
    """One error."""

    code: ErrorCode = Field(description="For programs.")
    message: str = Field(description="For people: what was found, and what to do.")


class ErrorBody(_Body):
    """Every answer of status 400 and above."""

    error: ErrorDetail


class Joining(_Body):
    """A request that was taken, or that there is nothing left to do."""

    room: str
    status: Literal["accepted", "running"] = Field(
        description="`accepted`: the room is served as soon as somebody is there. `running`: it is served already."
    )


class Leaving(_Body):
    """The end of a session here, and of a request."""

    room: str
    ended: bool = Field(description="Whether there was a session or a request. Asking again does no harm.")


class SessionBody(_Body):
    """A session that runs now."""

    session_id: str = Field(description="Stands in every log line of the session.")
    state: str = Field(description="joining, offering, connecting, live, recovering or closing.")
    agent: str = Field(description="The Millis agent id.")
    trigger: str = Field(description="What started it: webhook, reconcile, request, dispatch or failover.")
    engine: int = Field(description="The engine process that runs it.")
    humans: int = Field(description="Humans in the room, as the session sees them.")
    started: float = Field(description="Wall-clock seconds.")


class RoomBody(_Body):
    """What is known of a room, and why it is served or not."""

    room: str = Field(max_length=MAX_ROOM_CHARS)
    why: str = Field(description="For programs.")
    detail: str = Field(description="The same for people, with the remedy where there is one.")
    humans: int = Field(description="Humans in it, as last seen.")
    rule: str | None = Field(description="The `room` of the rule that matched.")
    session: SessionBody | None
    requested: bool = Field(description="Whether a request is in force.")
    last_end: str = Field(description="The end reason of its last session here, or empty.")


class RoomsBody(_Body):
    """Every room that a rule matches or that is served, by name."""

    rooms: tuple[RoomBody, ...]


def room_body(status: RoomStatus) -> RoomBody:
    """How a room is shown."""
    return RoomBody(
        room=status.room,
        why=status.why,
        detail=status.detail,
        humans=status.humans,
        rule=status.rule,
        session=None if status.session is None else _session_body(status.session),
        requested=status.requested,
        last_end=status.last_end,
    )


def _session_body(session: SessionStatus) -> SessionBody:
    return SessionBody(
        session_id=session.session_id,
        state=session.state,
        agent=session.agent,
        trigger=session.trigger,
        engine=session.engine,
        humans=session.humans,
        started=session.started,
    )


def join_request(body: bytes) -> JoinRequest | str:
    """Read the body of a join.

    Args:
        body: Empty, or a JSON object.

    Returns:
        The request, or what is wrong with it in one line that repeats nothing of a value.
    """
    if not body.strip():
        return JoinRequest(agent=None)
    try:
        return JoinRequest.model_validate_json(body)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)[0]
        key = str(found["loc"][0])[:40] if found["loc"] else ""
        if found["type"] == "extra_forbidden":
            return f'the body has the unknown key {key!r}: the only one is "agent"'
        where = f"{key} in the body" if key else "the body"
        return f'{where}: {found["msg"]}: expected nothing, or a JSON object such as {{"agent": "6f1c0c6e"}}'


JOIN_REFUSALS: dict[JoinAnswer, tuple[int, ErrorCode, str]] = {
    JoinAnswer.NO_RULE: (404, ErrorCode.NO_RULE, "no rule of rooms.yaml matches this room: add one"),
    JoinAnswer.NEVER: (403, ErrorCode.NEVER, "the rule that matches this room says join: never"),
    JoinAnswer.AGENT_NOT_ALLOWED: (
        403,
        ErrorCode.AGENT_NOT_ALLOWED,
        "the rule of this room does not allow this agent: name one that it lists, or leave the agent out",
    ),
    JoinAnswer.FULL: (503, ErrorCode.FULL, "no capacity is left here: ask again, another replica may take it"),
    JoinAnswer.DRAINING: (503, ErrorCode.DRAINING, "this worker is about to stop: ask again, another will take it"),
}
"""Status, code and message of every answer of control that is a refusal."""
