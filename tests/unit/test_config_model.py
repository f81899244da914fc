"""The model of rooms.yaml, built in code."""

import pytest
from pydantic import BaseModel, ValidationError

from connector.base.people import ListenRule, Person
from connector.config.keys import keys_of
from connector.config.model import (
    AgentLookUp,
    Config,
    ConfigFile,
    IceServer,
    Listen,
    LiveKit,
    LookUp,
    Millis,
    RoomRule,
    RuleSettings,
    Source,
    Worker,
)

CONFIG = Config(
    livekit=LiveKit(url="wss://a.b"),
    millis=Millis(url="https://a.b"),
    worker=Worker(),
    rules=tuple(RoomRule(room=room) for room in ("b", "a*", "c", "b")),
)


def _blocks() -> list[type[BaseModel]]:
    return [ConfigFile, *(block for key in keys_of() for block in key.blocks)]


def test_every_block_is_closed_and_frozen() -> None:
    """An unknown key is an error everywhere, and nobody changes a configuration that others read."""
    for block in _blocks():
        assert block.model_config["extra"] == "forbid"
        assert block.model_config["frozen"] is True
    with pytest.raises(ValidationError, match="frozen"):
        CONFIG.worker.max_sessions = 3  # type: ignore[misc]
    with pytest.raises(ValidationError, match="Extra inputs"):
        Worker.model_validate({"engine": 3})


def test_any_key_of_a_rule_but_its_room_may_stand_in_defaults() -> None:
    """Rules and defaults have the same keys, kinds and descriptions."""
    assert set(RoomRule.model_fields) - set(RuleSettings.model_fields) == {"room"}
    assert next(iter(RoomRule.model_fields)) == "room"


def test_a_rule_knows_whether_it_is_exact() -> None:
    """A name without wildcards."""
    assert [rule.is_pattern for rule in CONFIG.rules] == [False, True, False, False]


def test_a_rule_offers_its_listening_part() -> None:
    """In the form that is applied to participants."""
    listen = Listen(sources=tuple(Source), include=("sip_*",), exclude=("sip_9",), gain_db={"sip_1": 6})
    rule = RoomRule(room="r", listen=listen).listen_rule
    assert rule == ListenRule(("microphone", "screen_share_audio"), ("sip_*",), ("sip_9",), {"sip_1": 6})
    assert rule.hears(Person("sip_1", "SIP"), "SOURCE_SCREENSHARE_AUDIO", "me")
    assert not rule.is_human(Person("sip_9", "SIP"), "me")


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"map": {"a": "b"}, "allow": ("c",)}, "found both"),
        ({}, "found neither"),
    ],
)
def test_a_look_up_is_limited_in_exactly_one_way(kwargs: dict[str, object], words: str) -> None:
    """A caller's attribute never becomes an agent id that the operator did not name."""
    with pytest.raises(ValidationError, match=words):
        AgentLookUp.model_validate({"from": LookUp.ROOM_METADATA, "key": "k", **kwargs})


def test_one_ice_url_may_stand_alone() -> None:
    """Like in a browser's configuration."""
    assert IceServer.model_validate({"urls": "stun:a.b"}).urls == ("stun:a.b",)
    assert IceServer.model_validate({"urls": ["stun:a.b", "stun:c.d"]}).urls == ("stun:a.b", "stun:c.d")


def test_two_free_ports_do_not_collide() -> None:
    """Port 0 twice is two different ports."""
    worker = Worker(listen="127.0.0.1:0", private_listen="127.0.0.1:0")
    assert worker.listen == worker.private_listen
