"""The replay guard."""

from hypothesis import given
from hypothesis import strategies as st

from connector.http.replay import ReplayGuard

KEEP_S = 420.0
STEPS = st.lists(
    st.tuples(st.sampled_from([f"EV_{number}" for number in range(8)]), st.floats(0, 200, allow_nan=False)),
    max_size=60,
)


def accept(guard: ReplayGuard, event_id: str, now: float) -> bool:
    """What the webhooks do with it."""
    if guard.seen(event_id, now):
        return False
    guard.remember(event_id, now)
    return True


@given(STEPS)
def test_an_event_is_accepted_once_within_the_window(steps: list[tuple[str, float]]) -> None:
    """Whatever the order and the pauses: an id is accepted exactly when it was not accepted within the window."""
    guard, now, accepted = ReplayGuard(KEEP_S, 100), 0.0, dict[str, float]()
    for event_id, pause in steps:
        now += pause
        expected = event_id not in accepted or now - accepted[event_id] > KEEP_S
        assert accept(guard, event_id, now) is expected
        if expected:
            accepted[event_id] = now


@given(STEPS, st.integers(1, 5))
def test_it_never_grows_past_its_bound(steps: list[tuple[str, float]], most: int) -> None:
    """It keeps the newest ids, never more than it may, and what it keeps it still refuses."""
    guard, now = ReplayGuard(KEEP_S, most), 0.0
    for event_id, pause in steps:
        now += pause
        accept(guard, event_id, now)
        assert guard.seen(event_id, now)
        assert len(guard) <= most


def test_old_ids_are_forgotten() -> None:
    """What is older than the window does not stay in memory."""
    guard = ReplayGuard(KEEP_S)
    for number in range(100):
        guard.remember(f"EV_{number}", float(number))
    guard.remember("EV_new", 1_000.0)
    assert len(guard) == 1


def test_an_event_that_was_put_off_is_taken_when_it_comes_again() -> None:
    """Only `remember` makes an id known: asking does not."""
    guard = ReplayGuard(KEEP_S)
    assert not guard.seen("EV_1", 0.0)
    assert not guard.seen("EV_1", 1.0)
