"""The real legs, as far as they can be seen without a server."""

from pathlib import Path

import pytest

from connector.base.errors import ConfigError
from connector.base.people import ListenRule
from connector.base.secrets import Secret
from connector.engine.legs import RealLegs, ice_server, listen_rule
from connector.engine.secrets import EngineSecrets
from connector.messages.types import Configure, IceServerSpec, ListenSpec, StartSession
from connector.millis.leg import MillisAgentLeg
from connector.millis.offer import OfferClient
from connector.room.leg import LiveKitRoomLeg
from tests.unit.test_room_leg import NoInputs

START = StartSession(
    session_id="s1",
    room="lobby",
    trigger="reconcile",
    agent_id="a1",
    identity="millis-agent",
    name="Agent",
    listen=ListenSpec(exclude=("recorder-*",)),
    leave_after_s=10,
    max_duration_s=600,
    reconnect_attempts=1,
    reconnect_within_s=60,
    agent_silence_s=30,
)
SHARED = Configure(worker_id="w1", livekit_url="ws://127.0.0.1:1", millis_url="http://127.0.0.1:1")


async def test_every_leg_is_opened_with_the_secrets_of_its_time(tmp_path: Path) -> None:
    """A rotated file is used by the next leg, of LiveKit and of Millis, without a restart."""
    names = ("LIVEKIT_API_KEY", "LIVEKIT_API_SECRET", "MILLIS_PRIVATE_KEY")
    client = OfferClient()
    legs = RealLegs(START, SHARED, client, EngineSecrets({f"{name}_FILE": str(tmp_path / name) for name in names}))
    for letter in "on":
        for name in names:
            (tmp_path / name).write_text(f"{name}-{letter * 32}")
        room, agent = legs.room_leg(NoInputs()), legs.agent_leg(lambda _: None)
        assert isinstance(room, LiveKitRoomLeg)
        assert isinstance(agent, MillisAgentLeg)
        assert room._options.api_key == f"LIVEKIT_API_KEY-{letter * 32}"
        assert room._options.api_secret == Secret(f"LIVEKIT_API_SECRET-{letter * 32}")
        assert room._options.listen == ListenRule(exclude=("recorder-*",))
        assert agent._options.key == Secret(f"MILLIS_PRIVATE_KEY-{letter * 32}")
        await room.close()
        await agent.close()
    await client.close()


def test_a_listening_rule_survives_the_pipe() -> None:
    """Every part of the message stands in the rule."""
    spec = ListenSpec(sources=("screen_share_audio",), include=("a*",), exclude=("ab",), gain_db={"a?": 6.0})
    assert listen_rule(spec) == ListenRule(("screen_share_audio",), ("a*",), ("ab",), {"a?": 6.0})


def test_a_credential_is_read_from_its_file(tmp_path: Path) -> None:
    """Only the path travels; a file that is gone is an error that names it."""
    file = tmp_path / "turn"
    file.write_text("turn-credential\n")
    spec = IceServerSpec(urls=("turn:a.b",), username="u", credential_file=str(file))
    assert ice_server(spec).credential == Secret("turn-credential")
    assert ice_server(IceServerSpec(urls=("stun:a.b",))).credential is None
    file.unlink()
    with pytest.raises(ConfigError, match="cannot read"):
        ice_server(spec)
