"""Writes the chart's Grafana dashboard, files/dashboard.json, from the rows and panels below.

Run by `make reference`; tests/chart/test_dashboard.py holds the file against it and every query against the product's
catalogue of metrics.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "helm" / "connector" / "files" / "dashboard.json"
Json: TypeAlias = dict[str, Any]
_WIDTH = 24
_HEIGHT = 7
_OURS = 'namespace=~"$namespace",pod=~"$pod"'


@dataclass(frozen=True)
class Panel:
    """One panel.

    Attributes:
        title: What it shows.
        queries: From legend to PromQL; ``OURS`` stands for the label matchers of the chosen pods.
        unit: Grafana's name of the unit.
        kind: Grafana's name of the panel type.
        text: What a reader does with it.
        stack: Whether series lie on top of each other.
        red_from: From this value on a stat is red.
    """

    title: str
    queries: dict[str, str]
    unit: str = "short"
    kind: str = "timeseries"
    text: str = ""
    stack: bool = False
    red_from: float | None = None


def _rate(name: str, by: str, matchers: str = "") -> str:
    inside = f"OURS,{matchers}" if matchers else "OURS"
    return f"sum by ({by}) (rate(connector_{name}{{{inside}}}[$__rate_interval]))"


def _quantile(share: float, name: str, by: str = "", matchers: str = "") -> str:
    return f"histogram_quantile({share}, {_rate(name + '_bucket', f'le, {by}' if by else 'le', matchers)})"


_NOW = (
    Panel(
        "Sessions",
        {"": "sum(connector_sessions_active{OURS})"},
        kind="stat",
        text="Rooms that have their agent now, or are about to.",
    ),
    Panel(
        "Capacity in use",
        {"": "sum(connector_sessions_active{OURS}) / sum(connector_session_capacity{OURS})"},
        "percentunit",
        "stat",
        red_from=0.9,
    ),
    Panel("Rooms unserved", {"": "max(connector_rooms_unserved{OURS})"}, kind="stat", red_from=1),
    Panel(
        "Longest wait for an agent",
        {"": "max(connector_rooms_unserved_oldest_seconds{OURS})"},
        "s",
        "stat",
        red_from=30,
    ),
    Panel(
        "Keys refused",
        {"{{target}}": "max by (target) (connector_circuit_open{OURS})"},
        kind="stat",
        text="1: Millis or LiveKit refuses our key, and no session is started.",
        red_from=1,
    ),
    Panel(
        "Sessions that did not fail",
        {
            "": "1 - (sum(increase(connector_sessions_ended_total"
            '{OURS,result=~"upstream_error|server_error"}[$__range]))'
            " / sum(increase(connector_sessions_ended_total{OURS}[$__range])))"
        },
        "percentunit",
        "stat",
        "Over the time shown; 99.5 % is the aim.",
    ),
)
_SESSIONS = (
    Panel(
        "Sessions by state, and capacity",
        {
            "{{state}}": "sum by (state) (connector_sessions_active{OURS})",
            "capacity": "sum(connector_session_capacity{OURS})",
        },
    ),
    Panel(
        "Started, by what hastened it", {"{{trigger}}": _rate("sessions_started_total", "trigger")}, "cps", stack=True
    ),
    Panel(
        "Ended, by reason",
        {"{{result}}: {{reason}}": _rate("sessions_ended_total", "result, reason") + " > 0"},
        "cps",
        stack=True,
        text="upstream_error: Millis or LiveKit; client_error: keys, agent ids, encryption; server_error: the worker.",
    ),
    Panel("Time to an agent, p95 by stage", {"{{stage}}": _quantile(0.95, "stage_duration_seconds", "stage")}, "s"),
    Panel("Length of calls", {"median": _quantile(0.5, "session_duration_seconds")}, "s"),
    Panel(
        "Rooms",
        {
            "desired": "max(connector_rooms_desired{OURS})",
            "unserved": "max(connector_rooms_unserved{OURS})",
            "held": "max(connector_rooms_held{OURS})",
            "to look at": "sum(connector_rooms_to_look_at{OURS})",
        },
    ),
)
_AUDIO = (
    Panel(
        "Made up, of what should have come",
        {
            "{{direction}}": _rate("audio_frames_total", "direction", 'kind="concealed"')
            + " / "
            + _rate("audio_frames_total", "direction", 'kind=~"media|concealed"')
        },
        "percentunit",
        text="Concealed frames: packets that were lost or too late.",
    ),
    Panel("Given up", {"{{direction}}": _rate("audio_frames_total", "direction", 'kind="dropped"')}, "cps"),
    Panel("Buffers that ran dry", {"{{direction}}": _rate("audio_underruns_total", "direction")}, "cps"),
    Panel("Waiting in our buffers, p95", {"{{direction}}": _quantile(0.95, "audio_buffer_seconds", "direction")}, "s"),
    Panel(
        "Ticks, how late",
        {"p50": _quantile(0.5, "mixer_tick_late_seconds"), "p99": _quantile(0.99, "mixer_tick_late_seconds")},
        "s",
        text="A tick is 20 ms. Late ticks mean too little CPU.",
    ),
    Panel("Tracks in a mix", {"p50": _quantile(0.5, "mixer_inputs"), "p95": _quantile(0.95, "mixer_inputs")}),
)
_NETWORK = (
    Panel(
        "Packets lost",
        {
            "{{leg}} {{direction}}": _rate("rtp_lost_total", "leg, direction")
            + " / ("
            + _rate("rtp_packets_total", "leg, direction")
            + " + "
            + _rate("rtp_lost_total", "leg, direction")
            + ")"
        },
        "percentunit",
    ),
    Panel("Jitter, p95", {"{{leg}} {{direction}}": _quantile(0.95, "rtp_jitter_seconds", "leg, direction")}, "s"),
    Panel("Round trip, p95", {"{{leg}} {{direction}}": _quantile(0.95, "rtp_rtt_seconds", "leg, direction")}, "s"),
    Panel(
        "Recoveries",
        {
            "LiveKit {{kind}}": _rate("livekit_recoveries_total", "kind"),
            "agent leg: {{cause}}": _rate("millis_leg_restarts_total", "cause") + " > 0",
        },
        "cps",
    ),
    Panel("LiveKit's interruptions, p95", {"{{kind}}": _quantile(0.95, "livekit_recovery_gap_seconds", "kind")}, "s"),
    Panel("Connections' states", {"{{leg}} {{state}}": _rate("ice_state_total", "leg, state") + " > 0"}, "cps"),
)
_OTHERS = (
    Panel("Offers to Millis, by outcome", {"{{outcome}}": _rate("millis_offers_total", "outcome") + " > 0"}, "cps"),
    Panel(
        "Millis' answer",
        {"p50": _quantile(0.5, "millis_offer_seconds"), "p95": _quantile(0.95, "millis_offer_seconds")},
        "s",
    ),
    Panel("Joins, by result", {"{{result}}": _rate("livekit_connects_total", "result") + " > 0"}, "cps"),
    Panel("Ends of joins, by reason", {"{{reason}}": _rate("livekit_disconnects_total", "reason") + " > 0"}, "cps"),
    Panel(
        "Legs not closed in time",
        {"": "sum(increase(connector_session_termination_failures_total{OURS}[$__range]))"},
        kind="stat",
        text="Such a leg may still be billed.",
        red_from=1,
    ),
)
_CONTROL = (
    Panel(
        "Webhooks, by outcome",
        {"{{outcome}}": _rate("webhook_requests_total", "outcome") + " > 0"},
        "reqps",
        stack=True,
    ),
    Panel(
        "Webhooks: handling and age",
        {
            "handled in, p99": _quantile(0.99, "webhook_handle_seconds"),
            "age of the event, p95": _quantile(0.95, "webhook_event_age_seconds"),
        },
        "s",
    ),
    Panel(
        "API requests",
        {"{{route}} {{status}}": _rate("api_requests_total", "route, status") + " > 0"},
        "reqps",
    ),
    Panel(
        "Reconcile passes",
        {
            "p95 {{result}}": _quantile(0.95, "reconcile_duration_seconds", "result"),
            "a second, {{result}}": _rate("reconcile_runs_total", "result"),
        },
    ),
    Panel(
        "Claims",
        {
            "{{outcome}}": _rate("claims_total", "outcome"),
            "not renewed": "sum(rate(connector_claim_renew_failures_total{OURS}[$__rate_interval]))",
        },
        "cps",
    ),
    Panel("Lifecycle webhooks posted", {"{{outcome}}": _rate("events_posted_total", "outcome") + " > 0"}, "cps"),
    Panel(
        "Reloads", {"{{result}}": "sum by (result) (increase(connector_config_reload_total{OURS}[$__rate_interval]))"}
    ),
)
_PROCESSES = (
    Panel(
        "Loops, how late (p99)",
        {
            "engines of {{pod}}": _quantile(0.99, "event_loop_lag_seconds", "pod"),
            "control of {{pod}}": _quantile(0.99, "control_loop_lag_seconds", "pod"),
        },
        "s",
        text="Above 50 ms audio suffers.",
    ),
    Panel("Memory of the engines", {"{{pod}} {{engine}}": "connector_engine_memory_bytes{OURS}"}, "bytes"),
    Panel("Late ticks of the engines", {"{{pod}} {{engine}}": "connector_engine_late_tick_ratio{OURS}"}, "percentunit"),
    Panel(
        "Engines",
        {
            "ready, {{pod}}": "sum by (pod) (connector_engine_ready{OURS})",
            "lost, {{pod}}": "sum by (pod) (increase(connector_engines_lost_total{OURS}[$__rate_interval]))",
        },
    ),
    Panel(
        "Pods",
        {
            "takes rooms, {{pod}}": "max by (pod) (connector_available{OURS})",
            "drains, {{pod}}": "max by (pod) (connector_draining{OURS})",
        },
    ),
    Panel(
        "Versions and configurations",
        {
            "version {{version}}": "sum by (version) (connector_build_info{OURS})",
            "configuration {{hash}}": "sum by (hash) (connector_config_info{OURS})",
            "age of the oldest, in s": "time() - min(connector_config_last_reload_success_timestamp_seconds{OURS})",
        },
        text="Two hashes for long: a pod refuses the new rooms.yaml.",
    ),
)
ROWS = {
    "Now": _NOW,
    "Sessions": _SESSIONS,
    "Audio": _AUDIO,
    "Network": _NETWORK,
    "Millis and LiveKit": _OTHERS,
    "Webhooks, passes, claims": _CONTROL,
    "Processes": _PROCESSES,
}


def _targets(panel: Panel) -> list[Json]:
    return [
        {
            "refId": chr(ord("A") + index),
            "expr": expr.replace("OURS", _OURS),
            "legendFormat": legend,
            "datasource": {"type": "prometheus", "uid": "${datasource}"},
        }
        for index, (legend, expr) in enumerate(panel.queries.items())
    ]


def _panel(panel: Panel, number: int, place: Json) -> Json:
    steps: list[Json] = [{"color": "green", "value": None}]
    if panel.red_from is not None:
        steps.append({"color": "red", "value": panel.red_from})
    custom: Json = {"fillOpacity": 10, "stacking": {"mode": "normal" if panel.stack else "none"}}
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.text,
        "gridPos": place,
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "targets": _targets(panel),
        "fieldConfig": {
            "defaults": {
                "unit": panel.unit,
                "min": 0,
                "thresholds": {"mode": "absolute", "steps": steps},
                **({"custom": custom} if panel.kind == "timeseries" else {}),
            },
            "overrides": [],
        },
    }


def _panels() -> list[Json]:
    panels: list[Json] = []
    top = 0
    for title, row in ROWS.items():
        place = {"x": 0, "y": top, "w": _WIDTH, "h": 1}
        panels.append({"id": len(panels) + 1, "type": "row", "title": title, "gridPos": place, "panels": []})
        top += 1
        across = 6 if row is _NOW else 3
        width, height = _WIDTH // across, 4 if row is _NOW else _HEIGHT
        for index, panel in enumerate(row):
            column, line = index % across, index // across
            place = {"x": column * width, "y": top + line * height, "w": width, "h": height}
            panels.append(_panel(panel, len(panels) + 1, place))
        top += -(-len(row) // across) * height
    return panels


def _variable(name: str, label: str, query: str) -> Json:
    return {
        "name": name,
        "label": label,
        "type": "query",
        "query": {"query": query, "refId": name},
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
        "refresh": 2,
        "sort": 1,
    }


def dashboard() -> Json:
    """The dashboard as Grafana imports it."""
    return {
        "uid": "room-connector",
        "title": "Room connector",
        "description": "Millis AI voice agents in LiveKit rooms.",
        "tags": ["livekit", "millis"],
        "schemaVersion": 39,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "browser",
        "templating": {
            "list": [
                {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
                _variable("namespace", "Namespace", "label_values(connector_build_info, namespace)"),
                _variable("pod", "Pod", 'label_values(connector_build_info{namespace=~"$namespace"}, pod)'),
            ]
        },
        "panels": _panels(),
    }


def rendered() -> str:
    """The file's text."""
    return json.dumps(dashboard(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    TARGET.write_text(rendered())
    sys.stdout.write(f"wrote {TARGET.relative_to(ROOT)}\n")
