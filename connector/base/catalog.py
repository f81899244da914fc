"""The catalogue of metrics: names, meanings, closed label values, buckets. Data only; `docs/operations.md` shows it.

`facts/faults.md` §4 is the contract. No label ever holds a room, a participant or a session.
"""

from connector.base.causes import Cause
from connector.base.ends import EndReason, ResultClass
from connector.base.measures import OTHER, Kind, Measure
from connector.base.trigger import Trigger

OPS_S = (0.1, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 180)
"""Operations of seconds."""
CALLS_S = (1, 10, 60, 600, 1800, 3600, 6 * 3600, 12 * 3600, 24 * 3600)
"""Calls, up to a day."""
FINE_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
"""What should take milliseconds: webhooks, event loops, networks."""
TICK_LATE_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2)
"""How late a 20 ms tick may be; from 10 ms on it counts as late."""
BUFFER_S = (0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2, 0.3, 0.5)
INPUTS = (0, 1, 2, 3, 5, 8, 12, 20, 50, 100)

STATES = ("joining", "offering", "connecting", "live", "recovering", "closing")
STAGES = ("claim", "livekit_connect", "offer_http", "ice", "dtls", "first_agent_audio", "total")
LIVEKIT_EVENTS = (
    "room_started",
    "room_finished",
    "participant_joined",
    "participant_left",
    "participant_connection_aborted",
    "track_published",
    "track_unpublished",
    "egress_started",
    "egress_updated",
    "egress_ended",
    "ingress_started",
    "ingress_ended",
)
"""The webhook events of livekit-server 1.13.5."""
WEBHOOK_EVENTS = (*LIVEKIT_EVENTS, "unknown", OTHER)
WEBHOOK_OUTCOMES = ("accepted", "duplicate", "stale", "ignored", "bad_auth", "malformed", "too_large", "shed", OTHER)
OFFER_OUTCOMES = ("ok", "auth", "config", "rate", "server", "timeout", "ambiguous", "bad_answer", "unreachable", OTHER)
CONNECT_RESULTS = ("ok", "auth", "config", "rate", "server", "timeout", "unreachable", "lost", OTHER)
DISCONNECT_REASONS = (
    "client_initiated",
    "duplicate_identity",
    "server_shutdown",
    "participant_removed",
    "room_deleted",
    "state_mismatch",
    "join_failure",
    "migration",
    "signal_close",
    "room_closed",
    "user_unavailable",
    "user_rejected",
    "sip_trunk_failure",
    "connection_timeout",
    "media_failure",
    "agent_error",
    "unknown_reason",
    Cause.FLAPPING.value,
    OTHER,
)
"""LiveKit's `DisconnectReason`s in small letters."""
ROUTES = ("webhook", "join", "leave", "rooms", "room", "openapi", "livez", "readyz", "metrics", "none", OTHER)
LEGS = ("agent", "room")
DIRECTIONS = ("in", "out")
"""Of packets, as seen from here."""
FLOWS = ("to_agent", "to_room")
"""Of audio: the mix of the room, the agent's reply."""
ICE_STATES = ("checking", "completed", "disconnected", "failed", "closed")
ENGINES = tuple(str(index) for index in range(64))


def _counter(name: str, help_text: str, **labels: tuple[str, ...]) -> Measure:
    return Measure(name, Kind.COUNTER, help_text, labels)


def _gauge(name: str, help_text: str, **labels: tuple[str, ...]) -> Measure:
    return Measure(name, Kind.GAUGE, help_text, labels)


def _histogram(name: str, buckets: tuple[float, ...], help_text: str, **labels: tuple[str, ...]) -> Measure:
    return Measure(name, Kind.HISTOGRAM, help_text, labels, buckets)


