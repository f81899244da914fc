"""REDIS_URL, and what an operator reads of redis-py's errors."""

import pytest
from redis import exceptions

from connector.base.errors import ConfigError, UnavailableError
from connector.base.secrets import Secret
from connector.control.redis_link import RedisLink, explain

REFUSALS: dict[str, exceptions.RedisError] = {
    "user or password": exceptions.AuthenticationError("invalid username-password pair or user is disabled."),
    "lacks a right": exceptions.NoPermissionError("this user has no permissions to run the 'evalsha' command"),
    "-noperm|lacks a right": exceptions.ResponseError("Error running script: @user_script: 3: -NOPERM no key"),
    "read-only replica": exceptions.ReadOnlyError("You can't write against a read only replica."),
    "read-only replica.*script": exceptions.ResponseError("Error running script: -READONLY You can't write"),
    "Redis Cluster": exceptions.MovedError("3999 127.0.0.1:6381"),
    "Cluster, which is not": exceptions.ClusterDownError("Hash slot not served"),
    "Cluster.*CROSS": exceptions.ClusterCrossSlotError("CROSSSLOT Keys in request don't hash to the same slot"),
    "Sentinel": exceptions.ResponseError("unknown command 'EVALSHA', with args beginning with:"),
    "no such database": exceptions.ResponseError("DB index is out of range"),
}


@pytest.mark.parametrize(
    "url",
    [
        "redis://",
        "redis:///0",
        "http://h:6379",
        "redis://:pa/ss-canary@h:6379/0",
        "redis://h:port-canary/0",
        "redis://h:6379/zero-canary",
        "redis://h:6379/0?no_such_option=canary",
        "redis://h:6379/0?db=canary",
        "unix://",
    ],
)
async def test_a_url_that_cannot_be_used_is_one_clear_line(url: str) -> None:
    """What is wrong with REDIS_URL is said in one line that shows nothing of it."""
    with pytest.raises(ConfigError, match="REDIS_URL") as caught:
        RedisLink(Secret(url))
    assert len(caught.value.problems) == 1
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("redis://h", "Redis on h:6379"),
        ("redis://ann:pass-canary@h:7000/3", "Redis on h:7000"),
        ("rediss://:pass%2Fcanary@redis.example.com/", "Redis on redis.example.com:6379"),
        ("unix://ann:pass-canary@/run/redis.sock?db=2", "Redis on /run/redis.sock"),
        ("rediss://h?ssl_cert_reqs=none&ssl_ca_certs=/etc/ca.pem", "Redis on h:6379"),
    ],
)
async def test_every_kind_of_url_is_taken(url: str, where: str) -> None:
    """TLS, Unix sockets, users, passwords and databases are understood; a message names the server only."""
    link = RedisLink(Secret(url))
    assert link.where == where
    assert "canary" not in repr(vars(link))
    await link.close()


@pytest.mark.parametrize("expected", REFUSALS)
def test_a_refusal_says_what_to_do(expected: str) -> None:
    """Whatever somebody must change is a configuration error with its remedy, in one line."""
    error = explain(REFUSALS[expected], "renewing leases at Redis on h:1")
    assert isinstance(error, ConfigError)
    with pytest.raises(ConfigError, match=expected):
        raise error
    assert str(error).startswith("renewing leases at Redis on h:1: ")
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    "error",
    [
        exceptions.ConnectionError("Error 111 connecting to h:1. Connection refused."),
        exceptions.BusyLoadingError("Redis is loading the dataset in memory"),
        exceptions.MasterDownError("Link with MASTER is down and replica-serve-stale-data is set to 'no'."),
        exceptions.OutOfMemoryError("command not allowed when used memory > 'maxmemory'."),
        OSError(113, "No route to host"),
    ],
)
def test_what_may_pass_is_unavailable(error: Exception) -> None:
    """A failure that needs no change of ours is told as it is."""
    told = explain(error, "renewing leases at Redis on h:1")
    assert isinstance(told, UnavailableError)
    assert str(error) in str(told)


def test_no_answer_has_a_text() -> None:
    """A time-out of ours, which has no text, says how long was waited."""
    assert str(explain(TimeoutError(), "claiming")) == "claiming: no answer within 1.5 s"


async def test_a_refused_connection_fails_at_once_and_is_counted() -> None:
    """An attempt without a server is None, is counted and told; while silent nothing is tried."""
    link = RedisLink(Secret("redis://127.0.0.1:1"))
    failures: list[int] = []
    link.on_failure = lambda: failures.append(link.failed_attempts)
    assert await link.attempt(lambda: link.client.get("x"), "reading") is None
    link.silent = True
    assert await link.attempt(lambda: link.client.get("x"), "reading") is None
    assert failures == [1]
    with pytest.raises(UnavailableError, match=r"reading at Redis on 127.0.0.1:1: .*Connect call failed"):
        await link.ask(link.client.get("x"), "reading")
    await link.forget_connections()
    await link.close()
