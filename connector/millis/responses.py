"""What each reply to the offer call means: how the session ends, whether to try again, whether money may be running.

Nothing about errors is documented for this call (`facts`), so the table goes by the meaning of the status codes
(RFC 9110) and by one question: could a billed session have begun? Only a refusal says for certain that it has not.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum

from connector.base.ends import EndReason
from connector.base.errors import AgentLegError
from connector.base.redact import redact

MAX_RETRY_AFTER_S = 60.0
"""The longest wait that a server may ask of us."""
AUTH_REFUSALS = frozenset({401, 403, 422})
"""What a key in the wrong form may be answered with: 422 is how FastAPI reports a missing header."""
_MAX_DETAIL = 300


class OfferOutcome(StrEnum):
    """How an offer call went, as operators count it."""

    OK = "ok"
    UNREACHABLE = "unreachable"
    AUTH = "auth"
    CONFIG = "config"
    RATE = "rate"
    SERVER = "server"
    TIMEOUT = "timeout"
    AMBIGUOUS = "ambiguous"
    BAD_ANSWER = "bad_answer"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a failed offer call means.

    Attributes:
        outcome: For the metrics.
        reason: How the session ends if nothing else is tried.
        retryable: Whether a new try may succeed without anybody changing anything.
        may_have_begun: Whether a billed session may have begun.
        remedy: What to do, as the last sentence of the message.
    """

    outcome: OfferOutcome
    reason: EndReason
    retryable: bool
    may_have_begun: bool
    remedy: str

    def error(self, what: str, *, retry_after_s: float | None = None) -> AgentLegError:
        """The error for this verdict; `what` says what was found, without a full stop."""
        return AgentLegError(
            f"{what}. {self.remedy}",
            reason=self.reason,
            retryable=self.retryable,
            may_have_begun=self.may_have_begun,
            retry_after_s=retry_after_s,
            cause=self.outcome.value,
        )


def _rejected(outcome: OfferOutcome, remedy: str, *, retryable: bool = False) -> Verdict:
    return Verdict(outcome, EndReason.AGENT_REJECTED, retryable, may_have_begun=False, remedy=remedy)


def _unreachable(outcome: OfferOutcome, remedy: str, *, may_have_begun: bool) -> Verdict:
    return Verdict(outcome, EndReason.AGENT_UNREACHABLE, retryable=True, may_have_begun=may_have_begun, remedy=remedy)


_LATER = "Nothing to change here: a new try follows by itself; if it lasts, ask Millis"
_KEY = "Check MILLIS_PRIVATE_KEY (and millis.auth in rooms.yaml, if it is not auto)"
_AGENT = "Check the rule's agent in rooms.yaml: is this agent_id known to the account of this key"

NOT_CONNECTED = _unreachable(
    OfferOutcome.UNREACHABLE, "Check millis.url in rooms.yaml, DNS and the firewall", may_have_begun=False
)
RESET = _unreachable(OfferOutcome.AMBIGUOUS, _LATER, may_have_begun=True)
TIMED_OUT = _unreachable(OfferOutcome.TIMEOUT, _LATER, may_have_begun=True)
BAD_ANSWER = _unreachable(
    OfferOutcome.BAD_ANSWER, "Check millis.url in rooms.yaml; if it is right, tell Millis", may_have_begun=True
)

_REDIRECT = _unreachable(
    OfferOutcome.AMBIGUOUS,
    "Redirects are not followed, they would carry the key away: put the final address in millis.url",
    may_have_begun=True,
)
_SERVER_ERROR = _unreachable(OfferOutcome.SERVER, _LATER, may_have_begun=True)
_UNAVAILABLE = _unreachable(OfferOutcome.SERVER, _LATER, may_have_begun=False)
_TOO_MANY = _rejected(OfferOutcome.RATE, "A new try follows; if it lasts, ask Millis to raise it", retryable=True)
_BAD_KEY = _rejected(OfferOutcome.AUTH, _KEY)
_BAD_OFFER = _rejected(OfferOutcome.CONFIG, _AGENT)
_NO_SUCH = _rejected(OfferOutcome.CONFIG, f"Check millis.url. {_AGENT}")

_BY_STATUS = {
    401: _BAD_KEY,
    403: _BAD_KEY,
    404: _NO_SUCH,
    405: _NO_SUCH,
    408: _unreachable(OfferOutcome.AMBIGUOUS, _LATER, may_have_begun=True),
    422: _rejected(OfferOutcome.CONFIG, f"{_AGENT}. {_KEY}"),
    429: _TOO_MANY,
    503: _UNAVAILABLE,
}
_OK, _FIRST_REDIRECT, _FIRST_CLIENT_ERROR, _FIRST_SERVER_ERROR = 200, 300, 400, 500


def judge_status(status: int) -> Verdict | None:
    """What an HTTP status means; None for 200, the only one that carries an answer."""
    if status == _OK:
        return None
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status < _FIRST_REDIRECT:
        return BAD_ANSWER
    if status < _FIRST_CLIENT_ERROR:
        return _REDIRECT
    return _BAD_OFFER if status < _FIRST_SERVER_ERROR else _SERVER_ERROR


def carries_answer(status: int) -> bool:
    """Whether the body of a reply with this status should hold an answer."""
    return judge_status(status) is None


def describe_body(body: bytes) -> str:
    """An error body as opaque text: one line, cut to 300 characters, without secrets; may be empty."""
    return redact(body.decode("utf-8", "replace"), limit=_MAX_DETAIL)


def retry_after(value: str | None, date: str | None, now: float) -> float | None:
    """Read a Retry-After header (RFC 9110 section 10.2.3).

    Args:
        value: The header: seconds or a date.
        date: The reply's own Date header, so that a skewed clock does no harm.
        now: Wall-clock seconds since the epoch, used when there is no Date.

    Returns:
        Seconds to wait, 0 to 60, or None when the header is missing or unreadable.
    """
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(min(int(text[:9]), MAX_RETRY_AFTER_S))
    when = _seconds(text)
    if when is None:
        return None
    sent = _seconds(date) if date else None
    return min(max(when - (now if sent is None else sent), 0.0), MAX_RETRY_AFTER_S)


def _seconds(text: str) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return _with_zone(moment).timestamp()


def _with_zone(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def read_answer(body: bytes) -> tuple[object, object] | str:
    """Take SDP and type out of the body of a 200.

    Returns:
        ``(sdp, type)`` as they stand there, unchecked, or what is wrong with the body.
    """
    try:
        reply = json.loads(body)
    except (ValueError, RecursionError):
        return f"not JSON: {describe_body(body[:200]) or 'an empty body'}"
    answer = reply.get("answer") if isinstance(reply, dict) else None
    if not isinstance(answer, dict):
        return "JSON without an answer object"
    missing = [name for name in ("sdp", "type") if name not in answer]
    return f"an answer without {' and '.join(missing)}" if missing else (answer["sdp"], answer["type"])
