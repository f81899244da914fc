"""PCMU and PCMA (ITU-T G.711): tables between 8-bit codes and samples, and the step to and from 48 kHz.

The classes have the face of the Opus ones, so nothing behind them knows which codec the answer picked. There is no
second copy of anything in these packets: what is lost is concealed by repeating the last pitch period, in the manner of
G.711 Appendix I, fading to nothing within 60 ms.
"""

import numpy as np
from numpy.typing import NDArray

from connector.audio.coding import PayloadError
from connector.audio.frames import SAMPLES_PER_MS, TICK_SAMPLES, Samples
from connector.audio.resample import FACTOR, NARROW_HZ, Downsampler, Upsampler
from connector.audio.timescale import best_lag
from connector.base.legs import AudioCodec

_MAX_PAYLOAD = NARROW_HZ * 120 // 1000
"""120 ms, as for Opus; nobody packs more into a packet."""
_HISTORY = 2 * TICK_SAMPLES
"""40 ms: two periods of the lowest voice that `best_lag` looks for, and more."""
_FADE_SAMPLES = 60 * SAMPLES_PER_MS
"""G.711 Appendix I is silent after 60 ms of loss."""


def _mu_law() -> Samples:
    """All 256 codes' samples (G.711 table 2a, scaled to 16 bit)."""
    code = ~np.arange(256, dtype=np.uint8)
    exponent = (code >> 4 & 7).astype(np.int32)
    magnitude = ((code & 15).astype(np.int32) * 8 + 132 << exponent) - 132
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _a_law() -> Samples:
    """All 256 codes' samples (G.711 table 1a, scaled to 16 bit)."""
    code = np.arange(256, dtype=np.uint8) ^ 0x55
    exponent = (code >> 4 & 7).astype(np.int32)
    mantissa = (code & 15).astype(np.int32) * 16 + 8
    magnitude = np.where(exponent > 0, mantissa + 256 << np.maximum(exponent - 1, 0), mantissa)
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


def _nearest(levels: Samples) -> NDArray[np.uint8]:
    """The code of every 16-bit sample, indexed by its bits as an unsigned number: the level that is nearest."""
    order = np.argsort(levels, kind="stable")
    steps = levels[order].astype(np.int32)
    samples = np.arange(65_536, dtype=np.uint16).astype(np.int16).astype(np.int32)
    codes: NDArray[np.uint8] = order[np.searchsorted((steps[1:] + steps[:-1]) / 2, samples, side="right")].astype(
        np.uint8
    )
    return codes


_LEVELS = {AudioCodec.PCMU: _mu_law(), AudioCodec.PCMA: _a_law()}
_CODES = {codec: _nearest(levels) for codec, levels in _LEVELS.items()}


class G711Encoder:
    """48 kHz in, G.711 out; an `Encoder`.

    Args:
        codec: PCMU or PCMA.
    """

    def __init__(self, codec: AudioCodec) -> None:
        self._codes = _CODES[codec]
        self._down = Downsampler()

    def encode(self, samples: Samples) -> bytes:
        """One byte for every six samples; any multiple of six will do."""
        return self._codes[self._down.process(samples).view(np.uint16)].tobytes()


class G711Decoder:
    """G.711 in, 48 kHz out; a `Decoder`.

    Args:
        codec: PCMU or PCMA.
    """

    clock_hz = NARROW_HZ
    quantum = FACTOR

    def __init__(self, codec: AudioCodec) -> None:
        self._levels = _LEVELS[codec]
        self.reset()

    def reset(self) -> None:
        """Forget the past: another stream begins."""
        self._up = Upsampler()
        self._history = np.zeros(_HISTORY, dtype=np.int16)
        self._period: Samples | None = None
        self._concealed = 0

    def packet_samples(self, payload: bytes) -> int:
        """Length of a payload's audio in 48 kHz samples; 0 when it is empty or longer than 120 ms."""
        return len(payload) * FACTOR if len(payload) <= _MAX_PAYLOAD else 0

    def spare_samples(self, payload: bytes) -> int:
        """Nothing: the codec has no in-band FEC."""
        del payload
        return 0

    def decode(self, payload: bytes) -> Samples:
        """A payload's audio, 48 kHz mono.

        Raises:
            PayloadError: The payload is empty or longer than 120 ms.
        """
        if not self.packet_samples(payload):
            raise PayloadError(f"decoding a G.711 packet of {len(payload)} bytes: 1 to {_MAX_PAYLOAD} are expected")
        samples = self._up.process(self._levels[np.frombuffer(payload, dtype=np.uint8)])
        self._history = np.concatenate((self._history, samples))[-_HISTORY:]
        self._period, self._concealed = None, 0
        return samples

    def restore(self, next_payload: bytes, samples: int) -> Samples:
        """Conceal: there is no second copy in `next_payload`."""
        del next_payload
        return self.conceal(samples)

    def conceal(self, samples: int) -> Samples:
        """Repeat the last pitch period, fading out over 60 ms of unbroken loss."""
        if self._period is None:
            lag, _ = best_lag(self._history[::-1])
            self._period = self._history[-lag:]
        at = self._concealed + np.arange(samples)
        self._concealed += samples
        gain = np.clip(1 - at / _FADE_SAMPLES, 0, 1)
        out: Samples = (self._period[at % len(self._period)] * gain).astype(np.int16)
        return out
