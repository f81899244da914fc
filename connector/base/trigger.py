"""What says "look at this room now": a closed set, shared by logs, metrics and answers."""

from enum import StrEnum


class Trigger(StrEnum):
    """Why a room was looked at."""

    WEBHOOK = "webhook"
    RECONCILE = "reconcile"
    REQUEST = "request"
    DISPATCH = "dispatch"
    FAILOVER = "failover"
