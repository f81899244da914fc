"""What the end of a LiveKit connection means: reason names in, `RoomLost` out. Pure.

Seen on livekit-server 1.13.5: an admin's will and a closed room end the session, a second participant with our identity
means that we were replaced, everything else is worth a new join.
"""

from collections import deque

from connector.base.causes import Cause
from connector.base.ends import EndReason
from connector.base.legs import RoomLost

FLAP_LIMIT = 4
FLAP_WINDOW_S = 120.0
"""More than four recoveries in two minutes: the SDK would go on so for ever; a new join helps."""

_ENDS: dict[str, tuple[EndReason, bool, str]] = {
    "CLIENT_INITIATED": (EndReason.ROOM_CLOSED, False, "this participant left the room"),
    "ROOM_DELETED": (EndReason.ROOM_CLOSED, False, "the room was deleted"),
    "ROOM_CLOSED": (EndReason.ROOM_CLOSED, False, "the room was closed"),
    "DUPLICATE_IDENTITY": (EndReason.REPLACED, False, "another participant joined with the same identity"),
    "PARTICIPANT_REMOVED": (EndReason.REMOVED, False, "an administrator removed this participant"),
    "JOIN_FAILURE": (EndReason.LIVEKIT_REJECTED, True, "LiveKit refused to take this participant back"),
    "SERVER_SHUTDOWN": (EndReason.LIVEKIT_UNREACHABLE, True, "the LiveKit server shut down"),
}


def room_lost(reason: str) -> RoomLost:
    """Say what a disconnect means.

    Args:
        reason: The name of the ``DisconnectReason``, for example ``DUPLICATE_IDENTITY``; unknown names are a lost
            connection.

    Returns:
        The event for the session.
    """
    end, rejoin, detail = _ENDS.get(reason, (EndReason.LIVEKIT_UNREACHABLE, True, "the connection to LiveKit was lost"))
    return RoomLost(reason=end, rejoin=rejoin, detail=f"{detail} ({reason})", cause=reason.lower())


class FlapMeter:
    """Counts recoveries, and says when there are too many."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=FLAP_LIMIT + 1)

    def recovery(self, now: float) -> RoomLost | None:
        """Note the beginning of a recovery.

        Args:
            now: Monotonic seconds.

        Returns:
            The event to report when this is the fifth within two minutes, else None.
        """
        self._times.append(now)
        if len(self._times) <= FLAP_LIMIT or now - self._times[0] > FLAP_WINDOW_S:
            return None
        return RoomLost(
            reason=EndReason.LIVEKIT_UNREACHABLE,
            rejoin=True,
            detail=f"the connection to LiveKit broke more than {FLAP_LIMIT} times in {FLAP_WINDOW_S:.0f} s",
            cause=Cause.FLAPPING,
        )
