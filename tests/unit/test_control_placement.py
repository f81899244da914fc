"""Which engine takes the next session."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.control.placement import LATE_SHARE, EngineLoad, Leak, Limits, Refusal, leak, place

LIMITS = Limits(max_sessions=10, memory_mb=4_000.0)


@pytest.mark.parametrize(
    ("loads", "found"),
    [
        ([], Refusal.NO_ENGINE),
        ([EngineLoad(0, ready=False, sessions=0)], Refusal.NO_ENGINE),
        ([EngineLoad(0, ready=True, sessions=3), EngineLoad(1, ready=True, sessions=2)], 1),
        ([EngineLoad(0, ready=True, sessions=2), EngineLoad(1, ready=True, sessions=2)], 0),
        ([EngineLoad(0, ready=True, sessions=10)], Refusal.MAX_SESSIONS),
        ([EngineLoad(0, ready=True, sessions=1, late_share=0.5)], Refusal.LATE),
        ([EngineLoad(0, ready=True, sessions=1, late_share=0.5), EngineLoad(1, ready=True, sessions=9)], 1),
        ([EngineLoad(0, ready=True, sessions=0, late_share=0.5)], 0),
        ([EngineLoad(0, ready=True, sessions=1, memory_mb=500.0)], Refusal.MEMORY),
        (
            [EngineLoad(0, ready=True, sessions=1, memory_mb=300.0), EngineLoad(1, False, 0, 0.0, 3_500.0)],
            Refusal.MEMORY,
        ),
    ],
)
def test_the_least_loaded_that_it_would_not_harm(loads: list[EngineLoad], found: int | Refusal) -> None:
    """Full, late and large engines take nothing; the reason names what is short."""
    assert place(loads, LIMITS) == found


def test_a_rescue_goes_to_a_late_engine_rather_than_to_none() -> None:
    """What a dead engine served is taken by one that is on time, else by a late one; never by a full or large one."""
    late, on_time = EngineLoad(0, ready=True, sessions=1, late_share=0.5), EngineLoad(1, ready=True, sessions=9)
    full, large = EngineLoad(2, ready=True, sessions=10), EngineLoad(3, ready=True, sessions=0, memory_mb=500.0)
    assert place([late, on_time], LIMITS, rescue=True) == 1
    assert place([late, full, large], LIMITS, rescue=True) == 0
    assert place([full], LIMITS, rescue=True) is Refusal.MAX_SESSIONS
    assert place([large], LIMITS, rescue=True) is Refusal.MEMORY


LOADS = st.lists(
    st.builds(
        EngineLoad,
        st.integers(0, 7),
        st.booleans(),
        st.integers(0, 12),
        st.floats(0, 0.1),
        st.floats(50, 900),
    ),
    max_size=8,
    unique_by=lambda load: load.index,
)


@given(LOADS)
def test_nobody_is_harmed(loads: list[EngineLoad]) -> None:
    """Whatever the loads, the chosen engine is ready, not full, on time and of a normal size."""
    index = place(loads, LIMITS)
    if not isinstance(index, Refusal):
        (chosen,) = (load for load in loads if load.index == index)
        assert chosen.ready
        assert chosen.sessions < LIMITS.max_sessions
        assert chosen.late_share <= LATE_SHARE or not chosen.sessions
        assert chosen.memory_mb <= LIMITS.leaks_at_mb


@pytest.mark.parametrize(("memory_mb", "found"), [(380, Leak.NONE), (381, Leak.RETIRE), (761, Leak.END)])
def test_a_leak_is_judged_by_what_sessions_should_need(memory_mb: float, found: Leak) -> None:
    """An engine that is too large is replaced when empty; one of twice that size at once."""
    assert leak(memory_mb, LIMITS) is found
