"""Redis, against a server that speaks just enough of it."""

import asyncio
from collections.abc import Callable

import pytest

from connector.base.errors import ConfigError, UnavailableError
from connector.base.secrets import Secret
from connector.doctor.finding import Verdict
from connector.doctor.store import look_at_redis
from tests.loopback.servers import Talk, raw

PASSWORD = "canary-password-0123456789"


def redis(answer: Callable[[bytes], bytes]) -> Talk:
    """A server that answers each command by its first word, until `answer` gives nothing."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readline():
            words = []
            for _ in range(int(head[1:])):
                length = int((await reader.readline())[1:])
                words.append((await reader.readexactly(length + 2))[:length])
            reply = answer(words[0].upper())
            if not reply:
                return
            writer.write(reply)
            await writer.drain()

    return talk


async def test_a_redis_that_answers() -> None:
    """A PONG is all that is asked for, and the address is not shown."""
    async with raw(redis(lambda word: b"+PONG\r\n" if word == b"PING" else b"+OK\r\n")) as address:
        (finding,) = await look_at_redis(Secret(f"redis://:{PASSWORD}@{address}/0"))
    assert (finding.verdict, finding.text) == (Verdict.OK, "answers")


@pytest.mark.parametrize(
    "reply",
    [
        b"-WRONGPASS invalid username-password pair or user is disabled.\r\n",
        b"-NOAUTH Authentication required.\r\n",
        b"-NOPERM this user has no permissions to run the 'ping' command\r\n",
    ],
)
async def test_a_redis_that_refuses_us(reply: bytes) -> None:
    """A wrong password, none, or too few rights is bad configuration, and names the variable."""
    async with raw(redis(lambda _word: reply)) as address:
        with pytest.raises(ConfigError, match="check user and password in REDIS_URL") as caught:
            await look_at_redis(Secret(f"redis://:{PASSWORD}@{address}/0"))
    assert PASSWORD not in str(caught.value)
    assert address not in str(caught.value)


async def test_a_redis_that_is_not_there(unused_tcp_port: int) -> None:
    """A refused connection, and one that breaks off, mean that the service is unavailable."""
    with pytest.raises(UnavailableError, match="Redis does not answer") as caught:
        await look_at_redis(Secret(f"redis://:{PASSWORD}@127.0.0.1:{unused_tcp_port}/0"))
    assert str(caught.value).endswith("Connection refused")
    assert str(unused_tcp_port) not in str(caught.value)
    async with raw(redis(lambda _word: b"")) as address:
        with pytest.raises(UnavailableError, match="Redis does not answer"):
            await look_at_redis(Secret(f"redis://{address}/0"))


async def test_an_address_that_makes_no_sense() -> None:
    """It is said what one looks like; what was given is not shown."""
    with pytest.raises(ConfigError, match=r"expected redis://") as caught:
        await look_at_redis(Secret(f"redis://:{PASSWORD}@host:port/0"))
    assert PASSWORD not in str(caught.value)
