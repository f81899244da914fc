"""What the commands do, apart from their options: print a table, follow it, ask, wait."""

import json
import sys
import time

from rich.console import Console
from rich.live import Live
from rich.text import Text

from connector.base.errors import ConnectorError, UnavailableError
from connector.base.redact import redact
from connector.client.api import WorkerApi
from connector.client.show import rooms_table, summary
from connector.http.models import RoomBody

_EVERY_S = 1.0
WAIT_S = 30.0
"""How long `join --wait` waits for the session to be live."""


def show_rooms(worker: WorkerApi, *, watch: bool, as_json: bool) -> None:
    """Print the rooms; on a terminal, with `watch`, keep the table up to date until Ctrl-C."""
    rooms = worker.rooms()
    if as_json:
        shown = [room.model_dump(mode="json") for room in rooms]
        sys.stdout.write(json.dumps({"rooms": shown}, indent=2, ensure_ascii=False) + "\n")
        return
    console = Console(soft_wrap=not sys.stdout.isatty(), highlight=False)
    if not watch:
        console.print(rooms_table(rooms, time.time()), markup=False)
        return
    _watch(worker, console, rooms)


def _watch(worker: WorkerApi, console: Console, rooms: tuple[RoomBody, ...]) -> None:
    """Until Ctrl-C; a worker that was there and goes away is waited for, beside what it last said."""
    missing = ""
    with Live(console=console, auto_refresh=False) as live:
        while True:
            table = rooms_table(rooms, time.time())
            table.title, table.title_justify = Text(missing or summary(rooms)), "left"
            live.update(table, refresh=True)
            time.sleep(_EVERY_S)
            try:
                rooms, missing = worker.rooms(), ""
            except UnavailableError as error:
                missing = str(error)


def join_room(worker: WorkerApi, room: str, agent: str | None, *, wait: bool) -> str:
    """Ask for the agent; with `wait`, return only when people and agent hear each other.

    Returns:
        What became of it, for people.

    Raises:
        UnavailableError: The session did not become live in time; the message says what holds it up.
        ConnectorError: The worker refuses, or the session has ended.
    """
    answer = worker.join(room, agent)
    if not wait:
        return "it is served already" if answer.status == "running" else "asked for: the worker joins it now"
    give_up = time.monotonic() + WAIT_S
    while True:
        found = worker.room(room)
        if found.session is not None and found.session.state == "live":
            return f"live, session {found.session.session_id}"
        if found.session is None and not found.requested:
            ended = f", the last session ended: {found.last_end}" if found.last_end else ""
            raise ConnectorError(f"room {redact(room)} is not served: {found.detail}{ended}")
        if time.monotonic() > give_up:
            state = found.session.state if found.session is not None else found.detail
            raise UnavailableError(f"room {redact(room)} is not live after {WAIT_S:.0f} s: {state}")
        time.sleep(_EVERY_S / 4)


def leave_room(worker: WorkerApi, room: str) -> str:
    """Send the agent away.

    Returns:
        What became of it, for people.

    Raises:
        ConnectorError: There was nothing to end, or the worker refuses.
    """
    if not worker.leave(room).ended:
        raise ConnectorError(
            f"room {redact(room)} has no session and no request at this worker; it is left alone from now on"
        )
    return "the agent leaves; the room is not served again before it is asked for, or its next life"
