import pytest

from connector.config.digest import config_hash
from connector.config.dump import dump
from connector.config.load import load_text

FILE = """
livekit: {url: "wss://a.b"}
millis: {url: "https://a.b"}
rooms:
  - {room: "a", agent: "x", listen: {gain_db: {"b*": 1, "*": 2}}}
  - {room: "b", agent: "x"}
"""


def _hash(text: str, **environ: str) -> str:
    return config_hash(load_text(text, environ=environ).config)


@pytest.mark.parametrize(
    "same",
    [
        "# a comment\n" + FILE,
        FILE.replace('{room: "b", agent: "x"}', '{agent: "x", room: "b", leave_after: "10s"}'),
        FILE + "worker: {max_sessions: 10}\n",
        FILE.replace(', agent: "x"', "").replace("rooms:", 'defaults: {agent: "x"}\nrooms:'),
        dump(load_text(FILE, environ={}).config),
    ],
)
def test_the_same_meaning_has_the_same_hash(same: str) -> None:
    """Comments, the order of keys, inheritance and written-out defaults do not count."""
    assert _hash(same) == _hash(FILE)
    assert len(_hash(FILE)) == 12


@pytest.mark.parametrize(
    "other",
    [
        FILE.replace('agent: "x"', 'agent: "y"', 1),
        FILE.replace('{"b*": 1, "*": 2}', '{"*": 2, "b*": 1}'),
        FILE + "worker: {max_sessions: 11}\n",
    ],
)
def test_another_meaning_has_another_hash(other: str) -> None:
    """A value counts, and the order of patterns, of which the first that matches applies."""
    assert _hash(other) != _hash(FILE)


def test_the_environment_counts() -> None:
    """The hash is of what is in force, variables included."""
    assert _hash(FILE, MILLIS_URL="https://c.d") != _hash(FILE)
