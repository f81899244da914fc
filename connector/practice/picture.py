"""The picture of the report: every recording as a waveform, one lane each, on one time axis, as SVG.

The drawing holds no colours of its own: classes named after who is heard take theirs from the page's custom
properties, so that it reads in light and dark. `standalone` wraps it with both palettes for use outside the page.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from connector.audio.frames import Samples
from connector.practice.recorder import Recording

_WIDTH, _LEFT, _RIGHT = 1160, 132, 12
_TOP, _LANE, _GAP, _BOTTOM = 44, 62, 10, 34
_COLUMNS = 1016
"""One column per unit of the drawing's width."""
_MIN_LABEL_GAP = 128
_MARGIN = 16
_LEAST = 0.35
"""Half height of silence, so that a lane is a line at least."""
_STYLE = """
text { font: 12px system-ui, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; fill: var(--ink); }
.small { font-size: 11px; fill: var(--soft); }
.name { font-weight: 600; font-size: 13px; }
.grid { stroke: var(--grid); } .axis { stroke: var(--line); }
.shade { fill: var(--shade); } .edge { stroke: var(--soft); stroke-dasharray: 2 3; opacity: .7; }
.wave.ada, .name.ada { fill: var(--ada); } .wave.grace, .name.grace { fill: var(--grace); }
.wave.agent, .name.agent { fill: var(--agent); } .wave.mix { fill: var(--mix); }
"""
LIGHT = """--card: #ffffff; --ink: #16202c; --soft: #55626f; --line: #dde2e8; --grid: #e9edf1;
--ada: #c2560c; --grace: #0c7a72; --agent: #4f46e5; --mix: #475569; --shade: rgba(71, 85, 105, .09);"""
"""The page's and the picture's colours on a light background, as CSS custom properties."""
DARK = """--card: #171e26; --ink: #e7ecf1; --soft: #9aa8b5; --line: #2a343f; --grid: #212a34;
--ada: #fb9a4b; --grace: #3fd0c0; --agent: #a5b0ff; --mix: #b6c2ce; --shade: rgba(182, 194, 206, .09);"""
"""The same on a dark one."""


@dataclass(frozen=True)
class Lane:
    """One recording in the picture.

    Attributes:
        name: What stands beside it, for example ``ada``.
        doing: The second line, for example ``speaks``.
        colour: ``ada``, ``grace``, ``agent`` or ``mix``.
        recording: The audio.
        file: Name of its WAV beside the page.
        voices: Begin, end (monotonic) and colour of whom is heard when. Where two overlap, and elsewhere, the
            lane's own colour stands.
    """

    name: str
    doing: str
    colour: str
    recording: Recording
    file: str
    voices: tuple[tuple[float, float, str], ...] = ()


@dataclass(frozen=True)
class Moment:
    """A stretch of time worth a shade and a word over all lanes; monotonic seconds."""

    begin: float
    end: float
    text: str


def timeline(lanes: Sequence[Lane], moments: Sequence[Moment], begin: float, end: float) -> str:
    """Draw the lanes between two monotonic times.

    Returns:
        An ``<svg>`` element that expects the page's custom properties (``--ink``, ``--ada``, …).
    """
    height = _TOP + len(lanes) * (_LANE + _GAP) + _BOTTOM
    peak = max((int(np.max(np.abs(lane.recording.samples.astype(np.int32)), initial=0)) for lane in lanes), default=0)
    scale = (_LANE / 2) / max(peak, 1_000)
    names = ", ".join(f"{lane.name} {lane.doing}" for lane in lanes)
    size, label = f"0 0 {_WIDTH} {height}", f"Waveforms over time: {escape(names)}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{size}" role="img" aria-label="{label}">',
        f"<style>{_STYLE}</style>",
        *_axis(end - begin, height),
        *_moments(moments, begin, end, height),
    ]
    for index, lane in enumerate(lanes):
        parts += _lane(lane, _TOP + index * (_LANE + _GAP), begin, end, scale)
    return "\n".join([*parts, "</svg>"])


