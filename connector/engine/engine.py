"""The engine: runs the sessions that control asks for, and reports what becomes of them.

One broken session ends alone. When control's end of the pipe closes, every call is closed in order and the engine
ends: an engine without control would serve rooms that nobody supervises.
"""

import asyncio
import gc
import random
import resource
from collections.abc import Callable
from pathlib import Path

import structlog
from structlog.contextvars import bind_contextvars

from connector.base.ends import EndReason
from connector.base.lag import watch_lag
from connector.base.redact import redact
from connector.engine.clock import EngineClock
from connector.engine.figures import EngineFigures, memory_mb
from connector.engine.legs import listen_rule
from connector.engine.pipe import ControlPipe
from connector.engine.watchdog import Watchdog
from connector.messages.types import (
    Configure,
    EndSession,
    EngineBeat,
    SessionEnded,
    SessionState,
    Shutdown,
    StartSession,
    UpdateSession,
)
from connector.session.events import State
from connector.session.legs import LegFactory
from connector.session.plan import JoinMode, OnHangup, SessionPlan
from connector.session.session import Session

BEAT_S = 1.0
_PAGE_BYTES = resource.getpagesize()
_PAGES = Path("/proc/self/statm")


class Engine:
    """Sessions of one process.

    Args:
        pipe: To control.
        watchdog: Beaten once a second while the loop runs.
        legs: Makes the legs of a session.
    """

    def __init__(
        self,
        pipe: ControlPipe,
        watchdog: Watchdog,
        legs: Callable[[StartSession, Configure], LegFactory],
    ) -> None:
        self._pipe = pipe
        self._watchdog = watchdog
        self._legs = legs
        self._clock = EngineClock()
        self._figures = EngineFigures()
        self._shared: Configure | None = None
        self._sessions: dict[str, Session] = {}
        self._log = structlog.get_logger()

    async def run(self) -> None:
        """Serve until control says `Shutdown` or is gone; all sessions are over when this returns."""
        async with asyncio.TaskGroup() as group:
            helpers = [
                group.create_task(self._pipe.write(), name="pipe-write"),
                group.create_task(self._beat(), name="beat"),
                group.create_task(watch_lag(self._lag), name="lag"),
            ]
            async with asyncio.TaskGroup() as sessions:
                await self._obey(sessions)
                for session in self._sessions.values():
                    session.end(EndReason.DRAINED)
            for helper in helpers:
                helper.cancel()
        self._report()
        try:
            await self._pipe.flush()
        except ConnectionError:
            self._log.warning("control_gone", unreported=True)

    async def _obey(self, sessions: asyncio.TaskGroup) -> None:
        async for message in self._pipe.messages():
            match message:
                case Configure():
                    self._shared = message
                case StartSession():
                    self._start(message, sessions)
                case UpdateSession():
                    self._update(message)
                case EndSession():
                    session = self._sessions.get(message.session_id)
                    if session is not None:
                        session.end(message.reason)
                case Shutdown():
                    return
        self._log.warning("control_gone", sessions=len(self._sessions))

    def _start(self, start: StartSession, sessions: asyncio.TaskGroup) -> None:
        if self._shared is None or start.session_id in self._sessions:
            raise ValueError(f"session {start.session_id} started before configure, or twice")
        if len(self._sessions) >= self._shared.max_sessions:
            self._pipe.put(
                SessionEnded(session_id=start.session_id, room=start.room, reason=EndReason.OVERLOADED),
            )
            return
        plan = plan_of(start)

        def report(state: State, humans: int, detail: str) -> None:
            self._pipe.put(
                SessionState(session_id=plan.session_id, room=plan.room, state=state, humans=humans, detail=detail),
            )

        session = Session(
            plan,
            self._legs(start, self._shared),
            self._clock,
            on_state=report,
            rand=random.random,
        )
        self._sessions[plan.session_id] = session
        serving = sessions.create_task(self._serve(session, plan), name=f"session-{plan.session_id}")
        serving.add_done_callback(_tidy_up)

    def _update(self, update: UpdateSession) -> None:
        session = self._sessions.get(update.session_id)
        if session is not None:
            session.update(
                listen_rule(update.listen),
                leave_after_s=update.leave_after_s,
                max_duration_s=update.max_duration_s,
            )

    async def _serve(self, session: Session, plan: SessionPlan) -> None:
        bind_contextvars(session=plan.session_id, room=plan.room)
        try:
            result = await session.run()
            ended = SessionEnded(
                session_id=plan.session_id,
                room=plan.room,
                reason=result.reason,
                detail=result.detail,
                cause=result.cause,
                delete_room=result.delete_room,
                summary=result.summary,
            )
        except Exception as error:  # noqa: BLE001 - a bug in one session must not end the others
            self._log.exception("session_broke", error=redact(error))
            ended = SessionEnded(
                session_id=plan.session_id,
                room=plan.room,
                reason=EndReason.INTERNAL_ERROR,
                detail=redact(error),
            )
        finally:
            del self._sessions[plan.session_id]
            self._collect(self._figures.end, plan.session_id, session)
        self._pipe.put(ended)

    async def _beat(self) -> None:
        while True:
            self._watchdog.beat()
            for session_id, session in list(self._sessions.items()):
                if session_id in self._sessions:
                    self._collect(self._figures.look, session_id, session)
                await asyncio.sleep(0)  # a tick that is due goes first
            self._report()
            await asyncio.sleep(BEAT_S)

    def _collect(self, read: Callable[[str, Session], None], session_id: str, session: Session) -> None:
        try:
            read(session_id, session)
        except Exception as error:  # noqa: BLE001 - figures that cannot be read must not end anybody's call
            self._log.exception("figures_failed", session=session_id, error=redact(error))

    def _report(self) -> None:
        counters = self._figures.take()
        self._pipe.put(
            EngineBeat(
                sessions=len(self._sessions),
                counters=counters,
                late_share=self._figures.late.share,
                memory_mb=memory_mb(_PAGES.read_text(), _PAGE_BYTES) if _PAGES.exists() else 0.0,
            ),
        )

    def _lag(self, seconds: float) -> None:
        self._figures.tally.observe("event_loop_lag_seconds", seconds)


def _tidy_up(_ended: object) -> None:
    """Free at once what a session leaves in cycles: some 0.5 MB, in 3 to 4 ms, measured.

    Left to itself Python does it for dozens of sessions at a time: a pause of tens of ms, and 40 MB more until then.
    """
    gc.collect()


def plan_of(start: StartSession) -> SessionPlan:
    """The session's own orders, out of control's message."""
    return SessionPlan(
        session_id=start.session_id,
        room=start.room,
        join=JoinMode(start.join),
        min_humans=start.min_humans,
        leave_after_s=start.leave_after_s,
        max_duration_s=start.max_duration_s,
        on_agent_hangup=OnHangup(start.on_agent_hangup),
        reconnect_attempts=start.reconnect_attempts,
        reconnect_within_s=start.reconnect_within_s,
    )
