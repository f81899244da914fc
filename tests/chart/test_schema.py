import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from connector.config.keys import keys_of
from connector.config.schema import json_schema
from scripts.chart_schema import SET_BY_THE_CHART, TARGET, rendered, values_schema
from tests.chart.helm import CHART, CI_VALUES, ROOT, RefusedError, render_text
from tests.chart.violations import ANNOTATIONS, KEYWORDS, UNKNOWN, Violation, violations

SCHEMA = values_schema()
VALIDATOR = Draft7Validator(SCHEMA)
VIOLATIONS = list(violations(SCHEMA))
SAYS = {
    "type": "at '{at}': got ",
    "enum": "at '{at}': value must be one of ",
    "pattern": "at '{at}': '",
    "minLength": "at '{at}': minLength: got ",
    "maxLength": "at '{at}': maxLength: got ",
    "minimum": "at '{at}': minimum: got ",
    "maximum": "at '{at}': maximum: got ",
    "minItems": "at '{at}': minItems: got ",
    "maxItems": "at '{at}': maxItems: got ",
    "uniqueItems": "at '{at}': items at 0 and 1 are equal",
    "minProperties": "at '{at}': minProperties: got 0",
    "maxProperties": "at '{at}': maxProperties: got ",
    "required": "at '{at}': missing property '",
    "additionalProperties": f"at '{{at}}': additional properties '{UNKNOWN}' not allowed",
    "propertyNames": "invalid propertyName ",
    "anyOf": "at '{at}': 'anyOf' failed",
    "oneOf": "at '{at}': 'oneOf' failed",
    "not": "at '{at}': 'not' failed",
}
"""How Helm puts it."""


def _groups() -> dict[str, list[Violation]]:
    """Violations that can stand in one file: of one rule, and none inside another, or list where it has a mapping."""
    found = defaultdict(list)
    for each in VIOLATIONS:
        shape = "".join("i" if isinstance(step, int) else "k" for step in each.path)
        if each.path or each.keyword != "type":  # a file that is no mapping at all never meets the schema
            found[f"{each.keyword}-{shape}"].append(each)
    return found


GROUPS = _groups()


def _keywords(schema: Any) -> set[str]:
    if not isinstance(schema, dict):
        return set()
    found = set(schema)
    for below in schema.get("properties", {}).values():
        found |= _keywords(below)
    return found | _keywords(schema.get("additionalProperties")) | _keywords(schema.get("items"))


def test_the_schema_is_made_from_the_product() -> None:
    """values.schema.json is what scripts/chart_schema.py makes of the product's schema (`make reference`)."""
    assert TARGET.read_text() == rendered()


def test_the_rooms_part_is_the_products_schema() -> None:
    """`config` accepts the keys of rooms.yaml, less those that the chart sets itself; else they are equal."""
    product, chart = json_schema()["properties"], SCHEMA["properties"]["config"]["properties"]
    for key in SET_BY_THE_CHART:
        del product["worker"]["properties"][key]
    for block in ("livekit", "millis"):
        del product[block]["required"]
    assert chart == product


def test_model_schema_and_reference_name_the_same_keys() -> None:
    """The model, `connector schema` and docs/configuration.md cannot drift."""
    keys = list(keys_of())
    reference = set(re.findall(r"^\| `([a-z_]+)` \|", (ROOT / "docs" / "configuration.md").read_text(), re.MULTILINE))
    assert {key.path for key in keys} == set(_paths(json_schema()))
    assert {key.path[-1] for key in keys if len(key.path) > 1} <= reference


def _paths(schema: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every key that a schema names, at its place; lists and alternatives are no steps."""
    for key, below in schema.get("properties", {}).items():
        yield (*path, key)
        yield from _paths(below, (*path, key))
    for below in (
        *schema.get("anyOf", ()),
        *schema.get("oneOf", ()),
        *([schema["items"]] if "items" in schema else []),
    ):
        yield from _paths(below, path)


def test_values_and_schema_name_the_same_keys() -> None:
    """Every value of values.yaml stands in the schema and the other way round, and the defaults keep to it."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())

    def compare(value: Any, schema: dict[str, Any], path: str) -> None:
        if path == ".config" or not isinstance(value, dict) or "properties" not in schema:
            return
        assert set(value) == set(schema["properties"]) - {"global"} or path.endswith("Probe"), path
        for key, below in value.items():
            compare(below, schema["properties"][key], f"{path}.{key}")

    compare(values, SCHEMA, "")
    assert not list(VALIDATOR.iter_errors(values))


@pytest.mark.parametrize("file", CI_VALUES, ids=lambda file: file.stem)
def test_good_values_keep_to_the_schema(file: Any) -> None:
    """What the chart is tested with is valid, also beside values of a parent chart."""
    values = yaml.safe_load(file.read_text())
    assert not list(VALIDATOR.iter_errors({**values, "global": {"anything": 1}}))


def test_every_rule_is_known() -> None:
    """No keyword stands in the schema that the tests below would pass over."""
    assert _keywords(SCHEMA) <= KEYWORDS | ANNOTATIONS


def test_every_rule_refuses() -> None:
    """Each rule refuses a value made to break it, at its own place."""
    for each in VIOLATIONS:
        errors = VALIDATOR.iter_errors(each.document())
        found = {(tuple(error.absolute_path), error.validator) for error in errors}
        assert any(
            keyword == each.keyword or (each.keyword == "propertyNames" and keyword in ("not", "pattern"))
            for path, keyword in found
            if path == each.path
        ), f"{each.pointer} {each.keyword}: {found}"


@pytest.mark.parametrize("group", GROUPS.values(), ids=GROUPS.keys())
def test_helm_refuses_what_breaks_a_rule(group: list[Violation]) -> None:
    """Helm names the place of each wrong value, and what is wrong with it, in one sentence."""
    values: dict[str, Any] = {}
    for each in group:
        values = _over(values, each.document())
    with pytest.raises(RefusedError) as refused:
        render_text(values)
    for each in group:
        assert SAYS[each.keyword].format(at=each.pointer) in str(refused.value), f"{each.pointer} {each.keyword}"


def _over(one: Any, other: Any) -> Any:
    """Merge two documents, first items of lists too."""
    if isinstance(one, list) and isinstance(other, list) and one and other:
        return [_over(one[0], other[0]), *one[1:]]
    if isinstance(one, dict) and isinstance(other, dict):
        return {**one, **{key: _over(one[key], value) if key in one else value for key, value in other.items()}}
    return other
