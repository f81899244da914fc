"""The room mixer: all heard tracks become one stream, a tick at a time.

frames of a track → its `TrackRing` → gain → wide sum → `Limiter` → 960 samples for the encoder. The sum is never
divided by the number of speakers: who speaks alone is as loud as in a crowd, and the limiter takes care of the crowd.
An input at 0 dB that is alone is passed on bit by bit; a sum of several is exact (float32 holds the sum of up to 512
int16 exactly).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from connector.audio.frames import RATE_HZ, TAP_SAMPLES, TICK_SAMPLES, TICK_SECONDS, FrameSink, Samples, peak
from connector.audio.levels import LevelMeter, gain_from_db
from connector.audio.limiter import CEILING, Limiter
from connector.audio.ring import RingFigures, TrackRing

MAX_INPUTS = 128
"""Inputs at most; a leg's own cap is lower. 128 rings take 10 MB."""
MAX_GAIN_DB = 40.0
"""Gains are kept within ±40 dB."""
BEHIND_S = 0.003
"""Where the phase lock puts a tick's time: so long behind the latest arrival of its frames that a hiccup still fits in.
It costs no delay, as a tick runs before its time when its frames are there."""
MAX_LEAD_S = 0.008
"""A tick runs at most so long before its time: less than the 10 ms between frames."""
_LOOK_S = 0.0002
"""So long after the usual arrival of its frames a tick is tried for the first time."""
_FLOWS_S = 0.040
"""A track from which nothing came for so long is not waited for."""
_METER_EVERY = 5
"""Each input is measured in every fifth tick, in turns: 100 ms is what an eye follows, at a fifth of the cost."""
_PHASE_EVERY = 50
_PERIOD_S = TAP_SAMPLES / RATE_HZ
_STALE_S = 1.0
_UP: NDArray[np.float32] = ((np.arange(TICK_SAMPLES) + 1) / TICK_SAMPLES).astype(np.float32)
_SILENCE: Samples = np.zeros(TICK_SAMPLES, dtype=np.int16)
_SILENCE.flags.writeable = False


@dataclass(slots=True)
class MixerFigures:
    """Counters of a mixer, closed inputs included.

    Attributes:
        inputs: Open inputs now.
        opened: Inputs opened so far.
        refused: Inputs refused because `MAX_INPUTS` were open.
        ticks: Ticks mixed.
        silent_ticks: Of these, nothing was heard.
        limited_ticks: Of these, the limiter had to turn down.
        heard_frames: Ticks heard, summed over the inputs.
        written_samples: Samples that came in.
        underruns: Times that a started input had no full tick to give.
        drops: Times that an input's oldest samples were given up.
        dropped_samples: How many samples that took.
        slowed_ticks: Input ticks played slower (drift or lateness corrected).
        hurried_ticks: Input ticks played faster.
        jumps: Corrections made at once where nothing was heard.
        torn: Input ticks lost because the writer overtook the reader.
        pauses: Times that an input's source stopped and came back.
    """

    inputs: int = 0
    opened: int = 0
    refused: int = 0
    ticks: int = 0
    silent_ticks: int = 0
    limited_ticks: int = 0
    heard_frames: int = 0
    written_samples: int = 0
    underruns: int = 0
    drops: int = 0
    dropped_samples: int = 0
    slowed_ticks: int = 0
    hurried_ticks: int = 0
    jumps: int = 0
    torn: int = 0
    pauses: int = 0


class _Input:
    """An open input: its ring, its gain now and the one it is going to, its meter."""

    __slots__ = ("gain", "meter", "place", "ring", "target")

    def __init__(self, ring: TrackRing, gain: float, place: int) -> None:
        self.ring = ring
        self.gain = gain
        self.target = gain
        self.meter = LevelMeter()
        self.place = place

    def measure(self, samples: Samples | None) -> None:
        """Take one tick in five as what the other four were like."""
        if samples is None:
            self.meter.rest()
        else:
            self.meter.add(samples, span_s=_METER_EVERY * TICK_SECONDS)


