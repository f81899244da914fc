"""The practice agent in a process of its own: hums from the moment of connecting, so that every gap can be heard.

`python -m bench.live.agent [--greeting hum]`: prints where it listens as a JSON line; ends when standard input closes.
It keeps no recordings. `Agent` is the other side: what it counted, asked over HTTP.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast, get_args

import httpx

from bench.processes import until
from connector.base.logs import setup_logs
from connector.base.secrets import Secret
from connector.practice.agent import PracticeAgent, PracticeOptions
from connector.practice.agent_call import Greeting, Habits
from tests.worker_process import KEY


@dataclass(frozen=True)
class Counted:
    """What the agent had counted when it was asked.

    Attributes:
        offers: Offers so far, refused ones included.
        open: Calls that are not over.
        sessions: Every call, as ``GET /sessions`` shows it; the agent id is the room, where a rule says so.
    """

    offers: int
    open: int
    sessions: list[dict[str, Any]]

    def of(self, room: str) -> list[dict[str, Any]]:
        """The calls of a room."""
        return [session for session in self.sessions if session["agent_id"] == room]

    @property
    def live(self) -> int:
        """Calls that are connected and not over."""
        return sum(session["live"] for session in self.sessions)

    def longest_double(self) -> float:
        """The longest time for which two calls of one room were open at once, in seconds."""
        longest = 0.0
        for room in {session["agent_id"] for session in self.sessions}:
            calls = sorted(self.of(room), key=lambda call: float(call["opened_at"]))
            for first, second in pairwise(calls):
                closed = first["closed_at"] if first["closed_at"] is not None else float("inf")
                longest = max(longest, closed - second["opened_at"])
        return longest


class Agent:
    """The running agent.

    Args:
        url: Where it listens.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._client = httpx.AsyncClient(base_url=url, headers={"Authorization": KEY}, timeout=20)

    async def counted(self) -> Counted:
        """What it has counted."""
        answer = await self._client.get("/sessions")
        answer.raise_for_status()
        found = answer.json()
        return Counted(found["offers"], found["open"], found["sessions"])

    async def until(self, holds: Callable[[Counted], bool], patience_s: float = 20.0) -> Counted:
        """Wait until something is true of what it counted.

        Raises:
            TimeoutError: It did not become true.
        """
        last: list[Counted] = []

        async def holds_now() -> bool:
            last[:] = [await self.counted()]
            return holds(last[0])

        await until(holds_now, patience_s)
        return last[0]

    async def close(self) -> None:
        """Close the connection to it."""
        await self._client.aclose()


async def serve(greeting: Greeting) -> None:
    """Be the agent until standard input closes."""
    habits = Habits(greeting=greeting, reply="none", keep_s=0)
    async with PracticeAgent(PracticeOptions(key=Secret(KEY), habits=habits)) as agent:
        print(json.dumps({"listening": agent.url}), flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--greeting", choices=get_args(Greeting), default="hum")
    setup_logs({"CONNECTOR_LOG_LEVEL": "warning", "CONNECTOR_LOG": "json"})
    asyncio.run(serve(cast("Greeting", parser.parse_args().greeting)))


if __name__ == "__main__":
    main()
