"""Documents of known keys with any values below them: a configuration or lines, never an exception of a library."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from connector.config.dump import dump
from connector.config.errors import InvalidConfigError
from connector.config.keys import keys_of
from connector.config.load import OVERRIDES, Loaded, load_text

WORDS = sorted({word for key in keys_of() for word in key.path})
VALUES = st.sampled_from(
    [
        "a",
        "*",
        "10s",
        "https://a.b",
        "ws://localhost:1",
        "a:1",
        "human",
        "microphone",
        "auto",
        "stun:a.b",
        "/x",
        "",
        "é",
    ]
) | st.sampled_from(["participant_attribute", "x" * 300, "null", "1e9", "\t", "\u2028"])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | VALUES | st.text(max_size=5)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=3), inner),
    max_leaves=15,
)
LIVEKIT = st.fixed_dictionaries({"url": st.just("wss://a.b")})
RULES = st.lists(
    st.fixed_dictionaries(
        {"room": st.just("a") | SCALARS},
        optional={key.path[1]: ANYTHING for key in keys_of() if key.path[0] == "defaults" and len(key.path) == 2},
    ),
    max_size=2,
)
DOCUMENTS = st.fixed_dictionaries(
    {"livekit": LIVEKIT | ANYTHING, "millis": ANYTHING, "rooms": RULES | ANYTHING},
    optional={"worker": ANYTHING, "defaults": ANYTHING},
)


def _load(document: Any, environ: dict[str, str]) -> Loaded | list[str]:
    text = json.dumps(document, ensure_ascii=False)
    try:
        return load_text(text, environ=environ)
    except InvalidConfigError as error:
        return error.problems


@settings(max_examples=300)
@given(DOCUMENTS, st.dictionaries(st.sampled_from(sorted(OVERRIDES)), VALUES, max_size=3))
def test_any_document_is_a_configuration_or_gets_lines(document: Any, environ: dict[str, str]) -> None:
    """Every line is printable, short and says where; what is accepted can be written and read back."""
    result = _load(document, environ)
    if isinstance(result, Loaded):
        assert load_text(dump(result.config), environ={}).config == result.config
        return
    assert result
    for line in result:
        assert line.startswith(("rooms.yaml", "… and ", *OVERRIDES))
        assert line.isprintable()
        assert len(line) < 600
