"""Log lines: what stands in them, what never does, and that nobody waits for them."""

import io
import json
import logging
import threading
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from connector.base.errors import ConfigError
from connector.base.logs import Cleaner, LineWriter, _LibraryHandler, clean, flush_logs, setup_logs
from connector.base.secrets import Secret

CANARY = Secret("canary-log-secret")


@pytest.fixture(autouse=True)
def _put_logging_back() -> Iterator[None]:
    """structlog, the standard library's handlers and the writer thread are as before."""
    handlers = logging.getLogger().handlers[:]
    yield
    setup_logs({"CONNECTOR_LOG": "json"}, io.StringIO()).close()
    logging.getLogger().handlers[:] = handlers
    structlog.reset_defaults()


class _Stuck(io.StringIO):
    """A stream whose reader has gone to sleep, until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.entered, self.let_go = threading.Event(), threading.Event()

    def write(self, text: str) -> int:
        self.entered.set()
        self.let_go.wait(10)
        return super().write(text)


def _lines(stream: io.StringIO) -> list[dict[str, object]]:
    flush_logs(10)
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_json_line() -> None:
    """A line holds the event, its level, a time stamp in UTC and the values as they are."""
    stream = io.StringIO()
    setup_logs({"CONNECTOR_LOG": "json"}, stream)
    structlog.get_logger().info("session_live", room="demo", delay_ms=1.5, humans=2, ok=True, nothing=None)
    (line,) = _lines(stream)
    assert str(line.pop("timestamp")).endswith("Z")
    assert line == {
        "event": "session_live",
        "level": "info",
        "room": "demo",
        "delay_ms": 1.5,
        "humans": 2,
        "ok": True,
        "nothing": None,
    }


def test_no_secret_reaches_a_line() -> None:
    """Secrets are cut out of events, values, nested values, exceptions and the libraries' records."""
    stream = io.StringIO()
    setup_logs({"CONNECTOR_LOG": "json"}, stream)
    log, text = structlog.get_logger(), CANARY.reveal()
    log.warning(text, value=text, nested={"a": [f"x{text}"]}, secret=CANARY, url=f"ws://u:{text}@h")
    try:
        int(text)
    except ValueError:
        log.exception("failed")
        logging.getLogger("aiortc").exception("library says %s", text)
    flush_logs(10)
    assert stream.getvalue().count("\n") == 3
    assert text not in stream.getvalue()
    assert "[redacted]" in stream.getvalue()


def test_people_are_pseudonyms_unless_debugging() -> None:
    """The same identity has the same pseudonym within a process, another one in the next; debug shows it."""
    one, other = Cleaner(show_people=False), Cleaner(show_people=False)
    event = {"identity": "ada", "participants": ["ada", "bob"], "room": "demo"}
    seen = one(None, "info", dict(event))
    assert seen["identity"] == seen["participants"][0] != seen["participants"][1]
    assert "ada" not in json.dumps(seen)
    assert seen["room"] == "demo"
    assert other(None, "info", dict(event))["identity"] != seen["identity"]
    assert Cleaner(show_people=True)(None, "debug", dict(event)) == event


def test_a_name_cannot_forge_a_line() -> None:
    """Line breaks, escape sequences and U+2028 are escaped in JSON and in console form alike."""
    for form in ("json", "console"):
        stream = io.StringIO()
        setup_logs({"CONNECTOR_LOG": form}, stream)
        structlog.get_logger().info("joined", room='a\n{"event": "forged"}\u2028\x1b[31m')
        flush_logs(10)
        assert stream.getvalue().count("\n") == 1
        assert not {"\u2028", "\x1b"} & set(stream.getvalue())


def test_long_names_and_values_are_cut() -> None:
    """A room's name keeps 128 characters, another value 300, a container 50 items."""
    seen = Cleaner(show_people=True)(None, "info", {"room": "r" * 1_000, "text": "t" * 1_000, "many": list(range(99))})
    assert (len(seen["room"]), len(seen["text"]), len(seen["many"])) == (128, 300, 50)
    assert seen["room"].endswith("…")


