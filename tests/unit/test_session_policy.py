"""Waits and limits of new tries."""

from hypothesis import given
from hypothesis import strategies as st

from connector.base.ends import EndReason
from connector.base.errors import AgentLegError
from connector.session.policy import AgentRetries, full_jitter


def failure(*, ambiguous: bool = False, retry_after_s: float | None = None) -> AgentLegError:
    return AgentLegError(
        "x",
        reason=EndReason.AGENT_UNREACHABLE,
        retryable=True,
        may_have_begun=ambiguous,
        retry_after_s=retry_after_s,
    )


@given(st.floats(0.1, 5), st.floats(5, 60), st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_back_off_stays_within_its_cap(first: float, cap: float, attempt: int, draw: float) -> None:
    """No wait is negative or longer than the cap, however many tries there were."""
    assert 0 <= full_jitter(first, cap, attempt, lambda: draw) <= cap


def test_a_lost_leg_is_first_tried_at_once() -> None:
    """The first loss of an established leg waits for nothing, the second backs off."""
    retries = AgentRetries(3, 120)
    assert [retries.next_wait(None, now, lambda: 0.5) for now in (0.0, 1.0, 2.0, 3.0)] == [0.0, 0.5, 1.0, None]


def test_the_window_slides() -> None:
    """Tries older than the window count no more."""
    retries = AgentRetries(1, 120)
    assert retries.next_wait(None, 0.0, lambda: 0.5) == 0.0
    assert retries.next_wait(None, 100.0, lambda: 0.5) is None
    assert retries.next_wait(None, 121.0, lambda: 0.5) == 0.0


def test_the_other_side_is_asked_how_long_to_wait() -> None:
    """Retry-After is honoured up to 60 s."""
    assert AgentRetries(9, 120).next_wait(failure(retry_after_s=7), 0.0, lambda: 0.1) == 7
    assert AgentRetries(9, 120).next_wait(failure(retry_after_s=3600), 0.0, lambda: 0.1) == 60


@given(st.floats(0, 1, exclude_max=True), st.none() | st.floats(0, 100))
def test_an_ambiguous_failure_always_waits_five_seconds(draw: float, retry_after: float | None) -> None:
    """Whatever else was asked, after a possibly billed try the next one is at least 5 s away."""
    wait = AgentRetries(9, 120).next_wait(failure(ambiguous=True, retry_after_s=retry_after), 0.0, lambda: draw)
    assert wait is not None
    assert wait >= 5
