"""What waits to be written to a pipe whose other end may be slow: bounded, the latest state wins.

A reader that stops reading must not stop the audio. So states replace the older state of the same session, beats
add up into one, and only the messages that must arrive (start, end, ended) stand in line: there is at most one of
each per session, which bounds them by the engine's capacity.
"""

from collections import deque

from connector.messages.types import EngineBeat, SessionState, ToControl, ToEngine, encode


class Outbox:
    """Messages waiting for a pipe, in the order in which they were put (states keep the place of the one replaced)."""

    def __init__(self) -> None:
        self._lined_up: deque[ToEngine | ToControl] = deque()
        self._states: dict[str, SessionState] = {}
        self._beat: EngineBeat | None = None

    def put(self, message: ToEngine | ToControl) -> None:
        """Take a message."""
        if isinstance(message, SessionState):
            self._states[message.session_id] = message
        elif isinstance(message, EngineBeat):
            self._beat = message if self._beat is None else _added(self._beat, message)
        else:
            self._lined_up.append(message)

    def __len__(self) -> int:
        return len(self._lined_up) + len(self._states) + (self._beat is not None)

    def take(self) -> bytes:
        """Everything that waits, as lines; the outbox is empty afterwards.

        States go first: a session's last state never follows its end.
        """
        messages = [*self._states.values(), *self._lined_up, *([self._beat] if self._beat else [])]
        self._states.clear()
        self._lined_up.clear()
        self._beat = None
        return b"".join(encode(message) for message in messages)


def _added(old: EngineBeat, new: EngineBeat) -> EngineBeat:
    counters = dict(old.counters)
    for name, value in new.counters.items():
        counters[name] = counters.get(name, 0) + value
    return new.model_copy(update={"counters": counters})
