"""What texts from outside lose before they are shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.base.redact import cut_secrets, redact
from connector.base.secrets import Secret

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
CANARY = Secret("canary-redact-me")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("key canary-redact-me refused", "key [redacted] refused"),
        (f"GET /rtc?access_token={TOKEN}&x=1", "GET /rtc?access_token=[redacted]&x=1"),
        (f"it was {TOKEN} before", "it was [redacted token] before"),
        ("wss://user:pw@host/x", "wss://[redacted]@host/x"),
        ("redis://:pw@host", "redis://[redacted]@host"),
        ("Authorization: Bearer abc.def", "Authorization: [redacted]"),
        ('{"api_key": "a b", "n": 1}', '{"api_key": [redacted], "n": 1}'),
        ("{'token': 'abc'}", "{'token': [redacted]}"),
        ('"password": "cut off in the mid', '"password": [redacted]'),
        ("password=hunter2; next", "password=[redacted]; next"),
        ("nothing to hide", "nothing to hide"),
    ],
)
def test_secrets_are_cut_out(text: str, expected: str) -> None:
    """Known secrets, tokens, user info of URLs and authorization values go; the rest stays."""
    assert redact(text) == expected


def test_short_known_secrets_do_not_tear_texts_apart() -> None:
    """A secret of a few letters is not looked for: it would cut ordinary words."""
    Secret("the")
    assert redact("the end") == "the end"


def test_a_longer_secret_is_cut_before_one_inside_it() -> None:
    """No tail of a secret is left because a shorter one is its beginning."""
    Secret("canary-inner")
    Secret("canary-inner-and-more")
    assert redact("canary-inner-and-more") == "[redacted]"


def test_an_exception_is_redacted_like_a_text() -> None:
    """`str` of anything is taken."""
    assert redact(ValueError(f"bad {CANARY.reveal()}")) == "bad [redacted]"


def test_a_text_becomes_one_printable_line() -> None:
    """Line breaks, control characters and odd separators become single spaces."""
    assert redact("a\r\nb\x1b[31m\u2028c\t d") == "a b [31m c d"


@given(st.text(max_size=100), st.integers(1, 50))
def test_the_result_is_printable_and_bounded(text: str, limit: int) -> None:
    """Whatever comes in, one printable line of at most `limit` characters comes out."""
    out = redact(text, limit=limit)
    assert len(out) <= limit
    assert out.isprintable()


def test_cutting_secrets_changes_nothing_else() -> None:
    """Line breaks and length stay when only secrets are cut."""
    assert cut_secrets(f"a\n{CANARY.reveal()}\n" + "b" * 1_000) == "a\n[redacted]\n" + "b" * 1_000
