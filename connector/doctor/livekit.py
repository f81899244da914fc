"""LiveKit: whether it takes our key, which version it is, and whether media gets through.

The last is tried in a room of its own, which nobody else is called to and which is deleted afterwards.
"""

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from livekit import rtc
from livekit.rtc._proto import stats_pb2

from connector.base.ends import EndReason
from connector.base.errors import ConfigError, ConnectorError, RoomLegError, UnavailableError
from connector.base.redact import redact
from connector.base.secrets import Secret
from connector.config.model import JoinMode, RoomRule
from connector.config.rules import match_rule
from connector.config.secrets import Credentials
from connector.control.dispatch import ask_version
from connector.control.livekit import LiveKitRooms
from connector.doctor.finding import Finding, Verdict, fine, left_out, warning
from connector.room import seams
from connector.room.joining import connect_room, leave_room
from connector.room.token import join_token

KEY, VERSION, MEDIA = "LiveKit", "LiveKit version", "media path"
TESTED_SERVER = "1.13.5"
ROOM_PREFIX = "connector-doctor-"
_JOIN_S = 6.5
_STATS_S = 1.0
_EMPTY_S = 10
"""Should we be killed half-way, the room goes by itself."""
_PORTS = (
    "let UDP through to LiveKit (rtc.udp_port or its port range; TCP 7881 is the slower way), or give it a TURN server"
)


async def look_at_key(url: str, credentials: Credentials) -> Sequence[Finding]:
    """Ask for a room that is not there: reachable, and the key accepted. The second key too, while keys are rotated.

    Raises:
        UnavailableError: LiveKit cannot be reached.
        ConfigError: It refuses a key.
    """
    await _list_rooms(url, credentials.livekit_api_key, credentials.livekit_api_secret)
    found = [fine(KEY, f"{redact(url)} answers and accepts the key")]
    key, secret = credentials.livekit_api_key_2, credentials.livekit_api_secret_2
    if key is not None and secret is not None:
        try:
            await _list_rooms(url, key, secret)
        except ConfigError as error:
            text = str(error).replace("_KEY", "_KEY_2").replace("_SECRET", "_SECRET_2")
            found.append(Finding(KEY, Verdict.FAILED, text, error.exit_code))
        else:
            found.append(fine(KEY, "it accepts the second key too"))
    return found


async def look_at_version(url: str, credentials: Credentials, agent_name: str | None) -> Sequence[Finding]:
    """The server's version, as it tells agent workers; a server that lets none register matters only for dispatch.

    Raises:
        ConnectorError: Dispatch is configured and cannot work.
    """
    name = _name()
    try:
        version = await ask_version(url, credentials.livekit_api_key.reveal(), credentials.livekit_api_secret, name)
    except ConnectorError as error:
        if agent_name is not None:
            raise
        return [warning(VERSION, f"unknown, for agent dispatch cannot be used: {error}")]
    tested = "" if version == TESTED_SERVER else f"; the connector is tested with {TESTED_SERVER}"
    dispatch = "" if agent_name is None else f", takes agent workers (we are {agent_name!r})"
    return [fine(VERSION, f"{version}{dispatch}{tested}")]


async def look_at_media(url: str, credentials: Credentials, rules: Sequence[RoomRule]) -> Sequence[Finding]:
    """Join a room of our own for a moment, and tell how its media travels.

    Raises:
        UnavailableError: There is no way for media.
        ConfigError: LiveKit refuses us.
    """
    name = _name()
    rule = match_rule(rules, name)
    if rule is not None and rule.join is JoinMode.ROOM:
        text = (
            f'not tried: the rule for "{redact(rule.room)}" serves every room, it would call Millis for the test room'
        )
        return [left_out(MEDIA, text)]
    key, secret = credentials.livekit_api_key, credentials.livekit_api_secret
    rooms = LiveKitRooms(url, key.reveal(), secret)
    try:
        await rooms.create_room(name, empty_timeout_s=_EMPTY_S, agent_name=name)
        try:
            path = await _join(url, key, secret, name)
        finally:
            await rooms.delete_room(name)
    finally:
        await rooms.close()
    return [path.finding(url)]


@dataclass(frozen=True, slots=True)
class MediaPath:
    """How media travels to LiveKit.

    Attributes:
        protocol: ``udp``, ``tcp`` or empty when the library does not tell.
        relayed: Whether a TURN server is in between.
        round_trip_ms: The round trip, 0 when unknown.
    """

    protocol: str
    relayed: bool
    round_trip_ms: float

    def finding(self, url: str) -> Finding:
        """What that means."""
        way = f"{self.protocol.upper() or 'unknown protocol'}{' by way of TURN' if self.relayed else ''}"
        trip = f", round trip {self.round_trip_ms:.0f} ms" if self.round_trip_ms else ""
        text = f"media reaches {redact(url)} by {way}{trip}"
        if self.protocol == "tcp":
            return warning(MEDIA, f"{text}: every loss becomes delay; {_PORTS}")
        return fine(MEDIA, text)


def media_path(stats: rtc.RtcStats) -> MediaPath:
    """Read the selected pair of candidates off the library's statistics."""
    every = [*stats.publisher_stats, *stats.subscriber_stats]
    chosen = {s.transport.transport.selected_candidate_pair_id for s in every if s.HasField("transport")}
    pairs = [s.candidate_pair for s in every if s.HasField("candidate_pair") and s.candidate_pair.rtc.id in chosen]
    if not pairs:
        return MediaPath("", relayed=False, round_trip_ms=0.0)
    pair = pairs[0].candidate_pair
    local = [s.local_candidate for s in every if s.HasField("local_candidate")]
    ours = next((c.candidate for c in local if c.rtc.id == pair.local_candidate_id), None)
    relayed = ours is not None and ours.candidate_type == stats_pb2.IceCandidateType.RELAY
    protocol = "" if ours is None else ours.protocol
    return MediaPath(protocol.lower(), relayed=relayed, round_trip_ms=1000 * pair.current_round_trip_time)


async def _join(url: str, key: Secret, secret: Secret, name: str) -> MediaPath:
    seams.install()
    token = join_token(api_key=key.reveal(), api_secret=secret, room=name, identity=name, name="connector doctor")
    room = rtc.Room()
    try:
        async with asyncio.timeout(_JOIN_S):
            await connect_room(room, url, token)
    except TimeoutError:
        raise UnavailableError(f"no media path to {redact(url)} within {_JOIN_S:g} s: {_PORTS}") from None
    except RoomLegError as error:
        if error.reason is EndReason.LIVEKIT_REJECTED:
            raise ConfigError([str(error)]) from None
        raise UnavailableError(str(error)) from None
    try:
        async with asyncio.timeout(_STATS_S):
            return media_path(await room.get_rtc_stats())
    except (TimeoutError, RuntimeError):
        return MediaPath("", relayed=False, round_trip_ms=0.0)
    finally:
        await leave_room(room)


async def _list_rooms(url: str, key: Secret, secret: Secret) -> None:
    rooms = LiveKitRooms(url, key.reveal(), secret)
    try:
        await rooms.list_rooms([_name()])
    finally:
        await rooms.close()


def _name() -> str:
    return f"{ROOM_PREFIX}{secrets.token_hex(4)}"
