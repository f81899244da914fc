"""What a session is remembered by."""

from dataclasses import dataclass

from connector.session.events import State
from connector.session.summary import Summary


@dataclass
class Leg:
    packets: int = 3
    codec: str = "opus"
    rtt_ms: float | None = None


def test_stages_states_and_legs() -> None:
    """Marks count from the start, states add up, counters of several legs add up, text is left out."""
    summary = Summary(10.0)
    summary.mark("room_joined", 10.5)
    summary.mark("room_joined", 99.0)
    summary.state(State.OFFERING, 1, 11.0)
    summary.state(State.LIVE, 3, 12.0)
    summary.state(State.CLOSING, 0, 20.0)
    summary.agent_failure(ambiguous=True)
    summary.agent_failure(ambiguous=False)
    summary.add("agent", Leg())
    summary.add("agent", Leg())
    summary.add("agent", "no figures")
    assert summary.close(21.0, {"tick.late": 2}) == {
        "duration_s": 11.0,
        "room_joined_s": 0.5,
        "joining_for_s": 1.0,
        "offering_for_s": 1.0,
        "live_for_s": 8.0,
        "closing_for_s": 1.0,
        "humans_most": 3,
        "agent_failures": 2,
        "agent_ambiguous": 1,
        "termination_failures": 0,
        "agent.packets": 6,
        "tick.late": 2,
    }
