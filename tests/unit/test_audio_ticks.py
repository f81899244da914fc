import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.audio.ticks import EARLY_S, FURTHEST_S, LATE_S, MAX_CATCH_UP, MAX_NUDGE_S, TickGrid, TickSchedule
from connector.base.catalog import TICK_LATE_S

TICK = 0.02


@given(st.lists(st.integers(min_value=0, max_value=400_000), min_size=1, max_size=60))
def test_ticks_due_are_elapsed_time_over_20_ms(steps_us: list[int]) -> None:
    """Under any wake-up pattern, ticks given out and skipped are the whole 20 ms that have passed."""
    schedule = TickSchedule(1_000.0)
    elapsed_us = given_out = 0
    for step in steps_us:
        elapsed_us += step
        ticks = schedule.due(1_000.0 + elapsed_us / 1e6)
        given_out += ticks
        assert 0 <= ticks <= MAX_CATCH_UP
        passed = given_out + schedule.figures.skipped
        # A nanosecond either way: the sum in floating point may fall on either side of a lattice point.
        early_us = EARLY_S * 1e6
        assert (elapsed_us + early_us - 1e-3) // 20_000 <= passed <= (elapsed_us + early_us + 1e-3) // 20_000
    assert schedule.figures.ticks == given_out


def test_a_punctual_clock_gives_one_tick_per_wake_up() -> None:
    """Woken at `next_at`, exactly one tick is due, and none is counted as odd."""
    schedule = TickSchedule(5.0)
    due = [schedule.due(schedule.next_at) for _ in range(1_000)]
    assert due == [1] * 1_000
    assert schedule.next_at == pytest.approx(5.0 + 1_001 * TICK)
    figures = schedule.figures
    assert (figures.late, figures.caught_up, figures.skipped, figures.resets) == (0, 0, 0, 0)


def test_the_lattice_does_not_drift_over_a_day() -> None:
    """After a day of irregular wake-ups the next tick still stands on a multiple of 20 ms."""
    schedule = TickSchedule(1e6)
    for hour in range(1, 25):
        schedule.due(1e6 + hour * 3_600.0073)
    assert (schedule.next_at - 1e6) / TICK == pytest.approx(round((schedule.next_at - 1e6) / TICK), abs=1e-6)


def test_a_late_wake_up_is_made_up_for() -> None:
    """70 ms without a wake-up give the ticks of that time at once, and the late ones are counted."""
    schedule = TickSchedule(0.0)
    assert schedule.due(0.09) == 4
    assert schedule.next_at == pytest.approx(0.1)
    # The four were due at 20, 40, 60 and 80 ms: the last one is 10 ms late, which is not more than 10.
    assert schedule.figures.late == 3
    assert schedule.figures.caught_up == 3
    assert schedule.figures.worst_late_ms == pytest.approx(70.0)


def test_a_long_stall_is_skipped_and_the_lattice_stays() -> None:
    """After a stall only the newest ticks run; the rest is counted as skipped, once as a reset."""
    schedule = TickSchedule(0.0, max_catch_up=3)
    assert schedule.due(1.005) == 3
    assert (schedule.figures.skipped, schedule.figures.resets) == (47, 1)
    assert schedule.next_at == pytest.approx(1.02)
    assert schedule.due(1.02) == 1


def test_too_early_is_nothing_and_nearly_is_now() -> None:
    """Half a millisecond early counts as on time, more does not; time that stands still gives nothing."""
    schedule = TickSchedule(0.0)
    assert schedule.due(0.0194) == 0
    assert schedule.due(0.0196) == 1
    assert schedule.due(0.0196) == 0
    assert schedule.due(0.0) == 0


@given(st.lists(st.tuples(st.integers(0, 50_000), st.integers(0, 8_000)), min_size=1, max_size=60))
def test_ticks_before_their_time_are_not_more(steps_us: list[tuple[int, int]]) -> None:
    """However early some of them run, each tick runs once: at most one more than have passed, never one less."""
    schedule = TickSchedule(1_000.0)
    elapsed_us = passed = 0
    for step, early in steps_us:
        elapsed_us += step
        passed += schedule.due(1_000.0 + elapsed_us / 1e6, EARLY_S + early / 1e6)
        least = (elapsed_us + EARLY_S * 1e6 - 1e-3) // 20_000
        most = (elapsed_us + EARLY_S * 1e6 + 8_000 + 1e-3) // 20_000
        assert least <= passed + schedule.figures.skipped <= most
    assert schedule.figures.late_s >= 0


