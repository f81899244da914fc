"""The metrics of the worker: what control observes, what engines report, what the HTTP side tells, for Prometheus.

One registry of its own; `render` is the answer of `/metrics`. Everything goes by the catalogue (`base/catalog.py`):
what does not fit it is counted as ``other`` or left out, so no label can grow without bound. Counters survive their
engine's death, for engines report only what was added.
"""

import time
from collections.abc import Callable, Iterator
from importlib.metadata import version

from prometheus_client import CollectorRegistry, ProcessCollector, exposition
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from connector.base.catalog import ENGINE_KEYS, ENGINES, MEASURES, STATES
from connector.base.ends import EndReason
from connector.base.measures import INFINITY, SEPARATOR, SUM, Kind, Measure, Tally
from connector.base.trigger import Trigger
from connector.control.observer import Observer
from connector.messages.types import EngineBeat, SessionEnded, SessionState, StartSession

PREFIX = "connector_"
_MEGABYTE = 1e6


class Metrics(Observer):
    """Listens to control and to the HTTP side; shows what it heard.

    Args:
        clock: Monotonic seconds.
        wall: Seconds since the epoch.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._wall = wall
        self._tally = Tally(MEASURES)
        self._gauges: dict[tuple[str, tuple[str, ...]], float] = {}
        self._sessions: dict[str, tuple[str, float]] = {}
        self._unserved_since: float | None = None
        self._set("build_info", 1, version("room-connector"))
        for target in MEASURES["circuit_open"].labels["target"]:
            self._set("circuit_open", 0, target)
        self.registry = CollectorRegistry()
        self.registry.register(_Shown(self._collect))
        ProcessCollector(registry=self.registry)

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """All metrics.

        Args:
            accept: The request's ``Accept`` header: OpenMetrics if it asks for that, else the plain text format.

        Returns:
            The body and its content type.
        """
        encode, content_type = exposition.choose_encoder(accept)
        return encode(self.registry), content_type

    # What control observes.

    def session_started(self, start: StartSession, trigger: Trigger) -> None:
        """See `Observer`."""
        self._sessions[start.session_id] = (STATES[0], self._clock())
        self._tally.count("sessions_started_total", trigger.value)

    def session_state(self, state: SessionState) -> None:
        """See `Observer`."""
        known = self._sessions.get(state.session_id)
        if known is not None and state.state in STATES:
            self._sessions[state.session_id] = (state.state, known[1])

    def session_ended(self, ended: SessionEnded) -> None:
        """See `Observer`."""
        _, started = self._sessions.pop(ended.session_id, ("", None))
        self._tally.count("sessions_ended_total", ended.reason.result.value, ended.reason.value)
        duration = ended.summary.get("duration_s")
        if isinstance(duration, int | float):
            self._tally.observe("session_duration_seconds", duration)
        elif started is not None:
            self._tally.observe("session_duration_seconds", self._clock() - started)
        failures = ended.summary.get("termination_failures", 0)
        if isinstance(failures, int | float):
            self._tally.count("session_termination_failures_total", by=max(0, failures))

    def engine_beat(self, engine: int, beat: EngineBeat) -> None:
        """See `Observer`."""
        counts = self._tally.counts
        for key, more in beat.counters.items():
            if key in ENGINE_KEYS and more > 0:
                counts[key] = counts.get(key, 0) + more
        self._set_engine("engine_ready", engine, 1)
        self._set_engine("engine_memory_bytes", engine, beat.memory_mb * _MEGABYTE)
        self._set_engine("engine_late_tick_ratio", engine, beat.late_share)

    def engine_ready(self, engine: int) -> None:
        """See `Observer`."""
        self._set_engine("engine_ready", engine, 1)

    def engine_lost(self, engine: int, sessions: int) -> None:  # noqa: ARG002 - the observer's
        """See `Observer`."""
        self._tally.count("engines_lost_total")
        self._set_engine("engine_ready", engine, 0)
        for name in ("engine_memory_bytes", "engine_late_tick_ratio"):
            self._gauges.pop((name, (str(engine),)), None)

    def pass_done(self, seconds: float, *, ok: bool, full: bool) -> None:  # noqa: ARG002 - the observer's
        """See `Observer`."""
        result = "ok" if ok else "error"
        self._tally.count("reconcile_runs_total", result)
        self._tally.observe("reconcile_duration_seconds", seconds, result)

    def rooms_judged(self, desired: int, unserved: int, oldest_unserved_s: float) -> None:
        """See `Observer`."""
        self._set("rooms_desired", desired)
        self._set("rooms_unserved", unserved)
        self._unserved_since = self._clock() - oldest_unserved_s if unserved else None

    def rooms_to_look_at(self, count: int) -> None:
        """See `Observer`."""
        self._set("rooms_to_look_at", count)

    def claim(self, outcome: str) -> None:
        """See `Observer`."""
        self._tally.count("claims_total", outcome)

    def claim_took(self, seconds: float) -> None:
        """See `Observer`."""
        self._tally.observe("stage_duration_seconds", seconds, "claim")

    def claim_renew_failed(self) -> None:
        """See `Observer`."""
        self._tally.count("claim_renew_failures_total")

    def capacity(self, total: int, *, available: bool, draining: bool) -> None:
        """See `Observer`."""
        self._set("session_capacity", total)
        self._set("available", available)
        self._set("draining", draining)

    def reloaded(self, *, ok: bool, config_hash: str) -> None:
        """See `Observer`."""
        self._tally.count("config_reload_total", "ok" if ok else "error")
        if ok:
            self.configured(config_hash)

    def configured(self, config_hash: str) -> None:
        """A configuration came into force."""
        self._set("config_last_reload_success_timestamp_seconds", self._wall())
        for key in [key for key in self._gauges if key[0] == "config_info"]:
            del self._gauges[key]
        self._set("config_info", 1, config_hash)

    def circuit(self, target: str, *, is_open: bool) -> None:
        """See `Observer`."""
        self._set("circuit_open", is_open, target)

    def room_held(self, count: int) -> None:
        """See `Observer`."""
        self._set("rooms_held", count)

    def event_posted(self, outcome: str) -> None:
        """See `Observer`."""
        self._tally.count("events_posted_total", outcome)

    def loop_lag(self, seconds: float) -> None:
        """How late control's own event loop ran what was due (`http.lag.LagMeter`)."""
        self._tally.observe("control_loop_lag_seconds", seconds)

    # What the HTTP side tells.

    def webhook(self, event: str, outcome: str) -> None:
        """A webhook was answered; an event or outcome that is not in the catalogue counts as ``other``."""
        self._tally.count("webhook_requests_total", event, outcome)

    def webhook_handled(self, seconds: float) -> None:
        """How long a webhook took until it was answered."""
        self._tally.observe("webhook_handle_seconds", seconds)

    def webhook_age(self, seconds: float) -> None:
        """How old the event of a good webhook was."""
        self._tally.observe("webhook_event_age_seconds", seconds)

    def api(self, route: str, status: int) -> None:
        """A request was answered."""
        self._tally.count("api_requests_total", route, f"{status // 100}xx")

    # How it is shown.

    def _set(self, name: str, value: float, *labels: str) -> None:
        MEASURES[name].key(*labels)  # refuses what is not in the catalogue
        self._gauges[name, labels] = float(value)

    def _set_engine(self, name: str, engine: int, value: float) -> None:
        if str(engine) in ENGINES:
            self._set(name, value, str(engine))

    def _collect(self) -> Iterator[Metric]:
        self._refresh()
        for measure in MEASURES.values():
            match measure.kind:
                case Kind.COUNTER:
                    yield self._counter(measure)
                case Kind.HISTOGRAM:
                    yield self._histogram(measure)
                case Kind.GAUGE:
                    yield self._gauge(measure)

    def _refresh(self) -> None:
        """What follows from time or from other state."""
        states = [state for state, _ in self._sessions.values()]
        for state in STATES:
            self._set("sessions_active", states.count(state), state)
        since = self._unserved_since
        self._set("rooms_unserved_oldest_seconds", 0 if since is None else self._clock() - since)

    def _counter(self, measure: Measure) -> Metric:
        family = CounterMetricFamily(PREFIX + measure.name, measure.help, labels=list(measure.labels))
        zeros = _shown_at_zero(measure)
        for labels in measure.series():
            value = self._tally.counts.get(measure.key(*labels))
            if value is not None or labels in zeros:
                family.add_metric(labels, value or 0)
        return family

    def _histogram(self, measure: Measure) -> Metric:
        family = HistogramMetricFamily(PREFIX + measure.name, measure.help, labels=list(measure.labels))
        counts = self._tally.counts
        for labels in measure.series():
            key = measure.key(*labels)
            total, buckets = 0.0, []
            for edge in measure.edges:
                total += counts.get(f"{key}{SEPARATOR}{edge}", 0)
                buckets.append(("+Inf" if edge == INFINITY else edge, total))
            family.add_metric(labels, buckets, counts.get(f"{key}{SEPARATOR}{SUM}", 0))
        return family

    def _gauge(self, measure: Measure) -> Metric:
        family = GaugeMetricFamily(PREFIX + measure.name, measure.help, labels=list(measure.labels))
        found = {labels: value for (name, labels), value in self._gauges.items() if name == measure.name}
        if not measure.labels:
            found.setdefault((), 0)
        for labels, value in found.items():
            family.add_metric(labels, value)
        return family


class _Shown(Collector):
    def __init__(self, collect: Callable[[], Iterator[Metric]]) -> None:
        self._collect = collect

    def collect(self) -> Iterator[Metric]:
        return self._collect()


_MOST_SHOWN = 40


def _shown_at_zero(measure: Measure) -> frozenset[tuple[str, ...]]:
    """The series that stand at 0 from the start, so that a first event is seen as an increase."""
    if measure.name == "sessions_ended_total":
        return frozenset((reason.result.value, reason.value) for reason in EndReason)
    series = measure.series()
    return frozenset(series if len(series) <= _MOST_SHOWN else ())
