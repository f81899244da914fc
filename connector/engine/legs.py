"""Makes the real legs of a session from control's messages and this process's secrets, read anew for every leg."""

from collections.abc import Callable
from pathlib import Path

from connector.audio.frames import AudioInputs, MediaPacket
from connector.base.people import ListenRule
from connector.base.secrets import read_secret
from connector.engine.secrets import EngineSecrets
from connector.messages.types import Configure, IceServerSpec, ListenSpec, StartSession
from connector.millis.leg import MillisAgentLeg
from connector.millis.offer import OfferClient
from connector.millis.options import AgentLegOptions, IceServer
from connector.room.leg import LiveKitRoomLeg, RoomLegOptions
from connector.session.legs import AgentLeg, RoomLeg


class RealLegs:
    """A `LegFactory` of LiveKit and Millis legs for one session.

    Args:
        start: The session's orders.
        shared: What all sessions of this engine share.
        client: Posts the offers of this engine.
        secrets: Gives the secrets of this engine.
    """

    def __init__(self, start: StartSession, shared: Configure, client: OfferClient, secrets: EngineSecrets) -> None:
        self._start = start
        self._shared = shared
        self._client = client
        self._secrets = secrets

    def room_leg(self, inputs: AudioInputs) -> RoomLeg:
        """A new LiveKit leg."""
        start, secrets = self._start, self._secrets.read()
        options = RoomLegOptions(
            url=self._shared.livekit_url,
            api_key=secrets.livekit_api_key.reveal(),
            api_secret=secrets.livekit_api_secret,
            room=start.room,
            identity=start.identity,
            name=start.name,
            worker_id=self._shared.worker_id,
            fenced=start.fenced,
            listen=listen_rule(start.listen),
        )
        return LiveKitRoomLeg(options, inputs)

    def agent_leg(self, on_packet: Callable[[MediaPacket], None]) -> AgentLeg:
        """A new Millis leg."""
        options = AgentLegOptions(
            url=self._shared.millis_url,
            key=self._secrets.read().millis_private_key,
            auth=self._shared.millis_auth,
            agent_id=self._start.agent_id,
            metadata=self._start.metadata,
            ice_servers=tuple(ice_server(server) for server in self._shared.ice_servers),
            agent_silence_s=self._start.agent_silence_s,
        )
        return MillisAgentLeg(options, self._client, on_packet)


def listen_rule(spec: ListenSpec) -> ListenRule:
    """The listening rule of a message, in the form that is applied to participants."""
    return ListenRule(spec.sources, spec.include, spec.exclude, spec.gain_db)


def ice_server(spec: IceServerSpec) -> IceServer:
    """Read a server's credential from its file.

    Raises:
        ConfigError: The file cannot be read.
    """
    credential = None
    if spec.credential_file is not None:
        credential = read_secret("CREDENTIAL", {"CREDENTIAL_FILE": str(Path(spec.credential_file))})
    return IceServer(urls=spec.urls, username=spec.username, credential=credential)