class RoomMixer:
    """Implements `AudioInputs`. The sinks may be called from native threads, all else from the event loop only.

    Args:
        clock: Monotonic seconds, the clock of every `now` here; also called in the native threads.
        max_inputs: Inputs at most; the sink of one more takes its frames and drops them.
    """

    def __init__(self, clock: Callable[[], float], *, max_inputs: int = MAX_INPUTS) -> None:
        self._clock = clock
        self._max_inputs = max_inputs
        self._inputs: dict[str, _Input] = {}
        self._leaving: list[_Input] = []
        self._limiter = Limiter()
        self._phase: float | None = None
        self._lead = 0.0
        self._figures = MixerFigures()
        self._closed = RingFigures()

    def open(self, key: str, gain_db: float) -> FrameSink:
        """Start an input; one that is open under this key is replaced.

        Raises:
            ValueError: The gain is not a number.
        """
        gain = _gain(gain_db)
        self.close(key)
        ring = TrackRing(self._clock)
        if len(self._inputs) >= self._max_inputs:
            self._figures.refused += 1
            ring.close()
            return ring.write
        self._inputs[key] = _Input(ring, gain, self._figures.opened % _METER_EVERY)
        self._figures.opened += 1
        return ring.write

    def set_gain(self, key: str, gain_db: float) -> None:
        """Change the gain of an open input, in dB; it gets there within a tick. An unknown key is ignored.

        Raises:
            ValueError: The gain is not a number.
        """
        entry = self._inputs.get(key)
        if entry is not None:
            entry.target = _gain(gain_db)

    def close(self, key: str) -> None:
        """End an input; what it was playing fades out in the next tick. An unknown key is ignored."""
        entry = self._inputs.pop(key, None)
        if entry is None:
            return
        entry.ring.close()
        _add(self._closed, entry.ring.figures)
        if len(self._leaving) < self._max_inputs:
            self._leaving.append(entry)

    def tick(self, now: float) -> Samples:
        """Mix the next 20 ms.

        Args:
            now: Monotonic seconds of this wake-up, or the time of a tick that runs early; the same for all ticks that
                catch up in one.

        Returns:
            960 samples int16, silence when nothing is heard. Not to be written to.
        """
        figures = self._figures
        turn = figures.ticks % _METER_EVERY
        figures.ticks += 1
        heard: list[tuple[_Input, Samples]] = []
        for entry in self._inputs.values():
            samples = entry.ring.read(now)
            if entry.place == turn:
                entry.measure(samples)
            if samples is not None:
                heard.append((entry, samples))
        if self._leaving:
            heard += self._fading()
        if not heard:
            figures.silent_ticks += 1
            self._limiter.rest()
            return _SILENCE
        return self._mix(heard)

    def levels(self) -> dict[str, float]:
        """The short-term level of each input before its gain, in dBFS; renewed every 100 ms."""
        return {key: entry.meter.dbfs for key, entry in self._inputs.items()}

    def delays(self, now: float) -> tuple[float, float] | None:
        """How long the mix waits for its inputs: the worst of those that frames come from, None when there is none.

        Args:
            now: Monotonic seconds.

        Returns:
            Seconds of audio that wait in a ring, and seconds of lateness that a ring allows for.
        """
        rings = self._fed(now, _STALE_S)
        if not rings:
            return None
        return max(ring.waiting for ring in rings) / RATE_HZ, max(ring.arrivals.spread for ring in rings)

    def phase_shift(self, at: float) -> float | None:
        """How much later a tick should come to stand `BEHIND_S` behind the frames that it takes.

        Args:
            at: When a tick is due, in monotonic seconds (`TickSchedule.next_at`).

        Returns:
            Seconds for `TickSchedule.nudge`, within ±5 ms, negative for earlier; None while no frames come. It looks at
            when frames arrive at the latest, not at the newest one: a single late frame must not move the ticks.
        """
        if self._phase is None or self._figures.ticks % _PHASE_EVERY == 0:
            self._phase, self._lead = self._find_phase(at)
        if self._phase is None:
            return None
        behind = (at - self._phase - BEHIND_S) % _PERIOD_S
        return -behind if behind < _PERIOD_S / 2 else _PERIOD_S - behind

    @property
    def lead_s(self) -> float:
        """How long before its time a tick's frames usually are there: 0 to `MAX_LEAD_S`. For when to ask `complete`."""
        return self._lead

    def complete(self, now: float) -> bool:
        """Whether a tick would not be any better later: every track from which frames come has its 20 ms.

        Args:
            now: Monotonic seconds.
        """
        return all(ring.ready for ring in self._fed(now, _FLOWS_S))

    @property
    def figures(self) -> MixerFigures:
        """The counters as they stand, a copy."""
        rings = RingFigures()
        _add(rings, self._closed)
        for entry in self._inputs.values():
            _add(rings, entry.ring.figures)
        totals = {field.name: getattr(self._figures, field.name) for field in fields(MixerFigures)}
        totals |= {field.name: getattr(rings, field.name) for field in fields(RingFigures) if field.name != "ticks"}
        totals |= {
            "inputs": len(self._inputs),
            "heard_frames": rings.ticks,
            "limited_ticks": self._limiter.limited_ticks,
        }
        return MixerFigures(**totals)

    def _fading(self) -> list[tuple[_Input, Samples]]:
        faded = [(entry, entry.ring.fade_out()) for entry in self._leaving]
        self._leaving.clear()
        return [(entry, samples) for entry, samples in faded if samples is not None]

    def _mix(self, heard: list[tuple[_Input, Samples]]) -> Samples:
        first, samples = heard[0]
        if len(heard) == 1 and self._limiter.resting and first.gain == first.target == 1.0 and peak(samples) <= CEILING:
            return samples
        wide = _amplified(first, samples)
        for entry, more in heard[1:]:
            wide += more if entry.gain == entry.target == 1.0 else _amplified(entry, more)
        return self._limiter.process(wide)

    def _fed(self, now: float, within_s: float) -> list[TrackRing]:
        """The rings into which a frame came less than `within_s` ago."""
        rings = [entry.ring for entry in self._inputs.values()]
        return [ring for ring in rings if ring.arrivals.last is not None and now - ring.arrivals.last < within_s]

    def _find_phase(self, now: float) -> tuple[float | None, float]:
        """The last arrival before the longest time in which none comes, modulo 10 ms, and the lead of a tick behind it.

        The tracks of a process arrive one after the other every 10 ms; the tick belongs behind the last of them.
        """
        found = sorted((ring.phase % _PERIOD_S, ring.lateness) for ring in self._fed(now, _STALE_S))
        if not found:
            return None, 0.0
        phases = [phase for phase, _ in found]
        waits = [after - before for before, after in zip(phases, [*phases[1:], phases[0] + _PERIOD_S], strict=True)]
        phase, lateness = found[waits.index(max(waits))]
        return phase, min(MAX_LEAD_S, max(0.0, lateness + BEHIND_S - _LOOK_S))


def _gain(gain_db: float) -> float:
    if math.isnan(gain_db):
        raise ValueError("gain_db is not a number")
    return gain_from_db(max(-MAX_GAIN_DB, min(MAX_GAIN_DB, gain_db)))


def _amplified(entry: _Input, samples: Samples) -> NDArray[np.float32]:
    """The samples with the input's gain; a new gain is reached over this tick, so that the change does not click."""
    wide = samples.astype(np.float32)
    if entry.gain == entry.target:
        if entry.gain != 1.0:
            wide *= np.float32(entry.gain)
    else:
        wide *= np.float32(entry.gain) + np.float32(entry.target - entry.gain) * _UP
        entry.gain = entry.target
    return wide


def _add(total: RingFigures, more: RingFigures) -> None:
    for field in fields(RingFigures):
        setattr(total, field.name, getattr(total, field.name) + getattr(more, field.name))
