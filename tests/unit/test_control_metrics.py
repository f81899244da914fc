"""The metrics: the contract's table, real figures, and no label without bound."""

import re
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from connector.base.catalog import MEASURES
from connector.base.ends import EndReason
from connector.base.trigger import Trigger
from connector.control.metrics import Metrics
from connector.messages.types import EngineBeat, SessionEnded, SessionState
from tests.unit.test_engine import order

FACTS = """
sessions_active | gauge | state
session_capacity, available, draining | gauge |
sessions_started_total | counter | trigger
sessions_ended_total | counter | result, reason
session_duration_seconds | histogram |
session_termination_failures_total | counter |
stage_duration_seconds | histogram | stage
rooms_desired, rooms_unserved, rooms_unserved_oldest_seconds | gauge |
claims_total | counter | outcome
claim_renew_failures_total | counter |
reconcile_runs_total | counter | result
reconcile_duration_seconds | histogram | result
webhook_requests_total | counter | event, outcome
webhook_handle_seconds, webhook_event_age_seconds | histogram |
rooms_to_look_at | gauge |
livekit_connects_total | counter | result
livekit_recoveries_total | counter | kind
livekit_disconnects_total | counter | reason
livekit_recovery_gap_seconds | histogram | kind
millis_offers_total | counter | outcome
millis_offer_seconds | histogram |
millis_leg_restarts_total | counter | cause
circuit_open | gauge | target
ice_state_total | counter | leg, state
rtp_packets_total, rtp_lost_total | counter | leg, direction
rtp_jitter_seconds, rtp_rtt_seconds | histogram | leg, direction
audio_frames_total | counter | direction, kind
audio_underruns_total | counter | direction
audio_buffer_seconds | histogram | direction
mixer_tick_late_seconds, mixer_inputs, event_loop_lag_seconds | histogram |
config_reload_total | counter | result
config_last_reload_success_timestamp_seconds | gauge |
config_info | gauge | hash
build_info | gauge | version
"""
"""The table of the facts (§4), with the words of its label column; it decides names, types and labels."""
VALUES = {
    ("sessions_active", "state"): "joining offering connecting live recovering closing",
    ("sessions_started_total", "trigger"): "webhook reconcile request dispatch failover",
    ("sessions_ended_total", "result"): "success server_error client_error indeterminate upstream_error",
    ("stage_duration_seconds", "stage"): "claim livekit_connect offer_http ice dtls first_agent_audio total",
    ("claims_total", "outcome"): "won lost error",
    ("livekit_recoveries_total", "kind"): "resume full",
    ("circuit_open", "target"): "millis livekit",
    ("audio_frames_total", "kind"): "media silence concealed dropped",
}
"""Closed label values that the table names whole; each is shown from the start."""


