"""What answers over HTTP."""

import asyncio
import datetime as dt
import ipaddress
import ssl
from pathlib import Path

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from connector.base.errors import ConnectorError, UnavailableError
from connector.doctor.finding import Verdict
from connector.doctor.web import fetch, look_at_millis, look_at_webhooks
from connector.http.server import HttpServers
from tests.http_scene import FIRST, FakeDesk
from tests.loopback.servers import raw, serving, silence


def self_signed(folder: Path) -> ssl.SSLContext:
    """A certificate for 127.0.0.1 that nobody has signed but itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - dt.timedelta(days=1)).not_valid_after(now + dt.timedelta(1))
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = builder.add_extension(names, critical=False).sign(key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "both.pem").write_bytes(private + certificate.public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "both.pem")
    return context


@pytest.mark.parametrize("status", [200, 302, 401, 404, 405, 500])
async def test_any_answer_of_millis_will_do(status: int) -> None:
    """One HEAD of the base URL, without a key; whatever the status, Millis can be reached."""
    seen: list[web.Request] = []

    async def handle(request: web.Request) -> web.Response:
        seen.append(request)
        return web.Response(status=status, headers={"Location": "/webrtc/offer"})

    async with serving(handle) as url:
        (finding,) = await look_at_millis(url)
    assert finding.verdict is Verdict.OK
    assert f"status {status}" in finding.text
    (request,) = seen
    assert (request.method, request.path) == ("HEAD", "/")
    assert "Authorization" not in request.headers


async def test_nobody_there(unused_tcp_port: int) -> None:
    """A refused connection is named with what to check."""
    with pytest.raises(UnavailableError, match=r"no connection with http://127\.0\.0\.1:.*: check the address"):
        await look_at_millis(f"http://127.0.0.1:{unused_tcp_port}")


async def test_a_certificate_that_nobody_trusts(tmp_path: Path) -> None:
    """TLS trouble is named as such, with what it may mean."""

    async def handle(_request: web.Request) -> web.Response:
        return web.Response()

    async with serving(handle, self_signed(tmp_path)) as url:
        with pytest.raises(UnavailableError, match=r"no TLS connection with .*: something in between re-signs TLS"):
            await look_at_millis(url)


async def test_a_server_that_speaks_no_tls() -> None:
    """Plain HTTP under an https: address is told apart from a bad certificate."""

    async def handle(_request: web.Request) -> web.Response:
        return web.Response()

    async with serving(handle) as url:
        with pytest.raises(UnavailableError, match="does not speak TLS"):
            await look_at_millis(url.replace("http:", "https:"))


async def test_a_server_that_says_nothing() -> None:
    """A connection without an answer ends in time."""
    async with raw(silence) as address:
        with pytest.raises(UnavailableError, match="in time"):
            await fetch("HEAD", f"http://{address}", total_s=0.2)


async def test_an_endless_body_is_cut() -> None:
    """No more than 1 MiB of an answer is kept."""

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        while True:
            writer.write(b"x" * 65_536)
            await writer.drain()

    async with raw(endless) as address:
        assert len((await fetch("GET", f"http://{address}")).body) == 1 << 20


class TestWebhooks:
    """The worker's public port."""

    async def test_no_worker(self, unused_tcp_port: int) -> None:
        """Without a worker nothing is wrong; the line says where LiveKit must post to."""
        (finding,) = await look_at_webhooks(f"0.0.0.0:{unused_tcp_port}", "livekit.example.com")
        assert finding.verdict is Verdict.LEFT_OUT
        assert f"http(s)://<this host>:{unused_tcp_port}/webhooks/livekit" in finding.text

    async def test_a_worker(self) -> None:
        """A worker is known by its OpenAPI document; one that only this machine reaches is worth a warning."""
        worker = HttpServers(
            "127.0.0.1:0", "127.0.0.1:0", desk=FakeDesk(), keys=lambda: [FIRST], render=lambda: (b"", "text/plain")
        )
        async with worker.running() as at:
            port = at.public.rsplit(":", 1)[1]
            everywhere = await look_at_webhooks(f"0.0.0.0:{port}", "livekit.example.com")
            here = await look_at_webhooks(f"127.0.0.1:{port}", "127.0.0.1")
            unreachable = await look_at_webhooks(f"127.0.0.1:{port}", "livekit.example.com")
        assert [f.verdict for f in everywhere] == [Verdict.OK]
        assert [f.verdict for f in here] == [Verdict.OK]
        assert [f.verdict for f in unreachable] == [Verdict.OK, Verdict.WARNING]
        assert "livekit.example.com cannot post there" in unreachable[1].text

    async def test_somebody_else(self) -> None:
        """Another service on the port is a failure."""

        async def handle(_request: web.Request) -> web.Response:
            return web.Response(text="It works!")

        async with serving(handle) as url:
            with pytest.raises(ConnectorError, match="something else than a worker"):
                await look_at_webhooks(f"[::ffff:127.0.0.1]:{url.rsplit(':', 1)[1]}", "127.0.0.1")

    async def test_any_free_port(self) -> None:
        """Port 0 is one that LiveKit cannot know."""
        (finding,) = await look_at_webhooks("0.0.0.0:0", "127.0.0.1")
        assert finding.verdict is Verdict.LEFT_OUT