@given(st.floats(min_value=-0.05, max_value=0.05))
def test_the_phase_lock_moves_a_tick_by_little(shift_s: float) -> None:
    """However large the error, one tick moves by at most 0.3 ms, towards where it was asked to."""
    schedule = TickSchedule(0.0)
    schedule.nudge(shift_s)
    schedule.nudge(shift_s)
    assert schedule.due(0.02) == 1
    moved = schedule.next_at - 0.04
    assert abs(moved) <= MAX_NUDGE_S + 1e-12
    assert moved * shift_s >= 0
    before = schedule.next_at
    schedule.due(before)
    assert schedule.next_at - before == pytest.approx(TICK)


def test_the_phase_lock_settles() -> None:
    """Nudged by the error each time, the ticks come to stand where they are wanted, and stay there."""
    schedule = TickSchedule(0.0)
    wanted = 0.0037
    for _ in range(120):
        schedule.due(schedule.next_at)
        error = (schedule.next_at - wanted + 0.005) % 0.01 - 0.005
        schedule.nudge(-error)
    assert abs((schedule.next_at - wanted + 0.005) % 0.01 - 0.005) < 0.0001


def asked(wanted_s: float, at: float) -> float:
    """What a phase lock asks for that wants its ticks at this time, modulo 10 ms."""
    return (wanted_s - at + 0.005) % 0.01 - 0.005


@given(
    st.lists(st.floats(min_value=0.0, max_value=0.0039), min_size=1, max_size=12),
    st.floats(min_value=0.0, max_value=0.02),
    st.floats(min_value=0.0, max_value=0.02),
)
def test_sessions_come_to_the_same_place(offsets: list[float], base: float, start: float) -> None:
    """Sessions whose frames come within 4 ms of each other tick together, wherever the first ones began."""
    grid = TickGrid(1_000.0 + start)
    schedules = [TickSchedule(grid.start(1_000.5)) for _ in offsets]
    for _ in range(120):
        for schedule, offset in zip(schedules, offsets, strict=True):
            schedule.due(schedule.next_at)
            shift_s = grid.choose(schedule.next_at, asked(base + offset, schedule.next_at))
            assert abs(shift_s) <= FURTHEST_S
            schedule.nudge(shift_s)
    places = [(schedule.next_at - schedules[0].next_at + TICK / 2) % TICK - TICK / 2 for schedule in schedules]
    assert max(places) - min(places) < 0.0045
    for schedule, offset in zip(schedules, offsets, strict=True):
        assert abs(asked(base + offset, schedule.next_at)) < 0.0003


def test_a_session_that_has_found_its_place_stays_there() -> None:
    """The others' place is advice: who stands 10 ms beside it does not cross over, and nobody moves without frames."""
    grid = TickGrid(1_000.0)
    assert grid.choose(1_000.05, 0.0002) == 0.0002
    assert grid.choose(1_000.06, -0.0002) == -0.0002
    assert grid.start(1_000.075) == pytest.approx(1_000.0598)


def test_no_catch_up_at_all_is_refused() -> None:
    """A schedule that may run no tick makes no sense."""
    with pytest.raises(ValueError, match="max_catch_up"):
        TickSchedule(0.0, max_catch_up=0)


@given(st.lists(st.integers(min_value=1, max_value=300_000), min_size=1, max_size=40))
def test_every_tick_stands_in_one_bucket_of_lateness(steps_us: list[int]) -> None:
    """However it is woken, each tick is counted once by its lateness, and the late ones are those over 10 ms."""
    schedule, now = TickSchedule(0.0), 0.0
    for step in steps_us:
        now += step / 1e6
        schedule.due(now)
    figures = schedule.figures
    assert sum(figures.lateness) == figures.ticks
    assert sum(figures.lateness[TICK_LATE_S.index(LATE_S) + 1 :]) == pytest.approx(figures.late, abs=1)
    assert figures.late_s >= figures.worst_late_ms / 1000 - 1e-9


def test_ticks_made_up_for_are_each_as_late_as_they_are() -> None:
    """Woken 70 ms late, four ticks are 70, 50, 30 and 10 ms late: one bucket each, 160 ms together."""
    schedule = TickSchedule(0.0)
    assert schedule.due(0.0899) == 4
    seen = {edge: count for edge, count in zip(TICK_LATE_S, schedule.figures.lateness, strict=False) if count}
    assert seen == {0.01: 1, 0.05: 2, 0.1: 1}
    assert schedule.figures.late_s == pytest.approx(0.1596)
