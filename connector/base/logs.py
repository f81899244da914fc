"""Log set-up: one line per event to stderr, JSON for machines or coloured text for a terminal.

Every value passes `clean`: secrets cut out, control characters and line separators escaped, long values cut. Names of
people (identities) are shown as a keyed hash unless the level is debug. Warnings of the libraries take the same way.
A caller never waits for stderr: lines go through a bounded queue to a writer thread, and what does not fit is counted.
"""

import atexit
import hashlib
import json
import logging
import os
import queue
import secrets
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import TextIO, TypeAlias

import structlog
from structlog.typing import EventDict, Processor

from connector.base.errors import ConfigError
from connector.base.redact import cut_secrets

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_FORMATS = ("json", "console")
_MAX_VALUE_CHARS = 300
_MAX_NAME_CHARS = 128
"""Names and identities are user text (`facts/faults.md` §3, log injection)."""
_MAX_TRACE_CHARS = 8_000
_MAX_ITEMS = 50
_MAX_DEPTH = 4
_MAX_LINES = 2_000
_FLUSH_S = 1.0
_NAME_KEYS = frozenset({"room", "identity", "participant", "name", "agent_id"})
_PERSON_KEYS = frozenset({"identity", "participant", "identities", "participants"})
_TRACE_KEYS = frozenset({"exception", "stack"})

Cleaned: TypeAlias = str | int | float | bool | list["Cleaned"] | dict[str, "Cleaned"] | None


def setup_logs(environ: Mapping[str, str] | None = None, stream: TextIO | None = None) -> "LineWriter":
    """Set up structlog and the standard library's logging for this process; may be called again.

    Args:
        environ: Stands in for `os.environ`. ``CONNECTOR_LOG`` is ``json`` or ``console`` (default: console on a
            terminal, JSON otherwise); ``CONNECTOR_LOG_LEVEL`` is ``debug``, ``info`` (default), ``warning`` or
            ``error``.
        stream: Where lines go; stderr by default.

    Returns:
        The writer, for `flush` before a sudden exit and for its count of dropped lines.

    Raises:
        ConfigError: A variable has another value.
    """
    environ = os.environ if environ is None else environ
    stream = sys.stderr if stream is None else stream
    default = "console" if stream.isatty() else "json"
    form = _choice(environ, "CONNECTOR_LOG", _FORMATS, default)
    level = _LEVELS[_choice(environ, "CONNECTOR_LOG_LEVEL", tuple(_LEVELS), "info")]
    writer = LineWriter(stream)
    before: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        Cleaner(show_people=level <= logging.DEBUG),
    ]
    render = _renderer(form, colors=stream.isatty())
    structlog.configure(
        processors=[*before, render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: writer,
        cache_logger_on_first_use=False,
    )
    _route_libraries(writer, before, render, max(level, logging.WARNING))
    _replace_writer(writer)
    return writer


def clean(value: object, *, limit: int = _MAX_VALUE_CHARS, depth: int = 0) -> Cleaned:
    """Make a value fit for a log line: secrets cut out, unprintable characters escaped, size bounded.

    Args:
        value: Anything. Numbers, booleans and None stay; containers are cleaned inside; the rest becomes text.
        limit: The most characters of each text.
        depth: How deep inside a container this value stands.

    Returns:
        A value that JSON can hold.
    """
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if abs(value) != float("inf") and value == value else str(value)  # noqa: PLR0124 - NaN is not itself
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    if depth < _MAX_DEPTH and isinstance(value, Mapping):
        items = list(value.items())[:_MAX_ITEMS]
        return {_clean_text(str(key), limit): clean(item, limit=limit, depth=depth + 1) for key, item in items}
    if depth < _MAX_DEPTH and isinstance(value, Sequence | set | frozenset) and not isinstance(value, str):
        return [clean(item, limit=limit, depth=depth + 1) for item in list(value)[:_MAX_ITEMS]]
    return _clean_text(str(value), limit)


class Cleaner:
    """The structlog processor that applies `clean` to a whole event.

    Args:
        show_people: Whether identities are shown as they are (level debug) or as a keyed hash. The key is random for
            each process: a hash tells two people in one log apart and says nothing to anybody else.
    """

    def __init__(self, *, show_people: bool) -> None:
        self._show_people = show_people
        self._key = secrets.token_bytes(16)

    def __call__(self, _logger: object, _method: str, event: EventDict) -> EventDict:
        """Clean the event; keys are the program's own words and stay."""
        return {str(key): self._clean(str(key), value) for key, value in event.items()}

    def _clean(self, key: str, value: object) -> Cleaned:
        if key in _TRACE_KEYS:
            lines = cut_secrets(str(value))[-_MAX_TRACE_CHARS:].splitlines()
            return "\n".join(_clean_text(line, _MAX_VALUE_CHARS) for line in lines)
        if key in _PERSON_KEYS and not self._show_people:
            if isinstance(value, list | tuple | set | frozenset):
                return [self._pseudonym(item) for item in list(value)[:_MAX_ITEMS]]
            return self._pseudonym(value)
        return clean(value, limit=_MAX_NAME_CHARS if key in _NAME_KEYS else _MAX_VALUE_CHARS)

    def _pseudonym(self, person: object) -> str:
        digest = hashlib.blake2b(str(person).encode(errors="replace"), key=self._key, digest_size=4)
        return f"person-{digest.hexdigest()}"


class LineWriter:
    """Writes whole lines from a thread of its own; serves as structlog's logger.

    A full queue (stderr is blocked) drops lines instead of blocking the caller.

    Attributes:
        dropped: How many lines were dropped.
    """

    def __init__(self, stream: TextIO) -> None:
        self.dropped = 0
        self._stream = stream
        self._lines: queue.Queue[str | None] = queue.Queue(_MAX_LINES)
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def msg(self, line: str) -> None:
        """Queue one line; never blocks."""
        if self._thread is None:
            self._start()
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self.dropped += 1

    log = debug = info = warn = warning = error = critical = fatal = failure = exception = msg

    def flush(self, timeout_s: float = _FLUSH_S) -> bool:
        """Wait until everything queued so far is written.

        Args:
            timeout_s: The most seconds to wait.

        Returns:
            Whether it was written in time.
        """
        if self._thread is None:
            return True
        deadline = time.monotonic() + timeout_s
        with self._lines.all_tasks_done:
            while self._lines.unfinished_tasks:
                left = deadline - time.monotonic()
                if left <= 0 or not self._lines.all_tasks_done.wait(left):
                    return not self._lines.unfinished_tasks
        return True

    def close(self) -> None:
        """Write what is queued, within a second, and end the thread."""
        self.flush()
        thread, self._thread = self._thread, None
        if thread is not None:
            try:
                self._lines.put_nowait(None)
            except queue.Full:
                return
            thread.join(_FLUSH_S)

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._write, name="log-writer", daemon=True)
                self._thread.start()

    def _write(self) -> None:
        reported = 0
        while True:
            line = self._lines.get()
            try:
                if line is None:
                    return
                self._stream.write(line + "\n")
                if self.dropped > reported and self._lines.empty():
                    self._stream.write(json.dumps({"event": "log_lines_dropped", "total": self.dropped}) + "\n")
                    reported = self.dropped
                self._stream.flush()
            except (OSError, ValueError):  # stderr is closed: nobody is left to be told
                self.dropped += 1
            finally:
                self._lines.task_done()


