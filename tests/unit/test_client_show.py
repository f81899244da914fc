"""How `connector rooms` looks."""

import io

import pytest
from rich.console import Console

from connector.client.show import lasted, rooms_table, summary
from connector.http.models import RoomBody, SessionBody

SESSION = SessionBody(session_id="s1", state="live", agent="a1", trigger="webhook", engine=0, humans=2, started=1_000.0)


def room(name: str, why: str, session: SessionBody | None = None) -> RoomBody:
    return RoomBody(
        room=name, why=why, detail="nobody is in it", humans=0, rule=name, session=session, requested=False, last_end=""
    )


def test_each_room_is_one_line_with_its_session_or_the_reason() -> None:
    """Served rooms show state, age and people; the others say why not. Control characters of a name are not shown."""
    stream = io.StringIO()
    rooms = (room("lobby", "serve", SESSION), room("attic\x1b[31m", "no_human"))
    Console(file=stream, width=160).print(rooms_table(rooms, 1_192.0))
    head, lobby, attic = stream.getvalue().splitlines()
    assert head.split() == ["room", "state", "for", "humans", "agent", "trigger", "why"]
    assert lobby.split() == ["lobby", "live", "3m12s", "2", "a1", "webhook", "s1"]
    assert "no_human" in attic
    assert attic.endswith("nobody is in it")
    assert "\x1b" not in stream.getvalue()
    assert summary(rooms).startswith("1 of 2 rooms served")


@pytest.mark.parametrize(
    ("seconds", "text"), [(-1.0, "0s"), (42.9, "42s"), (60.0, "1m00s"), (3599.0, "59m59s"), (7_500.0, "2h05m")]
)
def test_durations_are_short(seconds: float, text: str) -> None:
    """Two units at most."""
    assert lasted(seconds) == text


@pytest.mark.parametrize("name", ["[red]x[/red]", "[/nothing]"])
def test_names_are_not_markup(name: str) -> None:
    """A room may be called like a tag of the terminal library: it is shown as it is."""
    stream = io.StringIO()
    Console(file=stream, width=160).print(rooms_table((room(name, "serve", SESSION),), 1_192.0))
    assert name in stream.getvalue()
