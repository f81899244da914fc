"""The error tree."""

import pytest

from connector.base.ends import EndReason
from connector.base.errors import (
    AgentLegError,
    ConfigError,
    ConnectorError,
    LegError,
    RoomLegError,
    UnavailableError,
    UsageError,
)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConnectorError("x"), 1),
        (UsageError("x"), 2),
        (UnavailableError("x"), 69),
        (ConfigError(["x"]), 78),
        (RoomLegError("x", reason=EndReason.LIVEKIT_REJECTED), 1),
    ],
)
def test_every_error_has_its_exit_code(error: ConnectorError, code: int) -> None:
    """The codes are those of the design's command line; every error is a `ConnectorError`."""
    assert error.exit_code == code
    assert str(error) == "x"


def test_a_config_error_shows_one_line_for_each_problem() -> None:
    """The problems stay apart for programs and become lines for people."""
    error = ConfigError(["a", "b"])
    assert error.problems == ["a", "b"]
    assert str(error) == "a\nb"


@pytest.mark.parametrize("kind", [RoomLegError, AgentLegError])
def test_a_leg_error_is_final_and_harmless_unless_it_says_otherwise(kind: type[LegError]) -> None:
    """Without further words a leg error is not retried and did not begin a session."""
    error = kind("x", reason=EndReason.AGENT_REJECTED)
    assert (error.reason, error.retryable, error.may_have_begun) == (EndReason.AGENT_REJECTED, False, False)
    assert (error.retry_after_s, error.cause) == (None, "")


def test_a_leg_error_carries_what_a_retry_must_know() -> None:
    """Whether a billed session may have begun and how long to wait stand on the error."""
    error = AgentLegError(
        "x", reason=EndReason.AGENT_UNREACHABLE, retryable=True, may_have_begun=True, retry_after_s=3.0, cause="rate"
    )
    assert (error.retryable, error.may_have_begun, error.retry_after_s, error.cause) == (True, True, 3.0, "rate")
