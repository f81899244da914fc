"""What a person heard of the agent, judged: when it was audible, gaps in it, two agents at once. Pure.

The agent hums without an end, so 10 ms below `AUDIBLE_DBFS` are silence. Times are monotonic seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

AUDIBLE_DBFS = -40.0
"""RMS of 10 ms; the hum stands at -15."""
WINDOW_S = 0.01
GAP_S = 0.06
"""A longer silence is audible as a gap (design, vocabulary)."""
_STALL_S = 0.5
"""Nothing at all for so long is silence too: a track's stream gives frames for as long as the track is there."""

Times = NDArray[np.float64]


@dataclass(frozen=True)
class Heard:
    """One track as one person heard it.

    Attributes:
        sid: The track.
        participant: Sid of the participant who published it: another for each time that somebody joins.
        times: When each 10 ms window arrived, ascending.
        levels: Its RMS level, dBFS.
    """

    sid: str
    participant: str
    times: Times
    levels: NDArray[np.float64]

    @property
    def audible_at(self) -> Times:
        """The arrivals of all windows in which something was to be heard."""
        return self.times[self.levels > AUDIBLE_DBFS]

    def gaps(self, begin: float, end: float) -> list[float]:
        """Silences of more than 60 ms between two times, in seconds.

        A window that arrived late is no gap: the sound goes on behind it.
        """
        inside = (self.times >= begin) & (self.times < end)
        times, quiet = self.times[inside], self.levels[inside] <= AUDIBLE_DBFS
        if not len(times):
            return [end - begin]
        edges = np.flatnonzero(np.diff(np.concatenate([[False], quiet, [False]]).astype(np.int8)))
        found = [float(length) * WINDOW_S for length in edges[1::2] - edges[::2]]
        found += [float(hole) for hole in np.diff(np.concatenate([[begin], times, [end]])) if hole > _STALL_S]
        return [gap for gap in found if gap > GAP_S + WINDOW_S / 2]


def first_audible(tracks: Sequence[Heard], after: float, *, but: str = "") -> float | None:
    """When something was first audible after a time, in any track; `but` names a participant that does not count."""
    first = [heard.audible_at[heard.audible_at >= after] for heard in tracks if heard.participant != but]
    return min((float(times[0]) for times in first if len(times)), default=None)


def last_audible(tracks: Sequence[Heard], before: float = float("inf")) -> float | None:
    """When something was last audible before a time, in any track."""
    last = [heard.audible_at[heard.audible_at < before] for heard in tracks]
    return max((float(times[-1]) for times in last if len(times)), default=None)


def overlap(tracks: Sequence[Heard]) -> float:
    """The longest time for which two participants were audible at once, in seconds."""
    spans = [(heard.participant, span) for heard in tracks for span in spans_of(heard.audible_at)]
    shared = (
        min(first[1], second[1]) - max(first[0], second[0])
        for (one, first), (other, second) in combinations(spans, 2)
        if one != other
    )
    return max(0.0, *shared, 0.0)


def spans_of(times: Times) -> list[tuple[float, float]]:
    """Times of audible windows as spans: from the first to the last window without a gap between them."""
    if not len(times):
        return []
    breaks = np.flatnonzero(np.diff(times) > GAP_S)
    begins = times[np.concatenate([[0], breaks + 1])]
    ends = times[np.concatenate([breaks, [len(times) - 1]])]
    return [(float(begin), float(end)) for begin, end in zip(begins, ends, strict=True)]


def levels_of(samples: NDArray[np.int16], window: int) -> list[float]:
    """The RMS level of each whole window, dBFS."""
    whole = samples[: len(samples) // window * window].reshape(-1, window).astype(np.float64)
    rms = np.sqrt(np.mean(whole**2, axis=1))
    return [float(level) for level in 20 * np.log10(np.maximum(rms, 1e-3) / 32_768)]


def save(path: Path, tracks: Sequence[Heard]) -> None:
    """Write what one person heard."""
    names = np.array([(heard.sid, heard.participant) for heard in tracks], dtype=np.str_).reshape(-1, 2)
    with path.open("wb") as file:
        np.savez(
            file,
            names=names,
            lengths=np.array([len(heard.times) for heard in tracks], dtype=np.int64),
            times=np.concatenate([np.zeros(0), *(heard.times for heard in tracks)]),
            levels=np.concatenate([np.zeros(0), *(heard.levels for heard in tracks)]),
        )


def load(path: Path) -> list[Heard]:
    """Read what `save` wrote."""
    with np.load(path) as stored:
        ends = np.cumsum(stored["lengths"])[:-1]
        parts = zip(stored["names"], np.split(stored["times"], ends), np.split(stored["levels"], ends), strict=False)
        return [Heard(str(sid), str(participant), times, levels) for (sid, participant), times, levels in parts]
