"""The practice agent as seen from another process: its ``GET /sessions``, read again and again."""

import asyncio
from typing import Any

import aiohttp

from connector.base.errors import UnavailableError
from connector.practice.show import Show

_EVERY_S = 0.1
_TOLD = {
    "connected": "is in the room",
    "greeting": "greets",
    "hearing": "hears somebody",
    "interrupted": "stops: somebody talks over it",
    "closed": "was hung up",
}
"""The events that are told as they are; answers are told with their delay by the script."""


class AgentWatch:
    """Reads the agent's sessions ten times a second and tells the show what is new.

    Args:
        url: The agent's address.
        key: Its key.
        show: Where news are told; may be None.

    Attributes:
        figures: What ``GET /sessions`` said last; empty before the first time.
    """

    def __init__(self, url: str, key: str, show: Show | None = None) -> None:
        self.figures: dict[str, Any] = {}
        self._url = f"{url}/sessions"
        self._headers = {"Authorization": key}
        self._show = show
        self._told = 0.0

    async def ready(self, within_s: float = 20.0) -> None:
        """Wait until the agent answers.

        Raises:
            UnavailableError: It does not.
        """
        try:
            async with asyncio.timeout(within_s):
                while not self.figures:
                    await self.look()
                    await asyncio.sleep(_EVERY_S)
        except TimeoutError:
            raise UnavailableError(f"the practice agent did not answer within {within_s:.0f} s") from None

    async def run(self) -> None:
        """Go on reading until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(_EVERY_S)

    async def look(self) -> dict[str, Any]:
        """Read once; what was read before stays in force when the agent does not answer.

        Returns:
            `figures`.
        """
        try:
            timeout = aiohttp.ClientTimeout(total=2)
            async with (
                aiohttp.ClientSession(timeout=timeout) as client,
                client.get(self._url, headers=self._headers) as answer,
            ):
                if answer.ok:
                    self.figures = await answer.json()
                    self._tell()
        except (aiohttp.ClientError, TimeoutError, ValueError):
            pass  # not up yet, or gone: whoever waits for something has a bound of his own
        return self.figures

    def when(self, what: str, after: float) -> float | None:
        """The time of the first event of this kind after a monotonic time, in any session."""
        times = [event["at"] for event in self._events() if event["what"] == what and event["at"] > after]
        return min(times, default=None)

    def _events(self) -> list[dict[str, Any]]:
        return [event for session in self.figures.get("sessions", []) for event in session["events"]]

    def _tell(self) -> None:
        if self._show is None:
            return
        sessions = self.figures["sessions"]
        if sessions:
            self._show.agent_hears_dbfs = sessions[-1]["heard_level_dbfs"]
            self._show.agent_says_dbfs = sessions[-1]["said_level_dbfs"]
        news = sorted((event for event in self._events() if event["at"] > self._told), key=lambda event: event["at"])
        for event in news:
            self._told = event["at"]
            if event["what"] in _TOLD:
                self._show.happened(event["at"], "agent", _TOLD[event["what"]])
