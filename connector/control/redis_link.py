"""The connection to Redis: made from REDIS_URL, every call bounded in time, every failure told in one line.

It knows nothing of claims. Nothing here retries for longer than a moment; whoever calls decides what an outage means.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AskError,
    AuthenticationError,
    AuthenticationWrongNumberOfArgsError,
    AuthorizationError,
    ClusterCrossSlotError,
    ClusterDownError,
    MasterDownError,
    NoPermissionError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import (
    ConnectionError as RedisConnectionError,
)

from connector.base.errors import ConfigError, ConnectorError, UnavailableError
from connector.base.redact import redact
from connector.base.secrets import Secret

ANSWER_S = 1.5
"""No call takes longer, whatever happens to Redis or on the way to it."""
_SOCKET_S = 1.0
_CONNECTIONS = 16

_T = TypeVar("_T")

_WRITE_IT = "write redis://[user:password@]host[:port][/db], rediss:// for TLS, or unix:///path?db=0"


class RedisLink:
    """A client of one Redis server. Make it inside a running event loop; `close` it.

    Attributes:
        client: For the calls that go through `ask`.
        where: The server without user and password, for messages.
        silent: Whether `attempt` is to fail at once; set by whoever watches the connection.
        failed_attempts: Attempts that got no answer.
        on_failure: Called after each of them.
    """

    def __init__(self, url: Secret) -> None:
        """Prepare a client; nothing is sent yet.

        Args:
            url: ``REDIS_URL``.

        Raises:
            ConfigError: It is no such URL; the message does not show it.
        """
        options = _options(url)
        self.where = _where(options)
        try:
            self._pool = BlockingConnectionPool(**options)
            self._pool.make_connection()  # type: ignore[no-untyped-call]
        except (TypeError, ValueError, RedisError):
            raise ConfigError(
                [f"REDIS_URL has an option after its ? that is not known or unfit: {_WRITE_IT}"]
            ) from None
        self.client: Any = Redis(connection_pool=self._pool)
        self.silent = False
        self.failed_attempts = 0
        self.on_failure: Callable[[], None] = lambda: None

    async def ask(self, call: Awaitable[_T], doing: str) -> _T:
        """Wait for a call's answer, for 1.5 s at most.

        Args:
            call: A command of `client`.
            doing: What it is for, for the message.

        Raises:
            ConfigError: Redis answers, but refuses us or is of the wrong kind; somebody must change something.
            UnavailableError: No answer, or one that says "later".
        """
        try:
            async with asyncio.timeout(ANSWER_S):
                return await call
        except (RedisError, OSError, EOFError, TimeoutError, RuntimeError, ValueError) as error:
            raise explain(error, f"{doing} at {self.where}") from None

    async def attempt(self, call: Callable[[], Awaitable[_T]], doing: str) -> _T | None:
        """The answer of a call, or None when there is none for whatever reason; takes at most 1.5 s.

        Args:
            call: Makes the call.
            doing: What it is for.
        """
        if self.silent:
            return None
        try:
            return await self.ask(call(), doing)
        except ConnectorError:
            self.failed_attempts += 1
            self.on_failure()
            return None

    async def forget_connections(self) -> None:
        """Close idle connections, so that the next call finds the server that the name means then."""
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._pool.disconnect(inuse_connections=False)
        except (RedisError, OSError, TimeoutError, RuntimeError):
            return

    async def close(self) -> None:
        """Close the connections; no attempt is made any more."""
        self.silent = True
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._pool.disconnect()
        except (RedisError, OSError, TimeoutError, RuntimeError):
            return


def explain(error: BaseException, what: str) -> ConnectorError:
    """Say in one line what an error of redis-py means for an operator.

    Args:
        error: What redis-py raised.
        what: What was being done, and where.
    """
    remedy = _remedy(error)
    found = redact(error) or f"no answer within {ANSWER_S} s"
    if remedy is not None:
        return ConfigError([f"{what}: {remedy}: {found}"])
    return UnavailableError(f"{what}: {found}")


_READ_ONLY = "this Redis is a read-only replica: name the primary in REDIS_URL"
_NO_RIGHT = "the Redis user lacks a right: it needs scripts, pub/sub, and the keys and channels connector:*"
_NO_CLUSTER = "this is a Redis Cluster, which is not supported: name an ordinary Redis server in REDIS_URL"
_BY_KIND: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    (
        (AuthenticationError, AuthenticationWrongNumberOfArgsError, AuthorizationError),
        "Redis refuses user or password: check REDIS_URL",
    ),
    ((NoPermissionError,), _NO_RIGHT),
    ((ReadOnlyError,), _READ_ONLY),
    ((AskError, ClusterCrossSlotError), _NO_CLUSTER),
)
_BY_TEXT = (
    ("unknown command", "this is a Redis Sentinel, or a server without scripts: name an ordinary one in REDIS_URL"),
    ("db index", "this Redis has no such database: check the number at the end of REDIS_URL"),
    # Before version 7 an error inside a script keeps its kind only in its text.
    ("-readonly", _READ_ONLY),
    ("-noperm", _NO_RIGHT),
)


def _remedy(error: BaseException) -> str | None:
    """What to change, or None when waiting may help."""
    for kinds, remedy in _BY_KIND:
        if isinstance(error, kinds):
            return remedy
    if isinstance(error, ClusterDownError) and not isinstance(error, MasterDownError):
        return _NO_CLUSTER
    text = str(error).lower() if isinstance(error, ResponseError) else ""
    return next((remedy for part, remedy in _BY_TEXT if part in text), None)


def _options(url: Secret) -> Mapping[str, Any]:
    try:
        given: dict[str, Any] = dict(parse_url(url.reveal()))
    except (ValueError, TypeError):
        given = {}
    path = urlsplit(url.reveal()).path.strip("/") if "host" in given else ""
    if not given.keys() & {"host", "path"} or not (path.isdecimal() or not path):
        raise ConfigError([f"REDIS_URL cannot be read: {_WRITE_IT}, with / : @ # ? % in a password percent-encoded"])
    return given | {
        "max_connections": _CONNECTIONS,
        "timeout": _SOCKET_S,
        "socket_timeout": _SOCKET_S,
        "socket_connect_timeout": _SOCKET_S,
        "protocol": 2,
        "decode_responses": False,
        # A connection that the server closed is noticed by using it; once more, and anew, is enough to find out.
        "retry": Retry(NoBackoff(), 1, (RedisConnectionError,)),
    }


def _where(options: Mapping[str, Any]) -> str:
    if "path" in options:
        return redact(f"Redis on {options['path']}")
    return redact(f"Redis on {options['host']}:{options.get('port', 6379)}")
