"""Connections with bounds: how many, for how long, how much, and what a stranger gets to see."""

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.http import connections
from connector.http.connections import Admission
from tests.http_scene import Ports, event, ports, raw_request, signed

GOOD = b"GET /openapi.json HTTP/1.1\r\nHost: test\r\n\r\n"


class Guest:
    """A connection that remembers whether it was dropped."""

    def __init__(self, *, known: bool = False) -> None:
        self.known = known
        self.dropped = False

    def drop(self) -> None:
        self.dropped = True


def test_the_longest_waiting_stranger_makes_room() -> None:
    """When it is full the one that has waited longest goes; those that showed a good signature go last."""
    admission = Admission(3)
    friend, first, second, newcomer = Guest(known=True), Guest(), Guest(), Guest()
    for guest in (friend, first, second, newcomer):
        assert admission.enter(guest)
    assert [guest.dropped for guest in (friend, first, second, newcomer)] == [False, True, False, False]
    assert admission.enter(Guest())
    assert admission.enter(Guest())
    assert (second.dropped, newcomer.dropped, friend.dropped) == (True, True, False)


def test_who_is_at_work_stays() -> None:
    """A connection at work is never dropped; when all are, the newcomer is turned away."""
    admission = Admission(2)
    guests = [Guest(), Guest()]
    for guest in guests:
        admission.enter(guest)
        admission.work(guest)
    assert not admission.enter(Guest())
    admission.wait(guests[1])
    assert admission.enter(Guest())
    assert [guest.dropped for guest in guests] == [False, True]


@given(st.lists(st.tuples(st.sampled_from(["enter", "work", "wait", "leave"]), st.integers(0, 9)), max_size=80))
def test_there_are_never_more_than_may_be(steps: list[tuple[str, int]]) -> None:
    """Whatever comes in whatever order, the bound holds and nobody counts twice."""
    admission, guests = Admission(4), [Guest() for _ in range(10)]
    inside: set[int] = set()
    for step, number in steps:
        if step == "enter" and number in inside:
            continue
        entered = getattr(admission, step)(guests[number])
        inside |= {number} if step == "enter" and entered else set()
        inside -= {number} if step == "leave" else set()
        inside = {one for one in inside if not guests[one].dropped}
        for one in guests:
            one.dropped = False
        assert len(admission) == len(inside) <= 4


async def open_many(running: Ports, count: int, first: bytes = b"") -> list[asyncio.StreamWriter]:
    """Connections that were opened, and have sent something that is no complete head."""
    host, _, port = running.at.public.rpartition(":")
    writers = [(await asyncio.open_connection(host, int(port)))[1] for _ in range(count)]
    for writer in writers:
        writer.write(first)
    return writers


async def close_all(writers: list[asyncio.StreamWriter]) -> None:
    """Close them, whatever has become of them."""
    for writer in writers:
        writer.close()
    await asyncio.gather(*(writer.wait_closed() for writer in writers), return_exceptions=True)


async def test_two_hundred_silent_connections_keep_nobody_out() -> None:
    """A crowd that never sends a head is in nobody's way: a good webhook among them is answered."""
    async with ports("lobby") as running:
        crowd = await open_many(running, connections.MOST_CONNECTIONS + 50, b"POST /webhooks/livekit HTTP/1.1\r\nHos")
        body = event()
        answer = await running.send(raw_request("POST", "/webhooks/livekit", signed(body), body))
        assert answer.startswith(b"HTTP/1.1 200 ")
        await close_all(crowd)


