"""What a check found, and what all findings mean for the exit code. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from connector.base.errors import ConfigError, ConnectorError, UnavailableError


class Verdict(StrEnum):
    """How a check went."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    LEFT_OUT = "left_out"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line.

    Attributes:
        check: The name of the check.
        verdict: How it went.
        text: What was found; for a warning or a failure also what to do.
        exit_code: What a failure means: 78 bad configuration, 69 a service is unavailable, 1 anything else.
    """

    check: str
    verdict: Verdict
    text: str
    exit_code: int = 0


def fine(check: str, text: str) -> Finding:
    """All is well."""
    return Finding(check, Verdict.OK, text)


def warning(check: str, text: str) -> Finding:
    """Works, but is hardly meant."""
    return Finding(check, Verdict.WARNING, text)


def left_out(check: str, text: str) -> Finding:
    """Was not looked at, and why."""
    return Finding(check, Verdict.LEFT_OUT, text)


def failures(check: str, error: ConnectorError) -> list[Finding]:
    """A failure for each problem that an error carries; its class decides the exit code."""
    texts = error.problems if isinstance(error, ConfigError) else [str(error)]
    return [Finding(check, Verdict.FAILED, text, error.exit_code) for text in texts]


_SEVERITY = (ConfigError.exit_code, UnavailableError.exit_code)
"""What is to be mended first decides."""


def exit_code(findings: Iterable[Finding]) -> int:
    """0 when nothing failed, 78 when the configuration is wrong, 69 when a service is unavailable, else 1."""
    codes = {finding.exit_code for finding in findings if finding.verdict is Verdict.FAILED}
    return next((code for code in _SEVERITY if code in codes), 1 if codes else 0)
