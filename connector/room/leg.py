"""The LiveKit leg of one session: joins a room, hears its people, speaks the reply, says how it goes.

What flows: people's tracks → `Subscriptions` → the session's `AudioInputs`; reply audio → `push` → `ReplyTrack`; what
happens in the room → `next_event`. It knows nothing of the agent's side. Everything runs on one event loop, except that
heard frames reach their inputs in a native thread.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from typing import Any

import structlog
from livekit import rtc
from livekit.rtc.room import EventTypes

from connector.audio.frames import AudioInputs, Samples
from connector.base.ends import EndReason
from connector.base.errors import RoomLegError
from connector.base.legs import (
    AgentState,
    HumansChanged,
    RoomEncrypted,
    RoomEvent,
    RoomLost,
    RoomRecovered,
    RoomRecovering,
)
from connector.base.people import ListenRule
from connector.base.redact import redact
from connector.base.secrets import Secret
from connector.room.attributes import AttributeKeeper
from connector.room.disconnects import FlapMeter, room_lost
from connector.room.events import EventBox
from connector.room.figures import RoomFigures
from connector.room.joining import connect_room, leave_room
from connector.room.publish import ReplyTrack
from connector.room.reports import RtpReports
from connector.room.seams import shape_problems
from connector.room.streams import open_public, open_tap
from connector.room.subscriptions import Subscriptions
from connector.room.token import join_token

_log = structlog.get_logger()

SURVIVOR_S = 0.25
"""How long after `connect()` a participant that is still there is sure to have won against others of its identity."""
RECOVERY_LIMIT_S = 30.0
"""The SDK gives up after 23 s; whoever hangs longer is told to join anew."""
_POLL_S = 1.0
_FEWER_S = 0.15
_FEWER_AFTER_RECOVERY_S = 5.0
"""A full reconnect empties the room for a moment, and the others come back at their own pace."""
_CLOSE_S = 1.0
_LOOK_AGAIN: tuple[EventTypes, ...] = (
    "participant_connected",
    "participant_disconnected",
    "participant_active",
    "participant_attributes_changed",
    "participant_permissions_changed",
    "participant_encryption_status_changed",
    "track_published",
    "track_unpublished",
    "track_subscribed",
    "track_unsubscribed",
    "track_subscription_failed",
    "local_track_unpublished",
)


@dataclass(frozen=True)
class RoomLegOptions:
    """What a room leg needs to know.

    Attributes:
        url: The LiveKit server.
        api_key: The id of its key.
        api_secret: The key's secret.
        room: The room's name.
        identity: Our identity in it; whoever joins with the same one evicts us.
        name: Our display name.
        worker_id: Shown to the room as ``connector.worker``.
        listen: Whom to hear.
        fenced: Whether a lease is held, so that nobody else may join with our identity: `settled` need not wait.
        public_audio: Use the SDK's public streams and captures instead of the tap.
    """

    url: str
    api_key: str
    api_secret: Secret
    room: str
    identity: str
    name: str
    worker_id: str
    listen: ListenRule = field(default_factory=ListenRule)
    fenced: bool = False
    public_audio: bool = False


class LiveKitRoomLeg:
    """One participant in one room, for one session. Make it inside a running event loop; `close` it always."""

    def __init__(
        self, options: RoomLegOptions, inputs: AudioInputs, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Prepare a leg; nothing happens before `join`.

        Args:
            options: Where to join, and how.
            inputs: Where heard audio goes.
            clock: Monotonic seconds.
        """
        self._options = options
        self._clock = clock
        self._figures = RoomFigures()
        self._events = EventBox()
        self._attributes = AttributeKeeper(options.worker_id, self._figures)
        self._reports = RtpReports(self._figures)
        gone = {problem.seam for problem in shape_problems()}
        public_in = options.public_audio or bool(gone & {"tap", "stream"})
        self._public_out = options.public_audio or "capture" in gone
        open_stream = open_public if public_in else open_tap
        self._subscriptions = Subscriptions(inputs, open_stream, options.listen, options.identity, self._figures)
        self._figures.public_streams = public_in
        self._reply: ReplyTrack | None = None
        self._room: rtc.Room | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._wake = asyncio.Event()
        self._look_is_due = False
        self._connected = False
        self._joined_at = 0.0
        self._humans = 0
        self._fewer_since: float | None = None
        self._recovering_since: float | None = None
        self._recovered_at = float("-inf")
        self._republished = False
        self._flaps = FlapMeter()
        self._closing: asyncio.Task[None] | None = None

    @property
    def humans(self) -> int:
        """Humans in the room, as last told by `next_event`."""
        return self._humans

    @property
    def encrypted(self) -> bool:
        """Whether somebody publishes end-to-end encrypted media; known when `join` returns, if it was so then."""
        return self._subscriptions.encrypted

    async def join(self) -> None:
        """Join, begin to hear, and publish our track.

        If this fails or is cancelled nothing is left behind; at the latest some 20 s later, when a join that was
        under way has ended and left again.

        Raises:
            RoomLegError: Why, with the remedy; `livekit_rejected` or `livekit_unreachable`.
        """
        fatal = next((problem for problem in shape_problems() if problem.fallback is None), None)
        if fatal is not None:
            raise RoomLegError(f"the LiveKit library does not fit: {fatal}", reason=EndReason.INTERNAL_ERROR)
        options = self._options
        token = join_token(
            api_key=options.api_key,
            api_secret=options.api_secret,
            room=options.room,
            identity=options.identity,
            name=options.name,
            attributes=self._attributes.values(),
        )
        room = rtc.Room()
        self._listen_to(room)
        joined = False
        try:
            await connect_room(room, options.url, token)
            await self._begin(room)
            joined = True
        finally:
            if not joined:
                await self.close()

    async def settled(self) -> None:
        """Wait until we are sure to be the only participant with our identity: 250 ms after the join, or at once.

        Raises:
            RoomLegError: We are not: `replaced`, or however else the room was lost meanwhile.
        """
        if not self._options.fenced:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, self._joined_at + SURVIVOR_S - self._clock())):
                    await self._events.wait_end()
        end = self._events.end
        if end is not None:
            raise RoomLegError(
                f"joining the room: {end.detail}", reason=end.reason, retryable=end.rejoin, cause=end.cause
            )

    async def next_event(self) -> RoomEvent:
        """What happened next. At most one event of each kind waits; after `RoomLost` this gives it again."""
        return await self._events.next()

    def push(self, samples: Samples) -> None:
        """Publish reply audio: k * 480 samples of 48 kHz mono. Never waits, never raises.

        While an administrator has muted us, or we may not publish, the audio is dropped and counted.
        """
        if self._reply is not None:
            self._reply.push(samples)

    def set_agent_state(self, state: AgentState) -> None:
        """Show this state to the room soon. Does not wait; the latest state wins."""
        self._attributes.set_state(state)

    def update_listen(self, listen: ListenRule) -> None:
        """Hear by this rule from now on, also when it is given before `join`. Does not wait, never raises."""
        self._subscriptions.listen = listen
        self._look_soon()

    def figures(self) -> RoomFigures:
        """A copy of the counters."""
        return replace(self._figures, frames=self._subscriptions.frames)

    async def close(self) -> None:
        """Leave the room and free everything. Idempotent; takes at most 5 s, also after a half-way failure."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(), name="room-leg-close")
        await asyncio.shield(self._closing)

    async def _begin(self, room: rtc.Room) -> None:
        if self._closing is not None:
            await leave_room(room)
            raise RoomLegError("joining the room: the leg was closed meanwhile", reason=EndReason.REQUESTED)
        self._room = room
        self._joined_at = self._clock()
        self._connected = room.isconnected()
        self._reply = ReplyTrack(self._figures, direct=not self._public_out)
        self._look()
        await self._reply.keep(room.local_participant, self._clock())
        self._start(self._poll(), "room-leg-poll")
        self._start(self._keep_reply(self._reply), "room-leg-reply")
        self._start(self._attributes.run(self._own), "room-leg-attributes")
        self._start(self._reports.run(lambda: self._room if self._connected else None), "room-leg-reports")
        _log.info("room_joined", published=self._reply.published, humans=self._humans)

    async def _close(self) -> None:
        for task in self._tasks:
            task.cancel()
        ending = [*self._tasks]
        if self._room is not None and self._connected:
            ending.append(asyncio.create_task(self._reports.read(self._room), name="room-leg-last-report"))
        self._connected = False
        if ending:
            await asyncio.wait(ending, timeout=_CLOSE_S)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_S):
                await self._subscriptions.close()
        room, self._room = self._room, None
        if room is not None:
            await leave_room(room)
        if self._reply is not None:
            await self._reply.close()

    def _listen_to(self, room: rtc.Room) -> None:
        for name in _LOOK_AGAIN:
            room.on(name, self._look_soon)
        room.on("participant_attributes_changed", self._on_attributes)
        room.on("local_track_republished", self._on_republished)
        room.on("reconnecting", self._on_reconnecting)
        room.on("reconnected", self._on_reconnected)
        room.on("disconnected", self._on_disconnected)

    def _own(self) -> rtc.LocalParticipant | None:
        return self._room.local_participant if self._room is not None and self._connected else None

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._on_task_end)
        self._tasks.append(task)

    def _on_task_end(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            detail = f"the room leg failed: {redact(repr(task.exception()))}"
            _log.error("room_leg_failed", task=task.get_name(), error=detail)
            self._events.put(RoomLost(EndReason.INTERNAL_ERROR, rejoin=False, detail=detail))

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(_POLL_S)
            self._look()
            since = self._recovering_since
            if since is not None and self._clock() - since > RECOVERY_LIMIT_S:
                self._events.put(room_lost("CONNECTION_TIMEOUT"))

    async def _keep_reply(self, reply: ReplyTrack) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_POLL_S):
                    await self._wake.wait()
            self._wake.clear()
            own = self._own()
            if own is not None:
                await reply.keep(own, self._clock())

    def _look_soon(self) -> None:
        self._wake.set()
        if not self._look_is_due:
            self._look_is_due = True
            asyncio.get_running_loop().call_soon(self._look)

    def _look(self) -> None:
        self._look_is_due = False
        if self._room is None or self._closing is not None:
            return
        now = self._clock()
        was_encrypted = self.encrypted
        self._subscriptions.look(self._room.remote_participants.values(), now, connected=self._connected)
        if self.encrypted and not was_encrypted:
            self._events.put(RoomEncrypted())
        if self._connected:
            self._count_humans(now)

    def _count_humans(self, now: float) -> None:
        count = self._subscriptions.humans
        if count < self._humans:
            fresh = now - self._recovered_at < _FEWER_AFTER_RECOVERY_S
            patience = _FEWER_AFTER_RECOVERY_S if fresh else _FEWER_S
            if self._fewer_since is None:
                self._fewer_since = now
                asyncio.get_running_loop().call_later(_FEWER_S, self._look)
            if now - self._fewer_since < patience:
                return
        self._fewer_since = None
        if count != self._humans:
            self._humans = count
            self._events.put(HumansChanged(count))

    def _on_attributes(self, _changed: dict[str, str], participant: rtc.Participant) -> None:
        if participant.identity == self._options.identity:
            self._attributes.changed(participant.attributes)

    def _on_republished(self) -> None:
        self._republished = True

    def _on_reconnecting(self) -> None:
        now = self._clock()
        self._connected = False
        self._fewer_since = None
        if self._recovering_since is None:
            self._recovering_since = now
            self._republished = False
            self._events.put(self._flaps.recovery(now) or RoomRecovering())

    def _on_reconnected(self) -> None:
        now = self._clock()
        gap_s = 0.0 if self._recovering_since is None else now - self._recovering_since
        full, self._republished = self._republished, False
        self._recovering_since = None
        self._recovered_at = now
        self._connected = True
        self._figures.recovery_gap_s = gap_s
        if full:
            self._figures.full_reconnects += 1
        else:
            self._figures.resumes += 1
        self._subscriptions.forget_requests()
        self._attributes.renew()
        self._events.put(RoomRecovered(full=full, gap_s=gap_s))
        self._look_soon()

    def _on_disconnected(self, reason: int) -> None:
        self._connected = False
        if self._closing is None:
            self._events.put(room_lost(_reason_name(reason)))


def _reason_name(reason: int) -> str:
    try:
        return rtc.DisconnectReason.Name(rtc.DisconnectReason.ValueType(reason))
    except ValueError:  # younger than the SDK
        return f"REASON_{reason}"
