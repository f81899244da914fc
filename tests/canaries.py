"""Secrets that must leave no trace: what to look for in anything that the product writes or answers."""

import base64
import secrets
from urllib.parse import quote

from connector.base.secrets import JWT_SHAPE, known_secrets

_SHORTEST = 12
"""A shorter secret of a unit test may stand in an ordinary word."""


def canary(name: str) -> str:
    """A new secret text that is found wherever it turns up."""
    return f"canary-{name}-{secrets.token_hex(16)}"


def forms(secret: str) -> list[str]:
    """The secret as it is, as it stands in a URL, and inside base64 (any of its three phases)."""
    raw = secret.encode()
    encoded = [base64.b64encode(b"x" * pad + raw).decode()[4 * (pad > 0) + 2 : -6] for pad in range(3)]
    return [secret, quote(secret, safe=""), *(text for text in encoded if len(text) >= _SHORTEST)]


def leaks(text: str, planted: tuple[str, ...] = ()) -> list[str]:
    """What of the planted secrets, of those that this process knows, and of signed tokens stands in a text."""
    wanted = {*planted, *(secret for secret in known_secrets() if len(secret) >= _SHORTEST)}
    found = [f"{secret[:8]}…" for secret in wanted if any(form in text for form in forms(secret))]
    token = JWT_SHAPE.search(text)
    return [*found, *([f"token {token[0][:16]}…"] if token else [])]