class Time:
    """Two clocks that the test sets."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return 1_700_000_000.0 + self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def metrics(time: Time) -> Metrics:
    return Metrics(time.monotonic, time.wall)


def samples(metrics: Metrics) -> list[Sample]:
    body, _ = metrics.render()
    families = text_string_to_metric_families(body.decode())
    return [sample for family in families for sample in family.samples]


def value(metrics: Metrics, name: str, **labels: str) -> float:
    """The one sample of that name and these labels."""
    found = [s.value for s in samples(metrics) if s.name == f"connector_{name}" and s.labels == labels]
    assert len(found) == 1, (name, labels, found)
    return found[0]


def ended(session: str = "s1", reason: EndReason = EndReason.ROOM_EMPTY, **summary: float) -> SessionEnded:
    return SessionEnded(session_id=session, room="lobby", reason=reason, summary=summary)


def busy(metrics: Metrics) -> None:
    """Something of everything."""
    metrics.session_started(order("s1"), Trigger.WEBHOOK)
    metrics.session_started(order("s2"), Trigger.RECONCILE)
    metrics.session_state(SessionState(session_id="s1", room="lobby", state="live", humans=2))
    metrics.session_ended(ended("s2", duration_s=12.5, termination_failures=1))
    beat = {
        "rtp_packets_total|agent|in": 50.0,
        "stage_duration_seconds|ice|0.5": 1.0,
        "stage_duration_seconds|ice|sum": 0.2,
        "mixer_tick_late_seconds|0.001": 49.0,
        "mixer_tick_late_seconds|inf": 1.0,
        "mixer_tick_late_seconds|sum": 3.1,
    }
    metrics.engine_ready(0)
    metrics.engine_beat(0, EngineBeat(sessions=1, counters=beat, late_share=0.02, memory_mb=80.5))
    metrics.engine_lost(1, sessions=3)
    metrics.pass_done(0.05, ok=True, full=True)
    metrics.pass_done(5.0, ok=False, full=False)
    metrics.rooms_judged(4, 1, 12.0)
    metrics.rooms_to_look_at(2)
    metrics.claim("won")
    metrics.claim_took(0.01)
    metrics.claim_renew_failed()
    metrics.capacity(20, available=True, draining=False)
    metrics.reloaded(ok=True, config_hash="9f2c")
    metrics.circuit("millis", is_open=True)
    metrics.room_held(1)
    metrics.event_posted("ok")
    metrics.loop_lag(0.002)
    metrics.webhook("room_started", "accepted")
    metrics.webhook_handled(0.003)
    metrics.webhook_age(0.2)
    metrics.api("join", 202)


def rows() -> list[tuple[str, str, set[str]]]:
    found = []
    for line in FACTS.strip().splitlines():
        names, kind, labels = (cell.strip() for cell in line.split("|"))
        wanted = {label.strip() for label in labels.split(",") if label.strip()}
        found += [(name.strip(), kind, wanted) for name in names.split(",")]
    return found


@pytest.mark.parametrize(("name", "kind", "labels"), rows(), ids=lambda cell: cell if isinstance(cell, str) else "")
def test_the_table_of_the_facts_is_what_is_shown(metrics: Metrics, name: str, kind: str, labels: set[str]) -> None:
    """Every row is there with its name, its type, a help text and exactly its labels."""
    busy(metrics)
    families = {f.name: f for f in metrics.registry.collect()}
    family = families[f"connector_{name.removesuffix('_total')}"]
    assert family.type == kind
    assert len(family.documentation) > 10
    assert family.samples
    assert all(set(sample.labels) - {"le"} == labels for sample in family.samples)
    if kind == "counter":
        assert {sample.name for sample in family.samples} == {f"connector_{name}"}


@pytest.mark.parametrize(("name", "label"), VALUES)
def test_closed_label_values_are_shown_from_the_start(metrics: Metrics, name: str, label: str) -> None:
    """Before anything has happened each value stands at 0, so that its first event is seen as an increase."""
    shown = {s.labels[label] for s in samples(metrics) if re.match(f"connector_{name}(_count)?$", s.name)}
    assert shown == set(VALUES[name, label].split())


def test_the_process_and_the_build_are_described(metrics: Metrics) -> None:
    """Memory, CPU and open files of control stand under the names of every Prometheus client; the version is there."""
    names = {sample.name for sample in samples(metrics)}
    assert {"process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds"} <= names
    (build,) = [s for s in samples(metrics) if s.name == "connector_build_info"]
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", build.labels["version"])
    assert build.value == 1


def test_promtool_finds_nothing_to_complain_about(metrics: Metrics) -> None:
    """Prometheus' own linter accepts names, help texts and types of a render with figures in it."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.fail("promtool is needed; on Debian: apt-get install prometheus (its service need not run)")
    busy(metrics)
    body, _ = metrics.render()
    check = subprocess.run([promtool, "check", "metrics"], input=body, capture_output=True, check=False)
    assert (check.returncode, check.stdout.decode(), check.stderr.decode().strip()) == (0, "", "")


