"""The catalogue's closed sets are those of the program and of its libraries."""

from livekit import rtc

from connector.audio.ticks import LATE_S
from connector.base.catalog import (
    CALLS_S,
    CONNECT_RESULTS,
    DISCONNECT_REASONS,
    ENGINE_KEYS,
    MEASURES,
    OFFER_OUTCOMES,
    OPS_S,
    STATES,
    TICK_LATE_S,
)
from connector.base.causes import Cause
from connector.base.ends import EndReason
from connector.base.measures import Kind
from connector.base.trigger import Trigger
from connector.millis.responses import OfferOutcome
from connector.session.events import State

FORBIDDEN = {"room", "participant", "identity", "session", "session_id", "sid"}


def test_no_label_names_a_person_a_room_or_a_session() -> None:
    """Labels are bounded: closed values, or one value at a time."""
    assert not FORBIDDEN & {label for measure in MEASURES.values() for label in measure.labels}
    free = {m.name for m in MEASURES.values() if not all(m.labels.values())}
    assert free == {"config_info", "build_info"}


def test_closed_sets_hold_what_can_happen() -> None:
    """Every state, reason, trigger, cause and outcome of the program has a place."""
    assert {state.value for state in State} - {"ended"} == set(STATES)
    assert {reason.value for reason in EndReason} == set(MEASURES["sessions_ended_total"].labels["reason"])
    assert {trigger.value for trigger in Trigger} == set(MEASURES["sessions_started_total"].labels["trigger"])
    assert {cause.value for cause in Cause} <= set(MEASURES["millis_leg_restarts_total"].labels["cause"])
    assert {outcome.value for outcome in OfferOutcome} <= set(OFFER_OUTCOMES)
    assert {"auth", "config", "rate", "server", "timeout", "unreachable"} <= set(CONNECT_RESULTS)


def test_every_reason_of_livekit_is_known() -> None:
    """A `DisconnectReason` of the library in use is never lumped together as `other`."""
    names = {name.lower() for name in rtc.DisconnectReason.keys()}  # noqa: SIM118 -- a protobuf enum
    assert names <= set(DISCONNECT_REASONS)


def test_histograms_have_their_buckets() -> None:
    """Buckets ascend; operations and calls have those of the facts; a late tick is told apart from one in time."""
    for measure in MEASURES.values():
        assert bool(measure.buckets) == (measure.kind is Kind.HISTOGRAM), measure.name
        assert list(measure.buckets) == sorted(set(measure.buckets)), measure.name
        assert len(set(measure.edges)) == len(measure.buckets) + (1 if measure.buckets else 0) or not measure.buckets
    assert OPS_S == (0.1, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 180)
    assert CALLS_S == (1, 10, 60, 600, 1800, 3600, 21_600, 43_200, 86_400)
    assert LATE_S in TICK_LATE_S


def test_what_an_engine_may_report_is_bounded() -> None:
    """The keys of a beat are a closed set of a few hundred."""
    assert len(ENGINE_KEYS) < 500
    assert "mixer_tick_late_seconds|0.01" in ENGINE_KEYS
    assert not any(key.startswith(("sessions_", "webhook_", "claims_")) for key in ENGINE_KEYS)
