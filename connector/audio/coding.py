"""What every codec looks like to the send and the receive path, whichever one the agent's answer picked."""

from typing import Protocol

from connector.audio.frames import Samples
from connector.base.errors import ConnectorError


class PayloadError(ConnectorError):
    """A payload that the codec cannot make audio of."""


class Encoder(Protocol):
    """Turns 48 kHz audio into RTP payloads; keeps state from frame to frame."""

    def encode(self, samples: Samples) -> bytes:
        """One payload for one frame of 48 kHz mono int16."""


class Decoder(Protocol):
    """Turns RTP payloads into 48 kHz audio; keeps state from packet to packet.

    Attributes:
        clock_hz: Rate of the RTP timestamps.
        quantum: What `restore` and `conceal` can make is a multiple of this many 48 kHz samples.
    """

    clock_hz: int
    quantum: int

    def packet_samples(self, payload: bytes) -> int:
        """Length of a payload's audio in 48 kHz samples; 0 when it cannot be decoded."""

    def spare_samples(self, payload: bytes) -> int:
        """How much of the audio before this payload it carries a second time (in-band FEC), in 48 kHz samples."""

    def decode(self, payload: bytes) -> Samples:
        """A payload's audio, 48 kHz mono.

        Raises:
            PayloadError: It cannot be decoded; the decoder is as it was and may conceal.
        """

    def restore(self, next_payload: bytes, samples: int) -> Samples:
        """The audio just before `next_payload`, from the second copy in it; concealed where it carries none."""

    def conceal(self, samples: int) -> Samples:
        """Audio that continues what was decoded last, where nothing was received."""

    def reset(self) -> None:
        """Forget the past: another stream begins."""
