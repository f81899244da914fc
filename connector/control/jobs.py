"""LiveKit's agent dispatch as message logic: which job asks for which room, and what the server is to be told.

In: what the server says, and the time. Out: what to answer, and what it means for rooms. No I/O; of the LiveKit library
only the message types are used.

A job is a request for its room and nothing more. The participant identity that is answered is the job's own
(``agent-<job id>``, as LiveKit's own agents do) and nobody ever joins with it. So a `JobTermination` means exactly one
thing, that the dispatch was deleted: had we answered the identity that serves the room, LiveKit would send one whenever
that participant is replaced or leaves, and deleting an old dispatch would throw out whoever has that identity by then
(`room.go`, RemoveParticipant and DeleteAgentDispatch).
"""

import json
from dataclasses import dataclass
from typing import TypeAlias

from livekit.protocol import agent as proto
from livekit.protocol.models import ParticipantPermission
from pydantic_core import PydanticCustomError

from connector.base.redact import redact
from connector.config.model import AgentId

PING_S = 10.0
SILENT_S = 30.0
"""A connection on which nothing came for three pings is dead."""
ASSIGN_WITHIN_S = 15.0
"""The server hands an accepted job over at once; whoever asked has given up after 10 s (`worker.go`)."""
STATUS_S = 10.0
"""How often the load is told when nothing changes."""
LOAD_CEILING = 0.65
"""LiveKit offers nothing to a worker whose load is 0.7 or more (`agents.target_load`), although it may have room."""
MAX_JOBS = 5_000
MAX_METADATA = 4_096
"""In characters."""
_MIN_CHANGE = 0.02


@dataclass(frozen=True, slots=True)
class Registered:
    """From now on jobs come.

    Attributes:
        worker_id: What the server calls this connection.
        server: Its version.
    """

    worker_id: str
    server: str


@dataclass(frozen=True, slots=True)
class Offer:
    """A job that wants an answer at once: somebody asks for an agent in a room.

    Attributes:
        job_id: The job.
        room: The room's name.
        agent: The Millis agent that its metadata names; None means the rule's own.
    """

    job_id: str
    room: str
    agent: str | None


@dataclass(frozen=True, slots=True)
class Refused:
    """A job that was refused without asking anybody; `why` is one line."""

    job_id: str
    room: str
    why: str


@dataclass(frozen=True, slots=True)
class Terminated:
    """The last dispatch that asked for this room was deleted."""

    room: str


JobEvent: TypeAlias = Registered | Offer | Refused | Terminated


@dataclass(frozen=True, slots=True)
class Step:
    """What follows from one message: what to send, and what it means."""

    send: tuple[proto.WorkerMessage, ...] = ()
    events: tuple[JobEvent, ...] = ()


@dataclass(slots=True)
class _Job:
    room: str
    accepted_at: float
    assigned: bool = False


