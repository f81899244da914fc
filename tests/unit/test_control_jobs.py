"""LiveKit's agent dispatch as message logic."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from livekit.protocol import agent as proto
from livekit.protocol.models import Room, ServerInfo

from connector.control.jobs import (
    ASSIGN_WITHIN_S,
    LOAD_CEILING,
    MAX_JOBS,
    MAX_METADATA,
    PING_S,
    SILENT_S,
    STATUS_S,
    JobBook,
    Offer,
    Refused,
    Registered,
    Step,
    Terminated,
    agent_of,
)


def job(job_id: str = "AJ_1", room: str = "lobby", metadata: str = "", agent_name: str = "millis") -> proto.Job:
    return proto.Job(id=job_id, room=Room(name=room), metadata=metadata, agent_name=agent_name)


def offered(**fields: str) -> proto.ServerMessage:
    return proto.ServerMessage(availability=proto.AvailabilityRequest(job=job(**fields)))


def assigned(job_id: str = "AJ_1", room: str = "lobby") -> proto.ServerMessage:
    return proto.ServerMessage(assignment=proto.JobAssignment(job=job(job_id, room), token="not-ours"))


def terminated(job_id: str = "AJ_1") -> proto.ServerMessage:
    return proto.ServerMessage(termination=proto.JobTermination(job_id=job_id))


def registered_book(now: float = 0.0) -> JobBook:
    """A book that the server has confirmed and that has told its status."""
    book = JobBook("millis", "1.0")
    book.open(now)
    hello = proto.RegisterWorkerResponse(worker_id="AW_1", server_info=ServerInfo(version="1.13.5"))
    assert book.receive(proto.ServerMessage(register=hello), now) == Step(events=(Registered("AW_1", "1.13.5"),))
    book.tick(now, available=True, load=0.0)
    return book


def take(book: JobBook, job_id: str = "AJ_1", room: str = "lobby", now: float = 0.0) -> None:
    """A job from its offer to its assignment."""
    (offer,) = book.receive(offered(job_id=job_id, room=room), now).events
    assert isinstance(offer, Offer)
    book.answer(offer, taken=True, now=now)
    book.receive(assigned(job_id, room), now)


def updates(messages: list[proto.WorkerMessage]) -> list[tuple[str, int]]:
    return [(m.update_job.job_id, m.update_job.status) for m in messages if m.HasField("update_job")]


def test_it_registers_under_its_name_only() -> None:
    """The first message names us and asks for room jobs; without a name there is no worker at all."""
    hello = JobBook("millis", "1.0").open(0.0).register
    assert (hello.agent_name, hello.version, hello.type) == ("millis", "1.0", proto.JobType.JT_ROOM)
    assert not hello.allowed_permissions.can_publish_data
    with pytest.raises(ValueError, match="not ours"):
        JobBook("", "1.0")


def test_a_job_becomes_an_offer_and_is_told_to_run() -> None:
    """Offer, yes with an identity of the job's own, assignment, running; its room is then one of ours."""
    book = registered_book()
    step = book.receive(offered(metadata="a7"), 1.0)
    assert step == Step(events=(Offer("AJ_1", "lobby", "a7"),))
    answer = book.answer(Offer("AJ_1", "lobby", "a7"), taken=True, now=1.0).availability
    assert (answer.job_id, answer.available, answer.participant_identity) == ("AJ_1", True, "agent-AJ_1")
    step = book.receive(assigned(), 1.1)
    assert updates(list(step.send)) == [("AJ_1", proto.JobStatus.JS_RUNNING)]
    assert book.rooms == {"lobby"}


def test_a_job_that_nobody_takes_is_refused() -> None:
    """The answer is no, so that LiveKit asks another worker, and nothing is held."""
    book = registered_book()
    (offer,) = book.receive(offered(), 1.0).events
    assert isinstance(offer, Offer)
    assert not book.answer(offer, taken=False, now=1.0).availability.available
    assert book.rooms == frozenset()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"metadata": "{oops"}, "looks like JSON and is none"),
        ({"metadata": '["a7"]'}, "no object"),
        ({"metadata": '{"agent": 7}'}, "no text"),
        ({"metadata": '{"agent": ""}'}, "1 to 128 characters"),
        ({"metadata": "two words"}, "spaces"),
        ({"metadata": "x" * (MAX_METADATA + 1)}, "characters long"),
        ({"metadata": "[" * 4_000}, "looks like JSON"),
        ({"room": ""}, "names no room"),
        ({"agent_name": "other"}, "not for ours"),
    ],
)
def test_what_does_not_fit_is_refused_with_one_line(fields: dict[str, str], words: str) -> None:
    """Malformed metadata, a job without a room and a job for others are refused at once, without asking anybody."""
    step = registered_book().receive(offered(**fields), 1.0)
    assert [m.availability.available for m in step.send] == [False]
    (event,) = step.events
    assert isinstance(event, Refused)
    assert words in event.why
    assert "\n" not in event.why


@pytest.mark.parametrize(
    ("metadata", "agent"),
    [
        ("", None),
        ("  \n", None),
        ("6f1c0c6e", "6f1c0c6e"),
        (" 0123 ", "0123"),
        ('{"agent": "6f1c0c6e"}', "6f1c0c6e"),
        ('{"agent": "a7", "customer": 42}', "a7"),
        ('{"customer": 42}', None),
        ('{"agent": null}', None),
    ],
)
def test_the_agent_stands_in_the_metadata(metadata: str, agent: str | None) -> None:
    """Plain text is an agent id; a JSON object may name one beside other keys; nothing means the rule's own."""
    assert agent_of(metadata) == agent


