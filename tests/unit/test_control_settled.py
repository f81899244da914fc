from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from connector.control.settled import Settled


def test_a_change_counts_when_it_is_seen_twice() -> None:
    """Something half-written is different at the next look; what stays is taken once."""
    settled = Settled("a")
    looks = ["a", "half", "b", "b", "b", "a", "a", "a", "b", "a", "a"]
    assert [settled.changed(seen) for seen in looks] == [
        *(False, False, False, True, False),
        *(False, True, False, False, False, False),
    ]


@given(st.lists(st.sampled_from("abc"), max_size=40))
def test_what_stays_is_taken_and_nothing_twice_in_a_row(looks: list[str]) -> None:
    """Of any looks, those reported never repeat each other, and two more looks always bring the newest into force."""
    settled = Settled("a")
    taken = ["a"]
    taken += [seen for seen in (*looks, "c", "c") if settled.changed(seen)]
    assert taken[-1] == "c"
    assert all(one != other for one, other in pairwise(taken))
