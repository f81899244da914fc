"""rooms.yaml and the environment become one configuration, or every problem at once; never a traceback."""

import time
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connector.config.errors import Check, InvalidConfigError
from connector.config.load import OVERRIDES, find_config, load, load_text
from connector.config.model import (
    AgentLookUp,
    AuthForm,
    ClaimStore,
    JoinMode,
    LookUp,
    OnHangup,
    RoomRule,
    Source,
)

HEAD = 'livekit: {url: "wss://a.b"}\nmillis: {url: "https://a.b"}\n'
GOOD = HEAD + 'rooms:\n  - room: "a"\n    agent: "b"\n'
COMMITTED = Path(__file__).parents[2] / "rooms.yaml"


def _problems(text: str, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(InvalidConfigError) as caught:
        load_text(text, environ=environ or {})
    assert caught.value.exit_code == 78
    return caught.value.problems


def _lines(text: str) -> list[str]:
    """What is said about a text; nothing when it is a configuration."""
    try:
        load_text(text, environ={})
    except InvalidConfigError as error:
        return error.problems
    return []


def _rule(text: str, *, head: str = HEAD) -> RoomRule:
    (rule,) = load_text(f'{head}rooms:\n  - room: "a"\n    {text}\n', environ={}).config.rules
    return rule


def test_the_file_is_found_by_option_variable_or_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--config` goes before CONNECTOR_CONFIG, which goes before ./rooms.yaml; an empty variable names nothing."""
    named = {"CONNECTOR_CONFIG": "/named"}
    assert find_config(Path("/option"), named) == Path("/option")
    assert find_config(None, named) == Path("/named")
    assert find_config(None, {"CONNECTOR_CONFIG": ""}) == Path("rooms.yaml")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONNECTOR_CONFIG", "here.yaml")
    Path("here.yaml").write_text(GOOD)
    assert load().config == load(environ=named | {"CONNECTOR_CONFIG": str(tmp_path / "here.yaml")}).config


def test_the_committed_file_serves_the_demo() -> None:
    """One rule, for the room "demo", towards LiveKit and the practice agent on this machine."""
    config = load(COMMITTED, {}).config
    assert (config.livekit.url, config.millis.url) == ("ws://127.0.0.1:7880", "http://127.0.0.1:8090")
    assert [(rule.room, rule.is_pattern, rule.agent) for rule in config.rules] == [("demo", False, "practice")]


def test_what_is_not_written_has_the_designs_default() -> None:
    """The defaults are those of the contract."""
    config = load_text(GOOD, environ={}).config
    worker, rule = config.worker, config.rules[0]
    assert (config.millis.auth, config.millis.ice_servers) == (AuthForm.AUTO, ())
    assert (worker.listen, worker.private_listen) == ("0.0.0.0:8080", "127.0.0.1:9090")
    assert (worker.engines, worker.max_sessions, worker.reconcile_every, worker.drain_timeout) == (None, 10, 10, 1800)
    assert (worker.claims, worker.agent_name, worker.events.url) == (ClaimStore.MEMORY, None, None)
    assert (rule.join, rule.min_humans, rule.leave_after, rule.max_duration) == (JoinMode.HUMAN, 1, 10, 4 * 3600)
    assert (rule.listen.sources, rule.listen.include, rule.listen.exclude) == ((Source.MICROPHONE,), ("*",), ())
    assert (rule.on_agent_hangup, rule.agent_silence, rule.metadata) == (OnHangup.LEAVE, 30, {})
    assert (rule.reconnect.attempts, rule.reconnect.within) == (5, 120)
    assert rule.participant.identity == "millis-agent"


def test_the_designs_example_means_what_it_says() -> None:
    """The second rule of the design, key by key."""
    rule = _rule("""agent: {from: participant_attribute, key: sip.trunkPhoneNumber, map: {"+4930123": "7a90e1d2"}}
    participant: {identity: millis-agent, name: Support agent}
    listen:
      sources: [microphone]
      include: ["*"]
      exclude: ["recorder-*"]
      gain_db: {"sip_*": 6}
    on_agent_hangup: close_room
    reconnect: {attempts: 5, within: 2m}
    agent_silence: 30s
    metadata: {}""")
    assert rule.agent == AgentLookUp(
        source=LookUp.PARTICIPANT_ATTRIBUTE, key="sip.trunkPhoneNumber", map={"+4930123": "7a90e1d2"}
    )
    assert (rule.participant.name, rule.on_agent_hangup) == ("Support agent", OnHangup.CLOSE_ROOM)
    assert rule.listen_rule.gain_for("sip_1") == 6
    assert rule.listen_rule.exclude == ("recorder-*",)


def test_a_rule_inherits_key_by_key() -> None:
    """Any key but `room` may stand in defaults; blocks merge, lists and free mappings replace, the rule's own wins."""
    head = HEAD + (
        'defaults:\n  agent: "d"\n  join: room\n  leave_after: 1m\n  metadata: {a: 1}\n'
        '  listen: {exclude: ["rec-*"], gain_db: {a: 1}}\n  participant: {name: "N"}\n  reconnect: {attempts: 1}\n'
    )
    rule = _rule('leave_after: 5s\n    listen: {gain_db: {b: 2}}\n    participant: {identity: "i"}', head=head)
    assert (rule.agent, rule.join, rule.leave_after, rule.metadata) == ("d", JoinMode.ROOM, 5, {"a": 1})
    assert (rule.listen.exclude, rule.listen.gain_db) == (("rec-*",), {"b": 2})
    assert (rule.participant.identity, rule.participant.name) == ("i", "N")
    assert (rule.reconnect.attempts, rule.reconnect.within) == (1, 120)


def test_a_room_name_is_not_inherited() -> None:
    """`room` in defaults is refused: it would make every rule the same."""
    (problem,) = _problems(GOOD + 'defaults: {room: "x"}\n')
    assert problem.startswith("rooms.yaml:6:12 defaults.room: is not known here: it belongs to rooms")


def test_a_rule_that_never_joins_needs_no_agent() -> None:
    """It keeps rooms out of the rules below it."""
    assert _rule("join: never").agent is None
    assert _rule("min_humans: 2", head=HEAD + "defaults: {join: never}\n").agent is None


@pytest.mark.parametrize("text", ["0123", "no", "12:30:45", "1e3", "2026-01-01", "0x1F", "~x", "yes"])
def test_texts_keep_their_letters(text: str) -> None:
    """What YAML reads as a number, a truth value or a date stays the text that was written, quoted or not."""
    for written in (text, f'"{text}"', f"'{text}'"):
        rule = _rule(f"agent: {written}\n    participant: {{identity: {written}}}")
        assert (rule.agent, rule.participant.identity) == (text, text)


def test_empty_blocks_say_nothing() -> None:
    """A block whose keys are all commented out is as if it were not there."""
    text = GOOD + "    listen:\n    participant:\n    reconnect: ~\n    metadata: {}\nworker:\n  events:\ndefaults:\n"
    assert load_text(text, environ={}).config == load_text(GOOD, environ={}).config


def test_a_byte_order_mark_and_windows_line_ends_are_fine(tmp_path: Path) -> None:
    """Editors on other systems write them."""
    file = tmp_path / "rooms.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert load(file, {}).config == load_text(GOOD, environ={}).config


OVERRIDDEN: dict[str, tuple[str, object, str | None]] = {
    "LIVEKIT_URL": ("https://lk.example.com/", "wss://lk.example.com", "example.com"),
    "MILLIS_URL": ("http://practice:8090", "http://practice:8090", "http://practice.example.com"),
    "CONNECTOR_LISTEN": ("127.0.0.1:1", "127.0.0.1:1", "8080"),
    "CONNECTOR_PRIVATE_LISTEN": ("[::1]:9", "[::1]:9", "[::1]:99999"),
    "CONNECTOR_ENGINES": ("3", 3, "three"),
    "CONNECTOR_MAX_SESSIONS": ("7", 7, "0"),
    "CONNECTOR_RECONCILE_EVERY": ("500s", None, "5"),
    "CONNECTOR_DRAIN_TIMEOUT": ("1.5h", 5400.0, "-1s"),
    "CONNECTOR_CLAIMS": ("redis", ClaimStore.REDIS, "etcd"),
    "CONNECTOR_AGENT_NAME": ("millis", "millis", None),
    "CONNECTOR_EVENTS_URL": ("https://a.b/hook", "https://a.b/hook", "https://a.b/hook?x=1"),
}


@pytest.mark.parametrize("variable", OVERRIDES)
def test_a_variable_overrides_the_file(variable: str) -> None:
    """Every URL and worker value has its variable, whose value is checked like the file's and named in the error."""
    good, expected, bad = OVERRIDDEN[variable]
    if expected is None:
        assert _problems(GOOD, {variable: good})[0].startswith(f"{variable}: expected a duration from 1s to 5m")
    else:
        loaded = load_text(GOOD, environ={variable: f" {good}\n"})
        value: object = loaded.config
        for key in OVERRIDES[variable]:
            value = getattr(value, str(key))
        assert value == expected
        assert loaded.overridden == (variable,)
    if bad is not None:
        (problem,) = _problems(GOOD, {variable: bad})
        assert problem.startswith(f"{variable}: ")
        assert "expected" in problem or "accepted" in problem


def test_an_override_makes_up_for_what_the_file_lacks() -> None:
    """With both URLs in the environment the file needs rules only; a wrong value in the file does not matter then."""
    environ = {"LIVEKIT_URL": "ws://localhost:7880", "MILLIS_URL": "http://localhost:8090"}
    assert load_text("rooms: []\n", environ=environ).config.livekit.url == "ws://localhost:7880"
    text = 'livekit:\nmillis: {url: "ftp://x"}\nrooms: []\n'
    assert load_text(text, environ=environ).config.millis.url == "http://localhost:8090"


def test_an_override_of_a_broken_block_leaves_the_blocks_error() -> None:
    """A list where `worker` belongs is reported where it stands."""
    (problem,) = _problems(GOOD + "worker: [a]\n", {"CONNECTOR_LISTEN": "a:1"})
    assert problem.startswith("rooms.yaml:6:9 worker: expected a mapping with the keys listen, private_listen, engines")
    assert problem.endswith("found a list")


def test_a_secret_in_a_variable_is_refused_without_being_shown() -> None:
    """User info in an overriding URL is a secret like in the file's."""
    (problem,) = _problems(GOOD, {"LIVEKIT_URL": "wss://user:hunter2@a.b"})
    assert problem.startswith("LIVEKIT_URL: ")
    assert "hunter2" not in problem


def test_every_problem_is_reported_at_once_in_the_order_of_the_file() -> None:
    """Form, secrets, the model and the environment are all checked before anything is said."""
    text = (
        'livekit: {url: "ws://a.b", secret: x}\nmillis: {url: &u "https://a.b"}\nworker: {enginess: 2}\n'
        'rooms:\n  - room: "a"\n  - agent: "x y"\n    join: nie\n'
    )
    problems = _problems(text, {"CONNECTOR_CLAIMS": "x"})
    assert [problem.split(" ")[0] for problem in problems] == [
        "CONNECTOR_CLAIMS:",
        "rooms.yaml:1:16",
        "rooms.yaml:1:28",
        "rooms.yaml:2:15",
        "rooms.yaml:3:10",
        "rooms.yaml:5:5",
        "rooms.yaml:6:5",
        "rooms.yaml:6:12",
        "rooms.yaml:7:11",
    ]


def test_a_flood_of_problems_is_counted() -> None:
    """Fifty are shown, the rest is a number."""
    problems = _problems(HEAD + "rooms:\n" + "- {}\n" * 60)
    assert len(problems) == 51
    assert problems[-1] == "… and 70 more problems"


def test_the_result_says_where_it_comes_from() -> None:
    """The places of the rules, the name, and a digest that changes with the text."""
    loaded = load_text(GOOD, name="x.yaml", environ={})
    assert (loaded.name, loaded.rule_places, loaded.overridden) == ("x.yaml", ("x.yaml:4:5",), ())
    assert loaded.digest != load_text(GOOD + "#\n", name="x.yaml", environ={}).digest


@pytest.mark.parametrize(
    ("text", "check"),
    [
        ("- a\n", Check.MAPPING),
        ("just words\n", Check.MAPPING),
        ("a: " + "[" * 3_000, Check.DEPTH),
        ("a: " + "{a: " * 3_000, Check.DEPTH),
        (f"a: {'9' * 100_000}\n", Check.UNKNOWN_KEY),
        (GOOD + f"    min_humans: {'9' * 5_000}\n", Check.NUMBER),
        (GOOD + f"    {'k' * 500}: 1\n", Check.UNKNOWN_KEY),
        (GOOD + "    min_humans: 1e999\n", Check.NUMBER),
        (GOOD + "    listen: {gain_db: {a: nan}}\n", Check.NUMBER),
        (GOOD + "    leave_after: -1s\n", Check.DURATION),
        (GOOD + "    metadata: {a: 1e999}\n", Check.METADATA_NUMBER),
        (GOOD + "    metadata: {a: {b: {c: {d: {e: {f: {g: {h: {i: 1}}}}}}}}}\n", Check.METADATA_SIZE),
        (GOOD + "    metadata: x\n", Check.MAPPING),
        (GOOD + "    metadata: {apiKey: x}\n", Check.SECRET_KEY),
        (GOOD + "? [a]\n: b\n", Check.KEY_TEXT),
        (GOOD + "<<: *x\n", Check.ALIAS),
        ("%YAML 9.9\n---\na: b\n", Check.SYNTAX),
        ("\x00", Check.CONTROL_CHARACTER),
        ("a: \u2028\n", Check.CONTROL_CHARACTER),
    ],
)
def test_hostile_input_gets_a_line_like_any_other(text: str, check: Check) -> None:
    """Too deep, too large, too odd: a problem with its place, never an exception of a library."""
    with pytest.raises(InvalidConfigError) as caught:
        load_text(text, environ={})
    assert check in {problem.check for problem in caught.value.found}
    assert all(line.isprintable() and len(line) < 400 for line in caught.value.problems)


def test_a_bomb_of_aliases_costs_nothing() -> None:
    """Nothing is expanded: the file is refused in the time that it takes to read it (a bound far above that)."""
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
    start = time.monotonic()
    assert "aliases" in "\n".join(_problems(GOOD + bomb))
    assert time.monotonic() - start < 5


def test_a_file_that_fails_while_it_is_read_is_named() -> None:
    """The system's reason stands in the line."""
    with pytest.raises(InvalidConfigError, match="/proc/self/mem: cannot be read: Input/output error"):
        load(Path("/proc/self/mem"), {})


TEXTS = st.text(max_size=200) | st.text(alphabet="ab:{}[]-*&!|>'\"#%@` \n\t,?~0.", max_size=80)


@given(TEXTS)
@example("a: !<tag:yaml.org,2002:str> b")
@example("? a\n")
@example("a: |9\n")
@example("\ufeff\ufeff")
@example("a:\n - b\nc\n")
@example("\ud800")
def test_no_text_breaks_the_loader(text: str) -> None:
    """Any text is a configuration or gets lines; every line is printable and says where."""
    for whole in (text, GOOD + text, HEAD + "rooms:\n  - " + text):
        lines = _lines(whole)
        assert all(line.startswith("rooms.yaml") and line.isprintable() for line in lines)


@given(st.binary(max_size=200))
def test_no_bytes_break_the_loader(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    """Any file is a configuration or gets lines."""
    file = tmp_path_factory.getbasetemp() / "bytes.yaml"
    file.write_bytes(data)
    with pytest.raises(InvalidConfigError) as caught:
        load(file, {})
    assert caught.value.problems


@pytest.mark.parametrize(
    "text",
    ["sk-abcdefghijklmnop", "- sk-abcdefghijklmnop", '"sk-abcdefghijklmnop/+=": 1', "user:sk-abcdefghijklmnop:x: y"],
)
def test_a_wrong_file_is_not_shown(text: str) -> None:
    """Whoever names a key file by mistake finds nothing of it in the errors, and so in no log."""
    assert not [line for line in _problems(text) if "sk-abcdefghijklmnop" in line]


def test_a_flood_of_mistakes_is_cheap() -> None:
    """Suggestions are looked for only while somebody might read them (a bound far above what it takes)."""
    start = time.monotonic()
    assert len(_problems("".join(f"key{number}: 1\n" for number in range(60_000)))) == 51
    assert time.monotonic() - start < 30
