"""How a call sounds: levels of the mix and of the reply, audible gaps in the reply, delays in our buffers. Pure.

It looks at what is at hand anyway: the reply's levels come from the gate, the mix is measured in one tick of five, and
delays are read once a second.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from connector.audio.figures import ReceiveFigures
from connector.audio.frames import TICK_MS, Samples
from connector.audio.levels import FLOOR_DBFS, WINDOW_MS, WINDOW_SAMPLES, GapCounter, SpeechDetector, dbfs
from connector.audio.mixer import RoomMixer

MIX_EVERY = 5
"""One tick of five is measured, and stands for the other four."""
DELAYS_EVERY = 50
_MIX_WINDOWS = MIX_EVERY * TICK_MS // WINDOW_MS


class SpeechMeter:
    """The level of speech: its mean over the parts in which somebody speaks, and the loudest window.

    Attributes:
        windows: Windows of 10 ms with speech.
        peak_dbfs: Level of the loudest window.
    """

    def __init__(self) -> None:
        self._detector = SpeechDetector()
        self._power = 0.0
        self.windows = 0
        self.peak_dbfs = FLOOR_DBFS

    def add(self, levels: Sequence[float]) -> None:
        """Take the levels of the next windows of 10 ms, in dBFS."""
        for level in levels:
            if self._detector.add_levels((level,)):
                self._power += 10 ** (level / 10)
                self.windows += 1
                self.peak_dbfs = max(self.peak_dbfs, level)

    @property
    def mean_dbfs(self) -> float:
        """Mean power of the parts with speech, as a level."""
        return max(FLOOR_DBFS, 10 * math.log10(self._power / self.windows)) if self.windows else FLOOR_DBFS


class Spread:
    """Mean and highest of values that are looked at now and then.

    Attributes:
        latest: The newest value, None while there is nothing to look at.
        highest: The highest so far, None before the first.
    """

    def __init__(self) -> None:
        self._sum = 0.0
        self._count = 0
        self.latest: float | None = None
        self.highest: float | None = None

    def add(self, value: float | None) -> None:
        """Take a value, or None when there is none now."""
        self.latest = value
        if value is not None:
            self._sum += value
            self._count += 1
            self.highest = value if self.highest is None else max(self.highest, value)

    @property
    def mean(self) -> float | None:
        """The mean, None before the first value."""
        return self._sum / self._count if self._count else None


@dataclass(frozen=True, slots=True)
class QualityFigures:
    """How a call sounded so far. Levels in dBFS, `FLOOR_DBFS` when nobody spoke; None where nothing was seen.

    Attributes:
        gaps: Audible gaps inside the agent's speech, as it enters the room.
        gap_ms: All of them together.
        gap_longest_ms: The longest of them.
        mix_speech_s: For how long people spoke.
        mix_dbfs: Mean level of that.
        mix_peak_dbfs: Its loudest tick.
        reply_speech_s: For how long the agent spoke.
        reply_dbfs: Mean level of that.
        reply_peak_dbfs: Its loudest 10 ms.
        reply_delay_s: Delay of the receive path while it receives: mean.
        reply_delay_most_s: Its highest.
        mix_wait_s: What waits in the fullest input of the mix: mean.
        mix_late_s: What lateness the latest input of the mix has: mean.
        mix_late_most_s: Its highest.
    """

    gaps: int
    gap_ms: int
    gap_longest_ms: int
    mix_speech_s: float
    mix_dbfs: float
    mix_peak_dbfs: float
    reply_speech_s: float
    reply_dbfs: float
    reply_peak_dbfs: float
    reply_delay_s: float | None
    reply_delay_most_s: float | None
    mix_wait_s: float | None
    mix_late_s: float | None
    mix_late_most_s: float | None


class CallQuality:
    """Watches one session.

    Attributes:
        reply_delay: Delay of the receive path in seconds, looked at once a second while packets come.
        mix_wait: Seconds of audio in the fullest input of the mix.
    """

    def __init__(self) -> None:
        self._gaps = GapCounter()
        self._mix = SpeechMeter()
        self._reply = SpeechMeter()
        self._mix_late = Spread()
        self._ticks = 0
        self._received = 0
        self.reply_delay = Spread()
        self.mix_wait = Spread()

    def pushed(self, levels: Sequence[float]) -> None:
        """The agent's sound enters the room.

        Args:
            levels: Its level in windows of 10 ms.
        """
        self._gaps.add_levels(levels)
        self._reply.add(levels)

    def filled(self, samples: int) -> None:
        """Silence enters the room where the agent pauses."""
        self.pushed([FLOOR_DBFS] * (samples // WINDOW_SAMPLES))

    def tick(self, mixed: Samples, now: float, mixer: RoomMixer, receive: ReceiveFigures | None) -> None:
        """A tick of the mix.

        Args:
            mixed: What the agent hears.
            now: Monotonic seconds.
            mixer: Where it comes from.
            receive: The counters of the receive path, while there is one.
        """
        self._ticks += 1
        if self._ticks % MIX_EVERY == 0:
            self._mix.add([dbfs(mixed)] * _MIX_WINDOWS)
        if self._ticks % DELAYS_EVERY == 0:
            self._look(now, mixer, receive)

    def _look(self, now: float, mixer: RoomMixer, receive: ReceiveFigures | None) -> None:
        wait, late = mixer.delays(now) or (None, None)
        self.mix_wait.add(wait)
        self._mix_late.add(late)
        received = receive.received if receive is not None else 0
        flows = receive is not None and received != self._received
        self._received = received
        self.reply_delay.add(max(0.0, receive.delay_ms / 1000) if flows and receive is not None else None)

    def figures(self) -> QualityFigures:
        """How it sounded so far."""
        return QualityFigures(
            gaps=self._gaps.count,
            gap_ms=self._gaps.total_ms,
            gap_longest_ms=self._gaps.longest_ms,
            mix_speech_s=self._mix.windows * WINDOW_MS / 1000,
            mix_dbfs=self._mix.mean_dbfs,
            mix_peak_dbfs=self._mix.peak_dbfs,
            reply_speech_s=self._reply.windows * WINDOW_MS / 1000,
            reply_dbfs=self._reply.mean_dbfs,
            reply_peak_dbfs=self._reply.peak_dbfs,
            reply_delay_s=self.reply_delay.mean,
            reply_delay_most_s=self.reply_delay.highest,
            mix_wait_s=self.mix_wait.mean,
            mix_late_s=self._mix_late.mean,
            mix_late_most_s=self._mix_late.highest,
        )
