"""Every validation rule of rooms.yaml, each with a wrong file and the one line that it gets (a test counts them)."""

from pathlib import Path

import pytest

from connector.config.errors import Check, InvalidConfigError
from connector.config.load import load

HEAD = 'livekit: {url: "wss://a.b"}\nmillis: {url: "https://a.b"}\n'
RULES = 'rooms:\n  - room: "a"\n    agent: "b"\n'
GOOD = HEAD + RULES
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"


def _rule(line: str) -> str:
    """A file whose rule has one more line, the sixth."""
    return f"{GOOD}    {line}\n"


def _worker(line: str) -> str:
    """A file with one line about the worker, the third."""
    return f"{HEAD}worker: {line}\n{RULES}"


def _ice(server: str) -> str:
    """A file with an ICE server, in the second line."""
    return HEAD.replace('"https://a.b"}', f"'https://a.b', ice_servers: [{{{server}}}]}}") + RULES


CASES: list[tuple[Check, str | bytes, str]] = [
    (
        Check.FILE_TOO_LARGE,
        GOOD + "#" * (1 << 20),
        "rooms.yaml: is larger than 1 MiB: join rules by patterns with * and ?",
    ),
    (Check.NOT_UTF8, GOOD.encode() + b"# \xff", "rooms.yaml: is not UTF-8 text (line 6): save it as UTF-8"),
    (
        Check.CONTROL_CHARACTER,
        GOOD + "# \x07",
        "rooms.yaml:6:3: found the character U+0007, which cannot stand here: is this a text file?",
    ),
    (Check.FILE_EMPTY, "# later\n", "rooms.yaml: is empty: write livekit.url, millis.url and at least one rule under"),
    (Check.SYNTAX, GOOD + '    join: "human\n', "rooms.yaml:6:11: the text that begins here has no closing quote"),
    (Check.TAB, GOOD + "\tjoin: human\n", "rooms.yaml:6:1: found a tab in the indentation: indent with spaces"),
    (
        Check.ANCHOR,
        _rule("join: &x human"),
        "rooms.yaml:6:11 rooms[0].join: anchors (&x) are not read: write the value out",
    ),
    (
        Check.ALIAS,
        _rule("participant: {name: *x}"),
        "rooms.yaml:6:25 rooms[0].participant.name: aliases (*) are not read: write the value out; put the text in",
    ),
    (
        Check.TAG,
        _rule("join: !!str human"),
        "rooms.yaml:6:11 rooms[0].join: tags (!str) are not read: leave it out, or quote the text",
    ),
    (
        Check.DUPLICATE_KEY,
        _rule("agent: c"),
        'rooms.yaml:6:5 rooms[0].agent: "agent" stands in this mapping already, in line 5: keep one of them',
    ),
    (
        Check.KEY_TEXT,
        _rule("metadata: {[a]: b}"),
        "rooms.yaml:6:16 rooms[0].metadata: expected a text as the key, found a list or a mapping",
    ),
    (
        Check.SEVERAL_DOCUMENTS,
        GOOD + "---\n" + GOOD,
        "rooms.yaml:6:1: a second document begins here: keep one in a file",
    ),
    (
        Check.DEPTH,
        _rule(f"metadata: {'[' * 20}{']' * 20}"),
        "rooms.yaml:6:28 rooms[0].metadata[0][0][0][0][0][0][0][0][0][0][0][0][0]: is nested deeper than 16 levels",
    ),
    (
        Check.SECRET_KEY,
        _rule("metadata: {crm: {client_secret: x}}"),
        "rooms.yaml:6:22 rooms[0].metadata.crm.client_secret: secrets do not stand in this file: take it out, and",
    ),
    (
        Check.SECRET_TOKEN,
        _rule(f'metadata: {{a: "x {TOKEN}"}}'),
        "rooms.yaml:6:19 rooms[0].metadata.a: found a JSON web token: secrets do not stand in this file: take it out",
    ),
    (
        Check.SECRET_USER_INFO,
        HEAD.replace("https://", "https://user:hunter2@") + RULES,
        "rooms.yaml:2:15 millis.url: found a URL with a user name or password before the @: take them out, and set",
    ),
    (
        Check.UNKNOWN_KEY,
        _rule("agnet_silence: 30s"),
        "rooms.yaml:6:5 rooms[0].agnet_silence: is not a known key; did you mean agent_silence?",
    ),
    (
        Check.MISSING_KEY,
        "millis: {url: 'https://a.b'}\n" + RULES,
        'rooms.yaml:1:1 livekit.url: is missing: write url: "wss://…" here, or set LIVEKIT_URL',
    ),
    (
        Check.MAPPING,
        _rule("listen: [microphone]"),
        "rooms.yaml:6:13 rooms[0].listen: expected a mapping with the keys sources, include, exclude, gain_db, found a",
    ),
    (
        Check.LIST,
        _rule('listen: {include: "sip_*"}'),
        'rooms.yaml:6:23 rooms[0].listen.include: expected a list such as [a, b], found "sip_*"',
    ),
    (
        Check.LIST_EMPTY,
        _rule("listen: {sources: []}"),
        "rooms.yaml:6:23 rooms[0].listen.sources: expected a list with at least one value, found none: name one or",
    ),
    (
        Check.TOO_MANY,
        HEAD + "rooms:\n" + '- {room: "a", agent: "b"}\n' * 5_001,
        "rooms.yaml:4:1 rooms: expected at most 5000 rules, found 5001: join some of them by a pattern",
    ),
    (
        Check.TEXT,
        _rule("participant: {name: [a]}"),
        "rooms.yaml:6:25 rooms[0].participant.name: expected a text in quotes, found a list",
    ),
    (
        Check.TEXT_LENGTH,
        _rule(f"participant: {{name: {'x' * 257}}}"),
        "rooms.yaml:6:25 rooms[0].participant.name: expected a text of 1 to 256 characters, found 257 characters",
    ),
    (
        Check.TEXT_CHARACTERS,
        GOOD.replace('"b"', '"b c"'),
        'rooms.yaml:5:12 rooms[0].agent: expected a Millis agent id in quotes, found "b c": take the spaces out',
    ),
    (
        Check.CHOICE,
        _rule("join: humans"),
        'rooms.yaml:6:11 rooms[0].join: expected human, room, request or never, found "humans"; did you mean human?',
    ),
    (
        Check.NUMBER,
        _rule("min_humans: two"),
        'rooms.yaml:6:17 rooms[0].min_humans: expected a whole number from 1 to 100, found "two"',
    ),
    (
        Check.NUMBER_RANGE,
        _rule("listen: {gain_db: {sip_*: 60}}"),
        'rooms.yaml:6:31 rooms[0].listen.gain_db["sip_*"]: expected a number from -40 to 20, found "60"',
    ),
    (
        Check.DURATION,
        _rule("leave_after: 10"),
        "rooms.yaml:6:18 rooms[0].leave_after: expected a duration such as 500ms, 10s, 2m or 1.5h, found",
    ),
    (
        Check.DURATION_RANGE,
        _rule("max_duration: 25h"),
        'rooms.yaml:6:19 rooms[0].max_duration: expected a duration from 10s to 24h, found "25h"',
    ),
    (
        Check.URL,
        HEAD.replace("wss://a.b", "wss://a.b?x=1") + RULES,
        "rooms.yaml:1:16 livekit.url: expected a URL such as wss://livekit.example.com, found",
    ),
    (
        Check.URL_SCHEME,
        HEAD.replace("https:", "ftp:") + RULES,
        'rooms.yaml:2:15 millis.url: expected https:// or http://, found "ftp"',
    ),
    (
        Check.URL_PLAIN,
        HEAD.replace("wss:", "ws:") + RULES,
        'rooms.yaml:1:16 livekit.url: ws:// is accepted for private hosts only, found the host "a.b": use wss://',
    ),
    (
        Check.ADDRESS,
        _worker("{listen: 8080}"),
        'rooms.yaml:3:18 worker.listen: expected host:port such as 0.0.0.0:8080, found "8080"',
    ),
    (
        Check.ADDRESS_TWICE,
        _worker("{listen: 'a:1', private_listen: 'a:1'}"),
        "rooms.yaml:3:9 worker: expected private_listen to differ from listen, found a:1 twice",
    ),
    (
        Check.ICE_URL,
        _ice("urls: x.y"),
        "rooms.yaml:2:51 millis.ice_servers[0].urls: expected a URL such as stun:stun.example.com:3478 or turn:",
    ),
    (
        Check.ICE_CREDENTIAL,
        _ice("urls: 'turn:a.b'"),
        "rooms.yaml:2:44 millis.ice_servers[0]: expected username and credential_file beside a turn: URL: set both",
    ),
    (
        Check.FILE_PATH,
        _ice("urls: 'stun:a', credential_file: x"),
        "rooms.yaml:2:78 millis.ice_servers[0].credential_file: expected null or the absolute path of a file",
    ),
    (
        Check.AGENT_MISSING,
        HEAD + 'rooms:\n  - room: "a"\n',
        "rooms.yaml:4:5 rooms[0].agent: is missing: write the Millis agent id here or under defaults (or join: never)",
    ),
    (
        Check.AGENT_CHOICE,
        GOOD.replace('"b"', "{from: room_metadata, key: k}"),
        "rooms.yaml:5:12 rooms[0].agent: expected exactly one of map and allow, found neither",
    ),
    (
        Check.METADATA_NUMBER,
        _rule("metadata: {n: 9007199254740992}"),
        "rooms.yaml:6:15 rooms[0].metadata: expected a number that JSON keeps exactly, found",
    ),
    (
        Check.METADATA_SIZE,
        _rule(f"metadata: {{a: {'x' * 9_000}}}"),
        "rooms.yaml:6:15 rooms[0].metadata: expected at most 8192 bytes as JSON, found 9009",
    ),
]
"""The file as a whole is wrong in the tests below this table: `FILE_MISSING`, `FILE_UNREADABLE`, `OVERRIDE_EMPTY`."""


