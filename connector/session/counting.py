"""What a session counts as it happens, for the metrics: stages, joins, recoveries, offers, restarts. Pure."""

from connector.base.catalog import DISCONNECT_REASONS
from connector.base.causes import Cause
from connector.base.errors import LegError
from connector.base.legs import AgentHungUp, AgentLost, RoomEvent, RoomLost, RoomRecovered, RoomRecovering
from connector.base.measures import Tally
from connector.session.events import AgentFailed, Event

CLIENT_INITIATED = "client_initiated"


class SessionCounts:
    """Counts one session's events; `tally` holds the result."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally
        self._in_room = False

    def stage(self, stage: str, seconds: float | None) -> None:
        """A stage of the start is over; None when it is not known how long it took."""
        if seconds is not None:
            self.tally.observe("stage_duration_seconds", seconds, stage)

    def joined(self, seconds: float) -> None:
        """The room is joined."""
        self._in_room = True
        self.stage("livekit_connect", seconds)
        self.tally.count("livekit_connects_total", "ok")
        self.tally.count("ice_state_total", "room", "completed")

    def not_joined(self, error: LegError) -> None:
        """The room could not be joined, or was lost before we were sure of it."""
        lost = error.cause in DISCONNECT_REASONS
        self.tally.count("livekit_connects_total", "lost" if lost else error.cause or "other")

    def room(self, event: RoomEvent) -> None:
        """Something happened in the room."""
        tally = self.tally
        match event:
            case RoomRecovering():
                tally.count("ice_state_total", "room", "disconnected")
            case RoomRecovered(full=full, gap_s=gap_s):
                kind = "full" if full else "resume"
                tally.count("livekit_recoveries_total", kind)
                tally.observe("livekit_recovery_gap_seconds", gap_s, kind)
                tally.count("ice_state_total", "room", "completed")
            case RoomLost(cause=cause) if self._in_room:
                self._in_room = False
                tally.count("livekit_disconnects_total", cause or "other")
                tally.count("ice_state_total", "room", "failed")
            case _:
                pass

    def left(self) -> None:
        """The room leg is closed; counts as an end of ours if the room was not lost before."""
        if self._in_room:
            self._in_room = False
            self.tally.count("livekit_disconnects_total", CLIENT_INITIATED)
            self.tally.count("ice_state_total", "room", "closed")

    def offered(self, seconds: float, error: LegError | None) -> None:
        """An offer was answered or failed."""
        self.tally.observe("millis_offer_seconds", seconds)
        self.tally.count("millis_offers_total", "ok" if error is None else error.cause or "other")
        if error is None:
            self.stage("offer_http", seconds)

    def restarted(self, event: Event) -> None:
        """The agent leg is given up, and will be made anew, because of this event."""
        self.tally.count("millis_leg_restarts_total", restart_cause(event))


def restart_cause(event: Event) -> str:
    """Why an agent leg is made anew; the room was away for too long when it is nothing of the leg's own."""
    match event:
        case AgentFailed(error=error):
            return error.cause or "other"
        case AgentLost(cause=cause):
            return cause
        case AgentHungUp():
            return Cause.HUNG_UP
        case _:
            return "room_lost"
