"""Whether a secret can be what its variable says, judged by its form alone; every process judges alike. Pure."""

import base64
import binascii

from connector.base.secrets import Secret

MIN_LIVEKIT_SECRET = 32
"""LiveKit's own lower bound for a secret, in bytes (`config.go`, ValidateKeys)."""
_EVENTS_BYTES = (24, 64)
"""How long a signing secret is, without ``whsec_`` and base64 (Standard Webhooks, "Signature scheme")."""
_REDIS_SCHEMES = ("redis://", "rediss://", "unix://")


def unfit(name: str, secret: Secret) -> str | None:
    """What is wrong with a secret, as one line with the remedy that does not show it; None when nothing is.

    Args:
        name: Its variable, such as ``LIVEKIT_API_SECRET``.
        secret: Its value.
    """
    text = secret.reveal()
    match name:
        case "LIVEKIT_API_SECRET" | "LIVEKIT_API_SECRET_2" if len(text.encode()) < MIN_LIVEKIT_SECRET:
            return (
                f"{name} is {len(text.encode())} bytes long, LiveKit asks for at least {MIN_LIVEKIT_SECRET}:"
                " make a new key and secret with `livekit-server generate-keys`"
            )
        case "REDIS_URL" if not text.startswith(_REDIS_SCHEMES):
            return (
                f"REDIS_URL is not a Redis URL: begin it with {', '.join(_REDIS_SCHEMES[:-1])} or {_REDIS_SCHEMES[-1]}"
            )
        case "MILLIS_PRIVATE_KEY" if text.lower().startswith("bearer "):
            return "MILLIS_PRIVATE_KEY begins with the word Bearer: set the key alone; millis.auth says how it is sent"
        case "CONNECTOR_EVENTS_SECRET" if not _signs_webhooks(text):
            return (
                "CONNECTOR_EVENTS_SECRET is not a Standard Webhooks secret (whsec_ and 24 to 64 bytes in base64):"
                ' make one with `echo "whsec_$(openssl rand -base64 32)"`'
            )
        case _:
            return None


def _signs_webhooks(text: str) -> bool:
    least, most = _EVENTS_BYTES
    try:
        return least <= len(base64.b64decode(text.removeprefix("whsec_"), validate=True)) <= most
    except (binascii.Error, ValueError):
        return False
