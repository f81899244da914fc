"""A real browser as the agent: a headless chromium whose page answers the offer, plays and measures.

The page is driven by plain HTTP: it fetches the offer, posts the answer, and reports five times a second; the reply to
a report is its order.
"""

import json
import shutil
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from connector.practice.processes import Child, last_lines
from connector.practice.sound import CLIPS
from tests.until import until

_PAGE = Path(__file__).with_name("browser_page.html")
_PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chrome")
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--mute-audio",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-extensions",
    "--disable-sync",
    "--metrics-recording-only",
    "--no-pings",
    "--autoplay-policy=no-user-gesture-required",
    "--allow-loopback-in-peer-connection",
    "--disable-features=WebRtcHideLocalIpsWithMdns,MediaRouter,OptimizationHints,Translate",
)


def find_chromium() -> str:
    """The browser's program; its absence fails the test, it never skips it."""
    for program in _PROGRAMS:
        found = shutil.which(program)
        if found is not None:
            return found
    raise AssertionError(f"no browser: none of {', '.join(_PROGRAMS)} is on PATH; on Debian: apt-get install chromium")


class BrowserAgent:
    """Millis' call, answered by a browser; an async context manager.

    Attributes:
        offer: The offer that came, once one came.
        answer: The browser's answer to it.
        report: What the page measured last.
        orders: What the page is told to do: ``speak``, ``hang_up``.
    """

    def __init__(self) -> None:
        self.offer: dict[str, str] = {}
        self.answer: dict[str, str] = {}
        self.report: dict[str, Any] = {}
        self.orders = {"speak": False, "hang_up": False}
        self.url = ""
        self._stack = AsyncExitStack()
        self._child: Child | None = None

    async def __aenter__(self) -> Self:
        program = find_chromium()
        app = web.Application()
        app.router.add_post("/webrtc/offer", self._offered)
        app.router.add_get("/", _page)
        app.router.add_get("/clip", _clip)
        app.router.add_get("/offer", self._fetch)
        app.router.add_post("/answer", self._answered)
        app.router.add_post("/report", self._reported)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1.0)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        profile = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True))
        command = [program, *_FLAGS, f"--user-data-dir={profile}", self.url]
        self._child = Child("the browser", command, log=Path(profile) / "browser.log")
        await self._stack.enter_async_context(self._child)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def until(self, holds: Callable[[dict[str, Any]], bool], what: str, within_s: float = 20.0) -> None:
        """Wait until a report of the page fits; fail with the last one."""
        try:
            await until(lambda: "error" in self.report or bool(self.report and holds(self.report)), within_s)
        except TimeoutError:
            raise AssertionError(
                f"{what}: not within {within_s:.0f} s; the page's last report: {self.report}"
            ) from None
        assert "error" not in self.report, self.report["error"]

    async def _offered(self, request: web.Request) -> web.Response:
        self.offer = (await request.json())["offer"]
        try:
            await until(lambda: bool(self.answer), 30)
        except TimeoutError:
            assert self._child is not None
            raise AssertionError(f"the browser did not answer. Its log:\n{last_lines(self._child.log)}") from None
        return web.json_response({"answer": self.answer})

    async def _fetch(self, _request: web.Request) -> web.Response:
        await until(lambda: bool(self.offer), 60)
        return web.json_response(self.offer)

    async def _answered(self, request: web.Request) -> web.Response:
        self.answer = json.loads(await request.text())
        return web.json_response({})

    async def _reported(self, request: web.Request) -> web.Response:
        report = json.loads(await request.text())
        if "error" not in self.report:
            self.report = report
        return web.json_response(self.orders)


async def _page(_request: web.Request) -> web.FileResponse:
    return web.FileResponse(_PAGE)


async def _clip(_request: web.Request) -> web.FileResponse:
    return web.FileResponse(CLIPS / "ada-asks.wav")
