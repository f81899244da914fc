"""From mixed ticks to RTP payloads for the agent.

The stream never pauses. While the mix is silent a cached packet goes out, but only after five silent frames were really
encoded: switched at once, the next onset would be off by -8 dB in its first 20 ms, after five by -79 dB
(`facts/aiortc.md`, What to build). The encoder is kept, so its state is that of the silence it last encoded.
"""

from dataclasses import dataclass

from connector.audio.codecs import make_encoder
from connector.audio.frames import TICK_SAMPLES, Samples, is_silent
from connector.base.legs import AudioCodec

SILENT_FRAMES = 5


@dataclass(frozen=True, slots=True)
class OutgoingPacket:
    """One tick, encoded.

    Attributes:
        payload: The RTP payload.
        timestamp: Start of the tick in units of 1/48000 s, never going back, whatever the codec.
        silent: Whether this is the cached silence.
    """

    payload: bytes
    timestamp: int
    silent: bool


class SendPath:
    """Encodes the ticks of one agent leg.

    Args:
        codec: What the answer picked.
    """

    def __init__(self, codec: AudioCodec) -> None:
        self._encoder = make_encoder(codec)
        self._timestamp = 0
        self._silent_frames = 0
        self._silence = b""

    def encode(self, samples: Samples) -> OutgoingPacket:
        """Encode one tick.

        Args:
            samples: 960 samples, 48 kHz mono int16.
        """
        timestamp = self._timestamp
        self._timestamp += TICK_SAMPLES
        if not is_silent(samples):
            self._silent_frames = 0
            return OutgoingPacket(self._encoder.encode(samples), timestamp, silent=False)
        if self._silent_frames < SILENT_FRAMES:
            self._silent_frames += 1
            self._silence = self._encoder.encode(samples)
            return OutgoingPacket(self._silence, timestamp, silent=False)
        return OutgoingPacket(self._silence, timestamp, silent=True)
