"""Secrets that somebody wrote into rooms.yaml."""

import pytest

from connector.config.errors import Check, Problem
from connector.config.leaks import asks_for_secret, find_leaks
from connector.config.parse import parse

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"


def _leaks(text: str) -> list[Problem]:
    root = parse(text, "x").root
    assert root is not None
    return list(find_leaks(root))


@pytest.mark.parametrize(
    "key",
    [
        "secret",
        "SECRET",
        "password",
        "token",
        "api_key",
        "api-key",
        "apiKey",
        "apikey",
        "APIKEY",
        "private_key",
        "client_secret",
        "clientSecret",
        "x-auth-token",
        "db password",
        "my.private-key",
        "livekit_api_key",
    ],
)
def test_a_key_that_asks_for_a_secret_is_found(key: str) -> None:
    """The words of the design in any case and spelling, alone or at the end of a longer name."""
    assert asks_for_secret(key)
    assert [leak.check for leak in _leaks(f'a: [{{"{key}": x}}]\n')] == [Check.SECRET_KEY]


@pytest.mark.parametrize(
    "key", ["secretary", "tokens", "password_hint", "key", "keyboard", "token_count", "broken", "credential_file", ""]
)
def test_other_words_are_no_secrets(key: str) -> None:
    """A word that merely contains one of them is fine, and so is the name of a file that holds a credential."""
    assert not asks_for_secret(key)


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("livekit: {api_key: x}", "set LIVEKIT_API_KEY and LIVEKIT_API_SECRET"),
        ("millis: {private_key: x}", "set MILLIS_PRIVATE_KEY or MILLIS_PRIVATE_KEY_FILE"),
        ("millis: {ice_servers: [{password: x}]}", "name a file in credential_file"),
        ("worker: {redis_password: x}", "set it in the environment (REDIS_URL for redis)"),
        ("worker: {events: {secret: x}}", "set CONNECTOR_EVENTS_SECRET or CONNECTOR_EVENTS_SECRET_FILE"),
        ("rooms: [{metadata: {token: x}}]", "keep it where it is used, or set it in the environment"),
    ],
)
def test_the_remedy_names_where_it_belongs(text: str, remedy: str) -> None:
    """Each block has its own variable or file."""
    (leak,) = _leaks(text)
    assert leak.message.startswith("secrets do not stand in this file: take it out, and ")
    assert remedy in leak.message


@pytest.mark.parametrize(
    ("value", "check"),
    [
        (TOKEN, Check.SECRET_TOKEN),
        (f"Bearer {TOKEN}", Check.SECRET_TOKEN),
        ("https://user:hunter2@a.b/c", Check.SECRET_USER_INFO),
        ("redis://:hunter2@a.b", Check.SECRET_USER_INFO),
        ("wss://@a.b", Check.SECRET_USER_INFO),
    ],
)
def test_a_secret_is_known_by_its_shape_wherever_it_stands(value: str, check: Check) -> None:
    """As a value, in a list and as a key; the line never shows it."""
    for text in (f'a: {{b: "x {value}"}}', f'a: ["{value}"]', f'"{value}": a'):
        (leak,) = _leaks(text)
        assert leak.check is check
        assert TOKEN not in leak.line
        assert "hunter2" not in leak.line


@pytest.mark.parametrize("value", ["mail@example.com", "https://a.b/@x", "eyJhbGciOi", "a.b.c", "sip:ada@example.com"])
def test_ordinary_texts_are_left_alone(value: str) -> None:
    """An address with an @ is no user info, and a word that begins like a token is no token."""
    assert _leaks(f'a: "{value}"') == []