def standalone(svg: str) -> str:
    """The same drawing as a file of its own, with a background and both palettes."""
    palette = f"<style>:root{{{LIGHT}}}@media (prefers-color-scheme:dark){{:root{{{DARK}}}}}</style>"
    first, rest = svg.split("\n", 1)
    height = int(first.split(f'viewBox="0 0 {_WIDTH} ', 1)[1].split('"', 1)[0])
    x, y, wide, tall = -_MARGIN, -_MARGIN // 2, _WIDTH + 2 * _MARGIN, height + _MARGIN
    first = first.replace(f'viewBox="0 0 {_WIDTH} {height}"', f'viewBox="{x} {y} {wide} {tall}"')
    back = f'<rect x="{x}" y="{y}" width="{wide}" height="{tall}" fill="var(--card)"/>'
    return f"{first}\n{palette}{back}\n{rest}\n"


def envelope(samples: Samples, columns: int) -> list[tuple[int, int]]:
    """Lowest and highest sample of each of `columns` equal stretches."""
    size = max(1, -(-len(samples) // columns))
    padded = np.zeros(size * columns, dtype=np.int16)
    padded[: len(samples)] = samples
    table = padded.reshape(columns, size)
    return list(zip(table.min(axis=1).tolist(), table.max(axis=1).tolist(), strict=True))


def _lane(lane: Lane, top: float, begin: float, end: float, scale: float) -> list[str]:
    middle = top + _LANE / 2
    pairs = envelope(lane.recording.cut(begin, end), _COLUMNS)
    colours = [_colour(lane, begin + (column + 0.5) * (end - begin) / _COLUMNS) for column in range(_COLUMNS)]
    parts = [
        f'<text class="name {lane.colour}" x="0" y="{middle - 2:.0f}">{escape(lane.name)}</text>',
        f'<text class="small" x="0" y="{middle + 14:.0f}">{escape(lane.doing)}</text>',
        f'<line class="axis" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{middle}" y2="{middle}"/>',
    ]
    first = 0
    for column in range(1, _COLUMNS + 1):
        if column == _COLUMNS or colours[column] != colours[first]:
            parts.append(_wave(pairs, first, min(column + 1, _COLUMNS), middle, scale, colours[first]))
            first = column
    return parts


def _wave(pairs: list[tuple[int, int]], first: int, last: int, middle: float, scale: float, colour: str) -> str:
    """One filled stretch of the envelope."""
    upper = [f"{_LEFT + i},{middle - max(pairs[i][1] * scale, _LEAST):.1f}" for i in range(first, last)]
    lower = [f"{_LEFT + i},{middle - min(pairs[i][0] * scale, -_LEAST):.1f}" for i in reversed(range(first, last))]
    return f'<polygon class="wave {colour}" points="{" ".join(upper + lower)}"/>'


def _colour(lane: Lane, at: float) -> str:
    heard = {colour for begin, end, colour in lane.voices if begin <= at < end}
    return heard.pop() if len(heard) == 1 else lane.colour


def _axis(seconds: float, height: float) -> list[str]:
    step = next((s for s in (1, 2, 5, 10, 30) if seconds / s <= 16), 60)  # noqa: PLR2004 -- ticks that fit the width
    parts = []
    bottom = height - _BOTTOM + 4
    for tick in range(0, int(seconds) + 1, step):
        x = _LEFT + tick / seconds * _COLUMNS
        parts += [
            f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 6}" y2="{bottom}"/>',
            f'<text class="small" x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{tick} s</text>',
        ]
    return parts


def _moments(moments: Sequence[Moment], begin: float, end: float, height: float) -> list[str]:
    parts = []
    bottom = height - _BOTTOM + 4
    free_from = [-1e9, -1e9]
    for moment in sorted(moments, key=lambda m: m.begin):
        first, last = (_LEFT + (t - begin) / (end - begin) * _COLUMNS for t in (moment.begin, moment.end))
        row = 0 if first >= free_from[0] else 1
        free_from[row] = first + max(_MIN_LABEL_GAP, 6.6 * len(moment.text))
        width, tall = max(last - first, 1), bottom - _TOP + 6
        parts += [
            f'<rect class="shade" x="{first:.1f}" width="{width:.1f}" y="{_TOP - 6}" height="{tall:.0f}"/>',
            f'<line class="edge" x1="{first:.1f}" x2="{first:.1f}" y1="{12 + 16 * row}" y2="{bottom}"/>',
            f'<text class="small" x="{first + 5:.1f}" y="{14 + 16 * row}">{escape(moment.text)}</text>',
        ]
    return parts
