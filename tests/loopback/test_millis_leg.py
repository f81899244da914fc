"""How a leg connects, how it ends, and that nothing is left of it."""

import asyncio
import functools
import socket
import threading

import pytest
from aiohttp import web

from connector.base.ends import EndReason
from connector.base.errors import AgentLegError
from connector.base.legs import AgentHungUp, AgentLost, AudioCodec
from connector.millis.leg import MillisAgentLeg
from connector.millis.offer import OfferClient
from connector.millis.options import AgentLegOptions, IceServer
from connector.millis.sdp import CheckedAnswer
from tests.loopback.answerer import Answerer
from tests.loopback.calls import Call, calling, options, until
from tests.loopback.servers import millis


async def test_the_agent_hangs_up() -> None:
    """A close in good order by the far side is a hang-up, and stays one."""
    async with calling(Answerer()) as call:
        await call.set_up()
        await call.far.hang_up()
        assert await call.event() == AgentHungUp()
        assert await call.event() == AgentHungUp()


async def test_a_hang_up_before_anybody_asks_is_not_lost() -> None:
    """An end between `connect` and `next_event` is told all the same, even much later."""
    async with calling(Answerer()) as call:
        await call.set_up()
        await call.far.hang_up()
        await until(lambda: call.leg._peer.over)
        call.clock.jump(60)
        assert await call.event() == AgentHungUp()


async def test_we_hang_up() -> None:
    """Our close reaches the far side at once as a close in good order, and is no event of the agent's."""
    async with calling(Answerer()) as call:
        await call.set_up()
        await call.leg.close()
        await until(lambda: call.far.states[-1] == "closed")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(call.leg.next_event(), 0.6)


async def test_the_stages_of_connecting_are_told_apart() -> None:
    """How long ICE and DTLS took make up the whole, and every state of ICE on the way is counted once."""
    async with calling(Answerer()) as call:
        await call.set_up()
        figures = call.leg.figures()
        assert figures.ice_s is not None
        assert figures.dtls_s is not None
        assert figures.connect_s == pytest.approx(figures.ice_s + figures.dtls_s)
        assert (figures.ice_checking, figures.ice_completed, figures.ice_failed, figures.ice_closed) == (1, 1, 0, 0)
        await call.leg.close()
        assert call.leg.figures().ice_closed == 1


async def test_an_agent_that_vanishes_is_lost_after_12_s() -> None:
    """Without any datagram the leg is lost, long before the library notices."""
    async with calling(Answerer()) as call:
        await call.set_up()
        await call.far.send(0)
        await until(lambda: call.packets)
        call.far.vanish()
        call.clock.jump(12.5)
        event = await call.event()
    assert isinstance(event, AgentLost)
    assert event.cause == "no_datagrams"
    assert event.detail


async def test_a_stream_that_never_paused_may_not_stop() -> None:
    """30 s without RTP, on a stream that had no pause before, is the end, whatever else arrives."""
    async with calling(Answerer()) as call:
        await call.set_up()
        await call.far.send(0)
        await until(lambda: call.packets)
        for _ in range(3):
            call.clock.jump(10.5)
            await call.datagram()
        event = await call.event()
    assert isinstance(event, AgentLost)
    assert event.cause == "agent_silence"


async def test_an_agent_that_pauses_is_alive_by_its_datagrams() -> None:
    """An agent that pauses while it listens may be silent for long: anything else that arrives keeps the leg alive."""
    async with calling(Answerer()) as call:
        await call.set_up()
        await call.far.send(0)
        await until(lambda: len(call.packets) == 1)
        call.clock.jump(2)
        await call.far.send(1)
        await until(lambda: len(call.packets) == 2)
        waiting = asyncio.create_task(call.leg.next_event())
        for _ in range(4):
            call.clock.jump(11)
            await call.datagram()
        await until(functools.partial(read_since, call, call.clock.reads))
        assert not waiting.done()
        waiting.cancel()


def read_since(call: Call, reads: int) -> bool:
    """Whether the leg has polled twice since its clock was read so often."""
    return call.clock.reads >= reads + 2


async def test_an_agent_that_never_speaks_rtp_has_failed() -> None:
    """15 s after connecting without a single RTP packet the leg is lost, whatever else arrives."""
    async with calling(Answerer()) as call:
        await call.set_up()
        call.clock.jump(10)
        await call.datagram()
        call.clock.jump(5.5)
        event = await call.event()
    assert isinstance(event, AgentLost)
    assert event.cause == "no_media"


async def test_expired_consent_is_not_a_hang_up() -> None:
    """When the ICE agent gives up by itself the transport has failed, even while datagrams still come."""
    async with calling(Answerer()) as call:
        await call.set_up()
        await call.leg._peer._dtls.transport._connection.close()
        event = await call.event()
    assert isinstance(event, AgentLost)
    assert event.cause == "transport_failed"


