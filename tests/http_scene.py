"""The ports on loopback with a desk that behaves, tokens as LiveKit and callers make them, and what a client sends."""

import asyncio
import base64
import contextlib
import hashlib
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jwt

from connector.base.secrets import Secret
from connector.base.trigger import Trigger
from connector.control.status import JoinAnswer, LookAnswer, Readiness, RoomStatus, SessionStatus
from connector.http.observer import HttpObserver
from connector.http.server import HttpServers, Listening
from connector.http.tokens import KeyPair

FIRST = KeyPair("first-key", Secret("first-secret-0123456789-0123456789-0"))
SECOND = KeyPair("second-key", Secret("second-secret-0123456789-0123456789"))
FOREIGN = KeyPair("first-key", Secret("foreign-secret-0123456789-0123456789"))


class FakeDesk:
    """A control that keeps requests and says what it is told to say about capacity.

    Attributes:
        served: The names of rooms that a rule matches.
        never: Rooms whose rule says never.
        agents: Agents that the rules allow.
        full: No capacity is left.
        draining: About to stop.
        looks: Rooms looked at, in order, with the trigger.
        departures: What `left` was told.
        requests: Rooms that are requested, with their agent.
        running: Sessions by room.
        lines: What readiness says besides.
    """

    def __init__(self, *served: str) -> None:
        self.served = set(served)
        self.never: set[str] = set()
        self.agents = {"a1"}
        self.full = self.draining = False
        self.looks: list[tuple[str, Trigger]] = []
        self.departures: list[tuple[str, str]] = []
        self.requests: dict[str, str | None] = {}
        self.running: dict[str, SessionStatus] = {}
        self.last_end = ""
        self.lines: tuple[str, ...] = ()

    def look_at(self, room: str, trigger: Trigger) -> LookAnswer:
        if room not in self.served:
            return LookAnswer.IGNORED
        if self.draining or self.full:
            return LookAnswer.DRAINING if self.draining else LookAnswer.FULL
        self.looks.append((room, trigger))
        return LookAnswer.TAKEN

    def left(self, room: str, identity: str) -> None:
        self.departures.append((room, identity))

    def join(self, room: str, agent: str | None, trigger: Trigger) -> JoinAnswer:
        assert trigger is Trigger.REQUEST
        if room in self.never:
            return JoinAnswer.NEVER
        if room not in self.served:
            return JoinAnswer.NO_RULE
        if agent is not None and agent not in self.agents:
            return JoinAnswer.AGENT_NOT_ALLOWED
        if room in self.running:
            return JoinAnswer.RUNNING
        if self.draining or self.full:
            return JoinAnswer.DRAINING if self.draining else JoinAnswer.FULL
        self.requests[room] = agent
        return JoinAnswer.ACCEPTED

    def leave(self, room: str) -> bool:
        asked = self.requests.pop(room, "nobody") != "nobody"
        return self.running.pop(room, None) is not None or asked

    def rooms(self) -> tuple[RoomStatus, ...]:
        return tuple(self._status(room) for room in sorted(self.served))

    def room(self, name: str) -> RoomStatus | None:
        return self._status(name) if name in self.served else None

    def readiness(self) -> Readiness:
        return Readiness(not self.draining, self.lines)

    def serve(self, room: str, state: str = "live") -> None:
        """A session of this room runs."""
        started = time.time() - 61
        self.running[room] = SessionStatus("s-1", state, "a1", Trigger.WEBHOOK, 0, 2, started)

    def _status(self, room: str) -> RoomStatus:
        session = self.running.get(room)
        why, detail = ("serve", "it is served") if session else ("no_human", "nobody is there")
        humans = session.humans if session else 0
        return RoomStatus(room, why, detail, humans, room, session, room in self.requests, self.last_end)


class Heard(HttpObserver):
    """An observer that remembers."""

    def __init__(self) -> None:
        self.webhooks: list[tuple[str, str]] = []
        self.ages: list[float] = []
        self.times: list[float] = []
        self.calls: list[tuple[str, int]] = []

    def webhook(self, event: str, outcome: str) -> None:
        self.webhooks.append((event, outcome))

    def webhook_handled(self, seconds: float) -> None:
        self.times.append(seconds)

    def webhook_age(self, seconds: float) -> None:
        self.ages.append(seconds)

    def api(self, route: str, status: int) -> None:
        self.calls.append((route, status))


@dataclass
class Ports:
    """Running ports.

    Attributes:
        desk: Their desk.
        heard: Their observer.
        keys: The keys in force; may be changed.
        at: Where they listen.
    """

    desk: FakeDesk
    heard: Heard
    keys: list[KeyPair]
    servers: HttpServers
    at: Listening = field(default_factory=lambda: Listening("", ""))

    @property
    def url(self) -> str:
        return f"http://{self.at.public}"

    @property
    def private_url(self) -> str:
        return f"http://{self.at.private}"

    async def send(self, raw: bytes, *, private: bool = False) -> bytes:
        """Send bytes on a connection of its own; everything that comes back until it is closed."""
        host, _, port = (self.at.private if private else self.at.public).rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(raw)
        try:
            async with asyncio.timeout(20):
                return await reader.read()
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


@contextlib.asynccontextmanager
async def ports(
    *served: str, render: tuple[bytes, str] = (b"metric 1\n", "text/plain; version=0.0.4; charset=utf-8")
) -> AsyncIterator[Ports]:
    """Both ports, listening on loopback with the first and the second key."""
    desk, heard, keys = FakeDesk(*served), Heard(), [FIRST, SECOND]
    servers = HttpServers(
        "127.0.0.1:0", "127.0.0.1:0", desk=desk, keys=lambda: keys, render=lambda: render, observer=heard
    )
    running = Ports(desk, heard, keys, servers)
    async with servers.running() as running.at:
        yield running


def token(pair: KeyPair = FIRST, **claims: object) -> str:
    """A token; claims that are None are left out."""
    now = int(time.time())
    whole = {"iss": pair.key, "nbf": now, "exp": now + 300, **claims}
    return jwt.encode({k: v for k, v in whole.items() if v is not None}, pair.secret.reveal(), algorithm="HS256")


def admin(room: str, pair: KeyPair = FIRST) -> str:
    """A token that administers one room."""
    return token(pair, video={"roomAdmin": True, "room": room})


def lister(pair: KeyPair = FIRST) -> str:
    """A token that lists rooms."""
    return token(pair, video={"roomList": True})


def event(name: str = "participant_joined", room: object = "lobby", **more: object) -> bytes:
    """The body of a webhook, as LiveKit writes it; a room that is no text stands as it is, None is left out."""
    whole: dict[str, Any] = {
        "event": name,
        "id": f"EV_{hashlib.sha1(repr((name, room, more, time.perf_counter_ns())).encode()).hexdigest()[:12]}",
        "createdAt": str(int(time.time())),
        "room": {"sid": "RM_1", "name": room, "turnPassword": "not-for-us"} if isinstance(room, str) else room,
        "participant": {"sid": "PA_1", "identity": "ann"},
        **more,
    }
    return json.dumps({k: v for k, v in whole.items() if v is not None}).encode()


def signed(body: bytes, pair: KeyPair = FIRST, **claims: object) -> dict[str, str]:
    """The headers of a webhook."""
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    return {"Authorization": token(pair, **{"sha256": digest, **claims}), "Content-Type": "application/webhook+json"}


def raw_request(method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    """A request as bytes, on a connection that is closed after it."""
    head = {"Host": "test", "Content-Length": str(len(body)), "Connection": "close", **headers}
    lines: Sequence[str] = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in head.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body
