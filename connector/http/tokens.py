"""LiveKit's tokens, verified: who signed this, is it in force, what does it allow. Pure.

Webhooks and API calls both carry an HS256 JSON web token made with a LiveKit key. Up to two keys count while keys are
rotated. The signature is checked before anything of a token is parsed, so that a flood of bad ones costs two hashes
each and hostile JSON is never looked at.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import jwt

from connector.base.secrets import Secret
from connector.config.secrets import Credentials

LEEWAY_S = 60.0
"""How far clocks may differ, as in LiveKit's own libraries (`access_token.py`, DEFAULT_LEEWAY)."""
MAX_TOKEN_CHARS = 8 * 1024
_SIGNATURE_CHARS = 43
"""32 bytes in base64url without padding."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A LiveKit API key.

    Attributes:
        key: Its id, the issuer of its tokens.
        secret: Its secret.
    """

    key: str
    secret: Secret


def livekit_keys(credentials: Credentials) -> tuple[KeyPair, ...]:
    """The keys whose tokens are accepted: one, or two while they are rotated."""
    first = KeyPair(credentials.livekit_api_key.reveal(), credentials.livekit_api_secret)
    if credentials.livekit_api_key_2 is None or credentials.livekit_api_secret_2 is None:
        return (first,)
    return (first, KeyPair(credentials.livekit_api_key_2.reveal(), credentials.livekit_api_secret_2))


class TokenProblem(StrEnum):
    """Why a token is not accepted."""

    MISSING = "missing"
    SHAPE = "shape"
    SIGNATURE = "signature"
    CLAIMS = "claims"
    EXPIRED = "expired"
    EARLY = "early"


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token with a good signature says.

    Attributes:
        expires: Wall-clock seconds.
        sha256: Base64 of a body's hash, or empty.
        room: The room that the grants are for, or empty.
        room_admin: Whether it may administer that room.
        room_list: Whether it may list all rooms.
    """

    expires: float
    sha256: str = ""
    room: str = ""
    room_admin: bool = False
    room_list: bool = False

    def administers(self, room: str) -> bool:
        """Whether the token is for administering exactly this room, as LiveKit itself judges it."""
        return self.room_admin and self.room == room

    def covers(self, body: bytes) -> bool:
        """Whether the token was made for this body."""
        digest = base64.b64encode(hashlib.sha256(body).digest())
        return hmac.compare_digest(digest, self.sha256.encode())


def verify(token: str, keys: Sequence[KeyPair], now: float) -> Claims | TokenProblem:
    """Check a token.

    Args:
        token: The bare token.
        keys: Those whose signature is accepted.
        now: Wall-clock seconds.

    Returns:
        Its claims, or what is wrong with it.
    """
    if not token:
        return TokenProblem.MISSING
    if len(token) > MAX_TOKEN_CHARS or not token.isascii() or token.count(".") != 2:  # noqa: PLR2004 - three parts
        return TokenProblem.SHAPE
    signed, _, signature = token.rpartition(".")
    if len(signature) != _SIGNATURE_CHARS:
        return TokenProblem.SHAPE
    pair = next((pair for pair in keys if _signed_by(pair, signed, signature)), None)
    return TokenProblem.SIGNATURE if pair is None else _claims(token, pair, now)


def _signed_by(pair: KeyPair, signed: str, signature: str) -> bool:
    digest = hmac.digest(pair.secret.reveal().encode(), signed.encode(), "sha256")
    return hmac.compare_digest(base64.urlsafe_b64encode(digest).rstrip(b"="), signature.encode())


def _claims(token: str, pair: KeyPair, now: float) -> Claims | TokenProblem:
    """The claims of a token that one of our keys signed."""
    try:
        payload = jwt.decode(
            token,
            pair.secret.reveal(),
            algorithms=["HS256"],
            issuer=pair.key,
            options={"require": ["exp", "iss"], "verify_exp": False, "verify_nbf": False, "verify_iat": False},
        )
    except (jwt.PyJWTError, RecursionError):
        return TokenProblem.CLAIMS
    expires, not_before = payload["exp"], payload.get("nbf", 0)
    if not _is_time(expires) or not _is_time(not_before):
        return TokenProblem.CLAIMS
    if expires <= now - LEEWAY_S:
        return TokenProblem.EXPIRED
    if not_before > now + LEEWAY_S:
        return TokenProblem.EARLY
    video = payload.get("video")
    grants: Mapping[str, object] = video if isinstance(video, dict) else {}
    return Claims(
        expires=float(expires),
        sha256=_text(payload.get("sha256")),
        room=_text(grants.get("room")),
        room_admin=grants.get("roomAdmin") is True,
        room_list=grants.get("roomList") is True,
    )


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e12  # noqa: PLR2004


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