async def test_a_socket_that_takes_nothing_is_noticed() -> None:
    """While a socket's buffer is full packets are dropped, not queued; when that lasts the leg is lost."""
    async with calling(Answerer()) as call:
        await call.set_up()
        call.leg.send(b"audio", 0)
        socket = call.leg._peer._dtls.transport._connection._nominated[1].protocol.transport
        socket.get_write_buffer_size = lambda: 5_000  # type: ignore[attr-defined]
        for number in range(1, 20):
            call.leg.send(b"audio", 960 * number)
        event = await call.event()
        figures = call.leg.figures()
    assert (figures.packets_sent, figures.send_dropped) == (1, 19)
    assert isinstance(event, AgentLost)
    assert event.cause == "transport_failed"


def unconnected(error: AgentLegError) -> bool:
    """Whether this is the error of a leg that never came up, and that may be billed."""
    return error.reason is EndReason.AGENT_UNREACHABLE and error.retryable and error.may_have_begun


async def test_an_unreachable_candidate_ends_at_the_deadline() -> None:
    """A candidate where nobody answers is given up at our deadline, not at the library's 63 s."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))

        def mangle(sdp: str) -> str:
            kept = [line for line in sdp.split("\r\n") if not line.startswith("a=candidate")]
            return "\r\n".join([*kept[:-1], f"a=candidate:1 1 udp 1 127.0.0.1 {deaf.getsockname()[1]} typ host", ""])

        far = Answerer(mangle=mangle)
        async with calling(far, connect_s=0.3) as call:
            await call.leg.prepare()
            await call.leg.offer()
            far.vanish()  # or its own checks would find us
            with pytest.raises(AgentLegError, match=r"within 0\.3 s") as caught:
                await call.leg.connect()
    assert unconnected(caught.value)
    assert caught.value.cause == "connect_timeout"


async def test_a_foreign_certificate_is_refused() -> None:
    """A fingerprint that is not the one of the far side's certificate ends the try at once."""

    def mangle(sdp: str) -> str:
        lines = sdp.split("\r\n")
        return "\r\n".join(f"a=fingerprint:sha-256 {':'.join(['AB'] * 32)}" if "fingerprint" in x else x for x in lines)

    async with calling(Answerer(mangle=mangle)) as call:
        await call.leg.prepare()
        await call.leg.offer()
        with pytest.raises(AgentLegError, match="DTLS failed") as caught:
            await asyncio.wait_for(call.leg.connect(), 10)
    assert unconnected(caught.value)
    assert caught.value.cause == "dtls_failed"


async def test_a_dtls_handshake_that_stalls_meets_the_deadline() -> None:
    """ICE alone is no connection: when the far side never speaks DTLS, the deadline holds."""
    far = Answerer()
    async with calling(far, connect_s=0.5) as call:
        await call.leg.prepare()
        offering = asyncio.create_task(call.leg.offer())
        await until(lambda: far.offers and far._transceiver is not None)

        async def never(_parameters: object) -> None:
            await stalled.wait()

        stalled = asyncio.Event()
        far.dtls.start = never  # type: ignore[method-assign,assignment]
        await offering
        with pytest.raises(AgentLegError, match="within") as caught:
            await call.leg.connect()
        stalled.set()
    assert unconnected(caught.value)
    assert caught.value.cause == "connect_timeout"


async def test_an_answer_that_the_library_refuses_is_one_error() -> None:
    """Whatever the library raises at an answer becomes an ambiguous failure of this try."""

    class Careless(OfferClient):
        async def offer(self, options: AgentLegOptions, sdp: str) -> CheckedAnswer:
            return CheckedAnswer("v=0\r\nm=audio nonsense\r\n", AudioCodec.OPUS, 1, {})

    client = Careless()
    leg = MillisAgentLeg(options("http://127.0.0.1:9"), client, lambda _packet: None)
    await leg.prepare()
    with pytest.raises(AgentLegError, match="cannot be used") as caught:
        await leg.offer()
    await leg.close()
    await client.close()
    assert unconnected(caught.value)
    assert caught.value.cause == "bad_answer"


@pytest.mark.parametrize(("status", "cause"), [(403, "auth"), (500, "server")])
async def test_a_refused_offer_leaves_nothing(status: int, cause: str) -> None:
    """After a refusal the prepared connection is closed like any other."""
    client = OfferClient()

    async def refuse(_request: web.Request) -> web.Response:
        return web.Response(status=status)

    async with millis(refuse) as seen:
        leg = MillisAgentLeg(options(seen.url), client, lambda _packet: None)
        await leg.prepare()
        with pytest.raises(AgentLegError) as caught:
            await leg.offer()
        await leg.close()
        assert caught.value.cause == cause
        assert leg.figures().forced_closes == 0
    await client.close()


