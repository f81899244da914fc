"""From a rule to the engine's orders."""

from connector.base.trigger import Trigger
from connector.config.load import load_text
from connector.control.orders import configure_order, start_order
from connector.control.seen import RoomSeen

CONFIG = load_text(
    """
livekit: {url: "ws://127.0.0.1:7880"}
millis:
  url: "http://127.0.0.1:8090"
  auth: raw
  ice_servers: [{urls: "turn:turn.example.com", username: "u", credential_file: "/run/turn"}]
worker: {max_sessions: 7}
rooms:
  - room: "lobby"
    agent: "a1"
    participant: {identity: "bot", name: "Bot"}
    listen: {sources: [microphone, screen_share_audio], exclude: ["rec-*"], gain_db: {"sip_*": 6}}
    leave_after: 20s
    max_duration: 1h
    on_agent_hangup: close_room
    reconnect: {attempts: 2, within: 1m}
    agent_silence: 40s
    metadata: {"customer": "c1"}
""",
    environ={},
).config


def test_every_setting_of_a_rule_reaches_the_engine() -> None:
    """Nothing that a rule says about a session is lost on the way."""
    order = start_order(CONFIG.rules[0], RoomSeen("lobby", "RM_1"), "a1", "s1", trigger=Trigger.RECONCILE)
    assert order.model_dump(exclude={"type"}) == {
        "session_id": "s1",
        "room": "lobby",
        "trigger": "reconcile",
        "agent_id": "a1",
        "fenced": False,
        "identity": "bot",
        "name": "Bot",
        "listen": {
            "sources": ("microphone", "screen_share_audio"),
            "include": ("*",),
            "exclude": ("rec-*",),
            "gain_db": {"sip_*": 6.0},
        },
        "join": "human",
        "min_humans": 1,
        "leave_after_s": 20.0,
        "max_duration_s": 3600.0,
        "on_agent_hangup": "close_room",
        "reconnect_attempts": 2,
        "reconnect_within_s": 60.0,
        "agent_silence_s": 40.0,
        "metadata": {"customer": "c1"},
    }


def test_what_all_sessions_share_reaches_the_engine() -> None:
    """URLs, the form of the key, ICE servers and the capacity; a credential stays in its file."""
    assert configure_order(CONFIG, "w1").model_dump(exclude={"type"}) == {
        "worker_id": "w1",
        "livekit_url": "ws://127.0.0.1:7880",
        "millis_url": "http://127.0.0.1:8090",
        "millis_auth": "raw",
        "ice_servers": ({"urls": ("turn:turn.example.com",), "username": "u", "credential_file": "/run/turn"},),
        "max_sessions": 7,
    }
