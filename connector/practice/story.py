"""What the report tells of a run: recordings become lanes, utterances coloured stretches and marked moments. Pure."""

import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np

from connector.base.cores import allowed_cores
from connector.practice import livekit
from connector.practice.matching import sound_spans
from connector.practice.picture import Lane, Moment
from connector.practice.recorder import Recording
from connector.practice.report import Happening, Story
from connector.practice.sound import to_samples
from connector.practice.verify import Evidence, Spoken, Verdict

PEOPLE = ("ada", "grace")
"""Who meets the agent."""
_EDGE_S = 0.4
_LATER_S = 0.25
"""So long after a voice its colour stands in other lanes: more than any delay of the chain."""


def together(recordings: Sequence[Recording]) -> Recording:
    """Several recordings laid over each other on one time axis; of none, an empty one at time 0."""
    if not recordings:
        return Recording(np.zeros(0, dtype=np.int16), 0.0)
    begin, end = min(r.start for r in recordings), max(r.end for r in recordings)
    wide = np.sum([r.cut(begin, end).astype(np.float64) for r in recordings], axis=0)
    return Recording(to_samples(wide), begin)


def tell(
    room: str,
    when: datetime,
    evidence: Evidence,
    heard: Mapping[str, Recording],
    verdict: Verdict,
    happenings: Sequence[Happening],
    figures: Mapping[str, Any],
) -> Story:
    """Make the report's story of a run.

    Args:
        room: Where people met.
        when: When the run began.
        evidence: What was recorded.
        heard: Everything that each person heard, each other included.
        verdict: What was found.
        happenings: What was told meanwhile.
        figures: The agent's ``GET /sessions`` at the end.
    """
    starts = [spoken.at for spoken in evidence.spoken] + [r.start for r in (evidence.agent_said,) if r.seconds]
    ends = [spoken.end for spoken in evidence.spoken] + [r.end for r in (evidence.agent_said,) if r.seconds]
    begin, end = min(starts, default=0.0) - _EDGE_S, max(ends, default=1.0)
    return Story(
        room=room,
        when=when,
        begin=begin,
        end=end,
        lanes=_lanes(evidence, heard),
        moments=_moments(evidence),
        happenings=happenings,
        figures=_figures(figures),
        verdict=verdict,
        footer=f"room-connector {importlib.metadata.version('room-connector')}, livekit-server {livekit.VERSION}, "
        f"Python {platform.python_version()}, {allowed_cores()} cores.",
    )


def _lanes(evidence: Evidence, heard: Mapping[str, Recording]) -> list[Lane]:
    said = _voices_of_agent(evidence)
    lanes = [Lane(who, "speaks", who, _spoken_by(who, evidence.spoken), f"{who}-said.wav") for who in PEOPLE]
    lanes += [
        Lane("agent", "hears", "mix", evidence.agent_heard, "agent-heard.wav", _voices(evidence.spoken, "agent")),
        Lane("agent", "says", "agent", evidence.agent_said, "agent-said.wav"),
    ]
    lanes += [
        Lane(who, "hears", "mix", heard[who], f"{who}-heard.wav", _voices(evidence.spoken, who) + said)
        for who in PEOPLE
    ]
    return lanes


def _voices(spoken: Sequence[Spoken], listener: str) -> tuple[tuple[float, float, str], ...]:
    return tuple((s.at, s.end + _LATER_S, s.who) for s in spoken if s.who != listener)


def _voices_of_agent(evidence: Evidence) -> tuple[tuple[float, float, str], ...]:
    return tuple((begin, end + _LATER_S, "agent") for begin, end in sound_spans(evidence.agent_said))


def _spoken_by(who: str, spoken: Sequence[Spoken]) -> Recording:
    """Everything that one person said, on the time axis."""
    return together([Recording(s.samples, s.at) for s in spoken if s.who == who])


def _moments(evidence: Evidence) -> list[Moment]:
    moments = []
    for spoken in evidence.spoken:
        others = [o for o in evidence.spoken if o.who > spoken.who and o.at < spoken.end and spoken.at < o.end]
        moments += [Moment(min(spoken.at, o.at), max(spoken.end, o.end), "both at once") for o in others]
        if spoken.interrupts:
            moments.append(Moment(spoken.at, spoken.end, f"{spoken.who} talks over the agent"))
    return moments


def _figures(figures: Mapping[str, Any]) -> list[tuple[str, str]]:
    sessions = figures.get("sessions", [])
    if not sessions:
        return [("Sessions opened by the connector", "0")]
    session = sessions[0]
    connected = session["connected_at"]
    greeted = next((event["at"] for event in session["events"] if event["what"] == "greeting"), None)
    rows = [
        ("Sessions opened by the connector", str(figures["opened"])),
        ("Offers posted", str(figures["offers"])),
        ("Codec", session["codec"]),
        ("Packets that the agent received", f"{session['packets']:,}"),
        ("of them with in-band FEC", f"{session['packets_with_fec']:,}"),
    ]
    if connected is not None:
        rows.insert(3, ("From the offer to the connection", f"{1000 * (connected - session['opened_at']):.0f} ms"))
    if connected is not None and greeted is not None:
        rows.insert(4, ("From the connection to the greeting", f"{1000 * (greeted - connected):.0f} ms"))
    return rows