@pytest.mark.parametrize("sent", [b"", b"POST /webhooks/livekit HT", b"GET / HTTP/1.1\r\nHost: test\r\nX-Slow: "])
async def test_a_head_that_does_not_come(monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    """A connection without a complete head is closed after its time, without an answer."""
    monkeypatch.setattr(connections, "HEAD_S", 0.2)
    async with ports() as running:
        assert await closed(running, sent) == b""


async def test_a_second_head_that_does_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kept connection is idle for a while, but once a request has begun its head must come."""
    monkeypatch.setattr(connections, "HEAD_S", 0.3)
    async with ports() as running:
        host, _, port = running.at.public.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(GOOD)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.6):
                await reader.readuntil(b"\0")
        writer.write(GOOD[:20])
        async with asyncio.timeout(5):
            await _until_closed(reader)
        await close_all([writer])


async def test_an_idle_connection_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kept connection that stays silent is closed after its time."""
    monkeypatch.setattr(connections, "IDLE_S", 0.2)
    async with ports() as running:
        answer = await running.send(GOOD)
    assert answer.startswith(b"HTTP/1.1 200 ")


async def test_pipelined_requests_are_answered_in_order() -> None:
    """Three requests at once on one connection get three answers."""
    async with ports() as running:
        answer = await running.send(GOOD * 2 + raw_request("GET", "/nothing", {}))
    assert answer.count(b"HTTP/1.1 200 ") == 2
    assert answer.count(b"HTTP/1.1 404 ") == 1


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
        b"nonsense\r\n\r\n",
        b"GET /livez HTTP/9.9\r\n\r\n",
        b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: test\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: test\r\nX: " + b"x" * 20_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: test\r\n" + b"".join(b"X-%d: 1\r\n" % n for n in range(200)) + b"\r\n",
        b"POST /webhooks/livekit HTTP/1.1\r\nHost: test\r\nContent-Length: minus\r\n\r\n",
    ],
)
async def test_what_is_no_http(sent: bytes) -> None:
    """Garbage and oversized heads get one short JSON answer that quotes nothing, and the end of the connection."""
    async with ports() as running:
        head, _, body = (await running.send(sent)).partition(b"\r\n\r\n")
    assert head[:13] == b"HTTP/1.0 400 "
    assert json.loads(body)["error"]["code"] == "bad_request"
    assert b"xxxx" not in body
    assert b"aiohttp" not in head
    assert b"Python" not in head


async def test_a_head_of_many_long_lines_does_not_fill_the_memory() -> None:
    """Lines that are each allowed, but together past all bounds, end the connection."""
    line = b"X: " + b"x" * 15_000 + b"\r\n"
    async with ports() as running:
        host, _, port = running.at.public.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET / HTTP/1.1\r\nHost: test\r\n")
        sent = 0
        try:
            while sent < 60:
                writer.write(line)
                await writer.drain()
                sent += 1
                await asyncio.sleep(0.005)
        except ConnectionError:
            pass
        assert sent < 40
        async with asyncio.timeout(5):
            await _until_closed(reader)
        await close_all([writer])


async def test_answers_name_no_version() -> None:
    """No answer, good or bad, says what made it in which version."""
    async with ports("lobby") as running:
        for path in ("/openapi.json", "/nothing", "/v1/rooms"):
            answer = (await running.send(raw_request("GET", path, {}))).lower()
            head = answer.partition(b"\r\n\r\n")[0]
            assert b"server: connector\r\n" in head + b"\r\n"
            assert b"aiohttp" not in head
            assert b"python" not in head


async def test_connections_are_forgotten() -> None:
    """A connection that is gone does not count any more."""
    async with ports() as running:
        for _ in range(5):
            crowd = await open_many(running, 60, GOOD)
            await close_all(crowd)
        answer = await running.send(raw_request("GET", "/openapi.json", {}))
        assert answer.startswith(b"HTTP/1.1 200 ")


async def closed(running: Ports, sent: bytes) -> bytes:
    """What comes back until the connection is closed; a reset counts as closed."""
    try:
        return await running.send(sent)
    except ConnectionError:
        return b""


async def _until_closed(reader: asyncio.StreamReader) -> None:
    try:
        while await reader.read(65_536):
            pass
    except ConnectionError:
        return
