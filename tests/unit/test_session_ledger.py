"""The figures of a session's legs, added up."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from connector.session.ledger import Ledger, merged, numbers


@dataclass
class Leg:
    packets: int = 3
    late: list[int] = field(default_factory=lambda: [1, 2])
    codec: str = "opus"
    rtt_ms: float | None = None
    heard_most: int = 2


def test_numbers_are_taken_and_the_rest_is_not() -> None:
    """Numbers and lists of numbers become flat; text and what is unknown is left out; no figures give nothing."""
    assert numbers("agent", Leg()) == {
        "agent.packets": 3,
        "agent.late.0": 1,
        "agent.late.1": 2,
        "agent.heard_most": 2,
    }
    assert numbers("agent", "no figures") == {}


def test_counters_add_up_and_momentary_values_do_not() -> None:
    """Of two legs the packets are added, the newest round trip counts, and the most that were heard at once."""
    old, new = numbers("agent", Leg(rtt_ms=80.0, heard_most=5)), numbers("agent", Leg(packets=4, rtt_ms=20.0))
    both = merged(old, new)
    assert (both["agent.packets"], both["agent.late.1"]) == (7, 4)
    assert (both["agent.rtt_ms"], both["agent.heard_most"]) == (20.0, 5)
    assert merged(old, numbers("agent", Leg()))["agent.rtt_ms"] == 80.0


@given(st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=5), max_size=5))
def test_totals_never_fall_while_legs_are_replaced(legs: list[list[int]]) -> None:
    """A session's counters only grow, although each new leg begins at 0; in the end they are those of all legs."""
    ledger, seen = Ledger(), [0.0]
    for growth in legs:
        leg = Leg(packets=0)
        for more in growth:
            leg.packets += more
            seen.append(ledger.totals({"agent": leg})["agent.packets"])
        ledger.close("agent", leg)
        seen.append(ledger.totals({})["agent.packets"])
    assert seen == sorted(seen)
    assert seen[-1] == sum(map(sum, legs))
