"""The one binding to libopus: encode, decode, conceal, restore from in-band FEC.

PyAV carries a libopus with its full interface (`facts/aiortc.md` §3), found beside its package; the system's
``libopus.so.0`` is the fallback. Everything is 48 kHz mono. State and buffers are allocated once per encoder or
decoder; the library is called without the interpreter's lock.
"""

import ctypes
import functools
import importlib.util
from ctypes import POINTER, c_char_p, c_int, c_int32, c_ubyte, c_void_p
from pathlib import Path

import numpy as np

from connector.audio.coding import PayloadError
from connector.audio.frames import RATE_HZ, TICK_SAMPLES, Samples, peak
from connector.base.errors import UnavailableError
from connector.base.redact import redact

_SYSTEM_NAME = "libopus.so.0"
_REMEDY = "install libopus (Debian: apt-get install libopus0), or PyAV from its wheel, which carries it"

# opus_defines.h
_OK = 0
_APPLICATION_VOIP = 2048
_WIDEBAND, _FULLBAND = 1103, 1105
_SET_BITRATE = 4002
_SET_MAX_BANDWIDTH = 4004
_SET_COMPLEXITY = 4010
_SET_INBAND_FEC = 4012
_SET_PACKET_LOSS_PERC = 4014

_MAX_PAYLOAD = 1275
"""Largest Opus frame in bytes (RFC 6716 §3.2.1); an encoder of 20 ms frames makes one frame per packet."""
_MAX_FRAMES = 48
"""Most frames in one packet (RFC 6716 §3.2.5)."""
_MAX_SAMPLES = 5760
"""Longest packet: 120 ms (RFC 6716 §3.2.5)."""
QUANTUM = 120
"""The library conceals and restores in multiples of 2.5 ms."""
_FRAME_SAMPLES = frozenset({120, 240, 480, 960, 1920, 2880})
"""Frames of 2.5 to 60 ms (RFC 6716 §2.1.4)."""
_CELT_ONLY = 0x80
"""Set in the TOC byte of packets without a SILK part, which carries the FEC (RFC 6716 §3.1)."""
_STEREO = 0x04
_FRAMES_CODE = 0x03
_FRAMES_COUNT = 0x3F
_TOC_SAMPLES = (*(480, 960, 1920, 2880) * 3, *(480, 960) * 2, *(120, 240, 480, 960) * 4)
"""Frame length by configuration number, in 48 kHz samples (RFC 6716 table 2)."""
_SILK_FRAME = 960
"""A SILK frame is 20 ms; longer Opus frames hold two or three (RFC 6716 §4.2.2)."""

_STILL_PACKETS = 10
_STILL_PEAK = 1
"""After ten packets of the same bytes that decode to silence, give or take one, another one makes the same of the same
state: it is not decoded. Most agents send such packets whenever they listen."""

_CHECK_FRAMES = 10
"""200 ms of a voiced sound: the encoder takes it for speech, and has not yet got used to it."""

_PROTOTYPES: dict[str, tuple[object, list[object]]] = {
    "opus_get_version_string": (c_char_p, []),
    "opus_encoder_get_size": (c_int, [c_int]),
    "opus_encoder_init": (c_int, [c_void_p, c_int32, c_int, c_int]),
    "opus_encoder_ctl": (c_int, [c_void_p, c_int, c_int32]),
    "opus_encode": (c_int32, [c_void_p, c_void_p, c_int, c_void_p, c_int32]),
    "opus_decoder_get_size": (c_int, [c_int]),
    "opus_decoder_init": (c_int, [c_void_p, c_int32, c_int]),
    "opus_decode": (c_int, [c_void_p, c_char_p, c_int32, c_void_p, c_int, c_int]),
    "opus_packet_parse": (
        c_int,
        [c_char_p, c_int32, POINTER(c_ubyte), POINTER(c_void_p), POINTER(ctypes.c_int16), POINTER(c_int)],
    ),
}


def find_libopus() -> list[str]:
    """Where libopus may be, the best first: PyAV's own copy, then the system's."""
    spec = importlib.util.find_spec("av")
    found: list[str] = []
    if spec is not None and spec.origin is not None:
        beside = Path(spec.origin).parent.parent / "av.libs"
        found = [str(path) for path in sorted(beside.glob("libopus-*.so*"))]
    return [*found, _SYSTEM_NAME]


@functools.cache
def load() -> ctypes.CDLL:
    """The library with its argument types set; opened once per process.

    Raises:
        UnavailableError: There is none, or none that has all functions.
    """
    problems = []
    for name in find_libopus():
        try:
            library = ctypes.CDLL(name)
            for function, (result, arguments) in _PROTOTYPES.items():
                entry = getattr(library, function)
                entry.restype, entry.argtypes = result, arguments
        except (OSError, AttributeError) as error:
            problems.append(redact(error))
        else:
            return library
    raise UnavailableError(f"loading libopus: {'; '.join(problems)}: {_REMEDY}")


