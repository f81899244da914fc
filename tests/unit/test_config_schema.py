import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from jsonschema import Draft7Validator

from connector.config.dump import dump
from connector.config.errors import Check
from connector.config.keys import keys_of
from connector.config.load import load_text
from connector.config.model import Config
from connector.config.schema import DRAFT, json_schema
from tests.unit.test_config_checks import CASES, GOOD
from tests.unit.test_config_dump import CONFIGS

SCHEMA = json_schema()
VALIDATOR = Draft7Validator(SCHEMA)
BEYOND_A_SCHEMA = {
    Check.FILE_TOO_LARGE,
    Check.NOT_UTF8,
    Check.CONTROL_CHARACTER,
    Check.SYNTAX,
    Check.TAB,
    Check.ANCHOR,
    Check.ALIAS,
    Check.TAG,
    Check.DUPLICATE_KEY,
    Check.KEY_TEXT,
    Check.SEVERAL_DOCUMENTS,
    Check.DEPTH,
    Check.DURATION_RANGE,
    Check.ADDRESS_TWICE,
    Check.ICE_CREDENTIAL,
    Check.AGENT_MISSING,
    Check.METADATA_NUMBER,
    Check.METADATA_SIZE,
}
"""What concerns the text before it is data, or several keys at once."""


def _schemas(schema: Any) -> list[dict[str, Any]]:
    """Every schema inside a schema."""
    found = []
    if isinstance(schema, dict):
        found.append(schema)
        for value in schema.values():
            found += _schemas(value)
    elif isinstance(schema, list):
        for value in schema:
            found += _schemas(value)
    return found


def test_it_is_a_schema_of_draft_07_in_one_piece() -> None:
    """Helm and editors read draft-07; nothing refers to a definition elsewhere."""
    Draft7Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == DRAFT
    assert not [schema for schema in _schemas(SCHEMA) if "$ref" in schema or "$defs" in schema]


def test_its_patterns_are_read_by_go_too() -> None:
    """Helm matches with RE2, which has no look-around, no back-references and no possessive quantifiers."""
    patterns = [schema["pattern"] for schema in _schemas(SCHEMA) if isinstance(schema.get("pattern"), str)]
    assert len(patterns) > 20
    assert not [pattern for pattern in patterns if re.search(r"\(\?(?!:)|\\[1-9]|[+*?}]\+", pattern)]


def test_every_key_is_described() -> None:
    """An editor that shows the schema shows a sentence for each key."""
    assert not [".".join(key.path) for key in keys_of() if not (key.field.description or "").endswith(".")]


def test_defaults_stand_as_they_are_written() -> None:
    """A duration's default is a text with its unit."""
    rule = SCHEMA["properties"]["defaults"]["properties"]
    worker = SCHEMA["properties"]["worker"]["properties"]
    assert rule["leave_after"]["default"] == "10s"
    assert rule["join"]["default"] == "human"
    assert worker["drain_timeout"]["default"] == "30m"
    assert worker["engines"]["default"] == "auto"


def test_the_committed_file_fits() -> None:
    """The schema accepts rooms.yaml as any YAML reader reads it."""
    assert list(VALIDATOR.iter_errors(yaml.safe_load(Path("rooms.yaml").read_text()))) == []
    assert list(VALIDATOR.iter_errors(yaml.safe_load(GOOD))) == []


def test_an_empty_block_fits() -> None:
    """A block whose keys are all commented out is nothing to YAML, and fine."""
    text = f"worker:\ndefaults:\n{GOOD}    listen:\n    metadata:\n"
    assert list(VALIDATOR.iter_errors(yaml.safe_load(text))) == []


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(CONFIGS)
def test_it_never_refuses_what_the_loader_accepts(config: Config) -> None:
    """Every configuration, written out with its texts in quotes, fits the schema."""
    text = dump(config)
    load_text(text, environ={})
    assert [error.message for error in VALIDATOR.iter_errors(yaml.safe_load(text))] == []


@pytest.mark.parametrize(
    ("check", "content"),
    [(check, content) for check, content, _ in CASES if check not in BEYOND_A_SCHEMA],
    ids=[check.value for check, *_ in CASES if check not in BEYOND_A_SCHEMA],
)
def test_it_refuses_what_the_loader_refuses(check: Check, content: str) -> None:
    """Every check that a schema can express is expressed."""
    assert list(VALIDATOR.iter_errors(yaml.safe_load(content))), check.description
