"""What is counted, and how totals become deltas."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.base.measures import SUM, Deltas, Kind, Measure, Tally

LOST = Measure("lost_total", Kind.COUNTER, "Lost.", {"leg": ("agent", "room"), "why": ("noise", "other")})
LATE = Measure("late_seconds", Kind.HISTOGRAM, "Late.", {"leg": ("agent", "room")}, (0.01, 0.1, 1))
HASH = Measure("info", Kind.GAUGE, "Which.", {"hash": ()})
MEASURES = {measure.name: measure for measure in (LOST, LATE, HASH)}


def test_a_key_names_one_series() -> None:
    """The name and the label values in order, joined by a bar."""
    assert LOST.key("agent", "noise") == "lost_total|agent|noise"
    assert HASH.key("abc") == "info|abc"


def test_an_unknown_label_value_is_other_or_refused() -> None:
    """No value outside the catalogue ever becomes a key of its own."""
    assert LOST.key("agent", "a new word") == "lost_total|agent|other"
    with pytest.raises(ValueError, match="leg cannot be 'moon'"):
        LOST.key("moon", "noise")
    with pytest.raises(ValueError, match="has the labels"):
        LOST.key("agent")


def test_every_key_is_known_beforehand() -> None:
    """A metric lists all the keys under which it travels; a gauge does not travel."""
    assert LOST.reported() == [f"lost_total|{leg}|{why}" for leg in ("agent", "room") for why in ("noise", "other")]
    assert LATE.reported()[:5] == [f"late_seconds|agent|{part}" for part in ("0.01", "0.1", "1", "inf", SUM)]
    assert HASH.reported() == []


def test_a_counter_counts() -> None:
    """By one, or by more."""
    tally = Tally(MEASURES)
    tally.count("lost_total", "agent", "noise")
    tally.count("lost_total", "agent", "noise", by=4)
    assert tally.counts == {"lost_total|agent|noise": 5}
    with pytest.raises(KeyError):
        tally.count("no_such_total")


@given(st.lists(st.floats(-1, 5), max_size=50))
def test_every_value_falls_into_exactly_one_bucket(values: list[float]) -> None:
    """A histogram's buckets hold each value once, at the smallest upper bound that is not below it."""
    tally = Tally(MEASURES)
    for value in values:
        tally.observe("late_seconds", value, "room")
    for lowest, edge in zip((-2, *LATE.buckets), (*LATE.buckets, 9.0), strict=True):
        name = "inf" if edge == 9.0 else f"{edge:g}"
        expected = sum(lowest < value <= edge for value in values)
        assert tally.counts.get(f"late_seconds|room|{name}", 0) == expected
    assert tally.counts.get(f"late_seconds|room|{SUM}", 0) == pytest.approx(sum(max(0, value) for value in values))
    assert tally.counts.keys() <= set(LATE.reported())


SOURCES = ("a", "b", "c")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("count"), st.sampled_from(SOURCES), st.sampled_from(("x", "y")), st.integers(0, 9)),
        st.tuples(st.sampled_from(("look", "end")), st.sampled_from(SOURCES), st.just(""), st.just(0)),
        st.tuples(st.just("take"), st.just(""), st.just(""), st.just(0)),
    ),
)


@given(STEPS)
def test_the_deltas_add_up_to_the_totals(steps: list[tuple[str, str, str, int]]) -> None:
    """Whatever comes, goes and comes again under the same name: nothing is lost, nothing counts twice or backwards."""
    deltas, totals, true, got = Deltas(), {source: dict[str, float]() for source in SOURCES}, dict[str, float](), []
    for what, source, key, by in steps:
        match what:
            case "count":
                totals[source][key] = totals[source].get(key, 0) + by
                true[key] = true.get(key, 0) + by
            case "look":
                deltas.look(source, totals[source])
            case "end":
                deltas.end(source, totals[source])
                totals[source] = {}
            case _:
                got.append(deltas.take())
    for source in SOURCES:
        deltas.end(source, totals[source])
    got.append(deltas.take())
    assert all(more > 0 for taken in got for more in taken.values())
    assert {key: sum(taken.get(key, 0) for taken in got) for key in true} == true


def test_a_total_that_falls_adds_nothing() -> None:
    """A counter that cannot be read for a moment is neither lost nor counted again when it is back."""
    deltas = Deltas()
    for total in (5, 0, 5, 7):
        deltas.look("a", {"x": total})
    assert deltas.take() == {"x": 7}
    assert deltas.take() == {}