@pytest.mark.parametrize(("check", "content", "line"), CASES, ids=[check.value for check, *_ in CASES])
def test_a_wrong_file_gets_one_clear_line(
    check: Check, content: str | bytes, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where, what was found, what was expected, what to do; nothing else is reported besides."""
    monkeypatch.chdir(tmp_path)
    Path("rooms.yaml").write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(InvalidConfigError) as caught:
        load(environ={})
    assert [problem.check for problem in caught.value.found] == [check]
    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].startswith(line)
    assert "hunter2" not in str(caught.value)
    assert TOKEN not in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_missing_file_says_how_to_name_one(tmp_path: Path) -> None:
    """No file is the first mistake that a newcomer makes."""
    with pytest.raises(InvalidConfigError) as caught:
        load(tmp_path / "absent.yaml", {})
    assert [problem.check for problem in caught.value.found] == [Check.FILE_MISSING]
    assert "is not there: name it with --config or CONNECTOR_CONFIG, or write ./rooms.yaml" in str(caught.value)


def test_what_is_not_a_file_is_not_opened(tmp_path: Path) -> None:
    """A folder, a device and a name with a null character are refused before anything is read from them."""
    for path in (tmp_path, Path("/dev/zero"), tmp_path / "a\0b", tmp_path / ("x" * 300)):
        with pytest.raises(InvalidConfigError) as caught:
            load(path, {})
        assert [problem.check for problem in caught.value.found] == [Check.FILE_UNREADABLE]
        assert str(caught.value).isprintable()


def test_an_empty_override_is_refused(tmp_path: Path) -> None:
    """A variable that is set to nothing is more likely a mistake than a wish; the line names it."""
    file = tmp_path / "rooms.yaml"
    file.write_text(GOOD)
    with pytest.raises(InvalidConfigError) as caught:
        load(file, {"CONNECTOR_LISTEN": " "})
    assert [problem.check for problem in caught.value.found] == [Check.OVERRIDE_EMPTY]
    assert str(caught.value) == "CONNECTOR_LISTEN: is set but empty: give it a value or unset it"


def test_every_check_has_its_case() -> None:
    """A validation rule without a wrong file above fails here."""
    elsewhere = {Check.FILE_MISSING, Check.FILE_UNREADABLE, Check.OVERRIDE_EMPTY}
    assert {check for check, *_ in CASES} | elsewhere == set(Check)


def test_the_good_file_is_good(tmp_path: Path) -> None:
    """What the wrong files are made from is right, so each is wrong for its own reason."""
    file = tmp_path / "rooms.yaml"
    file.write_text(GOOD)
    assert [rule.room for rule in load(file, {}).config.rules] == ["a"]
