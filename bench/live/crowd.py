"""The bench's side of `bench.live.people`: people join and leave, and what they heard is read."""

import asyncio
from itertools import count
from pathlib import Path

from livekit import api

from bench.live.heard import Heard, load
from bench.processes import Child
from connector.practice.livekit import LiveKitServer

JOIN_S = 30.0


class Person:
    """One person. Times are monotonic seconds.

    Attributes:
        room: Where.
        name: Their identity.
        connecting_at: When their ``connect()`` was called.
        joined_at: When it had returned.
    """

    def __init__(self, crowd: "Crowd", name: str, room: str) -> None:
        self._crowd = crowd
        self.name = name
        self.room = room
        self.connecting_at = self.joined_at = 0.0

    async def audible(self, patience_s: float = 30.0, *, but: str = "") -> float:
        """Wait until an agent is audible to them for the first time; `but` is a participant that does not count.

        Returns:
            When that was.

        Raises:
            RuntimeError: None became audible in time.
        """
        event = await self._crowd.child.wait_until(
            lambda event: event.get("audible") == self.name and event["participant"] != but,
            f"agent audible to {self.name} in {self.room}",
            patience_s,
        )
        return float(event["at"])

    async def heard(self) -> list[Heard]:
        """All that they heard so far, a track each."""
        path = self._crowd.folder / f"{self.name}-{next(self._crowd.numbers)}.npz"
        await self._crowd.child.tell(do="save", person=self.name, path=str(path))
        await self._crowd.child.wait_until(lambda event: event.get("path") == str(path), f"what {self.name} heard")
        return await asyncio.to_thread(load, path)

    async def leave(self) -> float:
        """Leave the room.

        Returns:
            When they had left.
        """
        await self._crowd.child.tell(do="leave", person=self.name)
        event = await self._crowd.child.wait_until(lambda event: event.get("left") == self.name, f"{self.name} left")
        return float(event["at"])


class Crowd:
    """All people.

    Args:
        child: The process that they are in.
        sfu: The server that they join.
        folder: For what they heard.
    """

    def __init__(self, child: Child, sfu: LiveKitServer, folder: Path) -> None:
        self.child = child
        self.folder = folder
        self.numbers = count(1)
        self._sfu = sfu

    async def join(self, room: str, *, hum: float | None = None) -> Person:
        """A new person joins a room; with `hum` they hum a tone of that many Hz for as long as they are there."""
        person = Person(self, f"person-{next(self.numbers)}", room)
        token = api.AccessToken(self._sfu.api_key, self._sfu.api_secret.reveal()).with_identity(person.name)
        token.with_grants(api.VideoGrants(room_join=True, room=room))
        await self.child.tell(do="join", person=person.name, url=self._sfu.url, token=token.to_jwt(), hum=hum)
        person.connecting_at = await self._when("connecting", person.name)
        person.joined_at = await self._when("joined", person.name)
        return person

    async def _when(self, what: str, name: str) -> float:
        event = await self.child.wait_until(lambda event: event.get(what) == name, f"{name} {what}", JOIN_S)
        return float(event["at"])

    async def in_rooms(self, rooms: list[str], *, hum: float | None = None) -> list[Person]:
        """One person joins each room, all at once."""
        return list(await asyncio.gather(*(self.join(room, hum=hum) for room in rooms)))
