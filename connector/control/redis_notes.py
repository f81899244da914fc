"""What replicas remember together in Redis: how rooms' sessions ended, and which rooms are asked for.

Without an answer of Redis nothing is known and nothing is remembered; each replica still has its own memory.
"""

from collections.abc import Callable, Mapping

from connector.control import redis_scripts, sharing
from connector.control.history import LastEnd
from connector.control.redis_link import RedisLink
from connector.control.requests import Request

_ENDS_PER_CALL = 500


class RedisNotes:
    """Reads and writes ends and requests; see `Claims` for the methods.

    Args:
        link: The connection.
        keys: The names in Redis.
        shared: Redis' clock.
        clock: Monotonic seconds.

    Attributes:
        garbage: Entries that could not be read.
    """

    def __init__(
        self, link: RedisLink, keys: sharing.Keys, shared: sharing.SharedClock, clock: Callable[[], float]
    ) -> None:
        self._link = link
        self._keys = keys
        self._shared = shared
        self._clock = clock
        self._ask = link.client.register_script(redis_scripts.ASK)
        self.garbage = 0

    async def remember_end(self, room: str, end: LastEnd) -> None:
        """Kept for a day."""
        text = sharing.dump_end(end, self._shared)
        client, key = self._link.client, self._keys.end(room)
        await self._link.attempt(lambda: client.set(key, text, ex=sharing.ENDS_FOR_S), "remembering an end")

    async def ends(self, rooms: frozenset[str]) -> Mapping[str, LastEnd]:
        """Those of the rooms that are known."""
        names, found = sorted(rooms), {}
        for at in range(0, len(names), _ENDS_PER_CALL):
            some = names[at : at + _ENDS_PER_CALL]
            for room, text in zip(some, await self._texts(some), strict=False):
                end = None if text is None else sharing.read_end(text, self._shared, self._clock())
                if end is not None:
                    found[room] = end
                self.garbage += text is not None and end is None
        return found

    async def remember_request(self, room: str, request: Request | None) -> None:
        """Kept for 15 min from now, unless it is remembered again or withdrawn."""
        key, field = self._keys.requests, sharing.dump_room(room)
        if request is None:
            await self._link.attempt(lambda: self._link.client.hdel(key, field), "withdrawing a request")
            return
        text = sharing.dump_request(request, self._shared, self._clock())
        args = [field, text, sharing.MAX_REQUESTS, sharing.REQUESTS_FOR_S]
        await self._link.attempt(lambda: self._ask([key], args), "remembering a request")

    async def requests(self) -> Mapping[str, Request]:
        """Those in force; what is over or cannot be read is removed."""
        client, key = self._link.client, self._keys.requests
        entries: Mapping[bytes, bytes] = await self._link.attempt(lambda: client.hgetall(key), "reading requests") or {}
        found: dict[str, Request] = {}
        useless: list[bytes] = []
        for field, text in entries.items():
            read = sharing.read_request(text, self._shared, self._clock())
            self.garbage += read is None
            if read is None or not read[1]:
                useless.append(field)
            elif len(found) < sharing.MAX_REQUESTS:
                found[sharing.read_room(field)] = read[0]
        if useless:
            await self._link.attempt(lambda: client.hdel(key, *useless), "removing old requests")
        return found

    async def _texts(self, rooms: list[str]) -> list[bytes | None]:
        client, keys = self._link.client, [self._keys.end(room) for room in rooms]
        return await self._link.attempt(lambda: client.mget(keys), "reading ends") or []
