"""What control reports as it happens: metrics and outgoing webhooks listen, control knows neither.

Every method is called on the event loop, must not block and must not raise.
"""

from collections.abc import Sequence

from connector.base.trigger import Trigger
from connector.messages.types import EngineBeat, SessionEnded, SessionState, StartSession


class Observer:
    """Listens to everything, does nothing; subclasses override what they want."""

    def session_started(self, start: StartSession, trigger: Trigger) -> None:
        """A session was handed to an engine."""

    def session_state(self, state: SessionState) -> None:
        """A session's state, or the number of humans, changed."""

    def session_ended(self, ended: SessionEnded) -> None:
        """A session is over, or its engine is lost."""

    def engine_beat(self, engine: int, beat: EngineBeat) -> None:
        """An engine reported its counters, once a second."""

    def engine_ready(self, engine: int) -> None:
        """An engine can take sessions."""

    def engine_lost(self, engine: int, sessions: int) -> None:
        """An engine died or was ended; it had so many sessions."""

    def pass_done(self, seconds: float, *, ok: bool, full: bool) -> None:
        """A reconcile pass is over; `full` when it looked at every room, not only at those hinted at."""

    def rooms_judged(self, desired: int, unserved: int, oldest_unserved_s: float) -> None:
        """After a full pass: rooms that are to be served, those of them that are not yet, and for how long at most."""

    def rooms_to_look_at(self, count: int) -> None:
        """How many rooms wait to be looked at."""

    def claim(self, outcome: str) -> None:
        """A claim was tried: won, lost or error."""

    def claim_took(self, seconds: float) -> None:
        """How long it took to win a claim."""

    def claim_renew_failed(self) -> None:
        """A lease could not be renewed."""

    def capacity(self, total: int, *, available: bool, draining: bool) -> None:
        """Sessions that fit into all engines that are ready, and whether rooms are taken at all."""

    def reloaded(self, *, ok: bool, config_hash: str) -> None:
        """rooms.yaml was read again; `config_hash` is that of the configuration in force."""

    def circuit(self, target: str, *, is_open: bool) -> None:
        """Whether everything towards `target` (millis, livekit) is held back because it refuses our key."""

    def room_held(self, count: int) -> None:
        """How many rooms are held because another participant replaced ours again and again."""

    def event_posted(self, outcome: str) -> None:
        """An outgoing webhook was tried: ok, retried (to be tried again), failed (given up) or dropped (never sent)."""


class Observers(Observer):
    """Passes everything on to several observers, in order.

    Args:
        observers: The listeners.
    """

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = tuple(observers)

    def session_started(self, start: StartSession, trigger: Trigger) -> None:
        """See `Observer`."""
        for observer in self._observers:
            observer.session_started(start, trigger)

    def session_state(self, state: SessionState) -> None:
        """See `Observer`."""
        for observer in self._observers:
            observer.session_state(state)

    def session_ended(self, ended: SessionEnded) -> None:
        """See `Observer`."""
        for observer in self._observers:
            observer.session_ended(ended)

    def engine_beat(self, engine: int, beat: EngineBeat) -> None:
        """See `Observer`."""
        for observer in self._observers:
            observer.engine_beat(engine, beat)

    def engine_ready(self, engine: int) -> None:
        """See `Observer`."""
        for observer in self._observers:
            observer.engine_ready(engine)

    def engine_lost(self, engine: int, sessions: int) -> None:
        """See `Observer`."""
        for observer in self._observers:
            observer.engine_lost(engine, sessions)

    def pass_done(self, seconds: float, *, ok: bool, full: bool) -> None:
        """See `Observer`."""
        for observer in self._observers:
            observer.pass_done(seconds, ok=ok, full=full)

    def rooms_judged(self, desired: int, unserved: int, oldest_unserved_s: float) -> None:
        """See `Observer`."""
        for observer in self._observers:
            observer.rooms_judged(desired, unserved, oldest_unserved_s)

    def rooms_to_look_at(self, count: int) -> None:
        """See `Observer`."""
        for observer in self._observers:
            observer.rooms_to_look_at(count)

    def claim(self, outcome: str) -> None:
        """See `Observer`."""
        for observer in self._observers:
            observer.claim(outcome)

    def claim_took(self, seconds: float) -> None:
        """See `Observer`."""
        for observer in self._observers:
            observer.claim_took(seconds)

    def claim_renew_failed(self) -> None:
        """See `Observer`."""
        for observer in self._observers:
            observer.claim_renew_failed()

    def capacity(self, total: int, *, available: bool, draining: bool) -> None:
        """See `Observer`."""
        for observer in self._observers:
            observer.capacity(total, available=available, draining=draining)

    def reloaded(self, *, ok: bool, config_hash: str) -> None:
        """See `Observer`."""
        for observer in self._observers:
            observer.reloaded(ok=ok, config_hash=config_hash)

    def circuit(self, target: str, *, is_open: bool) -> None:
        """See `Observer`."""
        for observer in self._observers:
            observer.circuit(target, is_open=is_open)

    def room_held(self, count: int) -> None:
        """See `Observer`."""
        for observer in self._observers:
            observer.room_held(count)

    def event_posted(self, outcome: str) -> None:
        """See `Observer`."""
        for observer in self._observers:
            observer.event_posted(outcome)