@given(st.text(max_size=200) | st.recursive(st.integers() | st.text() | st.none(), st.lists).map(json.dumps))
def test_any_metadata_is_an_agent_or_one_clear_line(metadata: str) -> None:
    """Whatever stands there, it is a fit agent id, none, or an error of one printable line."""
    try:
        found = agent_of(metadata)
    except ValueError as error:
        found = str(error).replace(" ", "-")[:128]
    assert found is None or (found.isprintable() and " " not in found and 0 < len(found) <= 128)


def test_two_dispatches_for_one_room_end_with_the_last() -> None:
    """While another dispatch asks for a room, deleting one changes nothing; the last one ends it."""
    book = registered_book()
    take(book, "AJ_1")
    take(book, "AJ_2")
    take(book, "AJ_3", room="attic")
    assert book.receive(terminated("AJ_1"), 2.0).events == ()
    assert book.receive(terminated("AJ_2"), 3.0).events == (Terminated("lobby"),)
    assert book.receive(terminated("AJ_2"), 4.0).events == ()
    assert book.rooms == {"attic"}


def test_the_end_of_a_session_ends_the_room_s_jobs() -> None:
    """All jobs of the room are reported as done, once; a later deletion of the dispatch means nothing any more."""
    book = registered_book()
    take(book, "AJ_1")
    take(book, "AJ_2")
    take(book, "AJ_3", room="attic")
    done = proto.JobStatus.JS_SUCCESS
    assert updates(book.end("lobby")) == [("AJ_1", done), ("AJ_2", done)]
    assert book.end("lobby") == []
    assert book.receive(terminated("AJ_1"), 5.0) == Step()


def test_an_assignment_that_never_comes_is_forgotten() -> None:
    """A job that was accepted and not assigned in time is not held, and assigned later it is reported as failed."""
    book = registered_book()
    (offer,) = book.receive(offered(), 0.0).events
    assert isinstance(offer, Offer)
    book.answer(offer, taken=True, now=0.0)
    book.tick(ASSIGN_WITHIN_S, available=True, load=0)
    assert book.rooms == {"lobby"}
    book.tick(ASSIGN_WITHIN_S + 0.1, available=True, load=0)
    assert book.rooms == frozenset()
    step = book.receive(assigned(), ASSIGN_WITHIN_S + 1)
    assert updates(list(step.send)) == [("AJ_1", proto.JobStatus.JS_FAILED)]
    assert isinstance(step.events[0], Refused)


def test_a_job_ended_before_its_assignment_is_not_told_twice() -> None:
    """The server does not know the job as running yet, so there is nothing to report; its assignment then fails."""
    book = registered_book()
    (offer,) = book.receive(offered(), 0.0).events
    assert isinstance(offer, Offer)
    book.answer(offer, taken=True, now=0.0)
    assert book.end("lobby") == []
    assert updates(list(book.receive(assigned(), 0.1).send)) == [("AJ_1", proto.JobStatus.JS_FAILED)]


def test_so_many_jobs_and_no_more() -> None:
    """The book has a bound; a job beyond it is refused."""
    book = registered_book()
    for number in range(MAX_JOBS):
        book.answer(Offer(f"AJ_{number}", "lobby", None), taken=True, now=0.0)
    (event,) = book.receive(offered(job_id="one-more"), 0.0).events
    assert isinstance(event, Refused)
    assert "held already" in event.why


def test_our_status_follows_what_is_true() -> None:
    """Told at once when it changes and every 10 s; full and draining are told as full, never as a load below it."""
    book = JobBook("millis", "1.0")
    book.open(0.0)
    assert book.tick(0.0, available=True, load=0.2) == []  # not registered: the server would close the connection
    book.receive(proto.ServerMessage(register=proto.RegisterWorkerResponse(worker_id="AW_1")), 0.0)

    def told(now: float, *, available: bool, load: float) -> list[tuple[int, float]]:
        messages = book.tick(now, available=available, load=load)
        return [
            (m.update_worker.status, round(m.update_worker.load, 3)) for m in messages if m.HasField("update_worker")
        ]

    free, full = proto.WorkerStatus.WS_AVAILABLE, proto.WorkerStatus.WS_FULL
    assert told(0.1, available=True, load=0.2) == [(free, 0.13)]
    assert told(0.2, available=True, load=0.2) == []
    assert told(0.3, available=True, load=0.9) == [(free, 0.585)]
    assert told(0.4, available=True, load=5.0) == [(free, LOAD_CEILING)]
    assert told(0.5, available=False, load=0.9) == [(full, 1.0)]
    assert told(0.6, available=False, load=0.9) == []
    assert told(0.5 + STATUS_S, available=False, load=0.9) == [(full, 1.0)]


def test_pings_keep_the_connection_and_find_a_dead_one() -> None:
    """A ping every 10 s; three without anything heard mean that the connection is dead; any message revives it."""
    book = registered_book()
    pings = [t for t in range(40) if any(m.HasField("ping") for m in book.tick(t, available=True, load=0))]
    assert pings == [PING_S, 2 * PING_S, 3 * PING_S]
    assert not book.silent(SILENT_S)
    assert book.silent(SILENT_S + 0.1)
    book.receive(proto.ServerMessage(pong=proto.WorkerPong()), SILENT_S + 0.1)
    assert not book.silent(SILENT_S + 0.2)


def test_a_new_connection_begins_anew() -> None:
    """The server forgets our jobs with the connection, and so does the book."""
    book = registered_book()
    take(book)
    book.open(10.0)
    assert (book.rooms, book.registered) == (frozenset(), False)
    assert book.end("lobby") == []


def test_what_is_unknown_is_passed_over() -> None:
    """A message of a kind that we do not know changes nothing."""
    assert registered_book().receive(proto.ServerMessage(), 1.0) == Step()
