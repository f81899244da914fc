import pytest

from connector.config.changes import Change, applies_of, rule_changes, worker_changes
from connector.config.keys import keys_of
from connector.config.load import load_text
from connector.config.model import Applies, Config, Listen, RoomRule

FILE = """
livekit: {url: "wss://a.b"}
millis: {url: "https://a.b", ice_servers: []}
worker: {listen: "0.0.0.0:8080", events: {}}
rooms: [{room: "a", agent: "x"}]
"""


def _config(old: str = "", new: str = "") -> Config:
    return load_text(FILE.replace(old, new), environ={}).config


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("wss://a.b", "wss://c.d", "livekit.url"),
        ("https://a.b", "https://c.d", "millis.url"),
        ("ice_servers: []", "ice_servers: [{urls: 'stun:a'}]", "millis.ice_servers"),
        (":8080", ":8081", "worker.listen"),
        ("events: {}", 'events: {url: "https://a.b"}', "worker.events.url"),
    ],
)
def test_the_worker_and_its_urls_need_a_restart(old: str, new: str, key: str) -> None:
    """A reload can name each key that it cannot apply."""
    assert worker_changes(_config(), _config(old, new)) == [Change(key, Applies.RESTART)]


def test_the_same_configuration_has_no_changes() -> None:
    """Nothing differs from itself, and a rule is no matter of the worker."""
    assert worker_changes(_config(), _config('agent: "x"', 'agent: "y"')) == []
    assert rule_changes(RoomRule(room="a"), RoomRule(room="a")) == []


def test_listening_and_times_apply_to_live_sessions() -> None:
    """The design's list: listen, gain_db, leave_after, max_duration; the rest from the next session on."""
    old = RoomRule(room="a", agent="x")
    new = RoomRule(
        room="a", agent="y", leave_after=20.0, max_duration=60.0, listen=Listen(exclude=("b",), gain_db={"c": 3.0})
    )
    assert {change.key: change.applies for change in rule_changes(old, new)} == {
        "agent": Applies.NEXT_SESSION,
        "leave_after": Applies.LIVE,
        "max_duration": Applies.LIVE,
        "listen.exclude": Applies.LIVE,
        "listen.gain_db": Applies.LIVE,
    }


def test_every_key_says_when_its_change_applies() -> None:
    """Each key is marked, or stands in a block that is."""
    unmarked = {key.path for key in keys_of() if applies_of(key.field) is None and not key.blocks}
    marked = {key.path for key in keys_of() if applies_of(key.field) is not None}
    assert [path for path in unmarked if path[:-1] not in marked] == []
