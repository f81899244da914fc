"""The token with which the connector joins."""

import jwt

from connector.base.secrets import Secret
from connector.room.token import join_token

SECRET = Secret("a-secret-that-is-long-enough-for-hs256-really")


def test_the_token_holds_what_is_needed_and_no_more() -> None:
    """One room, a microphone, hearing, own attributes; kind agent; ten minutes; no data and no worker right."""
    token = join_token(
        api_key="key",
        api_secret=SECRET,
        room="front-desk",
        identity="millis-agent",
        name="Agent",
        attributes={"connector.worker": "w1"},
    )
    claims = jwt.decode(token, SECRET.reveal(), algorithms=["HS256"], issuer="key")
    assert claims["video"] == {
        "roomJoin": True,
        "room": "front-desk",
        "canPublish": True,
        "canPublishSources": ["microphone"],
        "canSubscribe": True,
        "canPublishData": False,
        "canUpdateOwnMetadata": True,
    }
    assert claims["exp"] - claims["nbf"] == 600
    assert {key: claims[key] for key in ("sub", "name", "kind", "attributes")} == {
        "sub": "millis-agent",
        "name": "Agent",
        "kind": "agent",
        "attributes": {"connector.worker": "w1"},
    }
    assert not {"agent", "roomConfig", "sip", "metadata"} & claims.keys()
