"""The claim store that many replicas share."""

import os
import socket
from collections.abc import Sequence

from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError, ResponseError

from connector.base.errors import ConfigError, UnavailableError
from connector.base.redact import redact
from connector.base.secrets import Secret
from connector.doctor.finding import Finding, fine

REDIS = "Redis"
_LIMIT_S = 5.0


async def look_at_redis(url: Secret) -> Sequence[Finding]:
    """Whether Redis answers a PING. Its address is never shown, for it holds the password.

    Raises:
        UnavailableError: It does not answer.
        ConfigError: It refuses us, or the address makes no sense.
    """
    try:
        client = Redis.from_url(url.reveal(), socket_timeout=_LIMIT_S, socket_connect_timeout=_LIMIT_S)
    except ValueError:
        raise ConfigError(
            ["REDIS_URL is no Redis address: expected redis://[user:password@]host[:port][/db]"]
        ) from None
    try:
        pinged = client.ping()
        if not isinstance(pinged, bool):  # the library's type admits its synchronous twin
            await pinged
    except (AuthenticationError, NoPermissionError, ResponseError) as error:
        raise ConfigError([f"Redis refuses us: check user and password in REDIS_URL: {redact(error)}"]) from None
    except (RedisError, OSError) as error:
        raise UnavailableError(f"Redis does not answer: check REDIS_URL, and that it runs: {_cause(error)}") from None
    finally:
        await client.aclose()
    return [fine(REDIS, "answers")]


def _cause(error: Exception) -> str:
    """What went wrong, without the address that the libraries' own texts name."""
    inner = error.__cause__ or error.__context__
    if isinstance(inner, socket.gaierror):
        return "its host's name cannot be resolved"
    if isinstance(inner, OSError) and inner.errno:
        return os.strerror(inner.errno)
    return type(error).__name__
