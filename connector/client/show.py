"""How `connector rooms` looks: a table of rooms, and what a room's state is in one word."""

import time
from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from connector.base.redact import redact
from connector.http.models import RoomBody

_HOUR_S, _MINUTE_S = 3600, 60


def rooms_table(rooms: Sequence[RoomBody], now: float) -> Table:
    """One line a room.

    Args:
        rooms: In order.
        now: Wall-clock seconds.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("room", "state", "for", "humans", "agent", "trigger", "why"):
        table.add_column(name, overflow="fold", justify="right" if name in ("for", "humans") else "left")
    for room in rooms:
        session = room.session
        if session is None:
            row = (room.why, "", str(room.humans), "", "", room.detail)
        else:
            age = lasted(now - session.started)
            row = (session.state, age, str(session.humans), redact(session.agent), session.trigger, session.session_id)
        table.add_row(*(Text(cell) for cell in (redact(room.room), *row)))  # a name may look like rich's markup
    return table


def lasted(seconds: float) -> str:
    """A duration as people read it: ``42s``, ``3m12s``, ``2h05m``."""
    whole = max(0, int(seconds))
    if whole < _MINUTE_S:
        return f"{whole}s"
    if whole < _HOUR_S:
        return f"{whole // _MINUTE_S}m{whole % _MINUTE_S:02}s"
    return f"{whole // _HOUR_S}h{whole % _HOUR_S // _MINUTE_S:02}m"


def summary(rooms: Sequence[RoomBody]) -> str:
    """How many are served."""
    served = sum(room.session is not None for room in rooms)
    return f"{served} of {len(rooms)} rooms served, {time.strftime('%H:%M:%S')}"
