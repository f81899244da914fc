"""What the long scenarios conclude from the practice agent's counts."""

from typing import Any

import pytest

from bench.live.agent import Counted


def call(room: str, opened: float, closed: float | None) -> dict[str, Any]:
    """A call as ``GET /sessions`` shows it, as far as it matters."""
    return {"agent_id": room, "opened_at": opened, "closed_at": closed, "live": closed is None}


@pytest.mark.parametrize(
    ("sessions", "longest"),
    [
        ([], 0.0),
        ([call("a", 1, 5), call("b", 2, 6)], 0.0),
        ([call("a", 1, 5), call("a", 5, 9)], 0.0),
        ([call("a", 4, 9), call("b", 0, 9), call("a", 1, 5)], 1.0),
        ([call("a", 1, None), call("a", 5, 9)], float("inf")),
    ],
)
def test_two_calls_of_one_room_at_once_are_found(sessions: list[dict[str, Any]], longest: float) -> None:
    """In whatever order they are listed; calls of different rooms may overlap, an open one overlaps all that follow."""
    assert Counted(len(sessions), 0, sessions).longest_double() == longest


def test_calls_are_told_apart_by_room() -> None:
    """The agent id is the room; live ones are counted."""
    counted = Counted(2, 1, [call("a", 1, None), call("b", 2, 3)])
    assert [found["opened_at"] for found in counted.of("a")] == [1]
    assert counted.live == 1
