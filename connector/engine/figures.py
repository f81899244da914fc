"""What an engine reports with each beat: deltas of its counters, the share of late ticks, its memory. Pure.

A session's counters are flat totals (`Session.figures`, `Session.tally`); here they get their names as metrics and
become deltas, so that control can add them up and nothing is lost when a session or the engine ends.
"""

from collections import deque
from collections.abc import Mapping
from typing import Protocol

from connector.audio.frames import TICK_SAMPLES
from connector.audio.quality import CallQuality
from connector.base.catalog import MEASURES
from connector.base.measures import SUM, Deltas, Tally

WINDOW = 10
"""Beats, so seconds, over which the share of late ticks is taken."""
_LEAST_TICKS = WINDOW * 50
"""What one session ticks in that time; the share is of this many at least, or one hiccup at the start of a first
session (one late tick of its first fifty) would look like an overload for ten seconds."""
_ENGINE = "engine"

COUNTERS: dict[str, tuple[tuple[str, ...], float]] = {
    "rtp_packets_total|agent|in": (("agent.packets_received",), 1),
    "rtp_packets_total|agent|out": (("agent.packets_sent",), 1),
    "rtp_packets_total|room|in": (("room.packets_in",), 1),
    "rtp_packets_total|room|out": (("room.packets_out",), 1),
    "rtp_lost_total|agent|in": (("agent.lost_towards_us",), 1),
    "rtp_lost_total|agent|out": (("agent.lost_towards_agent",), 1),
    "rtp_lost_total|room|in": (("room.lost_in",), 1),
    "rtp_lost_total|room|out": (("room.lost_out",), 1),
    "ice_state_total|agent|checking": (("agent.ice_checking",), 1),
    "ice_state_total|agent|completed": (("agent.ice_completed",), 1),
    "ice_state_total|agent|failed": (("agent.ice_failed",), 1),
    "ice_state_total|agent|closed": (("agent.ice_closed",), 1),
    "audio_frames_total|to_agent|silence": (("mix.silent_ticks",), 1),
    "audio_frames_total|to_agent|concealed": (("room.concealed_samples",), 1 / TICK_SAMPLES),
    "audio_frames_total|to_agent|dropped": (("mix.dropped_samples",), 1 / TICK_SAMPLES),
    "audio_frames_total|to_room|media": (("receive.real_samples", "receive.restored_samples"), 1 / TICK_SAMPLES),
    "audio_frames_total|to_room|silence": (("core.filled_samples",), 1 / TICK_SAMPLES),
    "audio_frames_total|to_room|concealed": (("receive.concealed_samples",), 1 / TICK_SAMPLES),
    "audio_frames_total|to_room|dropped": (("receive.skipped_samples",), 1 / TICK_SAMPLES),
    "audio_underruns_total|to_agent": (("mix.underruns",), 1),
    "audio_underruns_total|to_room": (("receive.underruns",), 1),
    f"mixer_tick_late_seconds|{SUM}": (("tick.late_s",), 1),
    **{
        f"mixer_tick_late_seconds|{edge}": ((f"tick.lateness.{place}",), 1)
        for place, edge in enumerate(MEASURES["mixer_tick_late_seconds"].edges)
    },
}
"""A metric's key: the session's counters that it is the sum of, and a factor."""


class Counted(Protocol):
    """What is used of a session."""

    tally: Tally

    @property
    def quality(self) -> CallQuality:
        """How it sounds."""

    def figures(self) -> dict[str, float]:
        """Every counter, flat."""


def totals(figures: Mapping[str, float], tally: Tally) -> dict[str, float]:
    """A session's counters under their names as metrics.

    Args:
        figures: Its flat counters.
        tally: What it counted by itself.
    """
    out = dict(tally.counts)
    for key, (counters, factor) in COUNTERS.items():
        out[key] = sum(figures.get(counter, 0) for counter in counters) * factor
    heard = figures.get("mix.ticks", 0) - figures.get("mix.silent_ticks", 0)
    return out | {"audio_frames_total|to_agent|media": heard}


def observe(figures: Mapping[str, float], quality: CallQuality, tally: Tally) -> None:
    """Put a session's momentary values into its histograms; once a second.

    Args:
        figures: Its flat counters.
        quality: How it sounds.
        tally: Where to.
    """
    for leg in ("agent", "room"):
        for name, direction in (("jitter_ms", "in"), ("jitter_out_ms", "out")):
            if f"{leg}.{name}" in figures:
                tally.observe("rtp_jitter_seconds", figures[f"{leg}.{name}"] / 1000, leg, direction)
        if f"{leg}.rtt_ms" in figures:
            tally.observe("rtp_rtt_seconds", figures[f"{leg}.rtt_ms"] / 1000, leg, "out")
    for flow, delay in (("to_agent", quality.mix_wait.latest), ("to_room", quality.reply_delay.latest)):
        if delay is not None:
            tally.observe("audio_buffer_seconds", delay, flow)
    tally.observe("mixer_inputs", figures.get("mix.inputs", 0))


class LateShare:
    """The share of ticks that came over 10 ms late, over the last beats."""

    def __init__(self) -> None:
        self._beats: deque[tuple[float, float]] = deque(maxlen=WINDOW)

    def add(self, deltas: Mapping[str, float]) -> None:
        """Take the deltas of one beat."""
        late = deltas.get("ticks_late", 0)
        self._beats.append((deltas.get("ticks", 0), late))

    @property
    def share(self) -> float:
        """From 0 to 1; 0 while there are no ticks."""
        ticks = sum(ticks for ticks, _ in self._beats)
        return min(1.0, sum(late for _, late in self._beats) / max(ticks, _LEAST_TICKS))


class EngineFigures:
    """Collects from the sessions of one engine.

    Attributes:
        tally: What the engine counts by itself.
        late: The share of late ticks.
    """

    def __init__(self) -> None:
        self.tally = Tally(MEASURES)
        self.late = LateShare()
        self._deltas = Deltas()
        self._ticks = Deltas()

    def look(self, session_id: str, session: Counted) -> None:
        """Read a running session; once a second."""
        figures = session.figures()
        observe(figures, session.quality, session.tally)
        self._deltas.look(session_id, totals(figures, session.tally))
        self._ticks.look(session_id, _ticks(figures))

    def end(self, session_id: str, session: Counted) -> None:
        """Read a session for the last time; both its legs are closed."""
        figures = session.figures()
        self._deltas.end(session_id, totals(figures, session.tally))
        self._ticks.end(session_id, _ticks(figures))

    def take(self) -> dict[str, float]:
        """What was added since the last beat; also moves the window of the late ticks on."""
        self._deltas.look(_ENGINE, self.tally.counts)
        self.late.add(self._ticks.take())
        return self._deltas.take()


def _ticks(figures: Mapping[str, float]) -> dict[str, float]:
    """A skipped tick is the latest of all."""
    skipped = figures.get("tick.skipped", 0)
    return {"ticks": figures.get("tick.ticks", 0) + skipped, "ticks_late": figures.get("tick.late", 0) + skipped}


def memory_mb(pages: str, page_bytes: int) -> float:
    """Resident memory in MB, out of the text of `/proc/self/statm` (proc(5): the second number, in pages)."""
    fields = pages.split()
    return int(fields[1]) * page_bytes / 1e6 if len(fields) > 1 else 0.0
