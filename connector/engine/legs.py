"""Makes the real legs of a session from control's messages and this process's secrets."""

from collections.abc import Callable
from pathlib import Path

from connector.audio.frames import AudioInputs, MediaPacket
from connector.base.errors import ConfigError
from connector.base.people import ListenRule
from connector.base.secrets import Secret, read_secret
from connector.messages.types import Configure, IceServerSpec, StartSession
from connector.millis.leg import MillisAgentLeg
from connector.millis.offer import OfferClient
from connector.millis.options import AgentLegOptions, IceServer
from connector.room.leg import LiveKitRoomLeg, RoomLegOptions
from connector.session.legs import AgentLeg, RoomLeg


def required_secret(name: str) -> Secret:
    """The secret `name` of this process.

    Raises:
        ConfigError: It is not set.
    """
    secret = read_secret(name)
    if secret is None:
        raise ConfigError([f"{name} is not set: set it, or name a file that holds it in {name}_FILE"])
    return secret


class RealLegs:
    """A `LegFactory` of LiveKit and Millis legs for one session.

    Args:
        start: The session's orders.
        shared: What all sessions of this engine share.
        client: Posts the offers of this engine.
    """

    def __init__(self, start: StartSession, shared: Configure, client: OfferClient) -> None:
        self._start = start
        self._shared = shared
        self._client = client

    def room_leg(self, inputs: AudioInputs) -> RoomLeg:
        """A new LiveKit leg."""
        start, listen = self._start, self._start.listen
        options = RoomLegOptions(
            url=self._shared.livekit_url,
            api_key=required_secret("LIVEKIT_API_KEY").reveal(),
            api_secret=required_secret("LIVEKIT_API_SECRET"),
            room=start.room,
            identity=start.identity,
            name=start.name,
            worker_id=self._shared.worker_id,
            fenced=start.fenced,
            listen=ListenRule(
                sources=listen.sources,
                include=listen.include,
                exclude=listen.exclude,
                gain_db=listen.gain_db,
            ),
        )
        return LiveKitRoomLeg(options, inputs)

    def agent_leg(self, on_packet: Callable[[MediaPacket], None]) -> AgentLeg:
        """A new Millis leg."""
        options = AgentLegOptions(
            url=self._shared.millis_url,
            key=required_secret("MILLIS_PRIVATE_KEY"),
            auth=self._shared.millis_auth,
            agent_id=self._start.agent_id,
            metadata=self._start.metadata,
            ice_servers=tuple(ice_server(server) for server in self._shared.ice_servers),
            agent_silence_s=self._start.agent_silence_s,
        )
        return MillisAgentLeg(options, self._client, on_packet)


def ice_server(spec: IceServerSpec) -> IceServer:
    """Read a server's credential from its file.

    Raises:
        ConfigError: The file cannot be read.
    """
    credential = None
    if spec.credential_file is not None:
        credential = read_secret("CREDENTIAL", {"CREDENTIAL_FILE": str(Path(spec.credential_file))})
    return IceServer(urls=spec.urls, username=spec.username, credential=credential)
