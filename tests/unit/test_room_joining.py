"""What a failed join says. The joins themselves are in the e2e tests."""

import pytest
from livekit import rtc

from connector.base.causes import Cause
from connector.base.ends import EndReason
from connector.room.joining import explain

JWT = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJrZXkifQ.c2lnbmF0dXJl"
REFUSED, LATER = EndReason.LIVEKIT_REJECTED, EndReason.LIVEKIT_UNREACHABLE


@pytest.mark.parametrize(
    ("text", "reason", "cause", "remedy"),
    [
        ("client error: 401 Unauthorized - invalid API key: k", REFUSED, Cause.AUTH, "check the key"),
        (
            f"client error: 401 Unauthorized - invalid token: {JWT}, signature is invalid",
            REFUSED,
            Cause.AUTH,
            "check the secret",
        ),
        (
            f"client error: 401 Unauthorized - invalid token: {JWT}, token is expired",
            REFUSED,
            Cause.AUTH,
            "this machine's clock",
        ),
        ("client error: 404 Not Found - requested room does not exist", REFUSED, Cause.CONFIG, "auto_create is off"),
        ("client error: 404 Not Found - 404 page not found", REFUSED, Cause.CONFIG, "no path"),
        ("client error: 400 Bad Request - no room name", REFUSED, Cause.CONFIG, "the room's name"),
        ("client error: 403 Forbidden", REFUSED, Cause.AUTH, "the key's rights"),
        ("client error: 429 Too Many Requests", LATER, Cause.RATE, "try later"),
        ("server error: 500 Internal Server Error", LATER, Cause.UNREACHABLE, "500"),
        ("500 Internal Server Error", LATER, Cause.SERVER, "is full"),
        ("failed to parse the url: relative URL without a base", REFUSED, Cause.CONFIG, "wss://host"),
        (
            "transport connection error: IO error: Connection refused (os error 111)",
            LATER,
            Cause.UNREACHABLE,
            "the server runs",
        ),
        (
            "transport connection error: IO error: failed to lookup address information",
            LATER,
            Cause.UNREACHABLE,
            "cannot be resolved",
        ),
        (
            "transport connection error: IO error: received corrupt message of type X",
            REFUSED,
            Cause.CONFIG,
            "begin with ws://",
        ),
        ("transport timed out", LATER, Cause.TIMEOUT, "no answer in time"),
        ("something nobody has seen", LATER, Cause.UNREACHABLE, "something nobody has seen"),
    ],
)
def test_a_failed_join_is_one_line_with_a_remedy(text: str, reason: EndReason, cause: Cause, remedy: str) -> None:
    """Each failure is named with what to do; only those that may pass by themselves are worth another try."""
    error = explain(rtc.ConnectError(f"engine: signal failure: {text}"), "wss://user:pass@livekit.example.com")
    assert (error.reason, error.cause) == (reason, cause)
    assert error.retryable == (reason is LATER)
    assert remedy in str(error)
    assert "livekit.example.com" in str(error)
    assert "\n" not in str(error)
    assert "eyJ" not in str(error)
    assert "pass" not in str(error).replace("passed", "")


def test_any_other_exception_is_explained_too() -> None:
    """An error that is no ConnectError and has no text is named by its type."""
    assert "RuntimeError" in str(explain(RuntimeError(), "wss://livekit.example.com"))
