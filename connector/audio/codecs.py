"""One codec for each that an answer may pick."""

from connector.audio.coding import Decoder, Encoder
from connector.audio.g711 import G711Decoder, G711Encoder
from connector.audio.opus import OpusDecoder, OpusEncoder
from connector.base.legs import AudioCodec


def make_encoder(codec: AudioCodec) -> Encoder:
    """A fresh encoder of 20 ms frames: 48 kHz mono in, payloads out."""
    return OpusEncoder() if codec is AudioCodec.OPUS else G711Encoder(codec)


def make_decoder(codec: AudioCodec) -> Decoder:
    """A fresh decoder: payloads in, 48 kHz mono out."""
    return OpusDecoder() if codec is AudioCodec.OPUS else G711Decoder(codec)
