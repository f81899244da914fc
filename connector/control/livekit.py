"""LiveKit's own view of its rooms, over its API: which rooms there are, who is in them, remove one, close one.

Every call carries a token with the least right that it needs. "I could not learn it" (`UnavailableError`) and "LiveKit
refuses us" (`ConfigError`) are never mixed up with "there is nothing": unknown is not absent.
"""

import asyncio
from collections.abc import Awaitable, Iterable, Mapping
from typing import TypeVar

import aiohttp
from google.protobuf.message import DecodeError
from livekit import api
from livekit.protocol.models import ParticipantInfo

from connector.base.errors import ConfigError, UnavailableError
from connector.base.redact import redact
from connector.base.secrets import Secret
from connector.control.seen import ParticipantSeen, RoomSeen

_TOTAL_S = 5.0
"""A server with an unreachable node answers after 3 s."""
_CONNECT_S = 3.0
_NOT_FOUND = "not_found"
_NAMES_PER_CALL = 500

_T = TypeVar("_T")


class LiveKitRooms:
    """Asks a LiveKit server about its rooms. Make it inside a running event loop; `close` it."""

    def __init__(self, url: str, api_key: str, api_secret: Secret) -> None:
        """Prepare a client; nothing is sent yet.

        Args:
            url: The server (``wss://…`` or ``https://…``).
            api_key: The id of its key.
            api_secret: The key's secret.
        """
        self._where = redact(url)
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_TOTAL_S, connect=_CONNECT_S))
        self._url = url
        self.use_key(api_key, api_secret)

    def use_key(self, api_key: str, api_secret: Secret) -> None:
        """Ask with another key from now on."""
        self._rooms = api.LiveKitAPI(
            self._url, api_key, api_secret.reveal(), session=self._session, failover=False
        ).room

    async def list_rooms(self, names: Iterable[str] | None = None) -> tuple[RoomSeen, ...]:
        """The rooms that exist, without their participants.

        Rooms of a node that crashed stay listed for a while, and the participant count that LiveKit gives here lags
        by up to 5 s: ask `participants`.

        Args:
            names: Only these; None = all.

        Raises:
            UnavailableError: LiveKit could not be asked, or does not know.
            ConfigError: LiveKit refuses our key.
        """
        wanted = None if names is None else sorted(set(names))
        if wanted is None:
            return await self._list(())
        found: list[RoomSeen] = []
        for at in range(0, len(wanted), _NAMES_PER_CALL):
            found += await self._list(wanted[at : at + _NAMES_PER_CALL])
        return tuple(found)

    async def participants(self, room: str) -> tuple[ParticipantSeen, ...]:
        """Who is in a room, now. A room that does not exist has nobody in it.

        Raises:
            UnavailableError: LiveKit could not be asked, or does not know.
            ConfigError: LiveKit refuses our key.
        """
        try:
            answer = await self._ask(
                self._rooms.list_participants(api.ListParticipantsRequest(room=room)), "listing participants"
            )
        except _NotFoundError:
            return ()
        return tuple(_seen(info) for info in answer.participants)

    async def remove_participant(self, room: str, identity: str) -> bool:
        """Remove a participant.

        Returns:
            Whether it was there.

        Raises:
            UnavailableError: LiveKit could not be asked, or does not know.
            ConfigError: LiveKit refuses our key.
        """
        request = api.RoomParticipantIdentity(room=room, identity=identity)
        try:
            await self._ask(self._rooms.remove_participant(request), "removing a participant")
        except _NotFoundError:
            return False
        return True

    async def set_attributes(self, room: str, identity: str, attributes: Mapping[str, str]) -> bool:
        """Change some attributes of a participant; its others stay.

        Returns:
            Whether it was there.

        Raises:
            UnavailableError: LiveKit could not be asked, or does not know.
            ConfigError: LiveKit refuses our key.
        """
        request = api.UpdateParticipantRequest(room=room, identity=identity, attributes=dict(attributes))
        try:
            await self._ask(self._rooms.update_participant(request), "setting a participant's attributes")
        except _NotFoundError:
            return False
        return True

    async def delete_room(self, room: str) -> bool:
        """Close a room: everybody in it is disconnected, a phone call hangs up.

        Returns:
            Whether it was there. (LiveKit answers alike for a room that is not there; then this says True.)

        Raises:
            UnavailableError: LiveKit could not be asked, or does not know.
            ConfigError: LiveKit refuses our key.
        """
        try:
            await self._ask(self._rooms.delete_room(api.DeleteRoomRequest(room=room)), "deleting a room")
        except _NotFoundError:
            return False
        return True

    async def create_room(self, room: str, *, empty_timeout_s: int, agent_name: str) -> None:
        """Make a room that goes away by itself when nobody is in it.

        Args:
            room: Its name.
            empty_timeout_s: How long it lasts without anybody, before the first join and after the last leave.
            agent_name: The only agents that are dispatched to it; without a name LiveKit would call every unnamed one.

        Raises:
            UnavailableError: LiveKit could not be asked, or does not know.
            ConfigError: LiveKit refuses our key.
        """
        request = api.CreateRoomRequest(
            name=room,
            empty_timeout=empty_timeout_s,
            departure_timeout=empty_timeout_s,
            agents=[api.RoomAgentDispatch(agent_name=agent_name)],
        )
        try:
            await self._ask(self._rooms.create_room(request), "creating a room")
        except _NotFoundError as error:
            raise UnavailableError(str(error)) from None

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def _list(self, names: Iterable[str]) -> tuple[RoomSeen, ...]:
        request = api.ListRoomsRequest(names=list(names))
        try:
            answer = await self._ask(self._rooms.list_rooms(request), "listing rooms")
        except _NotFoundError as error:  # nothing to be not found: something else answers under this address
            raise UnavailableError(str(error)) from None
        return tuple(RoomSeen(name=room.name, sid=room.sid, metadata=room.metadata) for room in answer.rooms)

    async def _ask(self, call: Awaitable[_T], doing: str) -> _T:
        try:
            return await call
        except api.ServerError as error:
            raise _explain(error, f"{doing} at {self._where}") from None
        except (aiohttp.ClientError, TimeoutError, asyncio.IncompleteReadError, OSError) as error:
            found = redact(error) or type(error).__name__
            raise UnavailableError(f"{doing} at {self._where}: no answer: {found}") from None
        except (DecodeError, ValueError) as error:  # what came is no answer of a LiveKit server
            raise UnavailableError(f"{doing} at {self._where}: not a LiveKit answer: {redact(error)}") from None


class _NotFoundError(Exception):
    """LiveKit says that there is no such thing."""


_REFUSED: Mapping[int, str] = {
    401: "LiveKit refused the key: check LIVEKIT_API_KEY, LIVEKIT_API_SECRET and this machine's clock",
    403: "LiveKit refused the key: check LIVEKIT_API_KEY, LIVEKIT_API_SECRET and this machine's clock",
}


def _explain(error: api.ServerError, what: str) -> Exception:
    found = redact(error.message) or f"{error.code}, status {error.status}"
    if error.status in _REFUSED:
        return ConfigError([f"{what}: {_REFUSED[error.status]}: {found}"])
    if error.code == _NOT_FOUND:
        return _NotFoundError(f"{what}: {found}")
    return UnavailableError(f"{what}: LiveKit does not know: {found}")


def _seen(info: ParticipantInfo) -> ParticipantSeen:
    try:
        kind = ParticipantInfo.Kind.Name(info.kind)
    except ValueError:  # a kind younger than the library
        kind = f"UNKNOWN_{info.kind}"
    return ParticipantSeen(
        identity=info.identity,
        sid=info.sid,
        kind=kind,
        attributes=dict(info.attributes),
        joined_ms=info.joined_at_ms or info.joined_at * 1000,
    )
