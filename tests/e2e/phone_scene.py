"""A SIP-shaped participant: what LiveKit SIP makes of a phone call, without a phone; it is not LiveKit SIP itself.

Kind SIP, the `sip.*` attributes of LiveKit's documentation, the narrow band of a telephone, keys by DTMF. It speaks
and hears through the real SDK, like every simulated person.
"""

import numpy as np
from livekit import api, rtc

from connector.audio.frames import RATE_HZ, Samples
from connector.practice.sound import to_samples
from connector.practice.speakers import Place, Speaker

BAND_HZ = (300.0, 3_400.0)
"""What G.711 telephony passes (ITU-T G.712)."""
_DTMF_CODES = {**{str(digit): digit for digit in range(10)}, "*": 10, "#": 11}
"""RFC 4733 §3.2."""


def narrow(samples: Samples) -> Samples:
    """Cut 48 kHz audio to the band of a telephone."""
    spectrum = np.fft.rfft(samples.astype(np.float64))
    hz = np.fft.rfftfreq(len(samples), 1 / RATE_HZ)
    spectrum[(hz < BAND_HZ[0]) | (hz > BAND_HZ[1])] = 0
    return to_samples(np.fft.irfft(spectrum, len(samples)))


class Phone(Speaker):
    """A phone call in a room. Async context manager: calls and hangs up.

    Attributes:
        cut_off: Why the call was ended from the other side (the name of LiveKit's reason); empty while it was not.
    """

    def __init__(
        self, place: Place, number: str, trunk: str, *, agents: tuple[api.RoomAgentDispatch, ...] = ()
    ) -> None:
        """Prepare a call, inside a running event loop.

        Args:
            place: Where it is put through to.
            number: The caller's number.
            trunk: The number that was called.
            agents: The room configuration of the SIP dispatch rule: agents that are called with the room's creation.
        """
        attributes = {
            "sip.callID": f"SCL_{number.removeprefix('+')}",
            "sip.callStatus": "active",
            "sip.phoneNumber": number,
            "sip.trunkPhoneNumber": trunk,
            "sip.trunkID": "ST_practice",
            "sip.ruleID": "SDR_practice",
        }
        super().__init__(place, f"sip_{number}", kind="sip", name=f"Phone {number}", attributes=attributes)
        self._agents = agents
        self.cut_off = ""
        self.room.on("disconnected", self._on_disconnected)

    async def press(self, digit: str) -> None:
        """Press a key: a DTMF event, as LiveKit SIP passes it on."""
        await self.room.local_participant.publish_dtmf(code=_DTMF_CODES[digit], digit=digit)

    def _on_disconnected(self, reason: rtc.DisconnectReason.ValueType) -> None:
        name = rtc.DisconnectReason.Name(reason)
        if name != "CLIENT_INITIATED":
            self.cut_off = name

    def _token(self) -> str:
        if not self._agents:
            return super()._token()
        token = api.AccessToken(self._place.api_key, self._place.api_secret.reveal())
        token.with_identity(self.identity).with_name(self._name).with_attributes(self._attributes)
        token.claims.kind = "sip"
        token.with_room_config(api.RoomConfiguration(agents=list(self._agents)))
        return token.with_grants(api.VideoGrants(room_join=True, room=self._place.room)).to_jwt()
