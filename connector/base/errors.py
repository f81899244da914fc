"""The error tree, and how every way to end is named.

    ConnectorError                 exit code 1
    ├── UsageError                 exit code 2: the command line was wrong
    ├── UnavailableError           exit code 69: a service or program that is needed is not there
    ├── ConfigError                exit code 78: rooms.yaml or a secret is wrong
    └── LegError                   a leg of a session failed; knows the session's end reason
        ├── RoomLegError
        └── AgentLegError

A message names what was being done, what was found and what to do. Texts that came from a library, a server or a
user go through `redact` before they enter a message.
"""

from connector.base.ends import EndReason


class ConnectorError(Exception):
    """Base of every error that the connector raises on purpose."""

    exit_code = 1


class UsageError(ConnectorError):
    """The command line was wrong."""

    exit_code = 2


class UnavailableError(ConnectorError):
    """A service or program that is needed is not there."""

    exit_code = 69


class ConfigError(ConnectorError):
    """The configuration is wrong; carries every problem found, one line each.

    Attributes:
        problems: Ready-made lines such as ``rooms.yaml:14:7 rooms[1].agent: …``.
    """

    exit_code = 78

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class LegError(ConnectorError):
    """A leg could not be set up, or was lost.

    Attributes:
        reason: How the session ends if nothing else is tried.
        retryable: Whether the same try may succeed later without anybody changing anything.
        may_have_begun: Whether a billed session may have begun on the other side (an ambiguous failure).
        retry_after_s: Seconds that the other side asked to wait, if it did.
        cause: A `Cause` that says more than the reason; empty when there is nothing to say.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: EndReason,
        retryable: bool = False,
        may_have_begun: bool = False,
        retry_after_s: float | None = None,
        cause: str = "",
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.retryable = retryable
        self.may_have_begun = may_have_begun
        self.retry_after_s = retry_after_s
        self.cause = cause


class RoomLegError(LegError):
    """The LiveKit side failed."""


class AgentLegError(LegError):
    """The Millis side failed."""
