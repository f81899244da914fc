"""The bounded set of rooms to look at."""

from hypothesis import given
from hypothesis import strategies as st

from connector.base.trigger import Trigger
from connector.control.hints import MAX_HINTS, Hints


def test_a_room_is_looked_at_once_and_by_its_first_trigger() -> None:
    """Repeated hints are one look."""
    hints = Hints()
    hints.add("a", Trigger.WEBHOOK)
    hints.add("a", Trigger.REQUEST)
    assert (hints.waiting, len(hints)) == (True, 1)
    assert hints.take(0.0) == ({"a": Trigger.WEBHOOK}, False)
    assert (hints.waiting, hints.take(0.0)) == (False, ({}, False))


def test_what_is_due_by_time_comes_when_it_is_due() -> None:
    """A later wish for a room replaces the earlier one."""
    hints = Hints()
    hints.at("a", 10.0)
    hints.at("b", 20.0)
    hints.at("a", 30.0)
    assert hints.next_at() == 20.0
    assert hints.take(19.0) == ({}, False)
    assert hints.take(20.0) == ({"b": Trigger.RECONCILE}, False)
    assert hints.take(30.0) == ({"a": Trigger.RECONCILE}, False)
    assert hints.next_at() is None


@given(st.integers(0, 3 * MAX_HINTS))
def test_it_is_bounded(count: int) -> None:
    """Too many rooms become one look at everything; nothing is lost."""
    hints = Hints()
    for number in range(count):
        hints.add(f"room-{number}", Trigger.WEBHOOK)
        hints.at(f"later-{number}", 1.0)
    rooms, everything = hints.take(0.0)
    assert len(rooms) == min(count, MAX_HINTS)
    assert everything is (count > MAX_HINTS)
    assert len(hints.take(1.0)[0]) <= MAX_HINTS
