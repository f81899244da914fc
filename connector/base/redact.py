"""Redaction: what a text from a library, a server or a user must lose before it is shown or logged."""

import re

from connector.base.secrets import JWT_SHAPE, known_secrets

_MAX_CHARS = 300
_USER_INFO = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)[^\s/@]+@", re.IGNORECASE)
_AUTHORIZATION = re.compile(
    r"(?P<head>\b(?:authorization|access_token|api[_-]?key|api[_-]?secret|password|token)\b[\"']?\s*[:=]\s*)"
    r"(?:\"[^\"]*\"?|'[^']*'?|(?:Bearer\s+)?[^\s,;&\"']+)",
    re.IGNORECASE,
)
"""Such a word and its value: to the closing quote, or to the end of the word (as in a URL, JSON or a `repr`)."""
_MIN_KNOWN = 6


def redact(text: object, *, limit: int = _MAX_CHARS) -> str:
    """Cut secrets, tokens and control characters from a text, and cut it to a length.

    Args:
        text: Anything; `str()` of it is used (exceptions included).
        limit: The most characters to keep; an ellipsis marks the cut.

    Returns:
        One printable line.
    """
    out = cut_secrets(str(text))
    out = "".join(c if c.isprintable() else " " for c in out)
    out = " ".join(out.split())
    return out if len(out) <= limit else out[: limit - 1] + "…"


def cut_secrets(text: str) -> str:
    """Replace every known secret, token, user info of a URL and authorization value; nothing else changes."""
    for secret in sorted(known_secrets(), key=len, reverse=True):
        if len(secret) >= _MIN_KNOWN:
            text = text.replace(secret, "[redacted]")
    text = _AUTHORIZATION.sub(r"\g<head>[redacted]", text)
    text = JWT_SHAPE.sub("[redacted token]", text)
    return _USER_INFO.sub(r"\g<scheme>[redacted]@", text)