def test_both_formats_are_spoken(metrics: Metrics) -> None:
    """Prometheus asks for OpenMetrics and gets it; everybody else gets the plain text."""
    body, content_type = metrics.render()
    assert content_type.startswith("text/plain; version=0.0.4")
    assert body.endswith(b"\n")
    body, content_type = metrics.render("application/openmetrics-text; version=1.0.0; q=0.9, text/plain; q=0.1")
    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


def test_sessions_are_counted_by_state_until_they_end(metrics: Metrics) -> None:
    """A session begins as joining, follows its engine's word, and is gone with its end; strangers change nothing."""
    metrics.session_started(order("s1"), Trigger.FAILOVER)
    assert value(metrics, "sessions_active", state="joining") == 1
    metrics.session_state(SessionState(session_id="s1", room="lobby", state="recovering"))
    metrics.session_state(SessionState(session_id="stranger", room="lobby", state="live"))
    metrics.session_state(SessionState(session_id="s1", room="lobby", state="ended"))
    assert value(metrics, "sessions_active", state="recovering") == 1
    assert value(metrics, "sessions_active", state="live") == 0
    metrics.session_ended(ended(reason=EndReason.AGENT_REJECTED, duration_s=70.0, termination_failures=2))
    assert value(metrics, "sessions_active", state="recovering") == 0
    assert value(metrics, "sessions_started_total", trigger="failover") == 1
    assert value(metrics, "sessions_ended_total", result="client_error", reason="agent_rejected") == 1
    assert value(metrics, "session_duration_seconds_bucket", le="60") == 0
    assert value(metrics, "session_duration_seconds_bucket", le="600") == 1
    assert value(metrics, "session_termination_failures_total") == 2


def test_a_session_whose_engine_died_has_a_duration_too(metrics: Metrics, time: Time) -> None:
    """Without a summary the time since its start counts."""
    metrics.session_started(order("s1"), Trigger.WEBHOOK)
    time.now += 30
    metrics.session_ended(ended(reason=EndReason.ENGINE_LOST))
    assert value(metrics, "session_duration_seconds_sum") == 30
    assert value(metrics, "session_termination_failures_total") == 0


def test_counters_survive_their_engine(metrics: Metrics) -> None:
    """What engines report is added up for all of them, and does not go back when one dies and begins at 0 again."""
    packets = "rtp_packets_total|agent|out"
    metrics.engine_beat(0, EngineBeat(sessions=1, counters={packets: 50}, memory_mb=70, late_share=0.1))
    metrics.engine_beat(1, EngineBeat(sessions=1, counters={packets: 25}))
    assert value(metrics, "engine_ready", engine="0") == 1
    assert value(metrics, "engine_memory_bytes", engine="0") == 70e6
    assert value(metrics, "engine_late_tick_ratio", engine="0") == 0.1
    metrics.engine_lost(0, sessions=1)
    assert value(metrics, "engine_ready", engine="0") == 0
    assert not [s for s in samples(metrics) if s.name == "connector_engine_memory_bytes" and s.labels["engine"] == "0"]
    metrics.engine_beat(0, EngineBeat(sessions=0, counters={packets: 5}))
    assert value(metrics, "rtp_packets_total", leg="agent", direction="out") == 80
    assert value(metrics, "engines_lost_total") == 1


def test_a_histogram_of_an_engine_is_cumulative(metrics: Metrics) -> None:
    """Bucket by bucket it holds what came at most so late; the last bucket is the count."""
    busy(metrics)
    assert value(metrics, "mixer_tick_late_seconds_bucket", le="0.0005") == 0
    assert value(metrics, "mixer_tick_late_seconds_bucket", le="0.001") == 49
    assert value(metrics, "mixer_tick_late_seconds_bucket", le="2") == 49
    assert value(metrics, "mixer_tick_late_seconds_bucket", le="+Inf") == 50
    assert value(metrics, "mixer_tick_late_seconds_count") == 50
    assert value(metrics, "mixer_tick_late_seconds_sum") == 3.1


