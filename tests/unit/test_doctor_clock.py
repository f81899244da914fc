"""Clocks that differ."""

import time
from email.utils import formatdate

import httpx
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from connector.doctor.clock import FAIL_S, WARN_S, judge, look_at_clock, skew_s
from connector.doctor.finding import Verdict
from connector.doctor.web import Answer
from tests.loopback.servers import serving


def answer(theirs: float, *, sent: float, got: float, **headers: str) -> Answer:
    return Answer(200, httpx.Headers({"Date": formatdate(theirs, usegmt=True), **headers}), b"", sent, got)


@given(st.floats(-1e6, 1e6), st.floats(1e9, 2e9), st.floats(0, 4))
def test_the_skew_is_right_within_what_a_date_can_say(skew: float, sent: float, trip: float) -> None:
    """Within half a second, for dates are cut to seconds, and half a round trip, for nobody knows when it was made."""
    made = sent + trip / 2
    found = skew_s(answer(made + skew, sent=sent, got=sent + trip))
    assert found is not None
    assert abs(found - skew) <= 0.5 + trip / 2 + 1e-3


@pytest.mark.parametrize("headers", [{"Date": "yesterday"}, {"Date": ""}, {"Age": "30"}])
def test_without_a_fresh_date_nothing_is_known(headers: dict[str, str]) -> None:
    """A date that is none, is missing, or comes out of a cache says nothing."""
    found = skew_s(answer(0, sent=1e9, got=1e9, **headers))
    assert found is None
    assert judge("Millis", found).verdict is Verdict.LEFT_OUT


@pytest.mark.parametrize(
    ("skew", "verdict", "words"),
    [
        (WARN_S - 0.1, Verdict.OK, "agrees with that of LiveKit"),
        (WARN_S, Verdict.WARNING, "is 5 s behind that of LiveKit: let NTP"),
        (-FAIL_S, Verdict.FAILED, "is 30 s ahead of that of LiveKit: let NTP"),
        (90.0, Verdict.FAILED, "is 90 s behind"),
    ],
)
def test_the_bounds(skew: float, verdict: Verdict, words: str) -> None:
    """A warning from 5 s on, a failure from 30 s on, in either direction."""
    finding = judge("LiveKit", skew)
    assert (finding.verdict, finding.exit_code) == (verdict, 1 if verdict is Verdict.FAILED else 0)
    assert words in finding.text


async def test_each_server_is_compared_alone(unused_tcp_port: int) -> None:
    """A server with a wrong date fails, one with the right date is fine, one that is not there is left out."""

    async def right(_request: web.Request) -> web.Response:
        return web.Response(headers={"Date": formatdate(time.time(), usegmt=True)})

    async def wrong(_request: web.Request) -> web.Response:
        return web.Response(headers={"Date": formatdate(time.time() - 3600, usegmt=True)})

    async with serving(right) as good, serving(wrong) as bad:
        found = await look_at_clock({"A": good, "B": bad, "C": f"http://127.0.0.1:{unused_tcp_port}"})
    assert [f.verdict for f in found] == [Verdict.OK, Verdict.FAILED, Verdict.LEFT_OUT]
    assert "ahead of that of B" in found[1].text
