import re

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connector.config.dump import dump
from connector.config.leaks import LEAK_PATTERNS, asks_for_secret
from connector.config.load import load_text
from connector.config.model import (
    AgentLookUp,
    AuthForm,
    ClaimStore,
    Config,
    Events,
    IceServer,
    JoinMode,
    Listen,
    LiveKit,
    LookUp,
    Millis,
    OnHangup,
    Participant,
    Reconnect,
    RoomRule,
    Source,
    Worker,
)

WORDS = st.sampled_from(
    ["no", "0123", "null", "~", "*", "a: b", "- x", "12:30:45", "1e3", "yes", "# x", "'", '"', "<<", "=", "é", "🎤"]
)


def harmless(text: str) -> bool:
    """Whether nothing in it looks like a secret (hypothesis takes texts from the sources, tokens too)."""
    return not any(re.search(leak, text) for leak in LEAK_PATTERNS)


NAMES = (WORDS | st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=30)).filter(
    lambda name: name.isprintable() and harmless(name)
)
KEYS = NAMES.filter(lambda name: not asks_for_secret(name))
IDS = NAMES.map(lambda name: name.replace(" ", "_"))
INTEGERS = st.integers(-(2**53) + 1, 2**53 - 1)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | INTEGERS
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20).filter(harmless),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)
URLS = st.sampled_from(["wss://a.example", "ws://127.0.0.1:7880", "ws://[::1]:1", "wss://x.example:444/path"])
PORTS = st.integers(1, 65_535)


def seconds(least: float, most: float) -> st.SearchStrategy[float]:
    """Durations to the millisecond."""
    return st.integers(int(least * 1000), int(most * 1000)).map(lambda ms: ms / 1000)


def lists(items: st.SearchStrategy[str], least: int = 0) -> st.SearchStrategy[tuple[str, ...]]:
    """Short tuples."""
    return st.lists(items, min_size=least, max_size=3).map(tuple)


AGENTS = IDS | st.builds(
    AgentLookUp,
    source=st.sampled_from(LookUp),
    key=NAMES,
    map=st.dictionaries(KEYS, IDS, min_size=1, max_size=3),
)
RULES = st.builds(
    RoomRule,
    room=NAMES,
    agent=AGENTS,
    join=st.sampled_from(JoinMode),
    min_humans=st.integers(1, 100),
    leave_after=seconds(0, 3600),
    max_duration=seconds(10, 86_400),
    participant=st.builds(Participant, identity=NAMES, name=NAMES),
    listen=st.builds(
        Listen,
        sources=st.sampled_from([(Source.MICROPHONE,), tuple(Source)]),
        include=lists(NAMES, 1),
        exclude=lists(NAMES),
        gain_db=st.dictionaries(KEYS, st.floats(-40, 20), max_size=3),
    ),
    on_agent_hangup=st.sampled_from(OnHangup),
    reconnect=st.builds(Reconnect, attempts=st.integers(0, 20), within=seconds(1, 3600)),
    agent_silence=seconds(5, 3600),
    metadata=st.dictionaries(KEYS, JSON, max_size=3),
)
CONFIGS = st.builds(
    Config,
    livekit=st.builds(LiveKit, url=URLS),
    millis=st.builds(
        Millis,
        url=st.sampled_from(["https://api-west.millis.ai", "http://localhost:8090"]),
        auth=st.sampled_from(AuthForm),
        ice_servers=st.lists(
            st.builds(
                IceServer,
                urls=lists(st.sampled_from(["stun:a.b", "turn:a.b:1?transport=tcp"]), 1),
                username=NAMES,
                credential_file=st.just("/run/credential"),
            ),
            max_size=2,
        ).map(tuple),
    ),
    worker=st.builds(
        Worker,
        listen=PORTS.map(lambda port: f"0.0.0.0:{port}"),
        private_listen=PORTS.map(lambda port: f"[::1]:{port}"),
        engines=st.none() | st.integers(1, 64),
        max_sessions=st.integers(1, 200),
        reconcile_every=seconds(1, 300),
        drain_timeout=seconds(0, 86_400),
        claims=st.sampled_from(ClaimStore),
        agent_name=st.none() | NAMES,
        events=st.builds(Events, url=st.none() | st.just("https://example.com/hooks")),
    ),
    rules=st.lists(RULES, max_size=4).map(tuple),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(CONFIGS)
def test_what_was_dumped_loads_to_the_same(config: Config) -> None:
    """load(dump(config)) == config, for every configuration."""
    assert load_text(dump(config), environ={}).config == config


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(CONFIGS)
def test_other_yaml_readers_see_the_same_texts(config: Config) -> None:
    """Because every text is quoted, a reader that resolves types sees the same rooms."""
    rooms = yaml.safe_load(dump(config))["rooms"]
    assert [rule.room for rule in config.rules] == [rule["room"] for rule in rooms]


def test_a_dump_is_readable() -> None:
    """Keys stand bare and texts in quotes, in the order of the model, with the room first."""
    config = Config(
        livekit=LiveKit(url="wss://a.example"),
        millis=Millis(url="https://api-west.millis.ai"),
        worker=Worker(),
        rules=(RoomRule(room="demo", agent="x"),),
    )
    lines = dump(config).splitlines()
    assert lines[:2] == ["livekit:", '  url: "wss://a.example"']
    assert '- room: "demo"' in lines
    assert '  leave_after: "10s"' in lines
