"""Whether the connector that a room lists is alive: it is asked in the room itself, past every store of claims.

A lease runs out when its holder is cut off from the store alone, and LiveKit lists a dead participant for many seconds;
only the answer to a question tells the two apart.
"""

import asyncio
import secrets
from collections.abc import Iterable, Mapping
from typing import Protocol

from connector.control.seen import ParticipantSeen

ANSWERS_WITHIN_S = 0.8
"""Some 0.1 s are usual: two ways through LiveKit, and a write that may have to wait for the one before it."""
_ASK = "connector.ask"
_SIGNS = ("connector.answer", "connector.beat")
"""Attributes that only a living connector changes (`connector.room.attributes`)."""
_POLL_S = 0.1


class Askable(Protocol):
    """What is used of `LiveKitRooms`."""

    async def participants(self, room: str) -> Iterable[ParticipantSeen]:
        """Who is in the room now."""

    async def set_attributes(self, room: str, identity: str, attributes: Mapping[str, str]) -> bool:
        """Change attributes of a participant; whether it was there."""


async def answers(livekit: Askable, room: str, identity: str, within_s: float = ANSWERS_WITHIN_S) -> bool:
    """Ask a listed connector whether it is alive.

    Any sign of life counts, also the answer to somebody else's question (a newer one replaces ours), and another join
    of this identity meanwhile.

    Args:
        livekit: Where to ask.
        room: The room.
        identity: The connector's identity in it.
        within_s: How long to wait for an answer.

    Returns:
        Whether it answered; False too when it is not, or no longer, listed.

    Raises:
        UnavailableError: LiveKit could not be asked: nothing is known then.
        ConfigError: LiveKit refuses our key.
    """
    before = await _look(livekit, room, identity)
    if before is None or not await livekit.set_attributes(room, identity, {_ASK: secrets.token_hex(8)}):
        return False
    loop = asyncio.get_running_loop()
    end = loop.time() + within_s
    while True:
        now = await _look(livekit, room, identity)
        if now is None:
            return False
        if now != before:
            return True
        if loop.time() >= end:
            return False
        await asyncio.sleep(min(_POLL_S, max(0.0, end - loop.time())))


async def _look(livekit: Askable, room: str, identity: str) -> tuple[str, ...] | None:
    """The participant's sid and signs of life, or None when it is not listed."""
    for person in await livekit.participants(room):
        if person.identity == identity:
            return (person.sid, *(person.attributes.get(name, "") for name in _SIGNS))
    return None