def test_the_oldest_unserved_room_grows_older_between_passes(metrics: Metrics, time: Time) -> None:
    """The alert on it must not depend on passes being made: a stuck control shows too."""
    assert value(metrics, "rooms_unserved_oldest_seconds") == 0
    metrics.rooms_judged(3, 1, 4.0)
    time.now += 40
    assert value(metrics, "rooms_unserved_oldest_seconds") == 44
    metrics.rooms_judged(3, 0, 0.0)
    assert value(metrics, "rooms_unserved_oldest_seconds") == 0


def test_a_failed_reload_keeps_the_time_and_the_hash_of_the_good_one(metrics: Metrics, time: Time) -> None:
    """One hash at a time is shown; a wrong file counts and changes nothing else."""
    metrics.reloaded(ok=True, config_hash="good")
    at = value(metrics, "config_last_reload_success_timestamp_seconds")
    assert at == time.wall()
    time.now += 60
    metrics.reloaded(ok=False, config_hash="good")
    assert value(metrics, "config_last_reload_success_timestamp_seconds") == at
    assert value(metrics, "config_reload_total", result="error") == 1
    metrics.reloaded(ok=True, config_hash="better")
    assert [s.labels for s in samples(metrics) if s.name == "connector_config_info"] == [{"hash": "better"}]


def test_what_was_read_at_the_start_is_shown_and_is_no_reload(metrics: Metrics, time: Time) -> None:
    """Hash and time of the configuration are there before anything is reloaded."""
    metrics.configured("first")
    assert [s.labels for s in samples(metrics) if s.name == "connector_config_info"] == [{"hash": "first"}]
    assert value(metrics, "config_last_reload_success_timestamp_seconds") == time.wall()
    assert value(metrics, "config_reload_total", result="ok") == 0


def test_gauges_say_what_holds_now(metrics: Metrics) -> None:
    """Capacity, circuits and held rooms follow what control says last."""
    busy(metrics)
    metrics.capacity(0, available=False, draining=True)
    metrics.circuit("livekit", is_open=True)
    metrics.circuit("millis", is_open=False)
    metrics.room_held(0)
    assert (value(metrics, "session_capacity"), value(metrics, "available"), value(metrics, "draining")) == (0, 0, 1)
    assert value(metrics, "circuit_open", target="millis") == 0
    assert value(metrics, "circuit_open", target="livekit") == 1
    assert value(metrics, "rooms_held") == 0


TEXT = st.text(max_size=20)
ENGINE_GAUGES = ("engine_ready", "engine_memory_bytes", "engine_late_tick_ratio")


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(TEXT, TEXT, st.integers(100, 999)), max_size=30), st.dictionaries(TEXT, st.floats(0, 9)))
def test_no_stranger_makes_a_series(calls: list[tuple[str, str, int]], counters: dict[str, float]) -> None:
    """Whatever stands in a request, or in a beat of another version, the number of series stays what it was."""
    metrics = Metrics()
    fresh = len(samples(metrics))
    for event, outcome, status in calls:
        metrics.webhook(event, outcome)
        metrics.api(event, status)
    metrics.engine_beat(0, EngineBeat(sessions=0, counters=counters))
    for name in ("webhook_requests_total", "api_requests_total"):
        closed = MEASURES[name].labels
        shown = [sample for sample in samples(metrics) if sample.name == f"connector_{name}"]
        assert all(sample.labels[label] in values for sample in shown for label, values in closed.items())
    assert len(samples(metrics)) <= fresh + len(ENGINE_GAUGES) + 2 * len(calls)


def test_a_render_names_nobody(metrics: Metrics) -> None:
    """Rooms, sessions and people of everything that was observed are nowhere in the text."""
    busy(metrics)
    body, _ = metrics.render()
    for secret in (b"lobby", b'"s1"', b"millis-agent"):
        assert secret not in body
