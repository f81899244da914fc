"""Refusals, counted into few lines."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from connector.http.refusals import EVERY_S, RefusalCount


def test_the_first_is_told_at_once_and_the_next_together() -> None:
    """One line for the first, then one for all that came within the interval."""
    count = RefusalCount()
    assert count.note("bad", 0.0) == {"bad": 1}
    assert [count.note("bad", 1.0 + number / 1_000) for number in range(500)] == [{}] * 500
    assert count.note("large", EVERY_S) == {"bad": 500, "large": 1}


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 30)), max_size=50))
def test_none_is_lost_and_lines_are_rare(steps: list[tuple[str, int]]) -> None:
    """Lines are at least the interval apart, and all lines together tell every refusal once."""
    count, now, told, lines = RefusalCount(), 0, 0, list[int]()
    for kind, pause in steps:
        now += pause
        counts = count.note(kind, now)
        told += sum(counts.values())
        lines += [now] if counts else []
    assert told + sum(count.rest().values()) == len(steps)
    assert all(later - earlier >= EVERY_S for earlier, later in itertools.pairwise(lines))
