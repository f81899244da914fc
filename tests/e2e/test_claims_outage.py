"""Claims while Redis is frozen, dead, or cut off, and when a replica dies: no call is lost, no room is held twice."""

import asyncio
import datetime as dt
import ipaddress
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, MutableMapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from connector.base.ends import EndReason
from connector.base.errors import ConfigError, ConnectorError, UnavailableError
from connector.base.secrets import Secret
from connector.base.trigger import Trigger
from connector.control.claims import ClaimOutcome
from connector.control.history import LastEnd
from connector.control.requests import Request
from tests.e2e.claims_scene import LIVEKIT, Replica, replicas
from tests.redis_server import RedisServer, Wire, free_port
from tests.until import until

pytestmark = pytest.mark.e2e

Log = list[MutableMapping[str, Any]]


@pytest_asyncio.fixture
async def redis() -> AsyncIterator[RedisServer]:
    """A Redis of the test's own."""
    async with RedisServer() as server:
        yield server


@pytest.fixture
def log() -> Iterator[Log]:
    """What is logged."""
    with structlog.testing.capture_logs() as lines:
        yield lines


def count(log: Log, event: str) -> int:
    """How often something was logged."""
    return sum(line["event"] == event for line in log)


@asynccontextmanager
async def process(redis: RedisServer, name: str, *rooms: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A replica as a process of its own, that holds rooms; killed at the end at the latest."""
    arguments = ("-m", "tests.e2e.claims_process", redis.url.reveal(), name, *rooms)
    running = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.PIPE)
    assert running.stdout is not None
    try:
        async with asyncio.timeout(20):
            while await running.stdout.readline() != b"held\n":  # what comes before it is the log
                assert not running.stdout.at_eof()
        yield running
    finally:
        if running.returncode is None:
            running.kill()
        await running.wait()


async def test_a_killed_replicas_rooms_are_free_within_seven_seconds(redis: RedisServer) -> None:
    """After kill -9 of their holder another replica is told to look, and wins all of its rooms at the first try."""
    rooms = [f"room-{number}" for number in range(6)]
    one = Replica(redis.url, "one")
    async with replicas(one), process(redis, "doomed", *rooms) as doomed:
        await until(lambda: one.claims.figures().replicas == 1, 3)
        await one.loses(*rooms)
        doomed.kill()
        killed = time.monotonic()
        await until(lambda: one.hints == [""], 9)
        told = time.monotonic() - killed
        await one.wins(*rooms)
        assert told < 7.5, told
        assert time.monotonic() - killed < 8, (told, time.monotonic() - killed)


async def test_a_replica_that_stood_still_learns_what_it_lost(redis: RedisServer) -> None:
    """A process that was stopped for longer than a lease keeps nothing that another replica took meanwhile."""
    one = Replica(redis.url, "one")
    async with replicas(one), process(redis, "still", "a") as still:
        os.kill(still.pid, signal.SIGSTOP)
        await one.wins_in_time("a", 8)
        os.kill(still.pid, signal.SIGCONT)
        await asyncio.sleep(3)  # it renews, or tries to
        assert one.lost == []
        (holder,) = (await redis.keys("*lease:a")).values()
        assert holder.startswith("one:")


async def test_a_frozen_redis_stops_new_claims_and_nothing_else(redis: RedisServer, log: Log) -> None:
    """While Redis is frozen for longer than a lease each call is short, and then all rooms are held as before."""
    one, other = Replica(redis.url, "one"), Replica(redis.url, "other")
    async with replicas(one, other):
        await one.wins("a", "b")
        await other.wins("c")
        redis.freeze()
        began = time.monotonic()
        while time.monotonic() - began < 8:
            called = time.monotonic()
            assert await one.claims.claim("new") is ClaimOutcome.ERROR
            assert await one.claims.claim("a") is ClaimOutcome.WON
            await other.claims.tell("c")
            await other.claims.remember_end("z", LastEnd(EndReason.ROOM_EMPTY, called))
            await other.claims.remember_request("z", Request(Trigger.REQUEST, called))
            assert await one.claims.ends(frozenset("z")) == {}
            assert await one.claims.requests() == {}
            assert time.monotonic() - called < 3
            await asyncio.sleep(0.1)
        redis.thaw()
        await until(lambda: count(log, "redis_back") == 2, 4)
        assert await other.claims.claim("a") is ClaimOutcome.ERROR
        await until(lambda: "" in one.hints and "" in other.hints, 5)
        await one.wins_in_time("new", 5)
        await other.wins_in_time("other-new", 5)  # it may have had its first answer, and so its wait, a second later
        await other.loses("a", "b", "new")
        await one.loses("c")
        assert (one.lost, other.lost) == ([], [])
        assert count(log, "redis_lost") == count(log, "redis_back") == 2
        assert count(log, "lease_lost") == count(log, "replicas_gone") == 0
        assert one.observer.renew_failures >= 2
        assert one.claims.figures().outages == 1


async def test_a_redis_that_lost_its_memory_learns_the_leases_again(redis: RedisServer, log: Log) -> None:
    """After a crash of Redis, which then knows nothing, each holder has its lease again before others may claim."""
    one, other = Replica(redis.url, "one"), Replica(redis.url, "other")
    async with replicas(one, other):
        await one.wins("a", "b")
        await redis.kill()
        await until(lambda: count(log, "redis_lost") == 2, 5)
        assert await other.claims.claim("a") is ClaimOutcome.ERROR
        await redis.start()
        while count(log, "redis_back") < 2:
            assert await other.claims.claim("a") is ClaimOutcome.ERROR
            await asyncio.sleep(0.02)
        assert await other.claims.claim("a") is ClaimOutcome.ERROR
        await until(lambda: one.claims.figures().taken_again == 2, 3)
        await other.wins_in_time("fresh", 5)
        await other.loses("a", "b")
        assert (one.lost, other.lost) == ([], [])
        assert count(log, "redis_lost") == count(log, "redis_back") == 2
        assert other.hints[-1] == ""  # look at everything: hints may have been missed
        await one.claims.tell("a")
        await until(lambda: other.hints[-1] == "a", 3)


async def test_a_restart_of_redis_that_nobody_noticed(redis: RedisServer) -> None:
    """A Redis that was gone for an instant has forgotten everything: who claims first does not get another's room."""
    one, other = Replica(redis.url, "one"), Replica(redis.url, "other")
    async with replicas(one, other):
        await one.wins("a")
        await redis.kill()
        await redis.start()
        assert await other.claims.claim("a") is ClaimOutcome.ERROR
        await until(lambda: one.claims.figures().taken_again == 1, 4)
        assert one.lost == []
        await other.wins_in_time("fresh", 6)
        await other.loses("a")


async def test_one_replica_cut_off(redis: RedisServer, log: Log) -> None:
    """Its leases run out and others may take them; what was taken is reported lost on return, the rest is kept."""
    async with Wire(redis.port) as wire:
        cut, other = Replica(wire.url, "cut"), Replica(redis.url, "other")
        async with replicas(cut, other):
            await cut.wins("a", "b")
            wire.cut()
            await until(lambda: other.hints == [""], 9)
            await other.wins("a")
            assert await cut.claims.claim("a") is ClaimOutcome.WON
            assert await cut.claims.claim("c") is ClaimOutcome.ERROR
            assert cut.lost == []
            wire.mend()
            await until(lambda: cut.lost == ["a"], 8)
            await until(lambda: count(log, "redis_back") == 1, 5)
            await other.loses("b")
            assert other.lost == []
            assert (count(log, "redis_lost"), count(log, "lease_lost")) == (1, 1)


async def test_who_is_back_while_another_only_asks(redis: RedisServer, log: Log) -> None:
    """A lease that ran out, was taken to see whether its holder lives, and given back, is not lost meanwhile."""
    async with Wire(redis.port) as wire:
        cut, other = Replica(wire.url, "cut"), Replica(redis.url, "other")
        async with replicas(cut, other):
            await cut.wins("a")
            wire.cut()
            await until(lambda: other.hints == [""], 9)
            await other.wins("a")
            wire.mend()
            await until(lambda: count(log, "redis_back") == 1, 5)
            assert await cut.claims.claim("a") is ClaimOutcome.LOST
            await other.claims.release("a")
            await until(lambda: cut.claims.figures().taken_again == 1, 5)
            await cut.wins("a")
            await other.loses("a")
            assert cut.lost == []


async def test_killed_connections_are_made_anew(redis: RedisServer, log: Log) -> None:
    """Connections that an administrator kills are no outage, and hints go on."""
    one, other = Replica(redis.url, "one"), Replica(redis.url, "other")
    async with replicas(one, other):
        await one.wins("a")
        for kind in ("normal", "pubsub"):
            await redis.do("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
        await one.wins("b")
        await until(lambda: "" in other.hints, 5)  # it may have missed some
        await one.claims.tell("b")
        await until(lambda: "b" in other.hints, 5)
        await other.loses("a", "b")
        assert count(log, "redis_lost") == 0


async def test_a_server_that_flaps_floods_no_log(redis: RedisServer, log: Log) -> None:
    """However many calls fail in an outage, there is one line for it."""
    one = Replica(redis.url, "one")
    async with replicas(one):
        await redis.kill()
        await until(lambda: count(log, "redis_lost") == 1, 5)
        for number in range(200):
            assert await one.claims.claim(f"r{number}") is ClaimOutcome.ERROR
            await one.claims.tell("x")
        await asyncio.sleep(2)  # tries go on
        assert count(log, "redis_lost") == 1
        assert all(line["log_level"] in ("info", "warning") for line in log)


async def test_a_close_without_redis_ends_soon(redis: RedisServer) -> None:
    """A worker that stops while Redis is frozen is not held up."""
    one = Replica(redis.url, "one")
    await one.start()
    await one.wins("a")
    redis.freeze()
    began = time.monotonic()
    await one.close()
    assert time.monotonic() - began < 10
    redis.thaw()


KINDS: dict[str, tuple[str, ...]] = {
    "user or password": ("requirepass another-canary",),
    "read-only replica": (f"replicaof 127.0.0.1 {free_port()}",),
    "Redis Cluster": ("cluster-enabled yes", f"cluster-port {free_port()}"),
    "lacks a right": ("user default on nopass ~* &* +@all -evalsha",),
    "lacks a right.*": ("user default on nopass ~connector:* resetchannels +@all",),
    "no such database": ("databases 1",),
}


@pytest.mark.parametrize("expected", KINDS)
async def test_a_redis_that_does_not_fit_is_one_clear_line(expected: str) -> None:
    """What is wrong with the server or our rights is found at the start, with the remedy, and without the password."""
    async with RedisServer(*KINDS[expected]) as server:
        password = ":wrong-canary@" if expected == "user or password" else ""
        database = 7 if "database" in expected else 0
        with pytest.raises(ConfigError, match=expected) as caught:
            await checked(Secret(f"redis://{password}127.0.0.1:{server.port}/{database}"))
        assert len(caught.value.problems) == 1
        assert "\n" not in str(caught.value)
        assert "canary" not in str(caught.value)
        assert f"127.0.0.1:{server.port}" in str(caught.value)


async def test_a_sentinel_is_told() -> None:
    """The address of a Sentinel in place of a Redis is named as such."""
    async with RedisServer(arguments=("--sentinel",)) as server:
        with pytest.raises(ConfigError, match="Sentinel"):
            await checked(server.url)


async def test_no_redis_there_is_unavailable(redis: RedisServer) -> None:
    """Nothing that listens, a frozen server, and something that is no Redis each end the start within seconds."""
    with pytest.raises(UnavailableError, match="Connect call failed"):
        await checked(Secret(f"redis://127.0.0.1:{free_port()}/0"))
    redis.freeze()
    with pytest.raises(UnavailableError, match=r"Timeout|no answer"):
        await checked(redis.url)
    redis.thaw()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    with pytest.raises(ConnectorError, match="renewing leases at Redis on"):
        await checked(Secret(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"))
    server.close()
    await server.wait_closed()


async def test_sockets_and_passwords(log: Log) -> None:
    """A Unix socket and a user with a percent-encoded password work, and the password is in no log."""
    acl = "user ann on >pass/word-canary ~connector:* &connector:* +@all"
    async with RedisServer(acl) as server:
        for url in (
            f"unix://{server.socket}?db=0",
            f"redis://ann:pass%2Fword-canary@127.0.0.1:{server.port}/0",
        ):
            one, other = Replica(Secret(url), "one"), Replica(Secret(url), "other")
            async with replicas(one, other):
                await one.wins("a")
                await other.loses("a")
                await one.claims.tell("a")
                await until(lambda hints=other.hints: hints == ["a"], 2)  # type: ignore[misc]
        one = Replica(Secret(url), "one")
        async with replicas(one):
            await server.kill()
            await until(lambda: count(log, "redis_lost") == 1, 5)
    assert "canary" not in repr(log)


async def test_tls(log: Log) -> None:
    """A TLS server whose certificate is trusted serves; one that is not trusted is told at the start."""
    with tempfile.TemporaryDirectory() as folder:
        key, certificate = self_signed(Path(folder))
        port = free_port()
        tls = (f"tls-port {port}", f"tls-cert-file {certificate}", f"tls-key-file {key}", "tls-auth-clients no")
        async with RedisServer(*tls, plain=False):
            one = Replica(Secret(f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={certificate}"), "one")
            async with replicas(one):
                await one.wins("a")
            with pytest.raises(UnavailableError, match="CERTIFICATE_VERIFY_FAILED"):
                await checked(Secret(f"rediss://127.0.0.1:{port}/0"))


def self_signed(folder: Path) -> tuple[Path, Path]:
    """A key and a certificate for 127.0.0.1, as files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "redis of a test")])
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - dt.timedelta(hours=1)).not_valid_after(now + dt.timedelta(hours=1))
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = builder.add_extension(address, critical=False).sign(key, hashes.SHA256())
    key_file, certificate_file = folder / "key.pem", folder / "certificate.pem"
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return key_file, certificate_file


async def checked(url: Secret) -> None:
    """Check a Redis as a worker does at its start; nothing may be left open."""
    one = Replica(url, "one", livekit=LIVEKIT)
    began = time.monotonic()
    try:
        await one.claims.check()
    finally:
        assert time.monotonic() - began < 4
        await one.claims.close()