class JobBook:
    """The jobs of one worker, and its conversation with the server. One conversation follows the other; see `open`.

    Args:
        agent_name: The name under which dispatches find us; never empty (unnamed workers share one pool, and would
            take other people's jobs).
        version: Shown to the server.
    """

    def __init__(self, agent_name: str, version: str) -> None:
        if not agent_name:
            raise ValueError("an agent name is needed: an unnamed worker would take jobs that are not ours")
        self._agent_name = agent_name
        self._version = version
        self._jobs: dict[str, _Job] = {}
        self._registered = False
        self._heard_at = 0.0
        self._pinged_at = 0.0
        self._told: tuple[bool, float] | None = None
        self._told_at = 0.0

    @property
    def registered(self) -> bool:
        """Whether the server has confirmed us in this conversation."""
        return self._registered

    @property
    def rooms(self) -> frozenset[str]:
        """The rooms that jobs of this conversation ask for."""
        return frozenset(job.room for job in self._jobs.values())

    def open(self, now: float) -> proto.WorkerMessage:
        """Begin a conversation: the first message to send.

        The server forgets our jobs when a connection ends, so they are forgotten here too; the requests that they were
        stay with whoever took them.
        """
        self.close()
        self._heard_at = self._pinged_at = now
        return proto.WorkerMessage(
            register=proto.RegisterWorkerRequest(
                type=proto.JobType.JT_ROOM,
                agent_name=self._agent_name,
                version=self._version,
                ping_interval=int(PING_S),
                # The token that comes with a job is not used. Were it stolen, it should not be worth much.
                allowed_permissions=ParticipantPermission(can_subscribe=True, can_publish=True, hidden=False),
            )
        )

    def close(self) -> None:
        """The conversation is over."""
        self._jobs.clear()
        self._registered = False
        self._told = None

    def receive(self, message: proto.ServerMessage, now: float) -> Step:
        """Take a message of the server. An `Offer` among the events must be answered by `answer`, at once."""
        self._heard_at = now
        match message.WhichOneof("message"):
            case "register":
                self._registered = True
                hello = message.register
                return Step(events=(Registered(redact(hello.worker_id), redact(hello.server_info.version)),))
            case "availability":
                return self._offered(message.availability.job)
            case "assignment":
                return self._assigned(message.assignment.job)
            case "termination":
                return self._terminated(message.termination.job_id)
            case _:  # a pong, or something younger than we are
                return Step()

    def answer(self, offer: Offer, *, taken: bool, now: float) -> proto.WorkerMessage:
        """The answer to an offer. Later than 3 s after the offer it is worth nothing."""
        if taken:
            self._jobs[offer.job_id] = _Job(offer.room, now)
        return _availability(offer.job_id, available=taken)

    def end(self, room: str) -> list[proto.WorkerMessage]:
        """The session of a room has ended, or its request is withdrawn: end all of its jobs."""
        ended = [job_id for job_id, job in self._jobs.items() if job.room == room]
        told = [job_id for job_id in ended if self._jobs.pop(job_id).assigned]
        return [_job_status(job_id, proto.JobStatus.JS_SUCCESS) for job_id in told]

    def tick(self, now: float, *, available: bool, load: float) -> list[proto.WorkerMessage]:
        """What is due by time: a ping, our status.

        Args:
            now: Monotonic seconds.
            available: Whether another room would be taken now.
            load: How busy we are, 0 to 1.
        """
        for job_id in self._never_assigned(now):
            del self._jobs[job_id]
        due: list[proto.WorkerMessage] = []
        if now - self._pinged_at >= PING_S:
            self._pinged_at = now
            due.append(proto.WorkerMessage(ping=proto.WorkerPing(timestamp=int(now * 1000))))
        if self._registered and self._status_is_due(now, available=available, load=load):
            due.append(self._status(now, available=available, load=load))
        return due

    def silent(self, now: float) -> bool:
        """Whether nothing came for so long that the connection must be dead."""
        return now - self._heard_at > SILENT_S

    def _offered(self, job: proto.Job) -> Step:
        room = job.room.name
        agent: str | None = None
        why = ""
        if job.agent_name != self._agent_name:
            why = f"it is for the agent name {redact(job.agent_name)!r}, not for ours"
        elif not room:
            why = "it names no room"
        elif len(self._jobs) >= MAX_JOBS:
            why = f"{MAX_JOBS} jobs are held already"
        else:
            try:
                agent = agent_of(job.metadata)
            except ValueError as error:
                why = str(error)
        if why:
            return Step((_availability(job.id, available=False),), (Refused(job.id, room, why),))
        return Step(events=(Offer(job.id, room, agent),))

    def _assigned(self, job: proto.Job) -> Step:
        ours = self._jobs.get(job.id)
        if ours is None:
            why = "it was not accepted here, or its assignment came too late"
            failed = _job_status(job.id, proto.JobStatus.JS_FAILED, why)
            return Step((failed,), (Refused(job.id, job.room.name, why),))
        ours.assigned = True
        return Step((_job_status(job.id, proto.JobStatus.JS_RUNNING),))

    def _terminated(self, job_id: str) -> Step:
        job = self._jobs.pop(job_id, None)
        if job is None or job.room in self.rooms:  # another dispatch asks for the room too
            return Step()
        return Step(events=(Terminated(job.room),))

    def _never_assigned(self, now: float) -> list[str]:
        limit = now - ASSIGN_WITHIN_S
        return [job_id for job_id, job in self._jobs.items() if not job.assigned and job.accepted_at < limit]

    def _status_is_due(self, now: float, *, available: bool, load: float) -> bool:
        if self._told is None or self._told[0] != available or now - self._told_at >= STATUS_S:
            return True
        return abs(self._told[1] - load) >= _MIN_CHANGE

    def _status(self, now: float, *, available: bool, load: float) -> proto.WorkerMessage:
        self._told, self._told_at = (available, load), now
        status = proto.WorkerStatus.WS_AVAILABLE if available else proto.WorkerStatus.WS_FULL
        told = LOAD_CEILING * min(1.0, max(0.0, load)) if available else 1.0
        return proto.WorkerMessage(
            update_worker=proto.UpdateWorkerStatus(status=status, load=told, job_count=len(self._jobs))
        )


def agent_of(metadata: str) -> str | None:
    """The Millis agent that a job's metadata names.

    Args:
        metadata: Nothing, an agent id as plain text, or a JSON object whose ``agent`` is one; its other keys belong to
            other people.

    Returns:
        The agent id; None when the metadata names none, which means the rule's own.

    Raises:
        ValueError: It is neither; one line that says what was expected.
    """
    text = metadata.strip()
    if not text:
        return None
    if len(text) > MAX_METADATA:
        raise ValueError(f"its metadata is {len(text)} characters long: give an agent id, or {_FORM}")
    agent: object = text
    if text[0] in '{["':
        try:
            parsed = json.loads(text)
        except (ValueError, RecursionError):
            raise ValueError(f"its metadata looks like JSON and is none: give an agent id, or {_FORM}") from None
        if not isinstance(parsed, dict):
            raise ValueError(f"its metadata is JSON but no object: give an agent id, or {_FORM}")
        agent = parsed.get("agent")
        if agent is None:
            return None
    try:
        if isinstance(agent, str):
            return AgentId.read(agent)
    except PydanticCustomError as error:
        raise ValueError(f"its metadata names no agent: {redact(error.message())}") from None
    raise ValueError(f"the agent in its metadata is no text: give {_FORM}")


_FORM = '{"agent": "<Millis agent id>"}'


def _availability(job_id: str, *, available: bool) -> proto.WorkerMessage:
    answer = proto.AvailabilityResponse(job_id=job_id, available=available)
    if available:
        answer.participant_identity = f"agent-{job_id}"
    return proto.WorkerMessage(availability=answer)


def _job_status(job_id: str, status: proto.JobStatus, error: str = "") -> proto.WorkerMessage:
    return proto.WorkerMessage(update_job=proto.UpdateJobStatus(job_id=job_id, status=status, error=error))
