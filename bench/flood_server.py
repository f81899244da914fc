"""The ports of a worker alone, as a process, for `bench.flood --alone`: a desk that takes every room.

Prints the address of the public one, ends when its standard input does, and then prints what it saw itself.
"""

import asyncio
import os
import sys
from collections.abc import Mapping

from connector.base.errors import UsageError
from connector.base.logs import setup_logs
from connector.base.secrets import Secret
from connector.base.trigger import Trigger
from connector.control.status import JoinAnswer, LookAnswer, Readiness, RoomStatus
from connector.http.observer import Deaf
from connector.http.server import HttpServers
from connector.http.tokens import KeyPair


class Longest(Deaf):
    """Remembers the longest time that a webhook took."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def webhook_handled(self, seconds: float) -> None:
        """Take one time."""
        self.seconds = max(self.seconds, seconds)


class OpenDesk:
    """Takes every hint and serves nothing."""

    def look_at(self, room: str, trigger: Trigger) -> LookAnswer:
        """Every room is welcome."""
        del room, trigger
        return LookAnswer.TAKEN

    def left(self, room: str, identity: str) -> None:
        """Nobody cares."""

    def join(self, room: str, agent: str | None, trigger: Trigger) -> JoinAnswer:
        """No room has a rule."""
        del room, agent, trigger
        return JoinAnswer.NO_RULE

    def leave(self, room: str) -> bool:
        """There is nothing to leave."""
        del room
        return False

    def rooms(self) -> tuple[RoomStatus, ...]:
        """None."""
        return ()

    def room(self, name: str) -> RoomStatus | None:
        """None."""
        del name
        return None

    def readiness(self) -> Readiness:
        """Always."""
        return Readiness(ready=True)


def key_from(environ: Mapping[str, str]) -> KeyPair:
    """The LiveKit key.

    Raises:
        UsageError: It is not set.
    """
    try:
        return KeyPair(environ["LIVEKIT_API_KEY"], Secret(environ["LIVEKIT_API_SECRET"]))
    except KeyError as error:
        raise UsageError(f"{error.args[0]} is not set: set it as the worker has it") from None


async def serve() -> None:
    """Serve until standard input ends."""
    keys = (key_from(os.environ),)
    longest = Longest()
    servers = HttpServers(
        "127.0.0.1:0",
        "127.0.0.1:0",
        desk=OpenDesk(),
        keys=lambda: keys,
        render=lambda: (b"", "text/plain"),
        observer=longest,
    )
    async with servers.running() as at:
        print(f"http://{at.public}", flush=True)
        await asyncio.to_thread(sys.stdin.read)
    print(
        f"by its own clock: webhooks answered in at most {longest.seconds * 1_000:.1f} ms,"
        f" event loop late by at most {servers.lag.max_s * 1_000:.1f} ms"
    )


if __name__ == "__main__":
    setup_logs()
    asyncio.run(serve())
