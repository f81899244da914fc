"""The places where the SDK is entered below its public face: they fit, they work, and say so when they do not."""

import asyncio
import os
from types import SimpleNamespace
from typing import cast

import pytest
from livekit import rtc
from livekit.rtc import _ffi_client
from livekit.rtc._ffi_client import FfiClient, FfiQueue
from livekit.rtc._proto import ffi_pb2

from connector.base.errors import UnavailableError
from connector.room import seams
from connector.room.seams import SeamProblem, check_seams, install, shape_problems, try_seams


async def test_every_seam_fits_and_works() -> None:
    """With the pinned SDK nothing falls back: by name, and by use."""
    assert check_seams() == ()
    assert await try_seams() == ()


def test_install_is_idempotent_and_leaves_the_environment_alone() -> None:
    """Installing again changes nothing, the native log level is not left in the environment, logs are off."""
    install()
    before = FfiClient._instance
    install()
    assert FfiClient._instance is before
    assert "RUST_LOG" not in os.environ
    assert seams.logs_are_off()


def test_joins_are_never_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every join that the SDK asks its library for says explicitly: no retries."""
    install()
    requests: list[ffi_pb2.FfiRequest] = []

    def keep(_client: FfiClient, request: ffi_pb2.FfiRequest) -> ffi_pb2.FfiResponse:
        requests.append(request)
        return ffi_pb2.FfiResponse()

    monkeypatch.setattr(FfiClient, "request", keep)
    join = ffi_pb2.FfiRequest()
    join.connect.url = "ws://127.0.0.1"
    FfiClient.instance.request(join)
    FfiClient.instance.request(ffi_pb2.FfiRequest())
    assert requests[0].connect.options.HasField("join_retries")
    assert requests[0].connect.options.join_retries == 0
    assert not requests[1].HasField("connect")


def test_a_client_that_was_there_first_is_taken_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the SDK was used before, its own client and queue get the seams all the same."""
    install()
    stock = FfiClient.__new__(FfiClient)
    stock._queue = FfiQueue()
    monkeypatch.setattr(FfiClient, "_instance", stock)
    install()
    assert isinstance(stock, seams._Client)
    assert isinstance(stock.queue, seams._Queue)


async def test_a_room_has_its_own_events_only() -> None:
    """Other rooms' events and statistics do not wake it; the answers to requests reach it, and others reach all."""
    install()
    queue = FfiClient.instance.queue
    mine, others = queue.subscribe(), queue.subscribe()
    try:
        room = SimpleNamespace(_ffi_queue=mine, _ffi_handle=SimpleNamespace(handle=7))
        seams.own_events(cast("rtc.Room", room))
        events = [ffi_pb2.FfiEvent() for _ in range(4)]
        events[0].room_event.room_handle = 8
        events[1].room_event.room_handle = 7
        events[2].get_session_stats.async_id = 1
        events[3].publish_track.async_id = 2
        for event in events:
            queue.put(event)
        async with asyncio.timeout(5):
            assert [await others.get() for _ in events] == events
        assert [mine.get_nowait() for _ in range(mine.qsize())] == [events[1], events[3]]
    finally:
        queue.unsubscribe(mine)
        queue.unsubscribe(others)


@pytest.mark.parametrize(
    ("path", "there"),
    [
        ("connect.options.join_retries", True),
        ("connect.options.join_attempts", False),
        ("connect.url.deeper", False),
        ("disconnekt", False),
    ],
)
def test_fields_are_found_by_path(path: str, *, there: bool) -> None:
    """A field is looked up through the messages on its way."""
    assert seams._has(ffi_pb2.FfiRequest.DESCRIPTOR, path) == there


def test_a_missing_field_is_named_with_its_fallback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every seam that does not fit is named, with what happens instead."""
    install()
    rows = [(seam, message, f"{path}_gone", fallback) for seam, message, path, fallback in seams._FIELDS]
    monkeypatch.setattr(seams, "_FIELDS", rows)
    problems = shape_problems.__wrapped__()
    assert {problem.seam for problem in problems} == {"join_retries", "tap", "stream", "capture"}
    assert {problem.seam for problem in problems if problem.fallback is None} == {"join_retries"}
    assert all("_gone" in str(problem) for problem in problems)


@pytest.mark.parametrize("fallback", [None, "the public way"])
def test_without_a_fallback_the_start_is_refused(monkeypatch: pytest.MonkeyPatch, fallback: str | None) -> None:
    """A seam with a fallback is reported in one line; one without refuses to start, with the remedy."""
    monkeypatch.setattr(seams, "shape_problems", lambda: (SeamProblem("tap", "it is gone", fallback),))
    if fallback is not None:
        assert check_seams() == ("tap: it is gone; the public way",)
        return
    with pytest.raises(UnavailableError, match="install the pinned livekit version"):
        check_seams()


def test_other_versions_and_names_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another minor version, a moved name and other arguments each show up."""
    install()

    class Moved:
        """A queue whose `put` takes other arguments."""

        def put(self, item: object, priority: int) -> None: ...

    monkeypatch.setattr(seams, "sdk_version", "1.3.0")
    monkeypatch.setattr(_ffi_client, "FfiQueue", Moved)
    monkeypatch.setattr(seams, "_NAMES", [("logs", _ffi_client, "get_ffi_libraries", "louder")])
    found = {(problem.seam, problem.fallback is None) for problem in shape_problems.__wrapped__()}
    assert found == {("logs", False), ("tap", False), ("version", False)}


def test_a_library_that_cannot_be_loaded_refuses_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the native library there is one fatal problem, and nothing else is tried."""

    def fail() -> None:
        raise ImportError("failed to load liblivekit_ffi.so")

    monkeypatch.setattr(seams, "install", fail)
    monkeypatch.setattr(seams, "shape_problems", shape_problems.__wrapped__)
    (problem,) = asyncio.run(try_seams())
    assert (problem.seam, problem.fallback) == ("library", None)