def packet_samples(payload: bytes) -> int:
    """Length of a packet's audio in 48 kHz samples; 0 when it is empty or malformed (RFC 6716 §3.1, §3.2).

    As `opus_packet_get_nb_samples` says it, at a third of the time.
    """
    if not payload:
        return 0
    frames = (1, 2, 2, 0)[payload[0] & _FRAMES_CODE]
    if not frames:
        frames = payload[1] & _FRAMES_COUNT if len(payload) > 1 else 0
    samples = frames * _TOC_SAMPLES[payload[0] >> 3]
    return samples if samples <= _MAX_SAMPLES else 0


def has_fec(payload: bytes) -> bool:
    """Whether the packet carries a second, coarser copy of the frame before it (in-band FEC, called LBRR).

    `opus_packet_has_lbrr` says the same but came only with libopus 1.5; this reads the header of the first SILK frame
    itself: per channel one voice-activity bit for each 20 ms, then the LBRR flag (RFC 6716 §4.2.3, §4.2.4).
    """
    if not payload or payload[0] & _CELT_ONLY:
        return False
    sizes = (ctypes.c_int16 * _MAX_FRAMES)()
    offset = c_int()
    if load().opus_packet_parse(payload, len(payload), None, None, sizes, ctypes.byref(offset)) <= 0 or not sizes[0]:
        return False
    header = payload[offset.value]
    activity_bits = max(1, frame_samples(payload) // _SILK_FRAME)
    mid = bool(header >> (7 - activity_bits) & 1)
    return mid or (bool(payload[0] & _STEREO) and bool(header >> (6 - 2 * activity_bits) & 1))


def frame_samples(payload: bytes) -> int:
    """Length of one frame of a non-empty packet, in 48 kHz samples; a packet may hold several."""
    return _TOC_SAMPLES[payload[0] >> 3]


class OpusEncoder:
    """Mono speech encoder (application voip).

    Args:
        bitrate: Bits per second. As wideband, 64 kbit/s cost 77 µs per frame where 32 cost 72, and halve the spectral
            distance of the demo's voices (in 24 bands up to 7 kHz: 1.7 against 3.0 dB).
        wideband: Code speech up to 8 kHz, which is what agents listen to, and nothing above: without it the library
            adds a second coder for the rest from 40 kbit/s on, for 20 µs more and a distance of 2.1 dB.
        complexity: 0 to 10. At 5 a frame costs 185 µs, for 1.2 dB instead of 1.7; at 32 kbit/s 5 is worse than 1 is
            here (2.2 dB).
        fec: Whether packets carry a second copy of the frame before them.
        packet_loss_percent: Loss to be ready for. libopus sends no second copies at 5 or less
            (`facts/aiortc.md`, What to build).

    Raises:
        UnavailableError: There is no libopus.
    """

    def __init__(
        self,
        *,
        bitrate: int = 64_000,
        wideband: bool = True,
        complexity: int = 1,
        fec: bool = True,
        packet_loss_percent: int = 10,
    ) -> None:
        self._library = load()
        self._state = ctypes.create_string_buffer(self._library.opus_encoder_get_size(1))
        self._check("opus_encoder_init", self._library.opus_encoder_init(self._state, RATE_HZ, 1, _APPLICATION_VOIP))
        for request, value in (
            (_SET_BITRATE, bitrate),
            (_SET_MAX_BANDWIDTH, _WIDEBAND if wideband else _FULLBAND),
            (_SET_COMPLEXITY, complexity),
            (_SET_INBAND_FEC, int(fec)),
            (_SET_PACKET_LOSS_PERC, packet_loss_percent),
        ):
            self._check(f"opus_encoder_ctl {request}", self._library.opus_encoder_ctl(self._state, request, value))
        self._input = np.zeros(max(_FRAME_SAMPLES), dtype=np.int16)
        self._input_at = self._input.ctypes.data
        self._output = ctypes.create_string_buffer(_MAX_PAYLOAD)

    @staticmethod
    def _check(what: str, code: int) -> None:
        if code != _OK:
            raise UnavailableError(f"setting up the Opus encoder: {what} answered {code}: {_REMEDY}")

    def encode(self, samples: Samples) -> bytes:
        """One packet for one frame.

        Args:
            samples: 2.5, 5, 10, 20, 40 or 60 ms of 48 kHz mono int16.

        Raises:
            ValueError: Another length.
        """
        count = len(samples)
        if count not in _FRAME_SAMPLES:
            raise ValueError(f"an Opus frame has 120, 240, 480, 960, 1920 or 2880 samples, not {count}")
        self._input[:count] = samples
        length = self._library.opus_encode(self._state, self._input_at, count, self._output, _MAX_PAYLOAD)
        if length <= 0:
            raise ValueError(f"opus_encode answered {length}")
        return ctypes.string_at(self._output, length)


class OpusDecoder:
    """Mono decoder for packets of 2.5 to 120 ms, mono or stereo, in any mode; a `Decoder`.

    Raises:
        UnavailableError: There is no libopus.
    """

    clock_hz = RATE_HZ
    quantum = QUANTUM

    def __init__(self) -> None:
        self._library = load()
        self._state = ctypes.create_string_buffer(self._library.opus_decoder_get_size(1))
        self._output = np.zeros(_MAX_SAMPLES, dtype=np.int16)
        self._output_at = self._output.ctypes.data
        self.reset()

    def reset(self) -> None:
        """Forget the past: another stream begins."""
        self._still_payload: bytes | None = None
        self._still_packets = 0
        code = self._library.opus_decoder_init(self._state, RATE_HZ, 1)
        if code != _OK:
            raise UnavailableError(f"setting up the Opus decoder: opus_decoder_init answered {code}: {_REMEDY}")

    def packet_samples(self, payload: bytes) -> int:
        """Length of a packet's audio in 48 kHz samples; 0 when it is empty or malformed."""
        return packet_samples(payload)

    def spare_samples(self, payload: bytes) -> int:
        """How much of the audio before this packet it carries a second time: one frame, or nothing."""
        return frame_samples(payload) if has_fec(payload) else 0

    def decode(self, payload: bytes) -> Samples:
        """A packet's audio, 48 kHz mono; stereo is mixed down by the library.

        Raises:
            PayloadError: The packet is empty or malformed.
        """
        if not payload:
            raise PayloadError("decoding an Opus packet: it is empty")
        if payload == self._still_payload and self._still_packets >= _STILL_PACKETS:
            return self._output[: packet_samples(payload)].copy()
        samples = self._run(payload, _MAX_SAMPLES, fec=0)
        if payload == self._still_payload and peak(samples) <= _STILL_PEAK:
            self._still_packets += 1
        else:
            self._still_payload, self._still_packets = payload, 0
        return samples

    def restore(self, next_payload: bytes, samples: int) -> Samples:
        """The audio just before a packet, from the second copy in it; concealed where it carries none.

        Args:
            next_payload: The packet after the missing audio.
            samples: How much is missing; a multiple of 120, at most 5760. The copy reaches back one frame, what is
                before it is concealed.
        """
        if not next_payload:
            return self.conceal(samples)
        try:
            return self._run(next_payload, samples, fec=1)
        except PayloadError:
            return self.conceal(samples)

    def conceal(self, samples: int) -> Samples:
        """Continue what was decoded last (PLC), or its comfort noise after a DTX packet.

        Args:
            samples: A multiple of 120, at most 5760.
        """
        return self._run(None, samples, fec=0)

    def _run(self, payload: bytes | None, samples: int, *, fec: int) -> Samples:
        length = len(payload) if payload else 0
        if payload is None or fec:
            self._still_payload = None
        made = self._library.opus_decode(self._state, payload, length, self._output_at, samples, fec)
        if made <= 0:
            raise PayloadError(f"decoding an Opus packet of {length} bytes: opus_decode answered {made}")
        return self._output[:made].copy()


def self_check() -> str:
    """Encode, decode, conceal and restore once, as a session will.

    Returns:
        The library's version, such as ``libopus 1.6.1``.

    Raises:
        UnavailableError: There is no libopus, or it does not do its work.
    """
    version = str(load().opus_get_version_string(), "ascii", "replace")
    time_s = np.arange(_CHECK_FRAMES * TICK_SAMPLES) / RATE_HZ
    orders = np.arange(1, 20)[:, None]
    voiced = (np.sin(2 * np.pi * 140 * orders * time_s) / orders).sum(axis=0)
    encoder, decoder = OpusEncoder(), OpusDecoder()
    packets = [encoder.encode(frame) for frame in (6000 * voiced).astype(np.int16).reshape(-1, TICK_SAMPLES)]
    try:
        decoded = [decoder.decode(packet) for packet in packets[:-2]]
        made = {
            "decoded audio": decoded[-1],
            "restored audio": decoder.restore(packets[-1], TICK_SAMPLES),
            "concealed audio": decoder.conceal(TICK_SAMPLES),
        }
    except PayloadError as error:
        raise UnavailableError(f"checking {version}: {error}: {_REMEDY}") from None
    missing = [name for name, samples in made.items() if len(samples) != TICK_SAMPLES or not samples.any()]
    if not has_fec(packets[-1]):
        missing.append("in-band FEC")
    if missing:
        raise UnavailableError(f"checking {version}: it made no {', '.join(missing)}: {_REMEDY}")
    return version
