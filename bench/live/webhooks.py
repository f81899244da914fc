"""Webhooks as LiveKit writes and signs them."""

import base64
import hashlib
import json
import time
import uuid

import jwt


def event(name: str, room: str, identity: str) -> bytes:
    """The body of a new event."""
    body = {
        "event": name,
        "id": f"EV_{uuid.uuid4().hex[:12]}",
        "createdAt": str(int(time.time())),
        "room": {"sid": f"RM_{room}", "name": room},
        "participant": {"sid": f"PA_{identity}", "identity": identity},
    }
    return json.dumps(body).encode()


def signed(body: bytes, key: tuple[str, str]) -> str:
    """The `Authorization` header for a body, by the id and the secret of a key."""
    now = int(time.time())
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    return jwt.encode({"iss": key[0], "nbf": now, "exp": now + 300, "sha256": digest}, key[1], algorithm="HS256")