_SESSIONS = (
    _gauge("sessions_active", "Sessions that run now, by state.", state=STATES),
    _gauge("session_capacity", "Sessions that fit into all engines that are ready."),
    _gauge("available", "Whether new rooms are taken: 1 or 0."),
    _gauge("draining", "Whether the worker finishes its calls and takes no new ones: 1 or 0."),
    _counter(
        "sessions_started_total",
        "Sessions started, by what hastened the look at their room.",
        trigger=tuple(trigger.value for trigger in Trigger),
    ),
    _counter(
        "sessions_ended_total",
        "Sessions ended, by whom to ask about it, and why.",
        result=tuple(result.value for result in ResultClass),
        reason=tuple(reason.value for reason in EndReason),
    ),
    _histogram("session_duration_seconds", CALLS_S, "How long sessions lasted, from start to end."),
    _counter("session_termination_failures_total", "Legs that could not be closed in time."),
    _histogram(
        "stage_duration_seconds",
        OPS_S,
        "How long the stages of a session's start took; total is from its "
        "start until both legs stand, first_agent_audio from there until the agent is first audible.",
        stage=STAGES,
    ),
)
_CONTROL = (
    _gauge("rooms_desired", "Rooms that are to be served."),
    _gauge("rooms_unserved", "Rooms that are to be served and are not."),
    _gauge("rooms_unserved_oldest_seconds", "For how long the one of them has waited that waits longest."),
    _gauge("rooms_to_look_at", "Rooms whose look waits for the next reconcile pass."),
    _gauge("rooms_held", "Rooms left alone because another participant replaced ours again and again; should be 0."),
    _counter("claims_total", "Tries to claim a room, by outcome.", outcome=("won", "lost", "error")),
    _counter("claim_renew_failures_total", "Leases that could not be renewed."),
    _counter("reconcile_runs_total", "Reconcile passes.", result=("ok", "error")),
    _histogram("reconcile_duration_seconds", OPS_S, "How long reconcile passes took.", result=("ok", "error")),
    _gauge(
        "circuit_open",
        "Whether everything towards this target is held back because it refuses our key: 1 or 0.",
        target=("millis", "livekit"),
    ),
    _counter("config_reload_total", "Times that a changed rooms.yaml was read.", result=("ok", "error")),
    _gauge("config_last_reload_success_timestamp_seconds", "When the configuration in force was read, in Unix time."),
    _gauge("config_info", "The configuration in force, by the hash of its content; always 1.", hash=()),
    _gauge("build_info", "The version that runs; always 1.", version=()),
    _gauge("engine_ready", "Whether an engine can take sessions: 1 or 0.", engine=ENGINES),
    _gauge("engine_memory_bytes", "Resident memory of an engine.", engine=ENGINES),
    _gauge(
        "engine_late_tick_ratio",
        "Share of an engine's ticks of the last ten seconds that came over 10 ms late.",
        engine=ENGINES,
    ),
    _counter(
        "events_posted_total",
        "Tries to post an outgoing webhook: retried ones follow again, failed ones were given up, dropped never sent.",
        outcome=("ok", "retried", "failed", "dropped", OTHER),
    ),
    _counter("engines_lost_total", "Engines that died or were ended."),
    _histogram("control_loop_lag_seconds", FINE_S, "How late the control process' event loop ran what was due."),
)
_HTTP = (
    _counter(
        "webhook_requests_total",
        "Webhooks answered, by event and outcome.",
        event=WEBHOOK_EVENTS,
        outcome=WEBHOOK_OUTCOMES,
    ),
    _histogram("webhook_handle_seconds", FINE_S, "How long a webhook took from its complete head to its answer."),
    _histogram("webhook_event_age_seconds", OPS_S, "How old the events of good webhooks were, by LiveKit's clock."),
    _counter(
        "api_requests_total",
        "Requests answered, by route and class of status.",
        route=ROUTES,
        status=("2xx", "3xx", "4xx", "5xx", OTHER),
    ),
)
_LEGS = (
    _counter("livekit_connects_total", "Joins of rooms, by result.", result=CONNECT_RESULTS),
    _counter(
        "livekit_recoveries_total",
        "Interrupted connections to LiveKit that came back, resumed or made anew.",
        kind=("resume", "full"),
    ),
    _counter(
        "livekit_disconnects_total",
        "Ends of joined rooms, by LiveKit's reason; ours is client_initiated.",
        reason=DISCONNECT_REASONS,
    ),
    _histogram(
        "livekit_recovery_gap_seconds",
        OPS_S,
        "How long interruptions lasted that were recovered from.",
        kind=("resume", "full"),
    ),
    _counter("millis_offers_total", "Offers posted to Millis, by outcome.", outcome=OFFER_OUTCOMES),
    _histogram("millis_offer_seconds", OPS_S, "How long offers took until they were answered or failed."),
    _counter(
        "millis_leg_restarts_total",
        "Agent legs given up and made anew, by what went wrong.",
        cause=(*(cause.value for cause in Cause), "room_lost", OTHER),
    ),
    _counter(
        "ice_state_total",
        "Changes of a leg's connection to this state; for the room as far as LiveKit tells.",
        leg=LEGS,
        state=ICE_STATES,
    ),
)
_MEDIA = (
    _counter("rtp_packets_total", "RTP packets received (in) and sent (out).", leg=LEGS, direction=DIRECTIONS),
    _counter(
        "rtp_lost_total",
        "RTP packets lost on the way here (in) or, as the other side reports, from here (out).",
        leg=LEGS,
        direction=DIRECTIONS,
    ),
    _histogram(
        "rtp_jitter_seconds", FINE_S, "Interarrival jitter, once a second per session.", leg=LEGS, direction=DIRECTIONS
    ),
    _histogram(
        "rtp_rtt_seconds",
        FINE_S,
        "Round trip as RTCP shows it, once a second per session.",
        leg=LEGS,
        direction=DIRECTIONS,
    ),
    _counter(
        "audio_frames_total",
        "Frames of 20 ms: heard or spoken, silence filled in, made up, given up.",
        direction=FLOWS,
        kind=("media", "silence", "concealed", "dropped"),
    ),
    _counter("audio_underruns_total", "Times that a buffer ran dry.", direction=FLOWS),
    _histogram(
        "audio_buffer_seconds",
        BUFFER_S,
        "How long audio waits in our buffers, once a second while it flows.",
        direction=FLOWS,
    ),
    _histogram(
        "mixer_tick_late_seconds",
        TICK_LATE_S,
        "How late the 20 ms ticks came, after their time: 3 ms behind even late frames.",
    ),
    _histogram("mixer_inputs", INPUTS, "Tracks mixed, once a second per session."),
    _histogram("event_loop_lag_seconds", FINE_S, "How late an engine's event loop ran what was due."),
)

MEASURES = {measure.name: measure for measure in (*_SESSIONS, *_CONTROL, *_HTTP, *_LEGS, *_MEDIA)}
"""Every metric, by name."""
ENGINE_KEYS = frozenset(key for measure in (*_LEGS, *_MEDIA) for key in measure.reported()) | frozenset(
    MEASURES["stage_duration_seconds"].reported()
)
"""Every key under which an engine may count."""