class _LibraryHandler(logging.Handler):
    """Hands the records of the standard library's logging to the writer, in the common form."""

    def __init__(self, writer: LineWriter, formatter: logging.Formatter, level: int) -> None:
        super().__init__(level)
        self._writer = writer
        self.setFormatter(formatter)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._writer.msg(self.format(record))
        except Exception:  # noqa: BLE001 - the boundary that `logging` itself draws: a bad record must not hurt its caller
            self._writer.dropped += 1


_current: list[LineWriter] = []


def flush_logs(timeout_s: float = _FLUSH_S) -> None:
    """Wait, at most so many seconds, until every line so far is written: for use before a sudden exit."""
    for writer in _current:
        writer.flush(timeout_s)


def _replace_writer(writer: LineWriter) -> None:
    if _current:
        _current.pop().close()
    else:
        atexit.register(_close_writer)
    _current.append(writer)


def _close_writer() -> None:
    for writer in _current:
        writer.close()


def _route_libraries(writer: LineWriter, before: list[Processor], render: Processor, level: int) -> None:
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.add_logger_name, *before],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
    )
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if isinstance(handler, _LibraryHandler):
            root.removeHandler(handler)
    root.addHandler(_LibraryHandler(writer, formatter, level))


def _renderer(form: str, *, colors: bool) -> Processor:
    if form == "json":
        return structlog.processors.JSONRenderer(ensure_ascii=False)
    return structlog.dev.ConsoleRenderer(colors=colors)


def _choice(environ: Mapping[str, str], name: str, choices: Sequence[str], default: str) -> str:
    value = environ.get(name, default).strip().lower()
    if value not in choices:
        found = _clean_text(value, 40)
        raise ConfigError([f'{name}: expected {", ".join(choices[:-1])} or {choices[-1]}, found "{found}"'])
    return value


def _clean_text(text: str, limit: int) -> str:
    text = cut_secrets(text[: 20 * limit])
    text = text if len(text) <= limit else text[: limit - 1] + "…"
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