async def test_a_leg_without_an_address_is_not_prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without a usable address says so, and may try again later."""
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda use_ipv4, use_ipv6: [])
    client = OfferClient()
    leg = MillisAgentLeg(options("https://api-west.millis.ai"), client, lambda _packet: None)
    with pytest.raises(AgentLegError, match="no network address") as caught:
        await leg.prepare()
    await leg.close()
    await client.close()
    assert (caught.value.retryable, caught.value.may_have_begun, caught.value.cause) == (True, False, "unreachable")


async def test_a_malformed_ice_server_is_named() -> None:
    """A wrong ICE server is a matter of configuration: no retry, and the key to look at."""
    async with calling(Answerer(), ice_servers=(IceServer(("http://stun.example.com",)),)) as call:
        with pytest.raises(AgentLegError, match=r"millis\.ice_servers") as caught:
            await call.leg.prepare()
    assert (caught.value.retryable, caught.value.may_have_begun, caught.value.cause) == (False, False, "config")


async def test_a_deaf_stun_server_does_not_hold_up_the_offer() -> None:
    """The offer goes out without the STUN server's candidate, before the library's own 5 s."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        server = IceServer((f"stun:127.0.0.1:{deaf.getsockname()[1]}",))
        async with calling(Answerer(), ice_servers=(server,)) as call:
            async with asyncio.timeout(4.5):
                await call.leg.prepare()
            await call.leg.offer()
            await call.leg.connect()
            assert call.leg.figures().connect_s is not None


async def test_closing_while_gathering_leaves_nothing() -> None:
    """A leg that is given up while it waits for a STUN server still closes its sockets and queries, in time."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        server = IceServer((f"stun:127.0.0.1:{deaf.getsockname()[1]}",))
        async with calling(Answerer(), ice_servers=(server,)) as call:
            preparing = asyncio.create_task(call.leg.prepare())
            await until(lambda: call.leg._peer._gathering)
            preparing.cancel()
            async with asyncio.timeout(5):
                await call.leg.close()
            with pytest.raises(asyncio.CancelledError):
                await preparing
            assert call.leg.figures().forced_closes == 0


@pytest.mark.parametrize("step", range(4))
async def test_closing_is_good_at_any_moment(step: int) -> None:
    """A leg is closed cleanly before, between and after its steps, twice and at once from two sides."""
    async with calling(Answerer()) as call:
        for action in (call.leg.prepare, call.leg.offer, call.leg.connect)[:step]:
            await action()
        await asyncio.gather(call.leg.close(), call.leg.close())
        await call.leg.close()
        assert call.leg.figures().forced_closes == 0


async def test_a_close_that_hangs_is_finished_by_force(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the library's close never returns, our close does, the sockets go, and it is counted."""
    monkeypatch.setattr("connector.millis.peer.CLOSE_SECONDS", 0.1)
    hang = asyncio.Event()

    async def never() -> None:
        await hang.wait()

    async with calling(Answerer()) as call:
        await call.set_up()
        peer = call.leg._peer
        assert peer._connection is not None
        stock = peer._connection.close
        peer._connection.close = never  # type: ignore[method-assign]
        await call.leg.close()
        assert call.leg.figures().forced_closes == 1
        await until(lambda: sockets_closed(call))
        await stock()


async def test_a_close_that_fails_still_closes_the_sockets() -> None:
    """An exception out of the library's close is counted, and the sockets go all the same."""

    async def broken() -> None:
        raise RuntimeError("broken")

    async with calling(Answerer()) as call:
        await call.set_up()
        peer = call.leg._peer
        assert peer._connection is not None
        stock = peer._connection.close
        peer._connection.close = broken  # type: ignore[method-assign]
        await call.leg.close()
        await call.leg.close()
        assert call.leg.figures().forced_closes == 1
        await until(lambda: sockets_closed(call))
        await stock()


def sockets_closed(call: Call) -> bool:
    """Whether the leg's sockets are closing or closed."""
    return all(p.transport.is_closing() for p in call.leg._peer._dtls.transport._connection._protocols)


async def test_many_calls_one_after_the_other_leave_nothing() -> None:
    """Ten whole calls end with as many threads as before; tasks and sockets are looked after for every test."""
    far, before = Answerer(), threading.active_count()
    for _ in range(10):
        async with calling(far) as call:
            await call.set_up()
            call.leg.send(b"audio", 0)
    assert len(far.offers) == 10
    await until(lambda: threading.active_count() <= before)