JSON_LIKE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(max_size=9) | st.just(CANARY),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=20,
)


@given(JSON_LIKE)
def test_whatever_is_logged_becomes_json(value: object) -> None:
    """Any value, odd floats and bytes included, becomes something that strict JSON can hold, without the secret."""
    assert CANARY.reveal() not in json.dumps(clean(value), allow_nan=False)


def test_the_level_and_the_form_come_from_the_environment() -> None:
    """Below the level nothing is written; console form is no JSON."""
    stream = io.StringIO()
    setup_logs({"CONNECTOR_LOG": "Console", "CONNECTOR_LOG_LEVEL": "WARNING"}, stream)
    structlog.get_logger().info("quiet")
    structlog.get_logger().warning("loud", n=1)
    flush_logs(10)
    assert "quiet" not in stream.getvalue()
    assert "loud" in stream.getvalue()
    assert not stream.getvalue().startswith("{")


@pytest.mark.parametrize(
    ("environ", "line"),
    [
        ({"CONNECTOR_LOG": "xml"}, 'CONNECTOR_LOG: expected json or console, found "xml"'),
        ({"CONNECTOR_LOG_LEVEL": ""}, 'CONNECTOR_LOG_LEVEL: expected debug, info, warning or error, found ""'),
    ],
)
def test_a_wrong_setting_is_one_clear_line(environ: dict[str, str], line: str) -> None:
    """The variable, what was expected and what was found."""
    with pytest.raises(ConfigError) as caught:
        setup_logs(environ, io.StringIO())
    assert caught.value.problems == [line]


def test_libraries_warn_in_the_same_form_and_chat_is_left_out() -> None:
    """Records of the standard library's logging below warning are not written; others are lines like ours."""
    stream = io.StringIO()
    setup_logs({"CONNECTOR_LOG": "json"}, stream)
    logging.getLogger("httpx").info("HTTP Request")
    logging.getLogger("asyncio").error("slow\ncallback")
    (line,) = _lines(stream)
    assert (line["event"], line["level"], line["logger"]) == ("slow\\ncallback", "error", "asyncio")


def test_setting_up_twice_writes_each_line_once() -> None:
    """A second set-up takes the place of the first."""
    first, second = io.StringIO(), io.StringIO()
    setup_logs({"CONNECTOR_LOG": "json"}, first)
    setup_logs({"CONNECTOR_LOG": "json"}, second)
    logging.getLogger("asyncio").error("once")
    assert len(_lines(second)) == 1
    assert first.getvalue() == ""


def test_a_blocked_stream_blocks_nobody() -> None:
    """When nobody reads, lines past the bound are dropped and counted, and the count is written later."""
    stream = _Stuck()
    writer = LineWriter(stream)
    writer.msg("first")
    assert stream.entered.wait(10)
    for number in range(2_100):
        writer.msg(str(number))
    assert writer.dropped == 100
    assert not writer.flush(0)
    stream.let_go.set()
    assert writer.flush(10)
    writer.close()
    assert json.loads(stream.getvalue().splitlines()[-1]) == {"event": "log_lines_dropped", "total": 100}


def test_a_closed_stream_hurts_nobody() -> None:
    """Lines for a stream that is gone are counted as dropped."""
    stream = io.StringIO()
    writer = LineWriter(stream)
    stream.close()
    writer.msg("lost")
    assert writer.flush(10)
    assert writer.dropped == 1
    writer.close()


def test_a_record_that_cannot_be_formatted_is_counted() -> None:
    """A library's faulty log call does not raise in the library."""
    stream = io.StringIO()
    writer = setup_logs({"CONNECTOR_LOG": "json"}, stream)
    handler = next(handler for handler in logging.getLogger().handlers if isinstance(handler, _LibraryHandler))
    handler.handle(logging.LogRecord("asyncio", logging.ERROR, __file__, 1, "%d", ("no number",), None))
    assert writer.dropped == 1
    assert writer.flush(10)
    assert stream.getvalue() == ""
