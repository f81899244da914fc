"""Messages survive the pipe, and the outbox is bounded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.base.ends import EndReason
from connector.messages.outbox import Outbox
from connector.messages.types import (
    Configure,
    EndSession,
    EngineBeat,
    Ready,
    SessionEnded,
    SessionState,
    Shutdown,
    StartSession,
    ToControl,
    ToEngine,
    decode_to_control,
    decode_to_engine,
    encode,
)

TEXT = st.text(max_size=20)
TO_ENGINE = st.one_of(
    st.builds(Configure, worker_id=TEXT, livekit_url=TEXT, millis_url=TEXT),
    st.builds(
        StartSession,
        session_id=TEXT,
        room=TEXT,
        trigger=TEXT,
        agent_id=TEXT,
        identity=TEXT,
        name=TEXT,
        leave_after_s=st.floats(0, 100),
        max_duration_s=st.floats(0, 100),
        reconnect_attempts=st.integers(0, 9),
        reconnect_within_s=st.floats(0, 100),
        agent_silence_s=st.floats(0, 100),
        metadata=st.dictionaries(TEXT, st.none() | st.booleans() | st.integers(-9, 9) | TEXT, max_size=3),
    ),
    st.builds(EndSession, session_id=TEXT, reason=st.sampled_from(EndReason)),
    st.just(Shutdown()),
)
TO_CONTROL = st.one_of(
    st.builds(Ready, pid=st.integers(1, 9), opus=TEXT),
    st.builds(SessionState, session_id=TEXT, room=TEXT, state=TEXT, humans=st.integers(0, 9)),
    st.builds(SessionEnded, session_id=TEXT, room=TEXT, reason=st.sampled_from(EndReason), detail=TEXT),
    st.builds(EngineBeat, sessions=st.integers(0, 9), counters=st.dictionaries(TEXT, st.floats(0, 9), max_size=3)),
)


@given(TO_ENGINE)
def test_orders_survive_the_pipe(message: ToEngine) -> None:
    """What control writes is what the engine reads, one line each."""
    line = encode(message)
    assert line.count(b"\n") == 1
    assert decode_to_engine(line) == message


@given(TO_CONTROL)
def test_reports_survive_the_pipe(message: ToControl) -> None:
    """What an engine writes is what control reads, one line each."""
    line = encode(message)
    assert line.count(b"\n") == 1
    assert decode_to_control(line) == message


@pytest.mark.parametrize("line", [b"", b"{}", b'{"type":"nonsense"}', b'{"type":"shutdown","more":1}', b"\xff\n"])
def test_anything_else_is_refused(line: bytes) -> None:
    """A line that is no message of that direction raises ValueError."""
    with pytest.raises(ValueError, match=r".+"):
        decode_to_engine(line)


def test_the_latest_state_wins_and_beats_add_up() -> None:
    """While the reader is slow, states replace each other, counters add up, and ends stand in line."""
    outbox = Outbox()
    for humans in range(1000):
        outbox.put(SessionState(session_id="a", room="r", state="live", humans=humans))
        outbox.put(EngineBeat(sessions=1, counters={"x": 1}))
    outbox.put(SessionEnded(session_id="b", room="r", reason=EndReason.DRAINED))
    assert len(outbox) == 3
    messages = [decode_to_control(line) for line in outbox.take().splitlines()]
    assert messages == [
        SessionState(session_id="a", room="r", state="live", humans=999),
        SessionEnded(session_id="b", room="r", reason=EndReason.DRAINED),
        EngineBeat(sessions=1, counters={"x": 1000}),
    ]
    assert len(outbox) == 0
    assert outbox.take() == b""
