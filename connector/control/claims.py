"""Claims: the right to serve a room, held by one worker. And what replicas must know of each other besides.

`memory` is for one replica on any number of cores: nothing is shared, every claim is granted. LiveKit's identity
fence stands behind every kind of store.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from connector.control.history import LastEnd
from connector.control.requests import Request


class ClaimOutcome(StrEnum):
    """What became of a try to claim a room."""

    WON = "won"
    LOST = "lost"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class ClaimEvents:
    """What a store reports to control, on the event loop.

    Attributes:
        lost: The lease of this room is held by another replica now.
        hint: Another replica asks to look at this room (a webhook or request reached it), or a replica is gone and
            every room is to be looked at (empty name).
    """

    lost: Callable[[str], None]
    hint: Callable[[str], None]


class Claims(Protocol):
    """A store of claims. Every call is bounded in time and never raises."""

    shared: bool
    """Whether other replicas respect it: a won claim is then a lease, and permits a takeover join."""

    def listen(self, events: ClaimEvents) -> None:
        """Where to report; called once, before `run`."""

    async def run(self) -> None:
        """Keep the store alive (renew leases, listen to other replicas) until cancelled."""

    async def claim(self, room: str) -> ClaimOutcome:
        """Try to become the one who serves a room; `WON` again for a room that we hold already."""

    async def release(self, room: str) -> None:
        """Give a room back at once."""

    async def tell(self, room: str) -> None:
        """Ask the other replicas to look at this room too."""

    def report_load(self, sessions: int, capacity: int) -> None:
        """How busy this replica is; the least loaded one takes new rooms first."""

    async def remember_end(self, room: str, end: LastEnd) -> None:
        """Share how a room's session ended, so that no other replica joins again what is to be left alone."""

    async def remember_request(self, room: str, request: Request | None) -> None:
        """Share a request for a room; None withdraws it."""

    async def ends(self, rooms: frozenset[str]) -> Mapping[str, LastEnd]:
        """What other replicas know of these rooms' last ends; times are translated into our monotonic clock."""

    async def requests(self) -> Mapping[str, Request]:
        """Every request in force at any replica."""

    async def close(self) -> None:
        """Release everything that is still held, and the connections."""


class MemoryClaims:
    """Claims of a single replica: always granted, nothing shared."""

    shared = False

    def listen(self, events: ClaimEvents) -> None:
        """See `Claims`."""

    async def run(self) -> None:
        """See `Claims`."""

    async def claim(self, room: str) -> ClaimOutcome:  # noqa: ARG002 - the protocol's
        """See `Claims`."""
        return ClaimOutcome.WON

    async def release(self, room: str) -> None:
        """See `Claims`."""

    async def tell(self, room: str) -> None:
        """See `Claims`."""

    def report_load(self, sessions: int, capacity: int) -> None:
        """See `Claims`."""

    async def remember_end(self, room: str, end: LastEnd) -> None:
        """See `Claims`."""

    async def remember_request(self, room: str, request: Request | None) -> None:
        """See `Claims`."""

    async def ends(self, rooms: frozenset[str]) -> Mapping[str, LastEnd]:  # noqa: ARG002 - the protocol's
        """See `Claims`."""
        return {}

    async def requests(self) -> Mapping[str, Request]:
        """See `Claims`."""
        return {}

    async def close(self) -> None:
        """See `Claims`."""
