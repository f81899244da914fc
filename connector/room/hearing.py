"""The listening rule, where the room leg looks for it."""

from connector.base.people import MAX_HEARD, ListenRule, Person

__all__ = ["MAX_HEARD", "ListenRule", "Person"]
