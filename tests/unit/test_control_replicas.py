"""Who takes a new room first, and who vanished."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.control.replicas import MOST_DELAY_S, RANK_S, Load, Replicas

LOADS = st.dictionaries(
    st.text(min_size=1, max_size=8), st.builds(Load, st.integers(0, 9), st.integers(0, 9)), max_size=8
)


def delays(room: str, loads: dict[str, Load]) -> dict[str, float]:
    """How long each replica waits when all know of each other."""
    found = {}
    for me, load in loads.items():
        replicas = Replicas(me)
        replicas.seen(dict(loads))
        found[me] = replicas.delay_s(room, load)
    return found


def test_the_least_loaded_comes_first() -> None:
    """Each rank waits 150 ms longer, by sessions per capacity."""
    loads = {"half": Load(5, 10), "idle": Load(0, 4), "big": Load(10, 100)}
    assert delays("r", loads) == pytest.approx({"idle": 0.0, "big": RANK_S, "half": 2 * RANK_S})


def test_nobody_waits_for_a_full_or_draining_replica() -> None:
    """Replicas without room are not counted; they themselves come last."""
    loads = {"full": Load(4, 4), "draining": Load(0, 0), "busy": Load(9, 10), "busier": Load(19, 20)}
    found = delays("r", loads)
    assert (found["busy"], found["busier"]) == pytest.approx((0.0, RANK_S))
    assert found["full"] == found["draining"] == pytest.approx(2 * RANK_S)


def test_alone_nobody_waits() -> None:
    """A replica that knows of no other claims at once, however busy it is."""
    replicas = Replicas("me")
    assert replicas.delay_s("r", Load(9, 9)) == 0.0
    replicas.seen({"me": Load(0, 1)})
    assert replicas.delay_s("r", Load(0, 0)) == 0.0


def test_equal_replicas_share_evenly() -> None:
    """Equally loaded ones are first for about as many rooms each."""
    loads = {name: Load(0, 10) for name in ("w1", "w2", "w3")}
    first = Counter(min(found, key=found.__getitem__) for found in (delays(f"room-{n}", loads) for n in range(600)))
    assert all(140 <= first[name] <= 260 for name in loads), first


@given(LOADS, st.text())
def test_one_is_first_and_no_wait_is_long(loads: dict[str, Load], room: str) -> None:
    """For any room one open replica waits for nobody, all ranks differ, and no delay is over 0.6 s."""
    found = delays(room, loads)
    open_ones = sorted(found[name] for name, load in loads.items() if not load.full)
    assert open_ones == pytest.approx([min(MOST_DELAY_S, rank * RANK_S) for rank in range(len(open_ones))])
    assert all(0 <= delay <= MOST_DELAY_S for delay in found.values())


def test_a_burst_is_spread() -> None:
    """Rooms that come together go to whoever is least loaded with those before them, though no load is told between."""
    loads = {"w1": Load(0, 10), "w2": Load(4, 10), "w3": Load(0, 10)}
    views = {me: Replicas(me) for me in loads}
    for view in views.values():
        view.seen(dict(loads))
    waits = [{me: views[me].delay_s(f"room-{n}", loads[me]) for me in loads} for n in range(14)]
    first = Counter(min(wait, key=wait.__getitem__) for wait in waits)
    assert first == {"w1": 6, "w2": 2, "w3": 6}


def test_what_was_expected_is_forgotten_when_loads_are_told() -> None:
    """New figures replace what was assumed: whoever did not take its rooms is first again."""
    replicas = Replicas("me")
    for _ in range(3):
        replicas.seen({"me": Load(1, 10), "other": Load(0, 10)})
        assert replicas.delay_s("r", Load(1, 10)) == RANK_S


def test_who_vanished_is_told_once() -> None:
    """A replica that lived before and does not any more is gone; we ourselves never are."""
    replicas = Replicas("me")
    assert replicas.seen({"me": Load(0, 1), "a": Load(0, 1), "b": None}) == frozenset()
    assert replicas.others == {"a", "b"}
    assert replicas.seen({"a": Load(0, 1)}) == {"b"}
    assert replicas.seen({"a": Load(0, 1)}) == frozenset()


def test_a_replica_that_cannot_be_read_lives_but_has_no_rank() -> None:
    """Garbage in place of a load makes nobody wait, and its replica is not gone."""
    replicas = Replicas("me")
    replicas.seen({"odd": None})
    assert replicas.delay_s("r", Load(5, 10)) == 0.0
    assert replicas.seen({"odd": None}) == frozenset()
