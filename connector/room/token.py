"""The token with which the connector joins a room: nothing in it that is not needed."""

from collections.abc import Mapping
from datetime import timedelta

from livekit import api

from connector.base.secrets import Secret

TOKEN_TTL = timedelta(minutes=10)
"""How long a join may be tried with it. A connected participant is given fresh ones by the server."""


def join_token(
    *,
    api_key: str,
    api_secret: Secret,
    room: str,
    identity: str,
    name: str,
    attributes: Mapping[str, str] | None = None,
) -> str:
    """Make a join token.

    Kind ``agent`` (it does not hold the room open, and stock UIs show it), one microphone track, may change its own
    attributes (without that right LiveKit drops the change silently), no data, no ``agent`` grant (that would allow
    registering workers).

    Args:
        api_key: The LiveKit key's id.
        api_secret: Its secret.
        room: The one room.
        identity: Our identity in it.
        name: Our display name.
        attributes: Attributes that are there from the first moment.

    Returns:
        The signed JWT.
    """
    grants = api.VideoGrants(
        room_join=True,
        room=room,
        can_publish=True,
        can_publish_sources=["microphone"],
        can_subscribe=True,
        can_publish_data=False,
        can_update_own_metadata=True,
    )
    token = api.AccessToken(api_key, api_secret.reveal()).with_identity(identity).with_name(name).with_kind("agent")
    return token.with_grants(grants).with_attributes(dict(attributes or {})).with_ttl(TOKEN_TTL).to_jwt()
