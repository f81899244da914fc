"""What the room can read about us: the agent's state as LiveKit's own UIs show it, who serves the room, and a beat.

Writes are coalesced (only the latest state counts) and read back: LiveKit drops a write without a word when the right
is missing. A failure is a warning and a count, never an end.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from typing import Protocol

import structlog

from connector.base.legs import AgentState
from connector.room.figures import RoomFigures

_log = structlog.get_logger()

STATE = "lk.agent.state"
WORKER = "connector.worker"
BEAT = "connector.beat"
ASK = "connector.ask"
"""Written by control, through LiveKit's API, to see whether we live: a text that we repeat as `ANSWER`."""
ANSWER = "connector.answer"
BEAT_S = 30.0
"""How often the beat is renewed; other workers take one older than 75 s as a sign of death."""
_ASK_CHARS = 64
_SPACING_S = 0.1
_WRITE_S = 5.0
_READ_BACK_S = 2.0


class Writable(Protocol):
    """What is used of `rtc.LocalParticipant`."""

    @property
    def attributes(self) -> Mapping[str, str]:
        """As the server last told them."""

    async def set_attributes(self, attributes: dict[str, str]) -> None:
        """Ask the server to change them."""


class AttributeKeeper:
    """Keeps our attributes up to date.

    Args:
        worker_id: Who serves the room.
        figures: Where to count.
        wall: Wall-clock seconds, for the beat.
    """

    def __init__(self, worker_id: str, figures: RoomFigures, wall: Callable[[], float] = time.time) -> None:
        self._worker_id = worker_id
        self._figures = figures
        self._wall = wall
        self._state = AgentState.INITIALIZING
        self._answer = ""
        self._wake = asyncio.Event()
        self._changed = asyncio.Event()

    def values(self) -> dict[str, str]:
        """All attributes as they should be now; also goes into the join token, so that they are there at once."""
        values = {STATE: self._state.value, WORKER: self._worker_id, BEAT: str(int(self._wall()))}
        return values | ({ANSWER: self._answer} if self._answer else {})

    def set_state(self, state: AgentState) -> None:
        """Show this state soon; does not wait."""
        if state is not self._state:
            self._state = state
            self._wake.set()

    def renew(self) -> None:
        """Write everything again: after a reconnect the room only knows what stood in the token."""
        self._wake.set()

    def changed(self, attributes: Mapping[str, str]) -> None:
        """The server told us that our attributes changed, and what they are now; a new question is answered at once.

        Whoever may change our attributes may ask: nothing but a short printable text is ever repeated.
        """
        self._changed.set()
        ask = attributes.get(ASK, "")
        if ask and ask != self._answer and len(ask) <= _ASK_CHARS and ask.isprintable():
            self._answer = ask
            self._wake.set()

    async def run(self, participant: Callable[[], Writable | None]) -> None:
        """Write whenever something changed, and every 30 s. Runs until cancelled.

        Args:
            participant: Our own participant, or None while there is no connection.
        """
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(BEAT_S):
                    await self._wake.wait()
            self._wake.clear()
            own = participant()
            if own is not None:
                await self._write(own)
                await asyncio.sleep(_SPACING_S)

    async def _write(self, own: Writable) -> None:
        values = self.values()
        self._figures.attribute_writes += 1
        # One call in some forty comes back only after 5 s, although the room has had the values for long.
        asked = asyncio.create_task(own.set_attributes(values), name="room-leg-set-attributes")
        shown = asyncio.create_task(self._shown(own, values), name="room-leg-read-back")
        try:
            await asyncio.wait({asked, shown}, timeout=_WRITE_S, return_when=asyncio.FIRST_COMPLETED)
            if asked.done():
                await asyncio.wait({shown}, timeout=_READ_BACK_S)
            if not shown.done():
                self._figures.attribute_failures += 1
                _log.warning("attributes_not_set", hint="the token needs canUpdateOwnMetadata, and LiveKit must answer")
        finally:
            asked.cancel()
            shown.cancel()

    async def _shown(self, own: Writable, values: Mapping[str, str]) -> None:
        while not values.items() <= own.attributes.items():
            self._changed.clear()
            await self._changed.wait()
