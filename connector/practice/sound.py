"""Sound for practice: the committed clips, WAV files, tones, change of pitch. Inside it is all 48 kHz mono int16."""

import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from connector.audio.frames import RATE_HZ, Samples
from connector.base.errors import UsageError

CLIPS = Path(__file__).parent / "clips"
"""The folder of the committed clips; `scripts/clips.sh` makes them."""
FULL_SCALE = 32_768.0
_SAMPLE_BYTES = 2
_TAPS_PER_PHASE = 24
"""Half width of the interpolation filter in input samples; a Kaiser window with beta 8 keeps images below -80 dB
(Oppenheim and Schafer, Discrete-Time Signal Processing, 7.5)."""
_KAISER_BETA = 8.0
_FLOOR_DBFS = -120.0


def read_wav(path: Path) -> Samples:
    """Read a mono 16-bit WAV whose rate divides 48 kHz.

    Returns:
        Its samples at 48 kHz, a new array.

    Raises:
        UsageError: The file is missing, is no such WAV, or has another rate.
    """
    try:
        with wave.open(str(path), "rb") as file:
            shape = (file.getnchannels(), file.getsampwidth())
            rate = file.getframerate()
            data = file.readframes(file.getnframes())
    except (OSError, EOFError, wave.Error) as error:
        raise UsageError(f"reading {path}: {error}: give a mono 16-bit WAV file") from None
    if shape != (1, _SAMPLE_BYTES) or RATE_HZ % rate:
        raise UsageError(
            f"reading {path}: {shape[0]} channels of {8 * shape[1]} bit at {rate} Hz: "
            "give mono 16 bit at 8, 16, 24 or 48 kHz"
        )
    return upsample(np.frombuffer(data, dtype="<i2").astype(np.int16), RATE_HZ // rate)


def write_wav(path: Path, samples: Samples) -> None:
    """Write 48 kHz mono int16 samples as a WAV file, making its folder if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(_SAMPLE_BYTES)
        file.setframerate(RATE_HZ)
        file.writeframes(samples.astype("<i2").tobytes())


def load_clip(name: str) -> Samples:
    """One of the committed clips, by its name without ``.wav``, at 48 kHz.

    Raises:
        UsageError: There is no such clip.
    """
    return read_wav(CLIPS / f"{name}.wav")


def tone(hz: float, seconds: float, dbfs: float = -6.0, *, phase: float = 0.0) -> Samples:
    """A sine tone whose peak stands at `dbfs`."""
    times = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return to_samples(10 ** (dbfs / 20) * FULL_SCALE * np.sin(2 * np.pi * hz * times + phase))


def silence(seconds: float) -> Samples:
    """Digital silence."""
    return np.zeros(round(seconds * RATE_HZ), dtype=np.int16)


def level_dbfs(samples: NDArray[np.int16] | NDArray[np.float64]) -> float:
    """The RMS level in dB below a full-scale square wave (a full-scale sine has -3.0); -120 for silence or nothing."""
    if not len(samples):
        return _FLOOR_DBFS
    rms = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
    return max(_FLOOR_DBFS, 20 * float(np.log10(max(rms, 1e-9) / FULL_SCALE)))


def to_samples(wide: NDArray[np.floating]) -> Samples:
    """Round to int16; what does not fit is clipped, never wrapped."""
    clipped: Samples = np.clip(np.rint(wide), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)
    return clipped


def upsample(samples: Samples, factor: int) -> Samples:
    """Raise the sampling rate by an integer factor (windowed-sinc interpolation), level and timing kept."""
    if factor == 1 or not len(samples):
        return samples.copy()
    half = _TAPS_PER_PHASE * factor
    taps = np.sinc(np.arange(-half, half + 1) / factor) * np.kaiser(2 * half + 1, _KAISER_BETA)
    spread = np.zeros(len(samples) * factor)
    spread[::factor] = samples
    return to_samples(np.convolve(spread, taps, mode="same"))


def shift_pitch(samples: Samples, semitones: float) -> Samples:
    """Play faster (up) or slower (down), as a tape would: pitch and length change, the level stays.

    Linear interpolation is enough for speech: at 48 kHz its loss is 0.1 dB at 3 kHz.
    """
    if not len(samples):
        return samples.copy()
    step = 2 ** (semitones / 12)
    positions = np.arange(0, max(len(samples) - 1, 0), step)
    return to_samples(np.interp(positions, np.arange(len(samples)), samples.astype(np.float64)))
