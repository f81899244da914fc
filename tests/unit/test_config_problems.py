"""What pydantic found, in plain words and with a place."""

import pytest

from connector.config.errors import InvalidConfigError
from connector.config.load import load_text

HEAD = 'livekit: {url: "wss://a.b"}\nmillis: {url: "https://a.b"}\n'
GOOD = HEAD + 'rooms:\n  - room: "a"\n    agent: "b"\n'


def _problems(text: str) -> list[str]:
    with pytest.raises(InvalidConfigError) as caught:
        load_text(text, environ={})
    return caught.value.problems


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (HEAD, "rooms.yaml:1:1 rooms: is missing: write the rules here, each with room and agent"),
        (
            'millis: {auth: raw}\nlivekit: {url: "wss://a.b"}\nrooms: []\n',
            (
                'rooms.yaml:1:1 millis.url: is missing: write url: "https://api-west.millis.ai" or'
                ' "https://api-eu-west.millis.ai", or set MILLIS_URL'
            ),
        ),
        (HEAD + "rooms:\n  - agent: x\n", "rooms.yaml:4:5 rooms[0].room: is missing: write it here"),
        (
            HEAD + "rooms: {}\n",
            "rooms.yaml:3:8 rooms: expected a list of rules, each beginning with a dash",
        ),
        (
            HEAD + "rooms:\n",
            "rooms.yaml:3:7 rooms: expected a list of rules, each beginning with a dash",
        ),
        (HEAD + "rooms: [x]\n", "rooms.yaml:3:9 rooms[0]: expected a mapping with the keys room, agent, join, min_hum"),
        (GOOD + "livekitt: {}\n", "rooms.yaml:6:1 livekitt: is not a known key; did you mean livekit?"),
        (GOOD + "    xyz: 1\n", "rooms.yaml:6:5 rooms[0].xyz: is not a known key; known here: room, agent, join"),
        (
            GOOD + "    drain_timeout: 1m\n",
            "rooms.yaml:6:5 rooms[0].drain_timeout: is not known here: it belongs to worker",
        ),
        (
            GOOD.replace('"b"', "{from: room_metadata, key: k, map: {}}"),
            "rooms.yaml:5:47 rooms[0].agent.map: expected a mapping with at least one key, found none: name one or",
        ),
        (
            GOOD.replace('"b"', "[b]"),
            "rooms.yaml:5:12 rooms[0].agent: expected a Millis agent id in quotes, found a list",
        ),
        (
            GOOD + f"    listen: {{include: [{', '.join('a' * 300)}]}}\n",
            "rooms.yaml:6:23 rooms[0].listen.include: expected fewer values, found 300: use patterns with * and ?",
        ),
        (
            GOOD + "    listen: {include: [a, [b]]}\n",
            "rooms.yaml:6:27 rooms[0].listen.include[1]: expected a name or pattern in quotes, found a list",
        ),
        (
            GOOD + "    listen: {gain_db: {'': 1}}\n",
            'rooms.yaml:6:24 rooms[0].listen.gain_db[""]: as the key, expected a name or pattern of 1 to 256 ',
        ),
        (
            HEAD.replace('{url: "https', '{ice_servers: [{urls: []}], url: "https') + "rooms: []\n",
            "rooms.yaml:2:31 millis.ice_servers[0].urls: expected a list with at least one value, found none",
        ),
    ],
)
def test_every_form_of_mistake_has_its_sentence(text: str, line: str) -> None:
    """At the value, or at the key when the key is wrong, or at the mapping that lacks it; one line, no more."""
    (problem,) = _problems(text)
    assert problem.startswith(line)


def test_a_list_whose_items_are_all_wrong_is_not_called_empty() -> None:
    """Each wrong item has its line, and that is all."""
    assert [problem.split(" ")[1] for problem in _problems(GOOD + "    listen: {sources: [x, y]}\n")] == [
        "rooms[0].listen.sources[0]:",
        "rooms[0].listen.sources[1]:",
    ]
