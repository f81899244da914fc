import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from rich.console import Console

from connector.base.errors import UnavailableError
from connector.practice.show import Show
from connector.practice.watch import AgentWatch

KEY = "watch-key-4711"


def session(*events: tuple[float, str]) -> dict[str, Any]:
    return {
        "heard_level_dbfs": -20.0,
        "said_level_dbfs": -30.0,
        "events": [{"at": at, "what": what, "detail": ""} for at, what in events],
    }


class Agent:
    """An HTTP server that shows what it is given."""

    def __init__(self) -> None:
        self.body: dict[str, Any] = {"sessions": []}
        self.status = 200
        self.url = ""

    async def sessions(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == KEY
        return web.json_response(self.body, status=self.status)


@asynccontextmanager
async def serving() -> AsyncIterator[Agent]:
    agent = Agent()
    app = web.Application()
    app.router.add_get("/sessions", agent.sessions)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    agent.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield agent
    await runner.cleanup()


async def test_news_are_told_once_and_in_order() -> None:
    """Each event is told when it is first seen; levels are handed on."""
    show = Show(Console(file=io.StringIO()))
    async with serving() as agent:
        watch = AgentWatch(agent.url, KEY, show)
        agent.body = {"sessions": [session((2.0, "greeting"), (1.0, "connected"), (2.5, "silent"))]}
        await watch.look()
        agent.body = {"sessions": [session((1.0, "connected"), (2.0, "greeting"), (3.0, "hearing"))]}
        await watch.look()
    assert [(h.at, h.text) for h in show.happenings] == [
        (1.0, "is in the room"),
        (2.0, "greets"),
        (3.0, "hears somebody"),
    ]
    assert (show.agent_hears_dbfs, show.agent_says_dbfs) == (-20.0, -30.0)


async def test_events_are_found_by_time() -> None:
    """The first event of a kind after a time, in any session; None when there is none."""
    async with serving() as agent:
        watch = AgentWatch(agent.url, KEY)
        agent.body = {"sessions": [session((1.0, "reply"), (5.0, "reply")), session((3.0, "reply"))]}
        await watch.look()
    assert watch.when("reply", 0.0) == 1.0
    assert watch.when("reply", 1.0) == 3.0
    assert watch.when("reply", 5.0) is None
    assert watch.when("silent", 0.0) is None


async def test_an_agent_that_does_not_answer_is_no_error_while_watching() -> None:
    """What was seen last stays in force when the agent is gone or refuses."""
    async with serving() as agent:
        watch = AgentWatch(agent.url, KEY)
        agent.body = {"sessions": [session((1.0, "reply"))]}
        await watch.look()
        agent.status = 500
        await watch.look()
    assert await watch.look() == {"sessions": [session((1.0, "reply"))]}


async def test_an_agent_that_never_comes_up_is_unavailable() -> None:
    """Waiting for it is bounded, and ends with one line."""
    with pytest.raises(UnavailableError, match="did not answer within"):
        await AgentWatch("http://127.0.0.1:9", KEY).ready(within_s=0.3)
