"""Rules for the loopback tests: traffic on 127.0.0.1 only, and not a socket is left."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.loopback.leftovers import no_sockets_left


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stock peers of a test know only 127.0.0.1."""
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])


@pytest_asyncio.fixture(autouse=True)
async def _no_socket_is_left() -> AsyncIterator[None]:
    """Fail a test that leaves a socket open."""
    async with no_sockets_left():
        yield
